"""Refuses options that cannot be combined, before the first update, and ends a run whose loss is not finite.

Each message says what to try instead.
"""

import math
import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from regression.common.errors import DivergenceError, UsageError
from regression.common.rules import NOT_NEGATIVE, POSITIVE, or_null, require_option, whole
from regression.data.batches import GlobalBatches, Shares
from regression.descent.losses import GlobalLoss
from regression.fits.estimator import Estimator
from regression.inference.distributions import require_level
from regression.training.base import CurveModule
from regression.training.resume import Position
from regression.training.trainer_parts import run_data

__all__ = [
    "NO_STEP",
    "describe_optimizer",
    "has_validation",
    "may_validate",
    "monitor_of",
    "require_estimator",
    "require_exact_options",
    "require_finite_coefficients",
    "require_finite_losses",
    "require_finite_rate",
    "require_full_precision",
    "require_known_monitors",
    "require_known_optimum",
    "require_no_series",
    "require_numbers_in_range",
    "require_one_pass",
    "require_one_precision",
    "require_same_division",
    "require_same_optimizer",
    "require_same_times",
    "require_short_blocks",
    "warn_of_zero_rate",
]

MOST_UPDATES = 10_000_000  # of a block, because the coefficients after each of its updates are kept in memory
NO_STEP = "the learning rate is 0: no update moves the coefficients"


def require_numbers_in_range(
    learning_rate: float | None, updates_per_batch: int, stop_at_opt_error: float | None, level: float
) -> None:
    """Refuse numbers outside their range."""
    require_option("learning_rate", learning_rate, or_null(NOT_NEGATIVE))
    require_option("updates_per_batch", updates_per_batch, whole(1, MOST_UPDATES))
    require_option("stop_at_opt_error", stop_at_opt_error, or_null(POSITIVE))
    require_level(level)


def warn_of_zero_rate(optimizer: Optimizer, has_scheduler: bool) -> bool:
    """Warn if the learning rate is 0 and stays so, and tell whether it is."""
    if has_scheduler or any(group["lr"] != 0 for group in optimizer.param_groups):
        return False
    warnings.warn(NO_STEP, UserWarning, stacklevel=2)
    return True


def require_exact_options(
    learning_rate: float | None, updates_per_batch: int, stop_at_opt_error: float | None, loss: GlobalLoss
) -> None:
    """Refuse options of the gradient solver that the exact solver does not use."""
    given = {
        "learning_rate": learning_rate is not None,
        "updates_per_batch": updates_per_batch != 1,
        "stop_at_opt_error": stop_at_opt_error is not None,
    }
    for name in (name for name, is_given in given.items() if is_given):
        raise UsageError(f"{name} is for the gradient solver, got solver exact: leave it out")
    if not loss.is_squared:
        raise UsageError(f"solver exact minimises squares, got loss {loss.name}: use MSELoss or NormLoss")


def require_estimator(estimator: Estimator, solver: str, absolute_sigma: bool) -> None:
    """Refuse robust fits and robust standard errors for the gradient solver, and options that contradict each other."""
    if solver == "gradient" and estimator.robust:
        raise UsageError(
            f"robust {estimator.robust} needs --model.solver exact, got solver gradient: use that, or --model.loss "
            "HuberLoss"
        )
    if solver == "gradient" and estimator.cov_type != "nonrobust":
        raise UsageError(f"cov_type {estimator.cov_type} needs --model.solver exact, got solver gradient")
    estimator.require_compatible(is_auto=False, absolute_sigma=absolute_sigma)


def require_known_optimum(stop_at_opt_error: float | None, loss: GlobalLoss) -> None:
    """Refuse ``stop_at_opt_error`` for a loss whose optimum is not computed."""
    if stop_at_opt_error is not None and not loss.is_squared and loss.threshold is None:
        raise UsageError(
            f"stop_at_opt_error needs a loss whose optimum is known, got {loss.name}: leave it out, or use MSELoss, "
            "NormLoss, HuberLoss or SmoothL1Loss"
        )


def require_finite_rate(optimizer: Optimizer) -> None:
    """Refuse an infinite learning rate."""
    for group in optimizer.param_groups:
        if not math.isfinite(group["lr"]):
            raise UsageError(f"the learning rate must be finite, got {group['lr']}")


def require_one_precision(trainer: pl.Trainer, updates_per_batch: int) -> None:
    """Refuse mixed precision for blocks of updates, which use one number type."""
    if updates_per_batch > 1 and "mixed" in str(trainer.precision):
        raise UsageError(
            f"updates_per_batch {updates_per_batch} needs one number type, got precision {trainer.precision}: "
            "use 32-true or 64-true, or updates_per_batch 1"
        )


def require_one_pass(trainer: pl.Trainer) -> None:
    """Refuse ``min_steps`` and ``min_epochs`` above 1 for the exact solver."""
    for name in ("min_steps", "min_epochs"):
        if (least := getattr(trainer, name) or 0) > 1:
            raise UsageError(f"solver exact makes one update in one epoch, got {name} {least}: leave it out")


def require_full_precision(trainer: pl.Trainer) -> None:
    """Refuse precisions that would round the points."""
    if "16" in str(trainer.precision):
        raise UsageError(f"solver exact needs full precision, got {trainer.precision}: use 32-true")


def require_no_series(loader: GlobalBatches | Shares) -> None:
    """Refuse a table of series, because this module would fit one curve to all of them."""
    if loader.rows.labels is not None:
        raise UsageError("a table with series is for SeriesRegression, and train.py fit: leave out series, or use that")


def require_short_blocks(updates_per_batch: int, batch_size: int, most: int, is_plain: bool) -> None:
    """Refuse blocks of updates on large mini-batches: a block gathers its batches on every device."""
    if updates_per_batch > 1 and is_plain:
        raise UsageError(
            f"updates_per_batch {updates_per_batch} needs all rows in one batch of a DataLoader, got several: use "
            "regression.ArrayDataModule(x, y, sigma), or set updates_per_batch to 1"
        )
    if updates_per_batch > 1 and batch_size > most:
        raise UsageError(
            f"updates_per_batch {updates_per_batch} needs all rows in one batch, or batches of up to {most:,} "
            f"rows, got batches of {batch_size:,}: set updates_per_batch to 1, or change data.batch_size"
        )


def require_same_times(fitted: Any, data: Any, has_y: bool = True) -> None:
    """Refuse points whose x or y are times on another scale than those of a fit, or times instead of numbers.

    Args:
        fitted: The fit or its origin, with the time scales of x and y, if there is one.
        data: The data module, with those of the points; points without one are not checked.
        has_y: Whether the points have y.
    """
    for name in ("x", "y")[: 1 + has_y] if fitted is not None and data is not None else ():
        expected, got = getattr(fitted, f"{name}_time"), getattr(data, f"{name}_time")
        if got != expected:
            words = [f"{scale.kind} ({scale.words})" if scale else "numbers" for scale in (expected, got)]
            advice = f"; give time_unit {expected.unit}" if expected and got and expected.kind == got.kind else ""
            advice += f" and time_origin {expected.origin}" if advice and expected.origin else ""
            raise UsageError(f"{name} must hold {words[0]}, as the points of the fit do, got {words[1]}{advice}")


def require_same_division(stored: Position, loader: GlobalBatches | Shares, is_plain: bool) -> None:
    """Refuse to resume within an epoch that had other batches, or whose loader cannot begin in the middle."""
    (*then, order), (*now, own_order) = stored.division, loader.division
    if not (stored.batches or stored.made):
        return
    if is_plain:
        raise UsageError(
            "the checkpoint is from within an epoch of a DataLoader, which cannot go on there: give a checkpoint from "
            "the end of an epoch, or use regression.ArrayDataModule from the beginning"
        )
    if then != now:
        raise UsageError(
            f"the checkpoint is from within an epoch of {then[0]} batches of {then[1]} rows, which now has {now[0]} of "
            f"{now[1]}: expected the data, --data.batch_size and --model.updates_per_batch of the interrupted run"
        )
    if order != own_order:
        raise UsageError(
            "the checkpoint is from within an epoch whose rows had another order: expected --data.seed and "
            "--data.shuffle of the interrupted run, and its version of regression"
        )


def require_same_optimizer(optimizer: Optimizer, stored: dict[str, Any] | None) -> None:
    """Refuse to resume from a checkpoint with another optimizer, or with other options of the same one."""
    stored = stored or describe_optimizer(optimizer)
    if stored["name"] != type(optimizer).__name__:
        raise UsageError(
            f"--optimizer {type(optimizer).__name__} contradicts the checkpoint's {stored['name']}: give the options "
            "of the interrupted run, which are in its config.yaml"
        )
    for name, value in describe_optimizer(optimizer)["options"].items():
        if stored["options"].get(name, value) != value:
            raise UsageError(f"--optimizer.{name} {value} contradicts the checkpoint's {stored['options'][name]}")


def require_known_monitors(trainer: pl.Trainer, validates_in_time: bool) -> None:
    """Refuse a scheduler that monitors a number that is not logged before the scheduler steps.

    Args:
        trainer: The Trainer, with its schedulers.
        validates_in_time: Whether a validation is run before a scheduler steps.
    """
    known = {"train_loss"}
    if validates_in_time and any(trainer.num_val_batches):
        known.add("val_loss")
    for monitor in map(monitor_of, trainer.lr_scheduler_configs):
        if monitor and monitor not in known:
            raise UsageError(
                f"--lr_scheduler.monitor must be {' or '.join(sorted(known))} here, got {monitor}: val_loss "
                "needs rows held out (--data.validation_fraction) and a validation in every epoch, and with all rows "
                "in one batch --model.updates_per_batch 1"
            )


def monitor_of(config: LRSchedulerConfig) -> str | None:
    """Return the name of the number that a scheduler monitors, or ``None``.

    Lightning sets ``config.monitor`` only if it makes the updates itself.
    """
    if not isinstance(config.scheduler, ReduceLROnPlateau):
        return None
    return str(config.monitor or getattr(config.scheduler, "monitor", "train_loss"))


def has_validation(trainer: pl.Trainer) -> bool:
    """Tell whether a fit has points to validate on, in its first epoch or later."""
    data = run_data(trainer)
    held_out = 0 if data is None else data.held_out
    return any(trainer.num_val_batches) or bool(held_out and trainer.limit_val_batches)


def may_validate(trainer: pl.Trainer) -> bool:
    """Tell whether a fit may validate; Lightning sets up a user's own loader only for its first validation."""
    is_late = trainer.check_val_every_n_epoch != 1 and run_data(trainer) is None
    return has_validation(trainer) or bool(is_late and trainer.limit_val_batches)


def describe_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """Return the optimizer's class and options as plain numbers and strings, for a checkpoint."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in optimizer.defaults.items()}
    kept = {name: value for name, value in plain.items() if isinstance(value, int | float | str | list | None)}
    return {"name": type(optimizer).__name__, "options": kept}


def require_finite_losses(module: CurveModule, losses: Tensor, update: int, is_new: bool = True) -> None:
    """End the run if a loss is not finite, or if the first loss is too small for the number type.

    Args:
        module: The module.
        losses: Losses before consecutive updates, shape (U,).
        update: Number of the first of these updates.
        is_new: Whether these are the first losses of their updates; LBFGS computes several for one update.

    Raises:
        UsageError: If the first loss of the run is too large or too small for the number type.
        DivergenceError: If a later loss is not finite.
    """
    finite = losses.isfinite()
    if update == 0 and is_new:
        tiny = torch.finfo(losses.dtype).tiny
        is_lost = losses[0] < tiny and module.least_squares.y_is_tiny(tiny)
        if is_lost or not finite[0]:
            kind = str(losses.dtype).removeprefix("torch.")
            wider = "--trainer.precision 64-true, " if kind != "float64" else ""
            where, size = ("below", "small") if is_lost else ("beyond", "large")
            raise UsageError(
                f"the loss of the first coefficients is {where} {kind}: y is too {size} for this loss; "
                f"use {wider}--model.solver exact, or another unit of y"
            )
    if not finite.all():
        raise _diverged(module, update + int(finite.int().argmin()), "the loss")


def require_finite_coefficients(module: CurveModule, coefficients: Tensor, update: int) -> None:
    """End the run if the coefficients, shape (K,), after an update are not finite."""
    if not coefficients.isfinite().all():
        raise _diverged(module, update, "a coefficient")


def _diverged(module: CurveModule, update: int, what: str) -> DivergenceError:
    rate = float(module.optimizer().param_groups[0]["lr"])
    return DivergenceError(
        f"{what} stopped being finite at update {update} with learning rate {rate:g}: "
        f"try a smaller rate, such as {rate / 10:g}, or check the data for huge values"
    )
