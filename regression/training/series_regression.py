"""The LightningModule that fits many series at once."""

from dataclasses import replace
from typing import cast, final

import lightning.pytorch as pl
import torch

from regression.common.errors import UsageError
from regression.common.points import Batch
from regression.common.rules import BOOLEAN, TEXT, require_option
from regression.curves.polynomial import Polynomial
from regression.data.batches import GlobalBatches
from regression.series.fits import Columns, SeriesTable, fit_all
from regression.series.result import SeriesFit
from regression.series.workspace import Model
from regression.training.callbacks import require_logged_monitors, require_usable_callbacks
from regression.training.checks import require_full_precision, require_one_pass
from regression.training.regression import Regression
from regression.training.trainer_parts import run_data

__all__ = ["SeriesRegression"]


@final
class SeriesRegression(pl.LightningModule):
    """A polynomial fitted to each series of a table, exactly, in one epoch.

    Args:
        degree: Highest power of x.
        fit_intercept: Whether there is a constant term.
        absolute_sigma: Whether the points' sigma are in y's unit, not only relative.
        model: Class of the model, which names the coefficients.

    Attributes:
        result: The fits, once training has ended.
    """

    def __init__(
        self,
        degree: int = 1,
        fit_intercept: bool = True,
        absolute_sigma: bool = False,
        model: str = "PolynomialRegression",
    ) -> None:
        super().__init__()
        require_option("absolute_sigma", absolute_sigma, BOOLEAN)
        require_option("model", model, TEXT)
        self.save_hyperparameters()
        self.powers = Polynomial(degree, fit_intercept=fit_intercept).powers
        self.absolute_sigma, self.model_name = absolute_sigma, model
        self.automatic_optimization = False
        self.anchor = torch.nn.Parameter(torch.zeros(()))  # torch's DDP refuses a module without parameters
        self.result: SeriesFit | None = None
        self._table: SeriesTable | None = None

    @classmethod
    def like(cls, module: Regression) -> "SeriesRegression":
        """Return the module that fits the curve of a regression to each series.

        Raises:
            UsageError: If the regression has options that cannot be used with series.
        """
        if module.solver != "exact":
            raise UsageError(f"series need --model.solver exact, got solver {module.solver}")
        if module.least_squares.comparison is not None:
            raise UsageError("series need a degree that is the same for all, got degree auto: give a number")
        if not module.least_squares.estimator.is_plain:
            raise UsageError("series are fitted by least squares: leave out robust, cov_type and maxlags")
        curve = module.model
        if curve.constraints is not None:
            raise UsageError("series have all powers up to a degree, fitted freely: leave out terms, fix and through")
        return cls(curve.degree, curve.fit_intercept, module.absolute_sigma, type(module).__name__)

    def configure_optimizers(self) -> None:
        """Return no optimizer."""

    def on_fit_start(self) -> None:
        """Refuse precisions that would round the points, more than one epoch, and callbacks that cannot be used."""
        require_full_precision(self.trainer)
        require_one_pass(self.trainer)
        require_usable_callbacks(self.trainer)
        require_logged_monitors(self.trainer, [])

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Merge the batch into the fits of its series, and solve after the last batch."""
        if not isinstance(batch, Batch) or batch.series is None:
            raise UsageError("expected a table with series, got one without: give --data.series COLUMN")
        model = self._model(batch)
        part = SeriesTable.of(_columns(batch), model)
        self._table = part if self._table is None else SeriesTable.merged([self._table, part])
        if self.trainer.is_last_batch:
            self._solve(self._table, model)
            self.trainer.should_stop = True

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Do nothing: no point is held out. Lightning warns where the method is missing."""

    def _model(self, batch: Batch) -> Model:
        if self.absolute_sigma and batch.sigma is None:
            raise UsageError("absolute_sigma needs the sigma of the points: give --data.sigma, or leave it out")
        return Model(self.powers, batch.sigma is not None, self.absolute_sigma)

    def _solve(self, table: SeriesTable, model: Model) -> None:
        loader = cast("GlobalBatches", self.trainer.train_dataloader)
        labels = loader.rows.labels
        assert labels is not None  # there are series
        table = replace(table, codes=labels.share(table.codes)).gathered(self.device)
        table = fit_all(table, lambda: map(_columns, loader.in_order()), model, self.device)
        fit = SeriesFit.of(table, model, labels.names(table.codes), self.model_name, loader.rows.omitted)
        data = run_data(self.trainer)
        self.result = fit if data is None else replace(fit, x_time=data.x_time, y_time=data.y_time)
        self._table = None


def _columns(batch: Batch) -> Columns:
    """Return codes, x, y and sigma on the CPU."""
    assert batch.series is not None
    sigma = None if batch.sigma is None else batch.sigma.cpu()
    return batch.series.cpu().long(), batch.x.cpu(), batch.y.cpu(), sigma
