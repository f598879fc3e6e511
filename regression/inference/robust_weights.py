"""The weights that M-estimates give to points, by the size of their residuals."""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["MAD", "Robust", "slopes", "weights_of"]

Robust = Literal["huber", "bisquare"]
HUBER, BISQUARE = 1.345, 4.685  # thresholds with 95 % of the efficiency of least squares for normal errors
MAD = 0.6745  # median of |r| of normal errors of standard deviation 1, with the digits that R and others use


def weights_of(u: Tensor, kind: Robust) -> Tensor:
    """Return ``ψ(u) / u`` of residuals in units of the scale, shape (n,).

    For ``huber`` ``min(1, 1.345 / |u|)``, for ``bisquare`` ``(1 - (u / 4.685)²)²`` within 4.685, and 0 beyond.
    """
    if kind == "huber":
        return HUBER / u.abs().clamp_min(HUBER)
    return (1 - _square(u)).square()


def slopes(u: Tensor, kind: Robust) -> Tensor:
    """Return ψ'(u), shape (n,)."""
    if kind == "huber":
        return (u.abs() <= HUBER).to(torch.float64)
    square = _square(u)
    return (1 - square) * (1 - 5 * square)


def _square(u: Tensor) -> Tensor:
    return (u / BISQUARE).square().clamp_max(1.0)
