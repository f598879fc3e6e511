"""Refuses callbacks that cannot work with a fit, before the first update."""

from collections.abc import Iterable

import lightning.pytorch as pl
from lightning.pytorch.callbacks import BatchSizeFinder, Callback, LearningRateFinder, ModelCheckpoint

from regression.common.errors import UsageError

__all__ = ["callbacks_of", "require_logged_monitors", "require_usable_callbacks"]

REASONS = {
    BatchSizeFinder: "all rows, or 4,194,304 of a streamed table, are one batch by default: leave it out, or give the "
    "data module's batch_size",
    LearningRateFinder: "without a learning_rate SGD takes the best constant step, which follows from the points: "
    "leave it out, or give learning_rate",
}
SILENT_PACKAGES = {"lightning", "regression"}  # whose callbacks log no number that another callback could monitor
COUNTERS = {"epoch", "step"}  # counters that ModelCheckpoint can monitor besides logged numbers


def require_usable_callbacks(trainer: pl.Trainer) -> None:
    """Refuse Lightning's callbacks that search for a batch size or a learning rate: both are known here."""
    for callback in callbacks_of(trainer):
        for kind, reason in REASONS.items():
            if isinstance(callback, kind):
                raise UsageError(f"{type(callback).__name__} cannot be used with this model: {reason}")


def require_logged_monitors(trainer: pl.Trainer, logged: Iterable[str]) -> None:
    """Refuse callbacks that monitor a number that is not logged.

    Args:
        trainer: The Trainer of the fit.
        logged: Names of the numbers that the module logs for callbacks.

    Raises:
        UsageError: If a callback monitors another number, and no callback of the user's own may log it.
    """
    callbacks, known = callbacks_of(trainer), sorted(logged)
    if any(type(callback).__module__.partition(".")[0] not in SILENT_PACKAGES for callback in callbacks):
        return
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        counters = COUNTERS if isinstance(callback, ModelCheckpoint) else set()
        if monitor is not None and monitor not in {*known, *counters}:
            names = " and ".join(known) or "nothing that a callback can monitor"
            advice = "give one of them as monitor"
            if monitor == "val_loss":
                advice = "hold rows out for validation (--data.validation_fraction)"
            raise UsageError(f"{type(callback).__name__} monitors {monitor}, and this fit logs {names}: {advice}")


def callbacks_of(trainer: pl.Trainer) -> list[Callback]:
    """Return the callbacks of a Trainer, an attribute that Lightning does not declare."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks
