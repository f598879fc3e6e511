"""The sums of a second pass over the points: products of a curve's residuals and some functions."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from regression.curves.decimals import Pair
from regression.curves.frame import Frame

__all__ = ["SecondPass"]


@dataclass(frozen=True)
class SecondPass:
    """A curve f and functions q_j in the coordinates of the moments; the sums are those of ``loops.add_residuals``.

    Attributes:
        frame: Coordinates u, v and weights.
        curve: Coefficients of f in T_0(u) … T_d(u), in v's unit, shape (d + 1, 2).
        functions: Coefficients of q_0 … q_{R-1}, shape (R, d + 1, 2); ``Σ w q_j²`` is about 1.
        exponent: Exponent of a power of two that is at least every ``|r| √w``.
    """

    frame: Frame
    curve: tuple[Pair, ...]
    functions: tuple[tuple[Pair, ...], ...]
    exponent: int

    @property
    def degree(self) -> int:
        """Highest degree d."""
        return len(self.curve) - 1

    @property
    def power(self) -> float:
        """The factor that makes every ``|r| √w`` at most 1."""
        return math.ldexp(1, -self.exponent)

    @property
    def sum_count(self) -> int:
        """The number of sums."""
        count = len(self.functions)
        return count * (count + 1) // 2 + count + 1

    def loop_functions(self, is_plain: bool) -> tuple[Any, Any]:
        """Return curve and functions in the form that loops take: tuples for plain Python, else arrays."""
        return (self.curve, self.functions) if is_plain else (np.array(self.curve), np.array(self.functions))
