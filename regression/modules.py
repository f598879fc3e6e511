"""The LightningModules: one abstract class with all steps, and the two models as short final classes."""

import math
from abc import ABC
from collections.abc import Callable
from typing import Any, final

import lightning.pytorch as pl
import torch
from torch import Tensor

from regression.basis import polynomial
from regression.batches import Batch, all_sum, gathered, global_sum
from regression.descent import Objective, Trace, descend
from regression.errors import DivergenceError, UsageError
from regression.fit import Fit, residual_sums
from regression.losses import GlobalLoss
from regression.models import Line, Polynomial

__all__ = ["LineRegression", "PolynomialRegression", "Regression"]

# Up to this many rows every process makes a block's updates on the whole batch: the arithmetic of an update is cheaper
# than one message between processes, and the result has the bits of a single process.
SMALL_BATCH = 1 << 16


class Regression(pl.LightningModule, ABC):
    """A curve fitted by gradient descent on the loss of global batches.

    Args:
        model: The curve.
        loss: Name of a torch loss with a ``reduction`` (``MSELoss``, ``L1Loss``, ``HuberLoss``, ``SmoothL1Loss``, …)
            or ``NormLoss``, the norm of the residuals over their number.
        loss_args: Arguments of the loss, such as ``{delta: 0.5}`` for ``HuberLoss``.
        learning_rate: Step size of plain SGD, for use without a configured optimizer; by default 0.05.
        updates_per_batch: Number of consecutive updates made on each batch before the Trainer gets its turn. With all
            rows in one batch this changes how often the Trainer logs, validates and saves, and no coefficient: the
            way to make full-batch descent on few points fast. A learning rate scheduler then steps once per update.

    Attributes:
        trace: What the latest updates did; callbacks read it.
        result: The fit, once training has ended.
    """

    def __init__(
        self,
        model: Polynomial,
        loss: str = "MSELoss",
        loss_args: dict[str, float] | None = None,
        learning_rate: float | None = None,
        updates_per_batch: int = 1,
    ) -> None:
        super().__init__()
        if learning_rate is not None and not (math.isfinite(learning_rate) and learning_rate >= 0):
            raise UsageError(f"learning_rate must be a finite number of at least 0, got {learning_rate}")
        if updates_per_batch < 1:
            raise UsageError(f"updates_per_batch must be at least 1, got {updates_per_batch}")
        self.model = model
        self.loss = GlobalLoss(loss, loss_args)
        self.learning_rate = learning_rate
        self.updates_per_batch = updates_per_batch
        # One update per batch is the Trainer's own way, with gradient clipping, accumulation and mixed precision.
        self.automatic_optimization = updates_per_batch == 1
        self.trace: Trace | None = None
        self.result: Fit | None = None
        self._update = 0
        self._loss_before: Tensor | None = None
        self._sums = torch.zeros(2, dtype=torch.float64)  # loss sum and rows of an evaluation epoch

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) for points x of shape (N,)."""
        prediction: Tensor = self.model(x)
        return prediction

    def configure_optimizers(self) -> Any:
        """Return plain SGD with ``learning_rate``; the command's ``optimizer:`` section takes its place."""
        rate = 0.05 if self.learning_rate is None else self.learning_rate
        return torch.optim.SGD(self.parameters(), lr=rate)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the one optimizer, without the Trainer's wrapper."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def total_updates(self) -> float:
        """Return the number of updates this run will make at most, infinite if nothing limits it."""
        if self.automatic_optimization:
            return self.trainer.estimated_stepping_batches
        limits = [math.inf]
        if self.trainer.max_steps >= 0:
            limits.append(self.trainer.max_steps)
        if self.trainer.max_epochs is not None and self.trainer.max_epochs >= 0:
            limits.append(self.trainer.max_epochs * self.updates_per_batch)
        return min(limits)

    def batch_loss(self, batch: Batch) -> Tensor:
        """Return the loss of a global batch; every process must call it with its own slice."""
        total = global_sum(self.loss.sum(self.model(batch.x), batch.y))
        return self.loss.value(total, batch.rows)

    def on_fit_start(self) -> None:
        """Refuse what can only be seen once the Trainer and the optimizer are known."""
        for group in self.optimizer().param_groups:
            if not math.isfinite(group["lr"]):
                raise UsageError(f"the learning rate must be finite, got {group['lr']}")
        if not self.automatic_optimization and "mixed" in str(self.trainer.precision):
            raise UsageError(
                f"updates_per_batch {self.updates_per_batch} needs one number type, got precision "
                f"{self.trainer.precision}: use 32-true or 64-true, or updates_per_batch 1"
            )

        monitors = {plan.monitor for plan in self.trainer.lr_scheduler_configs if plan.reduce_on_plateau}
        if not self.automatic_optimization and not monitors <= {"train_loss"}:
            raise UsageError(
                f"updates_per_batch {self.updates_per_batch} can lower the rate on a plateau of train_loss alone, "
                f"got monitor {monitors.pop()}: set --lr_scheduler.monitor train_loss, or updates_per_batch to 1"
            )

    def on_train_start(self) -> None:
        """Refuse blocks of updates on a part of the data: they would follow each batch in turn, not the whole."""
        batches = self.trainer.num_training_batches
        if not self.automatic_optimization and batches != 1:
            raise UsageError(
                f"updates_per_batch {self.updates_per_batch} needs all rows in one batch, got {batches} batches per "
                "epoch: leave batch_size out, or set updates_per_batch to 1"
            )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Forget the previous batch."""
        self.trace, self._loss_before = None, None
        self._update = self.global_step

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the loss of the batch, or make a block of updates on it."""
        if not self.automatic_optimization:
            self._block(batch)
            return None
        loss = self.batch_loss(batch)
        self._require_finite(loss.detach()[None])
        if self._loss_before is None:  # an optimizer that searches calls this more than once
            self._loss_before = loss.detach()
        self._log_loss("train_loss", loss.detach(), batch.rows)
        return loss

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Make the update and note what it did, before any checkpoint can be written."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        assert self._loss_before is not None
        coefficients = self.model.coefficients.detach().clone()
        self._finish(Trace(self._update, self._loss_before[None], coefficients[None]))

    def _block(self, batch: Batch) -> None:
        remaining = self.trainer.max_steps - self.global_step if self.trainer.max_steps >= 0 else math.inf
        updates = int(min(self.updates_per_batch, remaining))
        optimizer = self.optimizer()
        total: Callable[[Tensor], Tensor] = all_sum
        if batch.rows <= SMALL_BATCH:
            batch, total = gathered(batch), _alone
        objective = Objective(self.model.design(batch.x), batch.y, batch.rows, self.loss, total)
        losses, coefficients = descend(
            objective,
            self.model.coefficients,
            optimizer,
            updates,
            self.lr_schedulers(),  # type: ignore[arg-type]
        )
        self._require_finite(losses)
        self._log_loss("train_loss", losses[-2], batch.rows)
        _count_updates(self.trainer, updates)
        self._finish(Trace(self._update, losses[:-1], coefficients, losses[-1]))

    def _finish(self, trace: Trace) -> None:
        """Check the new coefficients, then hand every ``log_every_n_steps``-th update to the loggers."""
        if not trace.coefficients[-1].isfinite().all():
            self._diverged(trace.end - 1, "a coefficient")
        self.trace = trace
        every = max(1, self.trainer.log_every_n_steps)  # type: ignore[attr-defined]
        for update in range(-(-trace.first // every) * every, trace.end, every):
            at = update - trace.first
            values = {"train_loss": trace.losses[at].item()}
            for name, value in zip(self.model.names, trace.coefficients[at].tolist(), strict=True):
                values[f"coefficients/{name}"] = value
            for logger in self.trainer.loggers:
                logger.log_metrics(values, step=update)

    def _require_finite(self, losses: Tensor) -> None:
        """Stop the run at the first loss that is not finite; losses has shape (U,)."""
        finite = losses.isfinite()
        if not finite.all():
            self._diverged(self._update + int(finite.int().argmin()), "the loss")

    def _diverged(self, update: int, what: str) -> None:
        rate = self.optimizer().param_groups[0]["lr"]
        raise DivergenceError(
            f"{what} stopped being finite at update {update} with learning rate {float(rate):g}: "
            f"try a smaller rate, such as {float(rate) / 10:g}, or check the data for huge values"
        )

    def on_train_end(self) -> None:
        """Describe the fit by one more pass over the training points."""
        own = self.model.coefficients
        slices = [(batch.x.to(own), batch.y.to(own)) for batch in self.trainer.train_dataloader or []]
        params = tuple(self.model.coefficients.tolist())
        with torch.no_grad():
            total = sum(float(self.loss.sum(self.model(x), y)) for x, y in slices)
        sums = residual_sums(lambda x: polynomial(params, x), slices)
        loss = self.loss.value(all_sum(torch.tensor(total, dtype=torch.float64)), sums[0])
        val_loss = self.trainer.callback_metrics.get("val_loss")
        self.result = Fit.of(
            names=self.model.names,
            params=params,
            sums=sums,
            model=type(self).__name__,
            optimizer=type(self.optimizer()).__name__,
            updates=self.global_step,
            loss_name=self.loss.name,
            loss=float(loss),
            val_loss=None if val_loss is None else float(val_loss),
        )

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the batch to the validation loss."""
        self._add(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the batch to the test loss."""
        self._add(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the loss of all validation rows."""
        self._log_epoch("val_loss")

    def on_test_epoch_end(self) -> None:
        """Log the loss of all test rows."""
        self._log_epoch("test_loss")

    def _add(self, batch: Batch) -> None:
        total = self.loss.sum(self.model(batch.x), batch.y).cpu()
        self._sums += torch.tensor([float(total), len(batch.y)], dtype=torch.float64)

    def _log_epoch(self, key: str) -> None:
        total, rows = all_sum(self._sums.to(self.device, copy=True))
        self._sums.zero_()
        self._log_loss(key, self.loss.value(total, int(rows)), int(rows), logger=True)

    def _log_loss(self, key: str, value: Tensor, rows: int, logger: bool = False) -> None:
        # The value is the same on every process; "max" over them keeps its bits, a mean might not.
        reduce = "mean" if key == "train_loss" else "max"
        self.log(
            key, value, on_step=False, on_epoch=True, prog_bar=True, logger=logger, batch_size=rows,
            reduce_fx=reduce, sync_dist=True,
        )  # fmt: skip

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Return the points and f(x) at them, each of shape (n,)."""
        return batch.x, self(batch.x)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the class, so that a checkpoint alone is enough to build the module again."""
        checkpoint["class_path"] = f"regression.{type(self).__name__}"


def _alone(value: Tensor) -> Tensor:
    """Stand in for a sum over processes where each of them holds the whole batch."""
    return value


def _count_updates(trainer: pl.Trainer, updates: int) -> None:
    """Make updates done inside one batch count as optimizer steps: ``global_step``, checkpoints, the logs' x axis.

    ``LightningOptimizer.step`` would count them one at a time at more than the price of an update. The counters have
    no public setter; this is the only place that touches them.
    """
    loop = trainer.fit_loop.epoch_loop
    loop.manual_optimization.optim_step_progress.total.ready += updates
    loop.manual_optimization.optim_step_progress.total.completed += updates
    loop._batches_that_stepped += updates - 1


@final
class LineRegression(Regression):
    """A line ``f(x) = intercept + slope x`` fitted to points."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Line(), **options)
        self.save_hyperparameters()


@final
class PolynomialRegression(Regression):
    """A polynomial ``f(x) = c0 + c1 x + … + cd x^d`` fitted to points.

    Args:
        degree: Highest power d; the polynomial has d + 1 coefficients.
    """

    def __init__(self, degree: int = 4, **options: Any) -> None:
        super().__init__(Polynomial(degree), **options)
        self.save_hyperparameters()
