"""The files of a fit of series: a table with a row for each series, and the report."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from regression.common.atomic_files import open_whole, saving, write_whole
from regression.common.errors import UsageError
from regression.common.text import harmless_cell, shown_path
from regression.outputs.figure_options import FigureOptions, write_pictures
from regression.outputs.table_file import require_table_name, table_writer
from regression.outputs.tensorboard import add_png, tensorboards
from regression.series.result import SeriesFit
from regression.training.series_regression import SeriesRegression
from regression.training.trainer_parts import run_data

if TYPE_CHECKING:  # matplotlib takes a second to import
    from regression.figures.series import SeriesPanel

__all__ = ["SeriesFiles", "draw_series", "write_series"]

MOST_POINTS = 3000  # drawn, of all series together
MOST_SPREADS = 3  # of coefficients that are drawn


class SeriesFiles(Callback):
    """Writes the fits of series, in ascending order of their ids, and prints the report.

    The columns are ``series, nobs, rank``, the coefficients, their standard errors with ``_se`` after the name, ``ssr,
    sigma, rsquared``. What the points do not determine is null, or an empty cell. ``fit.png`` has a panel for each of
    up to 30 series, and shows the spread of the coefficients and of σ for more.

    Args:
        file: Name of the file in the run's folder; its ending, .csv or .parquet, decides the kind.

    Attributes:
        figure: How the figure looks, and which other files it has.
    """

    def __init__(self, file: str = "series.parquet") -> None:
        require_table_name("series.file", file)
        self.file = file
        self.figure = FigureOptions()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse diagnostics, which are those of one fit."""
        if isinstance(pl_module, SeriesRegression) and self.figure.diagnostics:
            raise UsageError("figure.diagnostics are for one fit of all points: leave it out, or --data.series")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the files and print the report."""
        if not isinstance(pl_module, SeriesRegression):
            return
        folder = trainer.log_dir  # read on all processes, because the first one broadcasts it
        fit = pl_module.result
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
        picture = write_pictures(path.parent, lambda: draw_series(self.figure, fit, trainer))
        for logger in tensorboards(trainer):
            if picture is not None:
                add_png(logger, "fit", picture, 1)
            logger.experiment.add_text("report", f"```\n{fit}\n```", 1)
        print(f"{len(fit.nobs):,} series in {shown_path(path)}")


def draw_series(options: FigureOptions, fit: SeriesFit, trainer: pl.Trainer) -> dict[str, bytes]:
    """Draw the fits of series, and return the files by their names."""
    from regression.figures.figure import figure_file, styled  # matplotlib takes a second to import
    from regression.figures.series import MOST_PANELS, draw_panels, draw_spread

    data = run_data(trainer)
    title = options.title
    if title is None:
        title = f"{fit.model}, exact, for each of {len(fit.nobs):,} series"
    with styled(options.style):
        if len(fit.nobs) <= MOST_PANELS:
            axes = ("x", "y") if data is None else data.axes
            made = draw_panels(_panels(fit, trainer), axes, title, options.size)
        else:
            numbers = {name: fit.params[:, k].numpy() for k, name in enumerate(fit.names[:MOST_SPREADS])}
            made = draw_spread({**numbers, "σ": fit.sigma.numpy()}, title, options.size)
        names = ("fit.png", *options.files)
        return {name: figure_file(made, Path(name).suffix, options.dpi) for name in names}


def _panels(fit: SeriesFit, trainer: pl.Trainer) -> "list[SeriesPanel]":
    """Return the series with some of their points."""
    from regression.figures.series import SeriesPanel

    loader: Any = trainer.train_dataloader
    rows = loader.rows
    points = rows.sample(MOST_POINTS)
    codes = points.series.long()  # a sample of a table holds them as float64
    known = codes.unique().numpy()
    names, order = rows.labels.names(known)
    code_of = {str(name): int(known[at]) for name, at in zip(names, order, strict=True)}
    missing = fit.params.new_zeros(len(fit.nobs), int(fit.names[0] in ("slope", "c1")))  # the intercept
    panels = []
    for name, params in zip(fit.series, torch.cat([missing, fit.params], dim=1), strict=True):
        own = points.chosen((codes == code_of.get(str(name), -1)).nonzero()[:, 0])
        panels.append(SeriesPanel(str(name), own.x.double().numpy(), own.y.double().numpy(), params.numpy()))
    return panels


def write_series(fit: SeriesFit, path: Path) -> None:
    """Write a row for each series, whole or not at all.

    Args:
        fit: The fits.
        path: A path that ends in .csv or .parquet.

    Raises:
        SaveError: If it cannot be written.
    """
    import pyarrow as pa  # imported here because it takes a third of a second and not every run needs it

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
