"""What a least-squares optimum keeps, where only curves that meet constraints are compared."""

from dataclasses import dataclass
from decimal import Decimal

from regression.curves.constraints import Constraints
from regression.curves.decimals import Vector

__all__ = ["Within"]


@dataclass(frozen=True)
class Within:
    """What a solution keeps.

    Attributes:
        constraints: The constraints.
        base: A curve that meets them, in T_0 … T_d, which is taken from y before, shape (d + 1,).
        total: ``Σ w (y - ȳ)²``, or ``Σ w y²`` where a chosen set of powers has no constant.
        square: ``Σ w y²``.
    """

    constraints: Constraints
    base: Vector
    total: Decimal
    square: Decimal
