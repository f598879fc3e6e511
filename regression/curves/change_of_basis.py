"""Exact changes between the functions of a basis, the Chebyshev polynomials of the moments, and powers of the user's x.

Every change of basis is a triangular matrix of decimal numbers with 150 digits, computed by the basis's recurrence.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

from regression.curves.basis import recur
from regression.curves.decimals import Matrix
from regression.curves.frame import Frame

__all__ = ["argument", "center_and_scale", "expand", "in_powers_of_x", "powers_in_u", "u_in_powers"]

Multiplication = Callable[[Any], Any]  # multiplies a polynomial, an array of K coefficients in a basis, by an argument


def expand(basis: str, degree: int, times_argument: Multiplication) -> Matrix:
    """Return the polynomials of a basis in terms of another basis, a row for each, shape (K, K)."""
    first = np.array([Decimal(int(k == 0)) for k in range(degree + 1)], dtype=object)
    return [row.tolist() for row in recur(first, times_argument, degree, basis)]


def argument(shift: Decimal, scale: Decimal) -> Multiplication:
    """Return the multiplication by ``shift + scale u`` in T_k(u), as ``u T_k = (T_{k+1} + T_{|k-1|}) / 2``."""

    def multiply(values: Any) -> Any:
        product, parts = shift * values, scale * values / 2
        product[1:] += parts[:-1]
        product[:-1] += parts[1:]
        product[1:2] += parts[:1]
        return product

    return multiply


def center_and_scale(frame: Frame) -> tuple[Decimal, Decimal]:
    """Return center and scale of ``x = center + scale u``."""
    return Decimal(frame.center), Decimal(frame.scale.numerator) / Decimal(frame.scale.denominator)


def powers_in_u(frame: Frame, degree: int) -> Matrix:
    """Return the powers 1, x, … x^d in terms of T_k(u), a row for each, shape (K, K)."""
    return expand("power", degree, argument(*center_and_scale(frame)))


def u_in_powers(frame: Frame, degree: int) -> Matrix:
    """Return T_0(u) … T_d(u) in powers of x, a row for each, shape (K, K)."""
    return in_powers_of_x("chebyshev", *center_and_scale(frame), degree)


def in_powers_of_x(basis: str, center: Decimal, scale: Decimal, degree: int) -> Matrix:
    """Return φ_0(t) … φ_d(t) of a basis, with ``x = center + scale t``, in powers of x, a row for each."""

    def multiply(values: Any) -> Any:
        product = -center * values
        product[1:] += values[:-1]
        return product / scale

    return expand(basis, degree, multiply)
