"""Exact changes between a model's own coefficients, the curve in the basis of the moments, and powers of x."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from operator import add, sub

import numpy as np
import torch
from torch import Tensor

from regression.curves.change_of_basis import argument, center_and_scale, expand
from regression.curves.decimals import Matrix, Vector, combine, precise, solve_triangular, times
from regression.curves.frame import Frame
from regression.curves.polynomial import Polynomial

__all__ = ["Chart", "as_tensor"]


@dataclass(frozen=True)
class Chart:
    """Changes from a model's basis to others, and back.

    Attributes:
        frame: The moments' coordinate u.
        model: The curve; its domain must not change any more.
    """

    frame: Frame
    model: Polynomial

    @cached_property
    def _basis(self) -> Matrix:
        """The functions of the model's basis in terms of T_k(u), a row for each."""
        with precise():
            center, scale = center_and_scale(self.frame)
            own_center, own_scale = self.model.center_and_scale()
            multiply = argument((center - own_center) / own_scale, scale / own_scale)
            rows = expand(self.model.basis, self.model.degree, multiply)
            if self.model.has_constant:
                return rows
            return [multiply(np.array(row, dtype=object)).tolist() for row in rows[:-1]]

    @cached_property
    def in_u(self) -> Matrix:
        """The functions whose coefficients are the model's, in terms of T_k(u), a row for each, shape (K, d + 1)."""
        family = self.model.family
        with precise():
            return self._basis if family is None else [combine(self._basis, row) for row in family.free]

    @cached_property
    def base(self) -> Vector:
        """The model's curve where its coefficients are 0, in terms of T_k(u), shape (d + 1,)."""
        family = self.model.family
        with precise():
            return [Decimal(0)] * (self.model.degree + 1) if family is None else combine(self._basis, family.base)

    @property
    def width(self) -> int:
        """The number of functions of the basis, of which the model's are orthonormal combinations."""
        return len(self._basis)

    @property
    def is_identity(self) -> bool:
        """Whether the model's own coefficients are the coefficients of powers of x."""
        return self.model.domain is None and self.model.basis == "power" and self.model.family is None

    def curve(self, coefficients: Tensor) -> Vector:
        """Return the curve in T_k(u), shape (d + 1,), from the model's coefficients, shape (K,)."""
        with precise():
            moved = combine(self.in_u, [Decimal(value) for value in coefficients.tolist()])
            return list(map(add, self.base, moved))

    def from_curve(self, curve: Vector) -> list[float]:
        """Return the model's coefficients, shape (K,), of a curve in T_k(u), shape (d + 1,)."""
        family, missing = self.model.family, int(not self.model.has_constant)
        with precise():
            own = solve_triangular([row[missing:] for row in self._basis], curve[missing:])
            if family is not None:
                own = times(family.free, list(map(sub, own, family.base)))
            return list(map(float, own))


def as_tensor(rows: Matrix) -> Tensor:
    """Return a matrix of decimal numbers in float64."""
    return torch.tensor([list(map(float, row)) for row in rows], dtype=torch.float64)
