"""The files of a fit of series: a table with a row for each series, and the report."""

import warnings
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from regression.common.atomic_files import open_whole, saving, write_whole
from regression.common.text import harmless_cell, shown_path
from regression.outputs.table_file import require_table_name, table_writer
from regression.outputs.tensorboard import tensorboards
from regression.series.result import SeriesFit
from regression.training.series_regression import SeriesRegression
from regression.training.trainer_parts import run_data

__all__ = ["SeriesFiles", "write_series"]


class SeriesFiles(Callback):
    """Writes the fits of series, in ascending order of their ids, and prints the report.

    The columns are ``series, nobs, rank``, the coefficients, their standard errors with ``_se`` after the name, ``ssr,
    sigma, rsquared``. What the points do not determine is null, or an empty cell. There is no ``fit.png``, because one
    picture cannot show thousands of curves.

    Args:
        file: Name of the file in the run's folder; its ending, .csv or .parquet, decides the kind.
    """

    def __init__(self, file: str = "series.parquet") -> None:
        require_table_name("series.file", file)
        self.file = file

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the files and print the report."""
        if not isinstance(pl_module, SeriesRegression):
            return
        folder, fit = trainer.log_dir, pl_module.result  # log_dir on all processes, because the first one broadcasts it
        if not trainer.is_global_zero:
            return
        if fit is None:
            warnings.warn("nothing was fitted: --trainer.limit_train_batches ends the run", UserWarning, stacklevel=2)
            return
        fit.warn_if_undetermined()
        print(fit)
        if not trainer.loggers or folder is None:
            return
        path = Path(folder) / self.file
        data = run_data(trainer)
        source = None if data is None else data.source()
        write_series(fit, path)
        write_whole(path.parent / "fit.json", fit.to_json(data=source, file=self.file).encode())
        write_whole(path.parent / "fit.txt", f"{fit}\n".encode())
        for logger in tensorboards(trainer):
            logger.experiment.add_text("report", f"```\n{fit}\n```", 1)
        print(f"{len(fit.nobs):,} series in {shown_path(path)}")


def write_series(fit: SeriesFit, path: Path) -> None:
    """Write a row for each series, whole or not at all.

    Args:
        fit: The fits.
        path: A path that ends in .csv or .parquet.

    Raises:
        SaveError: If it cannot be written.
    """
    import pyarrow as pa  # a third of a second to import, and not every run needs it

    columns = fit.columns()
    if path.suffix == ".csv" and isinstance(columns["series"], list):
        columns["series"] = list(map(harmless_cell, columns["series"]))
    arrays = {
        name: pa.array(values.numpy(), from_pandas=True) if isinstance(values, torch.Tensor) else pa.array(values)
        for name, values in columns.items()
    }
    table = pa.table(arrays)
    with saving(path), open_whole(path) as file, table_writer(file, path.suffix, table.schema) as writer:
        writer.write_table(table)
