"""The interface of the two engines, exact and gradient: the part of a module that finds its coefficients."""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from regression.fits.fit_record import Origin

__all__ = ["Engine"]


class Engine:
    """Finds the coefficients of a module. The module calls these methods in Lightning's hooks; some may do nothing.

    Attributes:
        is_automatic: Whether the Trainer makes the update from the loss that ``step`` returns.
    """

    is_automatic = False

    def default_optimizer(self) -> Optimizer | None:
        """Return the optimizer of a run without a configured one, or ``None`` if none is needed."""

    def origin(self, updates: int) -> Origin:
        """Return how the weights were found, after so many updates."""
        raise NotImplementedError

    def total_updates(self) -> float:
        """Return the largest number of updates that a run can make, infinite if nothing limits it."""
        raise NotImplementedError

    def require_options(self) -> None:
        """Refuse options that can be checked only once the Trainer and the optimizer are known."""

    def begin(self) -> None:
        """Prepare the run, once the coordinates of the points are known."""

    def begin_batch(self) -> None:
        """Reset the state of the previous batch."""

    def step(self, batch: Any, index: int) -> Tensor | None:
        """Process a batch, and return its loss if the Trainer has to make the update."""

    def end_update(self, index: int) -> None:
        """Record the Trainer's update on a batch."""

    def end_epoch(self) -> None:
        """Finish an epoch, after its loss has been logged."""
