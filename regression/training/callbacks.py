"""Callbacks of a user's Trainer that a fit could not serve: refused before the first update."""

from collections.abc import Iterable

import lightning.pytorch as pl
from lightning.pytorch.callbacks import BatchSizeFinder, Callback, LearningRateFinder, ModelCheckpoint

from regression.common.errors import UsageError

__all__ = ["require_logged_monitors", "require_usable_callbacks"]

REASONS = {
    BatchSizeFinder: "all rows, or 4,194,304 of a streamed table, are one batch by default: leave it out, or give the "
    "data module's batch_size",
    LearningRateFinder: "without a learning_rate SGD takes the best constant step, which follows from the points: "
    "leave it out, or give learning_rate",
}
KNOWN = {"lightning", "regression"}  # packages whose callbacks log no number that others could wait for
COUNTERS = {"epoch", "step"}  # what ModelCheckpoint may go by besides


def require_usable_callbacks(trainer: pl.Trainer) -> None:
    """Refuse Lightning's searches for numbers that are known here.

    Raises:
        UsageError: With the reason.
    """
    for callback in _callbacks(trainer):
        for kind, reason in REASONS.items():
            if isinstance(callback, kind):
                raise UsageError(f"{type(callback).__name__} does not go with this model: {reason}")


def require_logged_monitors(trainer: pl.Trainer, logged: Iterable[str]) -> None:
    """Refuse callbacks that wait for a number that nobody logs.

    Args:
        trainer: The Trainer of the fit.
        logged: What the module logs for callbacks.

    Raises:
        UsageError: If a callback waits for another one, and there is none that may log it.
    """
    callbacks, known = _callbacks(trainer), sorted(logged)
    if any(type(callback).__module__.partition(".")[0] not in KNOWN for callback in callbacks):
        return
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        counters = COUNTERS if isinstance(callback, ModelCheckpoint) else set()
        if monitor is not None and monitor not in {*known, *counters}:
            said = " and ".join(known) or "nothing that a callback could wait for"
            advice = "give one of them as monitor"
            if monitor == "val_loss":
                advice = "hold rows out for validation (--data.validation_fraction)"
            raise UsageError(f"{type(callback).__name__} waits for {monitor}, and this fit logs {said}: {advice}")


def _callbacks(trainer: pl.Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks
