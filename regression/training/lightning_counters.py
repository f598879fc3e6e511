"""Sets the counters of Lightning's loops: updates within a batch, and the position in the epoch.

A checkpoint must contain the position so that a resumed run makes the same updates.
"""

from typing import Any

import lightning.pytorch as pl

from regression.training.resume import Position

__all__ = ["count_updates", "rewrite_counters"]


def rewrite_counters(fit_loop: dict[str, Any], position: Position, batches: float, updates: int) -> Position:
    """Rewrite the counters of Lightning's loops in a checkpoint, so that a resumed run begins after the latest update.

    Lightning infers from its counters in which hook a checkpoint was written, for some hooks wrongly: it then drops a
    validation, repeats the end of an epoch, or miscounts the batches that are left. This function sets the counters to
    one of two states: after an update, with its validation done or not begun; or before an epoch, if the last one is
    complete. The keys are Lightning's own.

    Args:
        fit_loop: ``checkpoint["loops"]["fit_loop"]``, changed in place.
        position: The position in the epoch after the latest update.
        batches: Number of batches of an epoch.
        updates: Number of updates of the whole run.

    Returns:
        The position to store: that of the beginning of an epoch if an epoch is next.
    """
    epoch, batch = fit_loop["epoch_progress"], fit_loop["epoch_loop.batch_progress"]
    validation = fit_loop["epoch_loop.val_loop.batch_progress"]
    has_ended = epoch["current"]["processed"] == epoch["current"]["ready"]
    is_within = bool(position.batches or position.made)
    # If max_steps or a callback ended the run within an epoch, a longer run goes on there.
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
    """Count updates made inside one batch as optimizer steps: in ``global_step``, checkpoints, and the logs' x axis.

    ``LightningOptimizer.step`` counts one update at a time, which takes longer than the update. The counters have no
    public setter.
    """
    loop = trainer.fit_loop.epoch_loop
    loop.manual_optimization.optim_step_progress.total.ready += updates
    loop.manual_optimization.optim_step_progress.total.completed += updates
    loop._batches_that_stepped = trainer.global_step - (updates > 0)  # the loop counts the batch itself once it is done
