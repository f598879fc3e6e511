"""Blocks of updates within one step of the Trainer: on all rows, or on one mini-batch each."""

import math
from typing import Any, NamedTuple

from torch import Tensor

from regression.common.collectives import all_sum
from regression.common.points import Batch
from regression.descent.updates import Objective, descend, descend_each
from regression.training.base import CurveModule, Total

__all__ = ["Block", "on_all_rows", "on_mini_batches"]


class Block(NamedTuple):
    """Losses and coefficients of a block of U updates.

    Attributes:
        losses: The losses before each update, shape (U,); on all rows also the one after the last, shape (U + 1,).
        coefficients: The coefficients after each update, shape (U, K).
        is_whole: Whether no update of the block was left out.
        seen: Loss and number of rows of each batch that is finished.
    """

    losses: Tensor
    coefficients: Tensor
    is_whole: bool
    seen: list[tuple[float, int]]


def on_all_rows(module: CurveModule, batch: Batch, updates: int) -> Block:
    """Make the updates of a block on a batch of all rows, or as many as the run still has to make.

    Args:
        module: The module, whose coefficients are changed.
        batch: This process's slice of the batch.
        updates: Number of updates of the block that are left.
    """
    updates = int(min(updates, _remaining(module)))
    objective = _objective(module, *module.assign_rows(batch, all_sum))
    scheduler: Any = module.lr_schedulers()
    parameter, optimizer = module.model.coefficients, module.optimizer()
    losses, coefficients = descend(objective, parameter, optimizer, updates, scheduler, module.is_stopped)
    is_whole = len(coefficients) == updates
    seen = [(float(losses[-2]), objective.rows)] if is_whole else []
    return Block(losses, coefficients, is_whole, seen)


def on_mini_batches(module: CurveModule, batch: Batch, batch_size: int, done: int) -> Block:
    """Make the updates of a block that are left, or as many as the run still has to make, each on one mini-batch.

    Args:
        module: The module, whose coefficients are changed.
        batch: This process's slice of the mini-batches, which the loader yields as one batch.
        batch_size: Number of rows of each mini-batch, over all processes.
        done: Number of updates of the block that were made before.
    """
    batch, total = module.assign_rows(batch, all_sum)
    left = batch.split(batch_size)[done:]
    objectives = (_objective(module, part, total) for part in left[: int(min(len(left), _remaining(module)))])
    has_scheduler, parameter = bool(module.trainer.lr_scheduler_configs), module.model.coefficients
    losses, coefficients = descend_each(objectives, parameter, module.optimizer(), has_scheduler, module.is_stopped)
    seen = [(loss, part.rows) for loss, part in zip(losses.tolist(), left, strict=False)]
    return Block(losses, coefficients, len(losses) == len(left), seen)


def _objective(module: CurveModule, batch: Batch, total: Total) -> Objective:
    design, values = module.model.linear(batch.x)
    target = batch.y.to(design) - values
    if batch.sigma is not None:
        sigma = batch.sigma.to(target)
        design, target = design / sigma[:, None], target / sigma
    return Objective(design, target, batch.rows, module.loss, total)


def _remaining(module: CurveModule) -> float:
    limit = module.trainer.max_steps
    return limit - module.global_step if limit >= 0 else math.inf
