"""Bounds on the errors of an optimum, from which the number of its certain digits follows."""

from dataclasses import dataclass
from decimal import Decimal

from regression.curves.decimals import Vector

__all__ = ["Certainty"]


@dataclass(frozen=True)
class Certainty:
    """Bounds on the errors of a solution, from the rounding of the terms of its sums.

    Attributes:
        growth: Largest factor from the error of one sum to that of ``Σ w y f_j``, shape (rank,).
        value: Largest error of a sum of products with residuals or values, over the optimum.
        product: Largest error of a sum of products of two functions.
        ssr: Largest error of ``ssr``.
    """

    growth: Vector
    value: Decimal
    product: Decimal
    ssr: Decimal
