"""The constraints that a least-squares optimum meets, and the sums of squares that its statistics need."""

from dataclasses import dataclass
from decimal import Decimal

from regression.curves.constraints import Constraints
from regression.curves.decimals import Vector

__all__ = ["Within"]


@dataclass(frozen=True)
class Within:
    """The constraints that a solution meets.

    Attributes:
        constraints: The constraints.
        base: A curve that meets them, in T_0 … T_d, which is subtracted from y before the fit, shape (d + 1,).
        total: ``Σ w (y - ȳ)²``, or ``Σ w y²`` if a chosen set of powers has no constant.
        square: ``Σ w y²``.
        kept: The coefficients in powers of x that all curves within the constraints share, by power.
    """

    constraints: Constraints
    base: Vector
    kept: dict[int, Decimal]
    total: Decimal
    square: Decimal
