"""What a run may not combine, refused before the first update with what would be right."""

import difflib
import math
import os
import warnings
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from jsonargparse import Namespace
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch.optim.lr_scheduler import ReduceLROnPlateau

from regression.common.errors import UsageError
from regression.common.text import counted
from regression.fits.bands import require_level
from regression.training.lightning_counters import Position

if TYPE_CHECKING:
    from regression.data.batches import GlobalBatches, Shares
    from regression.training.regression import Regression

__all__ = [
    "NO_STEP",
    "awaited",
    "described",
    "has_validation",
    "never_moves",
    "require_devices",
    "require_exact_options",
    "require_full_precision",
    "require_known_monitors",
    "require_no_series",
    "require_precision",
    "require_same_division",
    "require_same_optimizer",
    "require_sane_numbers",
    "require_short_blocks",
    "require_trainer_numbers",
    "require_updates_left",
]

MOST_UPDATES = 10_000_000  # of a block, all of whose coefficients are kept
NO_STEP = "the learning rate is 0: no update moves the coefficients"


def require_sane_numbers(
    learning_rate: float | None, updates_per_batch: int, stop_at_opt_error: float | None, level: float
) -> None:
    """Refuse numbers out of their range."""
    if learning_rate is not None and not (math.isfinite(learning_rate) and learning_rate >= 0):
        raise UsageError(f"learning_rate must be a finite number of at least 0, got {learning_rate}")
    if not 1 <= updates_per_batch <= MOST_UPDATES:
        raise UsageError(f"updates_per_batch must be from 1 to {MOST_UPDATES:,}, got {updates_per_batch}")
    if stop_at_opt_error is not None and not stop_at_opt_error > 0:
        raise UsageError(f"stop_at_opt_error must be positive, got {stop_at_opt_error}")
    require_level(level)


def require_trainer_numbers(config: Namespace) -> None:
    """Refuse numbers and places that Lightning takes in silence, or gives up on without a reason."""
    seed, trainer = config.seed_everything, config.trainer
    if not isinstance(seed, bool) and seed is not None and not 0 <= seed < 2**32:
        raise UsageError(f"seed_everything must be from 0 to 2^32 - 1, got {seed}")
    if "://" in str(trainer.default_root_dir):
        raise UsageError(
            f"--trainer.default_root_dir must be a folder on this machine, got {trainer.default_root_dir}: copy the "
            "run's folder there afterwards"
        )
    clip, accumulated = trainer.gradient_clip_val, trainer.accumulate_grad_batches
    if clip is not None and not (math.isfinite(clip) and clip >= 0):
        raise UsageError(f"--trainer.gradient_clip_val must be a finite number of at least 0, got {clip}")
    if accumulated < 1:
        raise UsageError(f"--trainer.accumulate_grad_batches must be at least 1, got {accumulated}")


def require_devices(trainer: Namespace) -> None:
    """Refuse devices, accelerators and strategies that are not there, and say which are.

    Only what is given by a word or number is judged; a class, or a list of devices, is left to Lightning.
    """
    known = sorted(AcceleratorRegistry.available_accelerators())
    here = [name for name in known if AcceleratorRegistry[name]["accelerator"].is_available()]
    has_gpu = bool({"cuda", "mps"} & set(here))
    accelerator, strategy = trainer.accelerator, trainer.strategy
    if isinstance(accelerator, str) and accelerator not in ("auto", *(["gpu"] if has_gpu else []), *here):
        choices = ["auto", "gpu", *known]
        near = "" if accelerator in choices else _near(accelerator, choices)
        raise UsageError(
            f"--trainer.accelerator {accelerator} is not on this machine{near}: it has {_hardware()}; "
            f"use {', '.join(['auto', *here])}"
        )
    _require_number(str(trainer.devices).strip(), is_cpu=accelerator == "cpu" or here == ["cpu"])
    names = ["auto", *StrategyRegistry.available_strategies()]
    if isinstance(strategy, str) and strategy not in names:
        near = _near(strategy, names)
        raise UsageError(f"--trainer.strategy {strategy} is not known{near}: expected one of {', '.join(names)}")


def _require_number(devices: str, is_cpu: bool) -> None:
    if devices == "auto" or devices.startswith("[") or "," in devices:
        return
    allowed = devices.isdecimal() and int(devices) > 0
    if is_cpu and not allowed:
        raise UsageError(
            f"--trainer.devices must be auto or a number of processes from 1, got {devices}; "
            f"this machine has {_hardware()}"
        )
    if not is_cpu and not allowed and devices != "-1":
        raise UsageError(
            f"--trainer.devices must be auto, a number from 1, or -1 for all, got {devices}; "
            f"this machine has {_hardware()}"
        )


def _hardware() -> str:
    gpus = torch.cuda.device_count()
    return f"{counted(os.cpu_count() or 1, 'CPU core')} and {counted(gpus, 'GPU') if gpus else 'no GPU'}"


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word.casefold(), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def never_moves(module: "Regression") -> bool:
    """Tell whether the learning rate is 0 and stays so, and warn of it."""
    if module.lr_schedulers() is not None or any(group["lr"] != 0 for group in module.optimizer().param_groups):
        return False
    warnings.warn(NO_STEP, UserWarning, stacklevel=2)
    return True


def require_updates_left(checkpoint: dict[str, Any], trainer: pl.Trainer) -> None:
    """Refuse to go on from a checkpoint that has already reached the end of the run.

    Args:
        checkpoint: The content of the checkpoint.
        trainer: The Trainer that is to go on.

    Raises:
        UsageError: If ``max_epochs`` or ``max_steps`` is not above what the checkpoint has done.
    """
    # Not "epoch", which is one less in a checkpoint written at the end of one.
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    for name, limit, made in (
        ("max_epochs", trainer.max_epochs, epochs),
        ("max_steps", trainer.max_steps, checkpoint["global_step"]),
    ):
        if limit is not None and 0 <= limit <= made:
            raise UsageError(
                f"nothing is left to do: --trainer.{name} is {limit} and the checkpoint is at {made}; give more than "
                f"{made}, or leave --ckpt_path out"
            )


def require_exact_options(module: "Regression") -> None:
    """Refuse options of the gradient solver that the exact one would leave unused."""
    given = {
        "learning_rate": module.learning_rate is not None,
        "updates_per_batch": module.updates_per_batch != 1,
        "stop_at_opt_error": module.stop_at_opt_error is not None,
    }
    for name in (name for name, is_given in given.items() if is_given):
        raise UsageError(f"{name} is for the gradient solver, got solver exact: leave it out")
    if not module.loss.is_squared:
        raise UsageError(f"solver exact minimises squares, got loss {module.loss.name}: use MSELoss or NormLoss")


def require_precision(module: "Regression") -> None:
    """Refuse number types that are too short, or mixed where a block of updates needs one, and an infinite rate."""
    precision = str(module.trainer.precision)
    if module.solver == "exact":
        require_full_precision(module.trainer)
        return
    for group in module.optimizer().param_groups:
        if not math.isfinite(group["lr"]):
            raise UsageError(f"the learning rate must be finite, got {group['lr']}")
    if not module.automatic_optimization and "mixed" in precision:
        raise UsageError(
            f"updates_per_batch {module.updates_per_batch} needs one number type, got precision {precision}: "
            "use 32-true or 64-true, or updates_per_batch 1"
        )


def require_full_precision(trainer: pl.Trainer) -> None:
    """Refuse number types that would round the points."""
    if "16" in str(trainer.precision):
        raise UsageError(f"solver exact needs full precision, got {trainer.precision}: use 32-true")


def require_no_series(module: "Regression") -> None:
    """Refuse a table of series, which would be one curve through all of them."""
    if module.loader.rows.labels is not None:
        raise UsageError("a table with series is for SeriesRegression, and train.py fit: leave out series, or use that")


def require_short_blocks(module: "Regression", batch_size: int, most: int) -> None:
    """Refuse several updates in a row that each have a large batch of its own: it would have to be on one device."""
    if module.updates_per_batch > 1 and batch_size > most:
        raise UsageError(
            f"updates_per_batch {module.updates_per_batch} needs all rows in one batch, or batches of up to {most:,} "
            f"rows, got {batch_size:,} of more: set updates_per_batch to 1, or change data.batch_size"
        )


def require_same_division(stored: Position, loader: "GlobalBatches | Shares") -> None:
    """Refuse to go on within an epoch that was handed out in other batches."""
    (*then, order), (*now, own_order) = stored.division, loader.division
    if not (stored.batches or stored.made):
        return
    if then != now:
        raise UsageError(
            f"the checkpoint stands within an epoch of {then[0]} batches of {then[1]} rows, which now has {now[0]} of "
            f"{now[1]}: expected the data, --data.batch_size and --model.updates_per_batch of the interrupted run"
        )
    if order != own_order:
        raise UsageError(
            "the checkpoint stands within an epoch whose rows had another order: expected --data.seed and "
            "--data.shuffle of the interrupted run"
        )


def require_same_optimizer(module: "Regression", stored: dict[str, Any] | None) -> None:
    """Refuse to go on from a checkpoint with another optimizer, or the same one with other options."""
    optimizer = module.optimizer()
    stored = stored or described(optimizer)
    if stored["name"] != type(optimizer).__name__:
        raise UsageError(f"--optimizer {type(optimizer).__name__} contradicts the checkpoint's {stored['name']}")
    for name, value in described(optimizer)["options"].items():
        if stored["options"].get(name, value) != value:
            raise UsageError(f"--optimizer.{name} {value} contradicts the checkpoint's {stored['options'][name]}")


def require_known_monitors(module: "Regression") -> None:
    """Refuse a scheduler that waits for a number that nobody logs, or logs in time."""
    known = {"train_loss"}
    if (module.automatic_optimization or module.loader.is_divided) and any(module.trainer.num_val_batches):
        known.add("val_loss")
    for monitor in map(awaited, module.trainer.lr_scheduler_configs):
        if monitor and monitor not in known:
            raise UsageError(
                f"--lr_scheduler.monitor must be {' or '.join(sorted(known))} here, got {monitor}: val_loss "
                "needs rows held out (--data.validation_fraction) that are looked at in every epoch, and with all rows "
                "in one batch --model.updates_per_batch 1"
            )


def awaited(plan: LRSchedulerConfig) -> str | None:
    """Return the number that a scheduler waits for; Lightning knows it only where it makes the updates itself."""
    if not isinstance(plan.scheduler, ReduceLROnPlateau):
        return None
    return str(plan.monitor or getattr(plan.scheduler, "monitor", "train_loss"))


def has_validation(trainer: pl.Trainer) -> bool:
    """Tell whether a fit has points to validate on, be it in its first epoch or later."""
    held_out = getattr(trainer.datamodule, "held_out", 0)  # type: ignore[attr-defined]
    return any(trainer.num_val_batches) or bool(held_out and trainer.limit_val_batches)


def described(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the optimizer's class and the options it was made with, as plain numbers and strings."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in optimizer.defaults.items()}
    kept = {name: value for name, value in plain.items() if isinstance(value, int | float | str | list | None)}
    return {"name": type(optimizer).__name__, "options": kept}
