"""The TensorBoard loggers of a run."""

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger

__all__ = ["tensorboards"]


def tensorboards(trainer: pl.Trainer) -> list[TensorBoardLogger]:
    """Return the TensorBoard loggers of the run on the process that writes, else none."""
    if not trainer.is_global_zero:
        return []
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
