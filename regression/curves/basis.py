"""Basis functions: from x to the columns of the design matrix. Torch only."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal, get_args

import torch
from torch import Tensor

__all__ = ["BASES", "Basis", "design", "expansion", "polynomial"]

Basis = Literal["power", "chebyshev", "legendre"]
BASES: tuple[Basis, ...] = get_args(Basis)


def design(t: Tensor, degree: int, basis: Basis = "power") -> Tensor:
    """Return the design matrix whose column k holds the k-th function of a basis.

    ``A[n, k] = φ_k(t[n])`` for k = 0 … degree. Equivalent to ``polyvander``, ``chebvander`` and ``legvander`` of
    numpy.polynomial.

    Args:
        t: Points, shape (N,); for the orthogonal polynomials best in [−1, 1].
        degree: Highest degree, at least 0.
        basis: ``power``, ``chebyshev`` or ``legendre``.

    Returns:
        Matrix of shape (N, degree + 1), in the dtype and on the device of t.
    """
    # A column's numbers lie side by side: quicker to make, and to multiply with.
    return torch.stack(_powers(t, degree) if basis == "power" else _orthogonal(t, degree, basis)).T


def _powers(t: Tensor, degree: int) -> list[Tensor]:
    """Return 1, t, …, t^degree, multiplied up in float64 and each rounded once."""
    powers = [torch.ones_like(t), t][: degree + 1]
    power = wide = t.double() if degree > 1 else t
    for _ in range(1, degree):
        power = power * wide
        powers.append(power.to(t.dtype))
    return powers


def _orthogonal(t: Tensor, degree: int, basis: Basis) -> list[Tensor]:
    columns = [torch.ones_like(t), t][: degree + 1]
    for k in range(1, degree):
        up, down = t * columns[k], columns[k - 1]
        columns.append(2 * up - down if basis == "chebyshev" else ((2 * k + 1) * up - k * down) / (k + 1))
    return columns


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


def expansion(
    basis: Basis, degree: int, times_argument: Callable[[list[Decimal]], list[Decimal]]
) -> list[list[Decimal]]:
    """Return the polynomials of a basis in terms of another one, by the basis's own recurrence.

    Args:
        basis: ``power``: 1, t, t², …; ``chebyshev``: T_0, T_1, …; ``legendre``: P_0, P_1, ….
        degree: Highest degree d.
        times_argument: Multiplies a polynomial, given by its K = d + 1 coefficients in the other basis, by t.

    Returns:
        For each polynomial its coefficients in the other basis, shape (K, K).
    """
    rows = [[Decimal(int(k == 0)) for k in range(degree + 1)]]
    for k in range(degree):
        raised = times_argument(rows[-1])
        if basis == "power" or k == 0:
            rows.append(raised)
        elif basis == "chebyshev":
            rows.append([2 * up - down for up, down in zip(raised, rows[-2], strict=True)])
        else:
            rows.append([((2 * k + 1) * up - k * down) / (k + 1) for up, down in zip(raised, rows[-2], strict=True)])
    return rows
