"""What a LightningModule of a curve can do whatever way it was fitted: losses of global batches, and predictions."""

import math
from abc import ABC
from collections.abc import Callable, Iterable

import lightning.pytorch as pl
import torch
from torch import Tensor

from regression.common.collectives import all_sum, global_sum
from regression.common.points import Batch, gathered
from regression.curves.polynomial import Polynomial
from regression.fits.result import Fit
from regression.training.losses import GlobalLoss

__all__ = ["SMALL_BATCH", "CurveModule", "Total"]

# Up to this many rows every process works on the whole batch: the arithmetic of an update is cheaper than one message
# between processes, and the result has the bits of a single process.
SMALL_BATCH = 1 << 16

Total = Callable[[Tensor], Tensor]


class CurveModule(pl.LightningModule, ABC):
    """A curve with a loss that is evaluated, and the bands of its fit, once there is one.

    Args:
        model: The curve.
        loss: Name of the loss.
        loss_args: Its arguments.

    Attributes:
        result: The fit, once training has ended, or once it has been taken from a checkpoint.
        evaluated_loss: The loss of the points that were validated or tested last.
        has_small_batches: Whether every process works on the whole of each training batch.
        is_stopped: Asked within a block of updates whether to end it early; the same on all processes.
    """

    def __init__(self, model: Polynomial, loss: str, loss_args: dict[str, float] | None) -> None:
        super().__init__()
        self.model, self.loss = model, GlobalLoss(loss, loss_args)
        self.result: Fit | None = None
        self.evaluated_loss = math.nan
        self.has_small_batches = False
        self.is_stopped: Callable[[], bool] = lambda: False
        self._sums = torch.zeros(2, dtype=torch.float64)  # loss sum and rows of an evaluation epoch
        self._is_whole = False  # whether every process has all rows of its batches

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) for points x of shape (N,)."""
        prediction: Tensor = self.model(x)
        return prediction

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the one optimizer, without the Trainer's wrapper."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def loss_sum(self, batch: Batch) -> Tensor:
        """Return this process's sum of the points' losses, residuals in units of sigma where there is one."""
        prediction, target = self.model(batch.x), batch.y.to(self.model.coefficients.dtype)
        if batch.sigma is not None:
            prediction, target = prediction / batch.sigma.to(target), target / batch.sigma.to(target)
        return self.loss.sum(prediction, target)

    def batch_loss(self, batch: Batch) -> Tensor:
        """Return the loss of a global batch; every process must call it with its own slice."""
        batch, total = self.taken(batch, global_sum)
        return self.loss.value(total(self.loss_sum(batch)), batch.rows)

    def taken(self, batch: Batch, total: Total) -> tuple[Batch, Total]:
        """Return what this process works on, and how its sums become those of the batch: a small batch is whole."""
        return (gathered(batch), _alone) if self.has_small_batches else (batch, total)

    def whole_loss(self, batches: Iterable[Batch]) -> float:
        """Return the loss of all rows of some batches, of which every process has its own slices."""
        with torch.no_grad():
            for index, batch in enumerate(batches):
                sigma = None if batch.sigma is None else batch.sigma.to(self.device)
                self._add(batch._replace(x=batch.x.to(self.device), y=batch.y.to(self.device), sigma=sigma), index)
        loss, _ = self._evaluated()
        return float(loss)

    def setup(self, stage: str) -> None:
        """Give the model the run's number type before a checkpoint fills it; Lightning does so after, too late."""
        if str(self.trainer.precision).startswith("64"):
            self.model.double()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the batch to the validation loss."""
        self._add(batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the batch to the test loss."""
        self._add(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the loss of all validation rows."""
        self._log_epoch("val_loss")

    def on_test_epoch_end(self) -> None:
        """Log the loss of all test rows."""
        self._log_epoch("test_loss")

    def _add(self, batch: Batch, index: int) -> None:
        if index == 0:  # no later batch is larger
            self._is_whole = batch.rows <= SMALL_BATCH
        batch = gathered(batch) if self._is_whole else batch
        self._sums += torch.tensor([float(self.loss_sum(batch)), len(batch.y)], dtype=torch.float64)

    def _evaluated(self) -> tuple[Tensor, int]:
        """Return the loss of the batches that were added, and their rows, and forget them."""
        sums = self._sums.to(self.device, copy=True)
        self._sums.zero_()
        total, rows = sums if self._is_whole else all_sum(sums)
        return self.loss.value(total, int(rows)), int(rows)

    def _log_epoch(self, key: str) -> None:
        loss, rows = self._evaluated()
        self.evaluated_loss = float(loss)
        self.log_loss(key, loss, rows, logger=True)

    def log_loss(self, key: str, value: Tensor, rows: int, logger: bool = False) -> None:
        """Log a loss of so many rows, which is the same on every process, at the end of the epoch."""
        # "max" over the processes keeps its bits, a mean might not.
        self.log(
            key, value, on_step=False, on_epoch=True, prog_bar=True, logger=logger, batch_size=rows,
            reduce_fx="max", sync_dist=True,
        )  # fmt: skip

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, ...]:
        """Return the points, the curve with its bands, and which points lie outside the fitted range, each (n,)."""
        assert self.result is not None
        return (
            batch.x.double(),
            *(column.to(self.device) for column in self.result.predict(batch.x, sigma=batch.sigma)),
        )


def _alone(value: Tensor) -> Tensor:
    """Stand in for a sum over processes where each of them holds the whole batch."""
    return value
