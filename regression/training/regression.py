"""Regression: Lightning's hooks of a fit, for any curve and either engine."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from regression.common.arrays import as_plain
from regression.common.errors import UsageError
from regression.common.points import Batch
from regression.common.rules import BOOLEAN, RANGE, Rule, one_of, require_option
from regression.common.version import __version__
from regression.curves.constraints import Constraints
from regression.curves.frame import Frame
from regression.curves.polynomial import Polynomial
from regression.data.batches import GlobalBatches, Share
from regression.estimation.sandwich import CovType
from regression.fits.estimator import Estimator
from regression.fits.fit_record import FitRecord, state_of
from regression.inference.robust_weights import Robust
from regression.moments.scan import Range
from regression.training.base import SMALL_BATCH_ROWS, CurveModule, Solver
from regression.training.callbacks import require_logged_monitors, require_usable_callbacks
from regression.training.checks import (
    describe_optimizer,
    has_validation,
    may_validate,
    require_estimator,
    require_exact_options,
    require_known_monitors,
    require_no_series,
    require_numbers_in_range,
    require_same_division,
    require_same_times,
    require_short_blocks,
)
from regression.training.exact import ExactSolution
from regression.training.gradient import GradientDescent
from regression.training.lightning_counters import rewrite_counters
from regression.training.passes import require_usable_rows
from regression.training.resume import Progress
from regression.training.trainer_parts import run_data, validation_batches

__all__ = ["Regression"]

Domain = Literal["data", "raw"] | tuple[float, float]
DOMAIN = Rule(
    "data, raw, or [low, high] with low below high",
    lambda value: value in ("data", "raw") if isinstance(value, str) else RANGE.holds(value) and value[0] < value[1],
)


class Regression(CurveModule):
    """A curve fitted to points, exactly or by gradient descent on the loss of global batches.

    Args:
        model: The curve.
        solver: ``exact``: least squares from the moments of the data, in one epoch. ``gradient``: the optimizer.
        domain: Interval of x mapped to [−1, 1], which speeds up gradient descent: ``data`` takes it from the training
            points, ``raw`` leaves x as it is, or give ``[low, high]``. Coefficients are reported in powers of x anyway.
        loss: Name of a torch loss with a ``reduction`` (``MSELoss``, ``L1Loss``, ``HuberLoss``, ``SmoothL1Loss``, …)
            or ``NormLoss``, the norm of the residuals over their number. Where the points have a sigma, residuals
            are divided by it first.
        loss_args: Arguments of the loss, such as ``{delta: 0.5}`` for ``HuberLoss``.
        learning_rate: Step size of plain SGD, for use without a configured optimizer; by default the best constant
            one for the mean squared error, from the eigenvalues of its Hessian, times what the curvature of
            ``HuberLoss``, ``SmoothL1Loss`` or ``L1Loss`` allows.
        updates_per_batch: Number of consecutive updates within a step of the Trainer, which makes many cheap updates
            faster: on all rows if they are one batch, and a learning rate scheduler then steps once per update; else
            on ``batch_size`` rows each, as many as 4,194,304 rows hold. Coefficients are the same to rounding, and the
            Trainer's options count such a block as one batch.
        absolute_sigma: Whether the points' sigma are in y's unit; otherwise they are relative and scaled by the
            residuals, as in ``scipy.optimize.curve_fit``.
        stop_at_opt_error: Stop a gradient fit once every coefficient is within this many standard errors of the
            optimum of the loss, checked after each batch; ``null`` does not stop.
        level: Probability of the confidence intervals and of the bands, between 0 and 1.
        robust: ``huber`` or ``bisquare`` for an M-estimate by the exact solver, which outliers move little or not at
            all, with an estimated scale, as ``rlm`` of R; takes several passes over the points.
        cov_type: Standard errors of the exact solver, which bands and tests use too: ``nonrobust`` assumes equal
            scatter apart from sigma; ``HC0``, ``HC1`` and ``HC3`` do not, and ``HAC`` also allows for residuals that
            depend on each other, for rows in the order of time; takes one more pass.
        maxlags: Largest number of rows between residuals that ``HAC`` lets depend on each other, by default
            ``4 (N / 100)^(2/9)``.
        terms: The powers of x that have a coefficient, such as ``[0, 2]``, instead of all up to a degree.
        fix: Given values of coefficients by name, such as ``{slope: 4}``: they are kept and not fitted.
        through: Points (x, y) that the curve goes through exactly, such as ``[[4, 2]]``. Gradient descent then moves
            what is left to choose, and so meets all constraints at every update.
    """

    def __init__(
        self,
        model: Polynomial,
        solver: Solver = "gradient",
        domain: Domain = "data",
        loss: str = "MSELoss",
        loss_args: dict[str, float] | None = None,
        learning_rate: float | None = None,
        updates_per_batch: int = 1,
        absolute_sigma: bool = False,
        stop_at_opt_error: float | None = None,
        level: float = 0.95,
        robust: Robust | None = None,
        cov_type: CovType = "nonrobust",
        maxlags: int | None = None,
        terms: Sequence[int] | None = None,
        fix: Mapping[str, float] | None = None,
        through: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        require_option("solver", solver, one_of(Solver))
        require_option("domain", domain, DOMAIN)
        require_option("absolute_sigma", absolute_sigma, BOOLEAN)
        model.constrain(Constraints.of(model.powers, terms, fix, through))
        super().__init__(model, solver, loss, loss_args)
        require_numbers_in_range(learning_rate, updates_per_batch, stop_at_opt_error, level)
        self.domain, self.updates_per_batch, self.level = as_plain((domain, updates_per_batch, level))
        self.absolute_sigma = absolute_sigma
        estimator = Estimator(robust, cov_type, as_plain(maxlags))
        require_estimator(estimator, solver, absolute_sigma)
        self.record = FitRecord(model, type(self).__name__, absolute_sigma, self.level, estimator)
        if solver == "exact":
            model.double()  # the solution has more digits than float32
            require_exact_options(learning_rate, updates_per_batch, stop_at_opt_error, self.loss)
        if not isinstance(self.domain, str):
            model.set_domain(*self.domain)
        self.engine = (
            ExactSolution(self)
            if solver == "exact"
            else GradientDescent(self, learning_rate, updates_per_batch, stop_at_opt_error)
        )
        self.automatic_optimization = self.engine.is_automatic

    def configure_optimizers(self) -> Any:
        """Return plain SGD with ``learning_rate``; the command's ``optimizer:`` section replaces it."""
        return self.engine.default_optimizer()

    def setup(self, stage: str) -> None:
        """Refuse callbacks that cannot be used, and reset the progress, before a checkpoint is loaded."""
        require_usable_callbacks(self.trainer)
        super().setup(stage)
        if stage == "fit":
            self.progress = Progress()

    def _require_same_times(self) -> None:
        if self.trainer.state.fn != "fit":
            require_same_times(self.result, run_data(self.trainer), has_y=not self.trainer.predicting)

    on_validation_start = on_test_start = on_predict_start = _require_same_times

    def on_fit_start(self) -> None:
        """Refuse options that can be checked only once the Trainer and the optimizer are known."""
        self.engine.require_options()

    def on_train_start(self) -> None:
        """Scan the training points for their range, set the domain, and prepare the engine."""
        self.read_plain_loader()
        self._require_data()
        self._use_whole_small_batches(self.loader.batch_size)
        found = Range()
        if self.is_cut:
            self.scan_all(found.add)
        else:
            self.scan(self.loader.bounds(), found.add)
        frame = found.frame()
        self._set_domain(frame)
        data, is_resumed, rows = run_data(self.trainer), self.progress.is_resumed, self.loader.rows
        if is_resumed:
            require_same_times(self.record.origin, data)
        self.record.begin(frame, rows.omitted, rows.has_sigma_x, is_resumed, {} if data is None else data.origin_fields)
        self.engine.begin()

    def _require_data(self) -> None:
        """Refuse points and batches that do not fit the options or the checkpoint."""
        loader = self.loader
        if loader.is_divided:
            require_short_blocks(self.updates_per_batch, loader.batch_size, SMALL_BATCH_ROWS, self.has_plain_loader)
        require_same_division(self.progress.latest, loader, self.has_plain_loader)
        require_no_series(loader)
        require_known_monitors(self.trainer, self.automatic_optimization or loader.is_divided)
        require_logged_monitors(self.trainer, ["train_loss", *["val_loss"] * may_validate(self.trainer)])
        if self.absolute_sigma and not loader.rows.has_sigma:
            raise UsageError("absolute_sigma needs the sigma of the points, got none: give --data.sigma COLUMN")
        require_usable_rows(self)

    def _use_whole_small_batches(self, batch_size: int) -> None:
        """Compute updates from small batches on every process; gradients are then neither sent nor averaged."""
        self.has_small_batches = batch_size <= SMALL_BATCH_ROWS
        wrapper = self.trainer.strategy.model
        if self.has_small_batches and isinstance(wrapper, DistributedDataParallel):
            wrapper.require_backward_grad_sync = False  # as its no_sync() does for single batches

    def _set_domain(self, frame: Frame) -> None:
        if not self.progress.is_resumed:  # a resumed model has the domain of its checkpoint
            domain = (frame.low, frame.high) if self.domain == "data" else self.domain
            self.record.set_domain(None if isinstance(domain, str) else domain, frame)
        if not isinstance(self.domain, str) and not (self.domain[0] <= frame.low and frame.high <= self.domain[1]):
            warnings.warn(
                f"domain {list(self.domain)} does not contain the points, which lie in [{frame.low:g}, {frame.high:g}]",
                UserWarning,
                stacklevel=2,
            )

    def on_train_epoch_start(self) -> None:
        """Reset the progress to the start of an epoch, unless the run was resumed within it."""
        self.progress.begin_epoch(self.loader.division)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Reset the state of the previous batch."""
        self.trace = None
        self.engine.begin_batch()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        """Return the loss of the batch, or make a block of updates on it, or add its points to the sums."""
        return self.engine.step(batch if isinstance(batch, Share) else self.convert_batch(batch), batch_idx)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Make the update and record it."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.engine.end_update(batch_idx)

    def on_train_epoch_end(self) -> None:
        """Log the mean of the rows' losses, each before its update, and finish the epoch.

        The mean that ``self.log`` can take would lack the batches before an interruption.
        """
        epoch = self.progress.epoch
        if epoch.rows:
            mean = torch.tensor(epoch.total / epoch.rows, dtype=torch.float64).to(self.model.coefficients)
            self.log_loss("train_loss", mean, epoch.rows)
        self.engine.end_epoch()

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a scheduler, unless it monitors a number: ``GradientDescent.end_epoch`` has done so then."""
        if metric is None:
            scheduler.step()

    def on_train_end(self) -> None:
        """Record how the fit was made; a loss that does not follow from the sum of squares takes one more pass."""
        if not self.least_squares.is_solved:
            return
        loss = None
        if not self.loss.is_squared:
            assert isinstance(self.loader, GlobalBatches)  # the exact solver refuses such losses
            loss = self.measure_loss(self.loader.in_order())
        origin = self.engine.origin(self.global_step)
        self.record.set_origin(replace(origin, loss=loss, val_loss=self._final_val_loss()))
        self.record.pin()
        self.required_result().warn_if_undetermined()

    def on_fit_end(self) -> None:
        """Release the points of a plain loader, after the callbacks have used them."""
        self._plain_batches = None

    def _final_val_loss(self) -> float | None:
        """Return the loss of the validation rows at the final coefficients; the last validation may be older."""
        if not has_validation(self.trainer):
            return None
        if self.progress.validated_at == self.global_step:
            return self.evaluated_loss
        return self.measure_loss(validation_batches(self.trainer))

    def on_validation_epoch_end(self) -> None:
        """Log the loss of all validation rows, and record that the validation is done."""
        super().on_validation_epoch_end()
        self.progress.record_validation(self.global_step)
        if self.is_fitting and self.record.origin is not None:
            self.record.set_origin(replace(self.record.origin, val_loss=self.evaluated_loss))
            self.record.pin()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the class, with which a module can be built, and the position of the run to a checkpoint."""
        checkpoint["class_path"] = f"regression.{type(self).__name__}"
        for key in ("hyper_parameters", "datamodule_hyper_parameters"):
            if key in checkpoint:
                checkpoint[key] = as_plain(dict(checkpoint[key]))
        checkpoint["regression_version"] = __version__
        # A callback that averages weights saves those of a copy of the module, without the sums of the points.
        weights = checkpoint["state_dict"]
        weights["_extra_state"], weights["model._extra_state"] = self.get_extra_state(), self.model.get_extra_state()
        batches, loops = self.trainer.num_training_batches, checkpoint["loops"]["fit_loop"]
        checkpoint["position"] = asdict(rewrite_counters(loops, self.progress.latest, batches, self.global_step))
        checkpoint["metrics"] = {name: value.clone() for name, value in self.trainer.callback_metrics.items()}
        if self.solver == "gradient":
            checkpoint["optimizer"] = describe_optimizer(self.optimizer())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load the position of the run, and add the fit to a ``state_dict`` of release 0.1, which lacks it."""
        self.progress = Progress.load(checkpoint)
        checkpoint["state_dict"]["_extra_state"] = state_of(checkpoint)

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take weights and fit from a checkpoint, or the fit alone from a ``fit.json``."""
        if "fit" in checkpoint:
            self.record.set_fit(checkpoint["fit"])
            return
        self.on_load_checkpoint(checkpoint)
        self.load_state_dict(checkpoint["state_dict"])
