"""The exact engine: least squares from the sums over the points, in one pass."""

import math

import torch

from regression.common.points import Batch
from regression.data.batches import Share
from regression.fits.fit_record import Origin
from regression.training.base import CurveModule
from regression.training.checks import require_full_precision, require_one_pass
from regression.training.engine import Engine
from regression.training.lightning_counters import count_updates
from regression.training.passes import passes_of

__all__ = ["ExactSolution"]


class ExactSolution(Engine):
    """Adds the points of each step of one epoch to the sums, and solves after the last; this counts as one update."""

    def __init__(self, module: CurveModule) -> None:
        self.module = module

    def origin(self, updates: int) -> Origin:
        """Return that the weights are the exact solution."""
        return Origin("exact", self.module.loss.name, updates=updates, notes=self.module.left_out_notes())

    def total_updates(self) -> float:
        """Return 1: the solution counts as one update."""
        return 1

    def require_options(self) -> None:
        """Refuse precisions that would round the points, and more updates than one."""
        require_full_precision(self.module.trainer)
        require_one_pass(self.module.trainer)

    def begin(self) -> None:
        """Add the points of a plain loader, which have all been read; ``step`` adds those of other loaders."""
        if self.module.has_plain_loader:
            self.module.scan_all(self.module.least_squares.add)

    def step(self, batch: Share | Batch, index: int) -> None:
        """Add the points to the sums, and solve after the last ones."""
        if isinstance(batch, Share):
            batch.scan(self.module.least_squares.add, is_checked_by_work=True)
        if self.module.trainer.is_last_batch:
            self._solve()

    def _solve(self) -> None:
        """Set the model's coefficients to the optimum and end the run."""
        module, least_squares = self.module, self.module.least_squares
        least_squares.solve(passes_of(module))
        with torch.no_grad():
            module.model.coefficients.copy_(least_squares.coefficients())
        module.record.set_origin(self.origin(1))
        fit = module.required_result()
        loss = math.inf if fit.loss is None else fit.loss  # None: larger than float64 can represent
        module.log_loss("train_loss", torch.tensor(loss, device=module.device), fit.nobs)
        module.log_update(0, {"train_loss": loss}, fit.params.tolist())
        count_updates(module.trainer, 1)
        module.trainer.should_stop = True
