"""Basis functions: from x to the columns of the design matrix. Torch only."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["design", "polynomial"]


def design(x: Tensor, degree: int) -> Tensor:
    """Return the design matrix whose column k holds the k-th power of x.

    ``A[n, k] = x[n] ** k`` for k = 0 … degree, so a polynomial with ascending coefficients c is ``A @ c``.
    Equivalent to ``numpy.polynomial.polynomial.polyvander(x, degree)``.

    Args:
        x: Points, shape (N,), in the user's own unit.
        degree: Highest power, at least 0.

    Returns:
        Matrix of shape (N, degree + 1), in the dtype and on the device of x.
    """
    return torch.vander(x, degree + 1, increasing=True)


def polynomial(params: Sequence[float], x: Tensor) -> Tensor:
    """Return ``c0 + c1 x + … `` in float64 by Horner's rule.

    Equivalent to ``numpy.polynomial.polynomial.polyval(x, params)``.

    Args:
        params: Coefficients c in ascending powers of x.
        x: Points, shape (N,).

    Returns:
        Values, shape (N,).
    """
    points = x.double()
    result = torch.zeros_like(points)
    for coefficient in reversed(params):
        result = result * points + coefficient
    return result
