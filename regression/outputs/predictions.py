"""Writes predictions to a file, one row for each row of the input, in its order, batch by batch."""

import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from regression.common.collectives import all_gather_rows
from regression.common.text import NOT_CONVERGED, UNDETERMINED, counted, left_out
from regression.data.data_modules import PointsDataModule
from regression.estimation.bands import Prediction
from regression.fits.fit import Fit
from regression.outputs.table_file import PredictedTable, arrow_rows, schema_of_rows
from regression.training.trainer_parts import as_curve_module, run_data

__all__ = ["PredictionFile", "print_row_notes"]

COLUMNS = ("x", *Prediction._fields)
WITHOUT_SIGMA = (
    "note: the cells of obs_ci are empty: new observations of a weighted fit scatter by their own sigma; name its "
    "column with --data.sigma"
)
OF_M_ESTIMATE = "note: the cells of obs_ci are empty: an M-estimate has no scatter for new observations"


class PredictionFile(Callback):
    """Writes the predictions: ``x, mean, mean_se``, the ends of both bands, and whether x is outside the fitted range.

    A number that is unknown, or beyond float64's range (about 1.8e308), is an empty cell (CSV) or null (Parquet), never
    an infinity; a warning says how many rows are beyond the range. The file gets its name when it is complete.

    Args:
        file: Name of the file in the run's folder; its ending, .csv or .parquet, decides the kind. An address such as
            s3://bucket/predictions.parquet is where a copy goes that must not be there yet.
    """

    def __init__(self, file: str = "predictions.csv") -> None:
        self.file, self._table = file, PredictedTable(file)
        self._rows, self._outside, self._farthest = 0, 0, 0.0
        self._beyond, self._first_beyond = 0, (0, 0.0)
        self._lacks_sigma = False  # whether the fit is weighted, and points have no sigma

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open a temporary file in the run's folder."""
        self._table.open(trainer, schema_of_rows(COLUMNS, as_curve_module(pl_module).required_result().x_time))

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the rows of all processes, whose slices of a global batch are consecutive."""
        module = as_curve_module(pl_module)
        fit = module.required_result()
        table = all_gather_rows(torch.stack([column.double() for column in outputs], dim=1)).cpu()
        if not self._table.is_open:
            return
        self._table.write(arrow_rows(table, COLUMNS, fit.x_time))
        low, high = fit.x_range
        x = table[:, 0]
        outside = torch.maximum(low - x, x - high).clamp_min(0)
        has_sigma = module.convert_batch(batch).sigma is not None
        self._lacks_sigma |= fit.weighted and not has_sigma
        self._count_beyond(table, fit, has_sigma)
        self._rows += len(x)
        self._outside += int((outside > 0).sum())
        self._farthest = max(self._farthest, float(outside.max()) if len(x) else 0.0)

    def _count_beyond(self, table: Tensor, fit: Fit, has_sigma: bool) -> None:
        """Count rows with a NaN in a column that is known at a fitted point: the number is beyond float64's range."""
        known = torch.cat(
            fit.predict(torch.tensor(fit.x_range[:1], dtype=torch.float64), sigma=1.0 if has_sigma else None)[:-1]
        ).isfinite()
        beyond = (table[:, 1:-1].isnan() & known).any(dim=1).nonzero()[:, 0]
        if len(beyond) and not self._beyond:
            self._first_beyond = (self._rows + int(beyond[0]) + 1, float(table[beyond[0], 0]))
        self._beyond += len(beyond)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Rename the complete file, and print where it is and how many points are outside the fitted range."""
        if not self._table.is_open:
            return
        print(f"{counted(self._rows, 'prediction')} in {self._table.finish()}")
        fit = as_curve_module(pl_module).required_result()
        self._print_outside(fit)
        if fit.robust or self._lacks_sigma:
            print(OF_M_ESTIMATE if fit.robust else WITHOUT_SIGMA)
        print_row_notes(run_data(trainer), fit)

    def _print_outside(self, fit: Fit) -> None:
        """Print how many rows are outside the fitted range, and warn of those beyond float64's range."""
        (low, high), shown = fit.x_range, "{:.6g}".format if fit.x_time is None else fit.x_time.shown
        if self._outside:
            far = f"{self._farthest:.3g}" + ("" if fit.x_time is None else f" {fit.x_time.unit}")
            far += f", {self._farthest / (high - low):.2g} times its width" if high > low else ""
            print(
                f"{self._outside:,} of {counted(self._rows, 'point')} outside the fitted range {shown(low)} to "
                f"{shown(high)}, the farthest by {far}: the bands there trust the model, not the data"
            )
        if self._beyond:
            row, x = self._first_beyond
            warnings.warn(
                f"the curve or a band is beyond float64's range in {self._beyond:,} of {counted(self._rows, 'row')} "
                f"(first: row {row:,}, x = {x:g}): those cells are empty; predict nearer to the fitted range",
                UserWarning,
                stacklevel=2,
            )

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the partial file."""
        self._table.discard(exception)


def print_row_notes(data: PointsDataModule | None, fit: Fit) -> None:
    """Print how many rows were left out, and the notes on coefficients that are not determined or not converged."""
    if data is not None and data.all.omitted:
        print(left_out(data.all.omitted))
    for note in fit.notes:
        if note.startswith((UNDETERMINED, NOT_CONVERGED)):
            print(f"note: {note}")
