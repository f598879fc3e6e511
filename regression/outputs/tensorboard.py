"""The TensorBoard loggers of a run."""

import struct

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger

__all__ = ["add_png", "tensorboards"]


def tensorboards(trainer: pl.Trainer) -> list[TensorBoardLogger]:
    """Return the TensorBoard loggers of the run on the first process, which writes; none on others."""
    if not trainer.is_global_zero:
        return []
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def add_png(logger: TensorBoardLogger, tag: str, png: bytes, step: int) -> None:
    """Log a PNG file unchanged; ``add_figure`` and ``add_image`` would draw or compress it again.

    Args:
        logger: The logger.
        tag: The picture's name.
        png: All bytes of the file.
        step: The number of updates made.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary  # imported here because it takes long

    width, height = struct.unpack(">II", png[16:24])  # the first fields of its header
    image = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)  # RGBA
    logger.experiment.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
