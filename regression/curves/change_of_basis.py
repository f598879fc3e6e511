"""Exact changes between a model's basis, the Chebyshev polynomials of the moments, and powers of the user's x.

Every change of basis is a triangular matrix of decimal numbers with 150 digits, computed by the basis's recurrence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regression.curves.basis import recur
from regression.curves.decimals import Matrix, Vector, combine, precise, solve_triangular
from regression.curves.frame import Frame
from regression.curves.polynomial import Polynomial

__all__ = ["Chart", "powers_in_u", "u_in_powers"]

Multiplication = Callable[[Any], Any]  # multiplies a polynomial, an array of K coefficients in a basis, by an argument


def _expand(basis: str, degree: int, times_argument: Multiplication) -> Matrix:
    """Return the polynomials of a basis in terms of another basis, a row for each, shape (K, K)."""
    first = np.array([Decimal(int(k == 0)) for k in range(degree + 1)], dtype=object)
    return [row.tolist() for row in recur(first, times_argument, degree, basis)]


def _argument(shift: Decimal, scale: Decimal) -> Multiplication:
    """Return the multiplication by ``shift + scale u`` in T_k(u), as ``u T_k = (T_{k+1} + T_{|k-1|}) / 2``."""

    def multiply(values: Any) -> Any:
        product, parts = shift * values, scale * values / 2
        product[1:] += parts[:-1]
        product[:-1] += parts[1:]
        product[1:2] += parts[:1]
        return product

    return multiply


def _scale(frame: Frame) -> Decimal:
    return Decimal(frame.scale.numerator) / Decimal(frame.scale.denominator)


def powers_in_u(frame: Frame, degree: int) -> Matrix:
    """Return the powers 1, x, … x^d in terms of T_k(u), a row for each, shape (K, K)."""
    return _expand("power", degree, _argument(Decimal(frame.center), _scale(frame)))


def u_in_powers(frame: Frame, degree: int) -> Matrix:
    """Return T_0(u) … T_d(u) in powers of x, a row for each, shape (K, K)."""
    center, scale = Decimal(frame.center), _scale(frame)

    def multiply(values: Any) -> Any:
        product = -center * values
        product[1:] += values[:-1]
        return product / scale

    return _expand("chebyshev", degree, multiply)


def _mapped(frame: Frame, domain: tuple[float, float] | None) -> tuple[Decimal, Decimal]:
    """Return shift and scale of ``t = shift + scale u``, where t is x mapped from a domain to [−1, 1], or x itself."""
    shift, scale = Decimal(frame.center), _scale(frame)
    if domain is None or domain[0] == domain[1]:
        return shift, scale
    low, high = map(Decimal, domain)
    return (2 * shift - low - high) / (high - low), 2 * scale / (high - low)


@dataclass(frozen=True)
class Chart:
    """The functions of a model in terms of other bases, for changes from and to its own.

    Attributes:
        frame: The moments' coordinate u.
        model: The curve; its domain must not change any more.
    """

    frame: Frame
    model: Polynomial

    @cached_property
    def in_u(self) -> Matrix:
        """The model's functions in terms of T_k(u), a row for each, shape (K, degree + 1)."""
        with precise():
            multiply = _argument(*_mapped(self.frame, self.model.domain))
            rows = _expand(self.model.basis, self.model.degree, multiply)
            if self.model.fit_intercept:
                return rows
            return [multiply(np.array(row, dtype=object)).tolist() for row in rows[:-1]]

    @cached_property
    def in_powers(self) -> Matrix:
        """The model's functions in the powers of x that it has, a row for each, shape (K, K)."""
        with precise():
            rows = u_in_powers(self.frame, self.model.degree)
            return [combine(rows, row)[int(not self.model.fit_intercept) :] for row in self.in_u]

    @property
    def is_identity(self) -> bool:
        """Whether the model's own coefficients are the coefficients of powers of x."""
        return self.model.domain is None and self.model.basis == "power"

    def curve(self, coefficients: Tensor) -> Vector:
        """Return the curve in T_k(u), shape (degree + 1,), from the model's coefficients, shape (K,)."""
        with precise():
            return combine(self.in_u, [Decimal(value) for value in coefficients.tolist()])

    def from_curve(self, curve: Vector) -> list[float]:
        """Return the model's coefficients, shape (K,), of a curve in T_k(u), shape (degree + 1,)."""
        with precise():
            missing = int(not self.model.fit_intercept)
            return list(map(float, solve_triangular([row[missing:] for row in self.in_u], curve[missing:])))

    def params_matrix(self) -> Tensor:
        """Return the float64 matrix P that changes a model's coefficients a to powers of x, ``a @ P``, shape (K, K)."""
        return torch.tensor([[float(value) for value in row] for row in self.in_powers], dtype=torch.float64)
