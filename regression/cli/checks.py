"""Refuses options of Lightning's Trainer that are wrong or have no effect, before anything is built."""

import math
import os
from typing import Any

import lightning.pytorch as pl
import torch
from jsonargparse import Namespace
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from regression.common.errors import UsageError
from regression.common.text import counted, did_you_mean, without_secret

__all__ = ["describe_ended_run", "require_devices", "require_trainer_numbers"]


def require_trainer_numbers(config: Namespace) -> None:
    """Refuse numbers and folders that Lightning accepts without a message, or refuses without a reason."""
    seed, trainer = config.seed_everything, config.trainer
    if not isinstance(seed, bool) and seed is not None and not 0 <= seed < 2**32:
        raise UsageError(f"seed_everything must be from 0 to 2^32 - 1, got {seed}")
    if "://" in str(trainer.default_root_dir):
        got = without_secret(str(trainer.default_root_dir))
        raise UsageError(
            f"--trainer.default_root_dir must be a folder on this machine, got {got}: copy the run's folder there "
            "afterwards"
        )
    clip, accumulated = trainer.gradient_clip_val, trainer.accumulate_grad_batches
    if clip is not None and not (math.isfinite(clip) and clip >= 0):
        raise UsageError(f"--trainer.gradient_clip_val must be a finite number of at least 0, got {clip}")
    if accumulated < 1:
        raise UsageError(f"--trainer.accumulate_grad_batches must be at least 1, got {accumulated}")
    model = config.model.init_args
    if model.solver == "exact" or model.updates_per_batch > 1:
        for name, unset in (("gradient_clip_val", (None, 0)), ("accumulate_grad_batches", (1,))):
            if trainer[name] not in unset:
                raise UsageError(
                    f"--trainer.{name} needs --model.solver gradient and --model.updates_per_batch 1: leave it out"
                )


def require_devices(trainer: Namespace) -> None:
    """Refuse devices, accelerators and strategies that do not exist here, and name those that do.

    Only words and numbers are checked; Lightning checks classes and lists of devices.
    """
    known = sorted(AcceleratorRegistry.available_accelerators())
    here = [name for name in known if AcceleratorRegistry[name]["accelerator"].is_available()]
    has_gpu = bool({"cuda", "mps"} & set(here))
    accelerator, strategy = trainer.accelerator, trainer.strategy
    if isinstance(accelerator, str) and accelerator not in ("auto", *(["gpu"] if has_gpu else []), *here):
        choices = ["auto", "gpu", *known]
        near = "" if accelerator in choices else did_you_mean(accelerator, choices)
        raise UsageError(
            f"--trainer.accelerator {accelerator} is not on this machine{near}: it has {_hardware()}; "
            f"use {', '.join(['auto', *here])}"
        )
    _require_device_count(str(trainer.devices).strip(), is_cpu=accelerator == "cpu" or here == ["cpu"])
    names = ["auto", *StrategyRegistry.available_strategies()]
    if isinstance(strategy, str) and strategy not in names:
        near = did_you_mean(strategy, names)
        raise UsageError(f"--trainer.strategy {strategy} is not known{near}: expected one of {', '.join(names)}")


def _require_device_count(devices: str, is_cpu: bool) -> None:
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


def describe_ended_run(checkpoint: dict[str, Any], trainer: pl.Trainer) -> str | None:
    """Return a line about a checkpoint that is already at the end of the run, ``None`` for any other.

    Args:
        checkpoint: The content of the checkpoint.
        trainer: The Trainer of the resumed run.
    """
    # Not checkpoint["epoch"], which is one too small where it was written at the end of an epoch.
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    for name, limit, made in (
        ("max_epochs", trainer.max_epochs, epochs),
        ("max_steps", trainer.max_steps, checkpoint["global_step"]),
    ):
        if limit is not None and 0 <= limit <= made:
            return (
                f"nothing is left to do: --trainer.{name} is {limit} and the checkpoint is at {made}; give more than "
                f"{made}, or leave --ckpt_path out"
            )
    return None
