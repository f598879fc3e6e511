"""What the exact and the gradient engine have in common: the part of a module that finds its coefficients."""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from regression.training.fit_record import Origin

__all__ = ["Engine"]


class Engine:
    """How a module comes to its coefficients. Its methods are called in Lightning's hooks, and need not do anything.

    Attributes:
        is_automatic: Whether the Trainer itself makes an update of the loss that ``step`` returns.
    """

    is_automatic = False

    def own_optimizer(self) -> Optimizer | None:
        """Return the optimizer to use where none is configured, if one is needed."""

    def origin(self, updates: int) -> Origin:
        """Return how the weights came about after so many updates."""
        raise NotImplementedError

    def total_updates(self) -> float:
        """Return the number of updates a run will make at most, infinite if nothing limits it."""
        raise NotImplementedError

    def require_options(self) -> None:
        """Refuse what can only be seen once the Trainer and the optimizer are known."""

    def begin(self) -> None:
        """Get ready once the coordinates of the points are known."""

    def begin_batch(self) -> None:
        """Forget the previous batch."""

    def step(self, batch: Any, index: int) -> Tensor | None:
        """Work on a batch, and return its loss if the Trainer is to make the update."""

    def end_update(self, index: int) -> None:
        """Note what the Trainer's update on a batch did."""

    def end_epoch(self) -> None:
        """Do what follows the loss of an epoch."""
