"""The counters of Lightning's loops: updates within a batch, and where in its epoch a run stands.

A checkpoint must say the latter so that a resumed run makes the same updates.
"""

from typing import Any

import lightning.pytorch as pl

from regression.training.resume import Position

__all__ = ["count_updates", "settle"]


def settle(fit_loop: dict[str, Any], position: Position, batches: float, updates: int) -> Position:
    """Rewrite the counters of Lightning's loops in a checkpoint, so that a run goes on after the latest update.

    Lightning guesses from its counters in which hook a checkpoint was written. Some of the guesses drop a validation,
    repeat the end of an epoch, or miscount the batches that are left. Here the counters are always those of one moment:
    after an update, its validation done or not begun, and before an epoch where the last one is complete. The keys
    are Lightning's own; this is the only place that writes them.

    Args:
        fit_loop: ``checkpoint["loops"]["fit_loop"]``, changed in place.
        position: Where in the epoch the latest update was.
        batches: Number of batches of an epoch.
        updates: Number of updates of the whole run.

    Returns:
        The position to store: at the beginning of an epoch if that is the next to come.
    """
    epoch, batch = fit_loop["epoch_progress"], fit_loop["epoch_loop.batch_progress"]
    validation = fit_loop["epoch_loop.val_loop.batch_progress"]
    has_ended = epoch["current"]["processed"] == epoch["current"]["ready"]
    is_within = bool(position.batches or position.made)
    # By max_steps or a callback: a longer run goes on there.
    was_cut = has_ended and is_within and position.batches < batches
    if not is_within or (has_ended and not was_cut):
        position, is_within = Position(), False
    epochs = epoch["current"]["processed"] - was_cut
    seen = batch["total"]["processed"] - (batch["current"]["processed"] - position.batches if is_within else 0)
    begun, pending = int(position.batches > 0), int(not position.is_validated)
    epoch["total"] = epoch["current"] = _counts(epochs + begun, epochs)
    batch |= {"total": _counts(seen, seen), "current": _counts(position.batches, position.batches)}
    batch["is_last_batch"] = position.batches == batches
    validation |= {"total": _counts(pending, 0), "current": _counts(pending, 0), "is_last_batch": False}
    # While a validation runs, and before a skipped one, this counter is still that of the update before.
    fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"] = max(0, updates - 1)
    for loader in fit_loop["state_dict"].get("combined_loader", []):
        loader["batches"] = position.batches
    return position


def _counts(begun: int, done: int) -> dict[str, int]:
    return {"ready": begun, "started": begun, "processed": done, "completed": done}


def count_updates(trainer: pl.Trainer, updates: int) -> None:
    """Make updates done inside one batch count as optimizer steps: ``global_step``, checkpoints, the logs' x axis.

    ``LightningOptimizer.step`` would count them one at a time at more than the price of an update. The counters have
    no public setter; this is the only place that touches them.
    """
    loop = trainer.fit_loop.epoch_loop
    loop.manual_optimization.optim_step_progress.total.ready += updates
    loop.manual_optimization.optim_step_progress.total.completed += updates
    loop._batches_that_stepped = trainer.global_step - (updates > 0)  # the loop counts the batch itself once it is done
