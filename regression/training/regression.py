"""The abstract LightningModule with all steps of a fit, whatever the curve."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from regression.common.errors import UsageError
from regression.common.points import Batch, Points
from regression.common.version import __version__
from regression.curves.frame import Frame
from regression.curves.polynomial import Polynomial
from regression.data.batches import GlobalBatches, Shares
from regression.fits.build import FitOptions
from regression.fits.least_squares import LeastSquares
from regression.fits.result import Fit
from regression.moments.scan import Range
from regression.training.base import SMALL_BATCH, CurveModule
from regression.training.checks import (
    NO_STEP,
    awaited,
    described,
    has_validation,
    never_moves,
    require_exact_options,
    require_finite_coefficients,
    require_finite_losses,
    require_finite_rate,
    require_full_precision,
    require_known_monitors,
    require_no_series,
    require_one_precision,
    require_same_division,
    require_same_optimizer,
    require_sane_numbers,
    require_short_blocks,
)
from regression.training.descent import Trace
from regression.training.lightning_counters import Position, count_updates, settle
from regression.training.update_blocks import on_all_rows, on_mini_batches

__all__ = ["Regression"]

Domain = Literal["data", "raw"] | tuple[float, float]


class Regression(CurveModule):
    """A curve fitted to points, exactly or by gradient descent on the loss of global batches.

    Args:
        model: The curve.
        solver: ``exact``: least squares from the moments of the data, in one epoch. ``gradient``: the optimizer.
        domain: Interval of x mapped to [−1, 1] for the gradient's sake: ``data`` takes it from the training points,
            ``raw`` leaves x as it is, or give ``[low, high]``. Coefficients are reported in powers of x anyway.
        loss: Name of a torch loss with a ``reduction`` (``MSELoss``, ``L1Loss``, ``HuberLoss``, ``SmoothL1Loss``, …)
            or ``NormLoss``, the norm of the residuals over their number. Where the points have a sigma, residuals
            are divided by it first.
        loss_args: Arguments of the loss, such as ``{delta: 0.5}`` for ``HuberLoss``.
        learning_rate: Step size of plain SGD, for use without a configured optimizer; by default the best constant
            one for the mean squared error, from the eigenvalues of its Hessian.
        updates_per_batch: Number of consecutive updates made before the Trainer gets its turn: on all rows where they
            are one batch, and a learning rate scheduler then steps once per update; else each on ``batch_size`` rows
            of its own, as many as 4,194,304 rows hold. The way to make many cheap updates fast: coefficients are the
            same to rounding, and the Trainer's options count such a block as one batch.
        absolute_sigma: Whether the points' sigma are in y's unit; otherwise they are relative and scaled by the
            residuals, as in ``scipy.optimize.curve_fit``.
        stop_at_opt_error: Stop a gradient fit once every coefficient is within this many standard errors of the
            optimum, looked at after each batch; ``null`` does not stop.
        level: Probability of the confidence intervals and of the bands, between 0 and 1.

    Attributes:
        least_squares: The optimum of the points, once they have been looked at.
        trace: What the latest updates did; callbacks read it.
        tell_scanned: Told after each batch of a pass before the first update: its number, how many there are, its rows.
    """

    def __init__(
        self,
        model: Polynomial,
        solver: Literal["exact", "gradient"] = "gradient",
        domain: Domain = "data",
        loss: str = "MSELoss",
        loss_args: dict[str, float] | None = None,
        learning_rate: float | None = None,
        updates_per_batch: int = 1,
        absolute_sigma: bool = False,
        stop_at_opt_error: float | None = None,
        level: float = 0.95,
    ) -> None:
        super().__init__(model, loss, loss_args)
        require_sane_numbers(learning_rate, updates_per_batch, stop_at_opt_error, level)
        self.solver, self.domain = solver, domain
        self.learning_rate, self.updates_per_batch = learning_rate, updates_per_batch
        self.absolute_sigma, self.stop_at_opt_error = absolute_sigma, stop_at_opt_error
        self.level = level
        if solver == "exact":
            model.double()  # its coefficients are known to more digits than float32 has
            require_exact_options(learning_rate, updates_per_batch, stop_at_opt_error, self.loss)
        if not isinstance(domain, str):
            if not domain[0] < domain[1]:
                raise UsageError(f"domain must be [low, high] with low below high, got {list(domain)}")
            model.set_domain(*domain)
        # One update per batch is the Trainer's own way, with gradient clipping, accumulation and mixed precision.
        self.automatic_optimization = updates_per_batch == 1 and solver == "gradient"
        self.trace: Trace | None = None
        self.tell_scanned: Callable[[int, int, int], None] = lambda *_: None
        self.least_squares = LeastSquares(model)
        self._takes_safe_rate, self._never_moves = False, False
        self._resumed_optimizer: dict[str, Any] | None = None
        self._resumed_metrics: dict[str, Tensor] = {}
        self._update = 0
        self._epoch, self._position = Position(), Position()  # so far, and at the latest update
        self._validated = -1  # updates made before the last validation of this process
        self._made = 0  # updates of the block that a resumed run takes up
        self._loss_before: Tensor | None = None

    def configure_optimizers(self) -> Any:
        """Return plain SGD with ``learning_rate``; the command's ``optimizer:`` section takes its place."""
        if self.solver == "exact":
            return None
        self._takes_safe_rate = self.learning_rate is None
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate or 0.0)

    @property
    def loader(self) -> GlobalBatches | Shares:
        """The training batches, or the share of the rows that this process adds to the moments."""
        return cast("GlobalBatches | Shares", self.trainer.train_dataloader)

    @property
    def needs_order(self) -> bool:
        """Whether it matters which points come together, and when: not where all are added to the moments."""
        return self.solver == "gradient"

    def total_updates(self) -> float:
        """Return the number of updates this run will make at most, infinite if nothing limits it."""
        if self.automatic_optimization:
            return self.trainer.estimated_stepping_batches
        limits = [math.inf]
        if self.trainer.max_steps >= 0:
            limits.append(self.trainer.max_steps)
        if self.trainer.max_epochs is not None and self.trainer.max_epochs >= 0:
            whole = self.loader.updates if self.loader.is_divided else math.inf
            some = self.trainer.num_training_batches * self.updates_per_batch
            limits.append(self.trainer.max_epochs * min(whole, some))
        return min(limits)

    def on_fit_start(self) -> None:
        """Refuse what can only be seen once the Trainer and the optimizer are known."""
        if self.solver == "exact":
            require_full_precision(self.trainer)
            return
        optimizer = self.optimizer()
        require_finite_rate(optimizer)
        require_one_precision(self.trainer, self.updates_per_batch)
        require_same_optimizer(optimizer, self._resumed_optimizer)
        has_scheduler = self.lr_schedulers() is not None
        self._never_moves = not self._takes_safe_rate and never_moves(optimizer, has_scheduler)

    def on_train_start(self) -> None:
        """Scan the training points: their range for the domain, their moments for the optimum."""
        if self.loader.is_divided:
            require_short_blocks(self.updates_per_batch, self.loader.batch_size, SMALL_BATCH)
        require_same_division(self._position, self.loader)
        require_no_series(self.loader)
        require_known_monitors(self.trainer, self.automatic_optimization or self.loader.is_divided)
        if self.absolute_sigma and not self.loader.rows.has_sigma:
            raise UsageError("absolute_sigma needs the sigma of the points, got none: give --data.sigma COLUMN")
        self._share_updates(self.loader.batch_size)
        found = Range()
        for share in self._scanned(self.loader.bounds()):
            share.scan(found.add, is_checked_by_work=True)
        frame = found.frame()
        self._settle_domain(frame)
        self.least_squares.begin(frame, self.loader.rows.omitted)
        if self.solver == "gradient":
            self._scan_all(self.least_squares.add)
            self.least_squares.solve(self.device, self._scan_all)
            self._prepare_gradient()
            self._go_on()

    def _scan_all(self, work: Callable[[Points], None]) -> None:
        """Call ``work`` with parts of this process's share of all points, from several threads."""
        for share in self._scanned(self.loader.shares()):
            share.scan(work, is_checked_by_work=True)

    def _scanned(self, batches: Shares | list[Batch]) -> Iterator[Any]:
        batch: Any
        for done, batch in enumerate(batches, start=1):
            yield batch
            self.tell_scanned(done, len(batches), batch.rows)

    def _share_updates(self, batch_size: int) -> None:
        """Let small batches be whole on every process: no gradient is sent, and none is rounded by being averaged."""
        self.has_small_batches = batch_size <= SMALL_BATCH
        wrapper = self.trainer.strategy.model
        if self.has_small_batches and isinstance(wrapper, DistributedDataParallel):
            wrapper.require_backward_grad_sync = False  # what its no_sync() sets, for all batches

    def _go_on(self) -> None:
        """Take up what a resumed run knew: its latest metrics, and whether it had come to its end."""
        self.trainer.callback_metrics.update(self._resumed_metrics)
        if self.global_step and self._is_close_enough(self.model.coefficients.detach()):
            self.trainer.should_stop = True

    def _settle_domain(self, frame: Frame) -> None:
        if self.domain == "data" and self.model.domain is None:  # a resumed model has its own
            self.model.set_domain(frame.low, frame.high)
        if not isinstance(self.domain, str) and not (self.domain[0] <= frame.low and frame.high <= self.domain[1]):
            warnings.warn(
                f"domain {list(self.domain)} does not contain the points, which lie in [{frame.low:g}, {frame.high:g}]",
                UserWarning,
                stacklevel=2,
            )

    def _prepare_gradient(self) -> None:
        """Get the optimum ready to measure the distance from, and the step size if none is given."""
        self.least_squares.prepare(self.absolute_sigma, self.device)
        if self._takes_safe_rate:
            if self.loss.name != "MSELoss":
                raise UsageError(f"loss {self.loss.name} has no step size of its own: give --optimizer and its lr")
            rate = self.least_squares.safe_rate(mini_batches=self.loader.is_divided)
            for group in self.optimizer().param_groups:
                group["lr"] = rate

    def on_train_epoch_start(self) -> None:
        """Forget the previous epoch; a run resumed within one comes here only if that was in the first batch."""
        self._epoch = self._epoch if self._made else Position(division=self.loader.division)
        self._position = replace(self._epoch, made=self._made)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Forget the previous batch."""
        self.trace, self._loss_before = None, None
        self._update = self.global_step
        if self.solver == "gradient":
            count_updates(self.trainer, 0)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        """Return the loss of the batch, or make a block of updates on it, or add it to the moments."""
        if self.solver == "exact":
            batch.scan(self.least_squares.add, is_checked_by_work=True)
            if self.trainer.is_last_batch:
                self._solve()
            return None
        if not self.automatic_optimization:
            self._block(batch, batch_idx)
            return None
        loss = self.batch_loss(batch)
        require_finite_losses(self, loss.detach()[None], self._update, self._loss_before is None)
        if self._loss_before is None:  # an optimizer that searches calls this more than once
            self._loss_before = loss.detach()
            self._epoch.add(float(self._loss_before), batch.rows)
        return loss

    def _solve(self) -> None:
        """Put the optimum into the model and end the run; the solution counts as one update."""
        self.least_squares.solve(self.device, self._scan_all)
        with torch.no_grad():
            self.model.coefficients.copy_(self.least_squares.coefficients())
        fit = self._fit(updates=1, loss=None)
        loss = math.inf if fit.loss is None else fit.loss  # it is larger than float64 numbers are
        self.log_loss("train_loss", torch.tensor(loss, device=self.device), fit.nobs)
        self._record(0, {"train_loss": loss}, fit.params)
        count_updates(self.trainer, 1)
        self.trainer.should_stop = True

    def _fit(self, updates: int, loss: float | None, val_loss: float | None = None) -> Fit:
        """Return the fit at the model's present coefficients; ``loss`` where it does not follow from the squares."""
        is_exact = self.solver == "exact"
        options = FitOptions(
            model=type(self).__name__,
            solver=self.solver,
            optimizer=None if is_exact else self._optimizer_name(),
            updates=updates,
            loss_name=self.loss.name,
            loss=loss,
            val_loss=val_loss,
            absolute_sigma=self.absolute_sigma,
            level=self.level,
        )
        return self.least_squares.fit(None if is_exact else self.model.coefficients.detach(), options)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Make the update and note what it did, before any checkpoint can be written."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        assert self._loss_before is not None
        self._position = replace(self._epoch, batches=batch_idx + 1, is_validated=False)
        self._finish(self._loss_before[None], self.model.coefficients.detach().clone()[None], None)

    def _block(self, batch: Batch, batch_idx: int) -> None:
        """Make the updates of a block that are left, or as many of them as the run still has to make."""
        done, self._made = self._made % self.updates_per_batch, 0  # a resumed run may have other blocks
        if self.loader.is_divided:
            made = on_mini_batches(self, batch, self.loader.batch_size, done)
        else:
            made = on_all_rows(self, batch, self.updates_per_batch - done)
        require_finite_losses(self, made.losses, self._update)
        for loss, rows in made.seen:
            self._epoch.add(loss, rows)
        updates = len(made.coefficients)
        batches, left = batch_idx + int(made.is_whole), 0 if made.is_whole else done + updates
        self._position = replace(self._epoch, batches=batches, is_validated=not made.is_whole, made=left)
        count_updates(self.trainer, updates)
        self._finish(made.losses[:updates], made.coefficients, made.losses[-1] if len(made.losses) > updates else None)

    def _finish(self, losses: Tensor, coefficients: Tensor, final_loss: Tensor | None) -> None:
        """Check the new coefficients, keep the trace, and log every ``log_every_n_steps``-th update."""
        last = self._update + len(losses) - 1
        require_finite_coefficients(self, coefficients[-1], last)
        params = self.least_squares.params(coefficients)
        self.trace = Trace(self._update, losses, params, final_loss)
        every = max(1, self.trainer.log_every_n_steps)  # type: ignore[attr-defined]
        for update in range(-(-self._update // every) * every, last + 1, every):
            at = update - self._update
            values = {"train_loss": losses[at].item()}
            distance = self.least_squares.distance(coefficients[at])
            if distance is not None:
                values["opt_error_se"] = distance
            self._record(update, values, params[at].tolist())
        self.trainer.should_stop |= self._is_close_enough(coefficients[-1])

    def _is_close_enough(self, coefficients: Tensor) -> bool:
        if self.stop_at_opt_error is None:
            return False
        distance = self.least_squares.distance(coefficients)
        return distance is not None and distance <= self.stop_at_opt_error

    def _record(self, update: int, values: dict[str, float], params: Sequence[float]) -> None:
        named = {f"coefficients/{name}": value for name, value in zip(self.model.names, params, strict=False)}
        for logger in self.trainer.loggers:
            logger.log_metrics(values | named, step=update)

    def on_train_epoch_end(self) -> None:
        """Log the loss of the epoch, the mean over its rows of the losses before their updates, and use it.

        ``self.log`` could take the mean itself, but forgets the batches before an interruption. Lightning's own time to
        step a scheduler that waits for a number is after the checkpoint of the epoch, and never in a resumed epoch.
        """
        if self._epoch.rows:
            mean = torch.tensor(self._epoch.total / self._epoch.rows, dtype=torch.float64).to(self.model.coefficients)
            self.log_loss("train_loss", mean, self._epoch.rows)
        is_complete = self.trainer.is_last_batch and not self._position.made
        if not (is_complete and (self.automatic_optimization or self.loader.is_divided)):
            return
        for plan in self.trainer.lr_scheduler_configs:
            scheduler: Any = plan.scheduler
            if (self.current_epoch + 1) % plan.frequency:
                continue
            if monitor := awaited(plan):
                scheduler.step(self.trainer.callback_metrics[monitor])
            elif not self.automatic_optimization:
                scheduler.step()

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a scheduler; one that waits for a number has had its turn at the end of the epoch."""
        if metric is None:
            scheduler.step()

    def on_train_end(self) -> None:
        """Describe the fit; a loss that is no function of the squares takes one more pass over the points."""
        if not self.least_squares.is_solved:
            return
        loss = None
        if not self.loss.is_squared:
            assert isinstance(self.loader, GlobalBatches)  # the exact solver takes no such loss
            loss = self.whole_loss(self.loader.in_order())
        self.result = self._fit(self.global_step, loss, self._final_val_loss())
        self.result.warn_if_undetermined()
        if self._never_moves:
            self.result = replace(self.result, notes=(NO_STEP, *self.result.notes))

    def _final_val_loss(self) -> float | None:
        """Return the loss of the validation rows at the final coefficients; the last validation may be older."""
        if not has_validation(self.trainer):
            return None
        if self._validated == self.global_step:
            return self.evaluated_loss
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        return self.whole_loss(datamodule.val_dataloader())

    def on_validation_epoch_end(self) -> None:
        """Log the loss of all validation rows, and note that they have been looked at."""
        super().on_validation_epoch_end()
        self._position.is_validated = True
        self._validated = self.global_step

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the class, so that a checkpoint alone is enough to build the module again; keep the moments."""
        checkpoint["class_path"] = f"regression.{type(self).__name__}"
        checkpoint["regression_version"] = __version__
        checkpoint.update(self.least_squares.state())
        batches, loops = self.trainer.num_training_batches, checkpoint["loops"]["fit_loop"]
        checkpoint["position"] = asdict(settle(loops, self._position, batches, self.global_step))
        checkpoint["metrics"] = {name: value.clone() for name, value in self.trainer.callback_metrics.items()}
        if self.solver == "gradient":
            checkpoint["optimizer"] = described(self.optimizer())
        elif self.least_squares.is_solved:
            checkpoint["degree"] = self.least_squares.degree

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember where the run stood, and its optimizer to compare it with the one of this run."""
        self._resumed_optimizer = checkpoint.get("optimizer")
        self._position = Position(**checkpoint.get("position", {}))
        self._epoch, self._made = replace(self._position, made=0), self._position.made
        self._resumed_metrics = checkpoint.get("metrics", {})

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take coefficients and moments from a checkpoint, and make the fit from them, unless it is there already."""
        if "fit" in checkpoint:
            self.result = checkpoint["fit"]
            return
        self.model.to(checkpoint["state_dict"]["model.coefficients"].dtype)  # lest float64 be cut short
        self.load_state_dict(checkpoint["state_dict"])
        self._resumed_optimizer = checkpoint.get("optimizer")
        self.least_squares.restore(checkpoint, checkpoint.get("degree"))
        self.result = self._fit(checkpoint["global_step"], None)

    def _optimizer_name(self) -> str:
        """Return the class of the optimizer; of one that is in a checkpoint only, if there is no Trainer."""
        return type(self.optimizer()).__name__ if self._resumed_optimizer is None else self._resumed_optimizer["name"]
