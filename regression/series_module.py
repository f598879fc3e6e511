"""The LightningModule that fits many series at once."""

from typing import Any, Literal, final

import lightning.pytorch as pl
import torch
from torch import Tensor

from regression.batches import Batch
from regression.checks import require_full_precision
from regression.errors import UsageError

Arithmetic = Literal["double-double", "double"]
from regression.series import Series
from regression.series_fit import SeriesFit
from regression.series_solver import solve_all
from regression.training import Regression

__all__ = ["SeriesRegression"]


@final
class SeriesRegression(pl.LightningModule):
    """A polynomial fitted to each series of a table, exactly, in one epoch.

    Args:
        degree: Highest power of x.
        arithmetic: How the sums over the points are taken: ``double-double`` or ``double``.
        model: Class of the model, which names the coefficients.

    Attributes:
        result: The fits, once training has ended.
    """

    def __init__(
        self, degree: int = 1, arithmetic: Arithmetic = "double-double", model: str = "PolynomialRegression"
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.degree, self.arithmetic, self.model_name = degree, arithmetic, model
        self.automatic_optimization = False
        self.anchor = torch.nn.Parameter(torch.zeros(()))  # a module without one is refused by torch's DDP
        self.result: SeriesFit | None = None
        self._found: Series | None = None

    @classmethod
    def like(cls, module: Regression) -> "SeriesRegression":
        """Return the module that fits the curve of a regression to each series.

        Raises:
            UsageError: If the regression has options that series do not go with.
        """
        if module.solver != "exact":
            raise UsageError(f"series need --model.solver exact, got solver {module.solver}")
        if module.least_squares.criterion is not None:
            raise UsageError("series need a degree that is the same for all, got degree auto: give a number")
        if not module.model.fit_intercept:
            raise UsageError("series need an intercept, got fit_intercept false: leave it out")
        if module.absolute_sigma:
            raise UsageError("absolute_sigma needs the sigma of the points, and series take none: leave it out")
        return cls(module.model.degree, "double-double", type(module).__name__)

    def configure_optimizers(self) -> None:
        """Return no optimizer."""

    def on_fit_start(self) -> None:
        """Refuse number types that would round the points."""
        require_full_precision(self.trainer)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Take what the batch says of its series, and solve after the last one."""
        if batch.series is None:
            raise UsageError("expected a table with series, got one without: give --data.series COLUMN")
        part = Series.of(*self._columns(batch), self.degree, self.arithmetic)
        self._found = part if self._found is None else Series.merged([self._found, part])
        if self.trainer.is_last_batch:
            self._solve(self._found)
            self.trainer.should_stop = True

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Do nothing: no point is held out. Lightning warns where the method is missing."""

    def _solve(self, found: Series) -> None:
        loader: Any = self.trainer.train_dataloader
        labels = loader.rows.labels
        codes = labels.share(found.codes.cpu().numpy())
        found = found.renamed(torch.from_numpy(codes).to(found.codes)).gathered()
        solved = solve_all(found, (self._columns(batch) for batch in loader.in_order()))
        self.result = SeriesFit.of(*solved, labels, self.model_name, loader.rows.omitted)
        self._found = None

    def _columns(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        assert batch.series is not None
        return batch.series.to(self.device).long(), batch.x.to(self.device), batch.y.to(self.device)
