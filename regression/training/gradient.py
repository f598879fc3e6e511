"""The gradient engine: updates by any torch optimizer, one for each batch or in blocks, compared with the optimum."""

import math
from typing import Any

import torch
from torch import Tensor

from regression.common.errors import UsageError
from regression.common.points import Batch
from regression.descent.updates import Trace
from regression.fits.fit_record import Origin
from regression.training.base import CurveModule
from regression.training.checks import (
    NO_STEP,
    monitor_of,
    require_finite_coefficients,
    require_finite_losses,
    require_finite_rate,
    require_known_optimum,
    require_one_precision,
    require_same_optimizer,
    warn_of_zero_rate,
)
from regression.training.engine import Engine
from regression.training.lightning_counters import count_updates
from regression.training.passes import passes_of
from regression.training.update_blocks import on_all_rows, on_mini_batches

__all__ = ["GradientDescent"]

DEFAULT_LOG_EVERY = 50  # updates: Lightning's log_every_n_steps where none is given
LEAST_LOGGED_UPDATES = 50  # of a run with as many updates, by default


class GradientDescent(Engine):
    """Makes updates, checks and logs each, and ends the run if it is close enough to the optimum.

    With one update for each batch the Trainer makes it, with its gradient clipping, accumulation and mixed precision;
    blocks of updates are made here.

    Args:
        module: The module.
        learning_rate: Step size of plain SGD; ``None`` for the best constant one.
        updates_per_batch: Number of consecutive updates within a step of the Trainer.
        stop_at_opt_error: Distance from the optimum in standard errors at which to stop; ``None`` does not stop.
    """

    def __init__(
        self,
        module: CurveModule,
        learning_rate: float | None,
        updates_per_batch: int,
        stop_at_opt_error: float | None,
    ) -> None:
        require_known_optimum(stop_at_opt_error, module.loss)
        self.module = module
        self._notes: tuple[str, ...] = ()
        self.learning_rate, self.updates_per_batch = learning_rate, updates_per_batch
        self.stop_at_opt_error = stop_at_opt_error
        self.is_automatic = updates_per_batch == 1
        self._takes_safe_rate = False
        self._log_every = DEFAULT_LOG_EVERY
        self._first_update = 0  # of the batch
        self._loss_before: Tensor | None = None

    def default_optimizer(self) -> torch.optim.Optimizer:
        """Return plain SGD; its default step is set later, as it follows from the points."""
        self._takes_safe_rate = self.learning_rate is None
        return torch.optim.SGD(self.module.parameters(), lr=self.learning_rate or 0.0)

    def total_updates(self) -> float:
        """Return the largest number of updates that this run can make, infinite if nothing limits it."""
        trainer, loader = self.module.trainer, self.module.loader
        if self.is_automatic:
            return trainer.estimated_stepping_batches
        limits = [math.inf]
        if trainer.max_steps >= 0:
            limits.append(trainer.max_steps)
        if trainer.max_epochs is not None and trainer.max_epochs >= 0:
            of_epoch = loader.updates if loader.is_divided else math.inf
            limits.append(trainer.max_epochs * min(of_epoch, trainer.num_training_batches * self.updates_per_batch))
        return min(limits)

    def require_options(self) -> None:
        """Refuse another optimizer than the checkpoint's, an infinite rate, and mixed precision with blocks."""
        module, optimizer = self.module, self.module.optimizer()
        require_finite_rate(optimizer)
        require_one_precision(module.trainer, self.updates_per_batch)
        require_same_optimizer(optimizer, module.progress.optimizer)
        has_scheduler = module.lr_schedulers() is not None
        self._notes = (NO_STEP,) if not self._takes_safe_rate and warn_of_zero_rate(optimizer, has_scheduler) else ()

    def begin(self) -> None:
        """Find the optimum, for comparison, and the step size if none is given; restore a resumed run's metrics."""
        module, least_squares = self.module, self.module.least_squares
        module.scan_all(least_squares.add)
        least_squares.solve(passes_of(module))
        if not module.loss.is_squared:
            loss = module.loss
            least_squares.find_optimum(loss.name, loss.threshold, module.absolute_sigma, module.sum_over_points)
        least_squares.prepare(module.absolute_sigma, module.device)
        if self._takes_safe_rate:
            rate = self._safe_rate()
            for group in module.optimizer().param_groups:
                group["lr"] = rate
        self._notes += module.left_out_notes()
        self._log_every = self._updates_per_entry()
        module.trainer.callback_metrics.update(module.progress.metrics)
        if module.global_step and self._is_close_enough(module.model.coefficients.detach()):
            module.trainer.should_stop = True

    def _safe_rate(self) -> float:
        """Return the step size of plain SGD that the points allow, by the curvature of the loss."""
        loss, least_squares = self.module.loss, self.module.least_squares
        curvature = loss.curvature(least_squares.residual)
        if curvature is None:
            exact = " where the points lie on a curve" if loss.name.endswith("L1Loss") else ""
            raise UsageError(f"loss {loss.name} has no step size of its own{exact}: give --optimizer and its lr")
        return 2 / curvature * least_squares.safe_rate(mini_batches=self.module.loader.is_divided)

    def _updates_per_entry(self) -> int:
        """Return the Trainer's number of updates from one log entry to the next, in a short run by default fewer."""
        every = max(1, int(self.module.trainer.log_every_n_steps))  # type: ignore[attr-defined]
        if every != DEFAULT_LOG_EVERY:
            return every
        return int(min(every, max(1, self.total_updates() // LEAST_LOGGED_UPDATES)))

    def begin_batch(self) -> None:
        """Reset the state of the previous batch."""
        self._loss_before, self._first_update = None, self.module.global_step
        count_updates(self.module.trainer, 0)

    def step(self, batch: Batch, index: int) -> Tensor | None:
        """Return the loss of the batch, or make a block of updates on it."""
        if not self.is_automatic:
            self._make_block(batch, index)
            return None
        loss = self.module.batch_loss(batch)
        require_finite_losses(self.module, loss.detach()[None], self._first_update, self._loss_before is None)
        if self._loss_before is None:  # LBFGS calls this more than once for an update
            self._loss_before = loss.detach()
            self.module.progress.epoch.add(float(self._loss_before), batch.rows)
        return loss

    def end_update(self, index: int) -> None:
        """Record the Trainer's update on a batch, before a checkpoint can be written."""
        assert self._loss_before is not None
        self.module.progress.record_update(index + 1)
        self._finish(self._loss_before[None], self.module.model.coefficients.detach().clone()[None], None)

    def _make_block(self, batch: Batch, index: int) -> None:
        """Make the remaining updates of a block, or as many of them as the run still has to make."""
        module, progress = self.module, self.module.progress
        done = progress.take_block(self.updates_per_batch)
        if module.loader.is_divided:
            made = on_mini_batches(module, batch, module.loader.batch_size, done)
        else:
            made = on_all_rows(module, batch, self.updates_per_batch - done)
        require_finite_losses(module, made.losses, self._first_update)
        for loss, rows in made.seen:
            progress.epoch.add(loss, rows)
        updates, whole = len(made.coefficients), made.is_whole
        progress.record_update(index + int(whole), is_validated=not whole, made=0 if whole else done + updates)
        count_updates(module.trainer, updates)
        self._finish(made.losses[:updates], made.coefficients, made.losses[-1] if len(made.losses) > updates else None)

    def _finish(self, losses: Tensor, coefficients: Tensor, final_loss: Tensor | None) -> None:
        """Check the new coefficients, keep the trace, and log the updates that are due."""
        module, least_squares, first = self.module, self.module.least_squares, self._first_update
        last = first + len(losses) - 1
        require_finite_coefficients(module, coefficients[-1], last)
        module.record.set_origin(self.origin(first + len(losses)))
        params = least_squares.params(coefficients)
        module.trace = Trace(first, losses, params, final_loss)
        every = self._log_every
        for update in range(-(-first // every) * every, last + 1, every):
            at = update - first
            values = {"train_loss": losses[at].item()}
            distance = least_squares.distance(coefficients[at])
            if distance is not None:
                values["opt_error_se"] = distance
            module.log_update(update, values, params[at].tolist())
        module.trainer.should_stop |= self._is_close_enough(coefficients[-1])

    def origin(self, updates: int) -> Origin:
        """Return how the present weights were found."""
        name = type(self.module.optimizer()).__name__
        return Origin("gradient", self.module.loss.name, name, updates, notes=self._notes)

    def _is_close_enough(self, coefficients: Tensor) -> bool:
        if self.stop_at_opt_error is None:
            return False
        distance = self.module.least_squares.distance(coefficients)
        return distance is not None and distance <= self.stop_at_opt_error

    def end_epoch(self) -> None:
        """Step the schedulers that monitor a number, and with blocks of mini-batches the others too.

        Lightning would step the former after the checkpoint of the epoch is written, and not in a resumed epoch.
        """
        module, trainer = self.module, self.module.trainer
        is_complete = trainer.is_last_batch and not module.progress.latest.made
        if not (is_complete and (self.is_automatic or module.loader.is_divided)):
            return
        for config in trainer.lr_scheduler_configs:
            scheduler: Any = config.scheduler
            if (module.current_epoch + 1) % config.frequency:
                continue
            if monitor := monitor_of(config):
                scheduler.step(trainer.callback_metrics[monitor])
            elif not self.is_automatic:
                scheduler.step()
