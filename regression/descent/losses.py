"""Losses: ``NormLoss``, and sums of a torch loss over a global batch."""

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import loss as torch_losses

from regression.common.errors import UsageError
from regression.common.rules import MAPPING, TEXT, or_null, require_option
from regression.common.text import did_you_mean

__all__ = ["GlobalLoss", "NormLoss"]


class NormLoss(nn.Module):
    """The Euclidean norm of the residuals over their number, ``‖f(x) − y‖₂ / N``.

    Unlike the mean squared error ``‖f(x) − y‖₂² / N`` it has y's unit and shrinks with more points. Its gradient at a
    perfect fit is taken as 0.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of N predictions against N targets, a scalar."""
        norm: Tensor = torch.linalg.vector_norm(prediction - target)
        return norm / target.numel()


class GlobalLoss:
    """A loss as a function of one sum over points, so that slices on many devices add up to the global batch.

    With ``S = Σ ρ(f(x_n), y_n)`` over all N rows, the loss is ``S / N``, and ``√S / N`` for ``NormLoss``.

    Args:
        name: A torch loss with a ``reduction`` (``MSELoss``, ``L1Loss``, ``HuberLoss``, ``SmoothL1Loss``, …) or
            ``NormLoss``.
        args: The loss's own arguments, such as ``{"delta": 0.5}`` for ``HuberLoss``.

    Attributes:
        threshold: Residual up to which ``HuberLoss`` and ``SmoothL1Loss`` are parabolas; ``None`` for other losses.

    Raises:
        UsageError: If there is no such loss, its arguments are wrong, or it is not a sum over points.
    """

    def __init__(self, name: str, args: dict[str, Any] | None = None) -> None:
        require_option("loss", name, TEXT)
        require_option("loss_args", args, or_null(MAPPING))
        self.name = name
        self.is_norm = name == "NormLoss"
        if "reduction" in (args or {}):
            raise UsageError(f"loss {name}: leave 'reduction' out, the loss is the mean over the global batch")
        if self.is_norm and args:
            raise UsageError(f"loss NormLoss takes no arguments, got {args}")
        cls = nn.MSELoss if self.is_norm else _torch_loss(name)
        try:
            self._sum = cls(**(args or {}), reduction="sum")
            self._each = cls(**(args or {}), reduction="none")
        except (TypeError, ValueError) as error:
            raise UsageError(f"loss {name} cannot be made with the arguments {args}: {error}") from None
        shown = f"{name} with {args}" if args else name
        _require_additive(shown, cls(**(args or {}), reduction="mean"), self._sum, self._each)
        self.is_squared = cls is nn.MSELoss  # so the loss follows from Σ r², for NormLoss too
        self.threshold = _threshold(self._sum)

    def curvature(self, residual: float) -> float | None:
        """Return the largest second derivative of ρ; ``None`` for a loss whose step size is not known.

        The second derivative of ``|r|`` is 0, but that of its mean over many normal residuals is twice their density at
        0. This is returned times 10, for a shorter step, because the slope of ``|r|`` does not approach 0 with r.

        Args:
            residual: Root mean square of the residuals.
        """
        if self.name == "MSELoss":
            return 2.0
        if self.name == "HuberLoss":
            return 1.0
        if self.threshold is not None:  # SmoothL1Loss
            return 1 / self.threshold
        is_absolute = isinstance(self._sum, nn.L1Loss | nn.SmoothL1Loss)
        return 10 * math.sqrt(2 / math.pi) / residual if is_absolute and residual else None

    def sum(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return S, the sum of the points' losses, a scalar."""
        total: Tensor = self._sum(prediction, target)
        return total

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the points' losses ρ, in the shape of the prediction."""
        losses: Tensor = self._each(prediction, target)
        return losses

    def value(self, total: Tensor, rows: int) -> Tensor:
        """Return the loss of a global batch from its sum S and its number of rows N."""
        if not self.is_norm:
            return total / rows
        # The slope of the root is infinite at 0; the clamp makes the gradient 0 below the smallest normal number.
        root = total.clamp_min(torch.finfo(total.dtype).tiny).sqrt()
        return torch.where(total > 0, root, total) / rows


def _threshold(loss: nn.Module) -> float | None:
    """Return the residual up to which a loss is a parabola, and beyond which it is linear; ``None`` for other losses.

    ``SmoothL1Loss`` with β is ``HuberLoss`` with δ = β, divided by β.
    """
    if isinstance(loss, nn.HuberLoss):
        return float(loss.delta)
    return float(loss.beta) or None if isinstance(loss, nn.SmoothL1Loss) else None


def _torch_loss(name: str) -> type[nn.Module]:
    losses: dict[str, type[nn.Module]] = {
        key: value
        for key, value in vars(torch_losses).items()
        if isinstance(value, type) and key.endswith("Loss") and "reduction" in inspect.signature(value).parameters
    }
    if name not in losses:
        hint = did_you_mean(name, [*losses, "NormLoss"], cutoff=0.4)
        raise UsageError(f"loss must be the name of a torch loss or NormLoss, got {name!r}{hint}")
    return losses[name]


def _require_additive(name: str, mean: nn.Module, total: nn.Module, each: nn.Module) -> None:
    """Refuse a loss that is not the mean of one term for each point; three points in two slices show it."""
    prediction, target = torch.tensor([0.2, 0.7, 0.4]), torch.tensor([0.9, 0.1, 0.3])
    try:
        whole = total(prediction, target)
        parts = total(prediction[:2], target[:2]) + total(prediction[2:], target[2:])
        is_additive = each(prediction, target).shape == (3,) and torch.allclose(whole, parts)
        is_additive = is_additive and torch.allclose(mean(prediction, target) * 3, whole)
    except (TypeError, ValueError, RuntimeError, IndexError):
        is_additive = False
    if not is_additive:
        raise UsageError(
            f"loss {name} cannot be summed over a global batch of (prediction, y) pairs; "
            "use MSELoss, L1Loss, HuberLoss, SmoothL1Loss or NormLoss"
        )
