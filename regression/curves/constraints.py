"""Constraints on a polynomial: the powers that it has, coefficients with given values, and points it goes through."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from regression.common.errors import UsageError
from regression.common.rules import MAPPING, or_null, require_option
from regression.curves.change_of_basis import u_in_powers
from regression.curves.decimals import Matrix, Vector, precise
from regression.curves.frame import Frame
from regression.curves.polynomial import power_of

__all__ = ["Constraints", "Family"]

NEGLIGIBLE = Decimal("1e-60")  # elimination in 150 digits may leave so much where the result is 0


@dataclass(frozen=True)
class Family:
    """The curves that meet constraints: ``base + Σ a_k free_k`` in T_k(u).

    Attributes:
        base: One curve that meets the constraints, shape (d + 1,).
        free: Curves of which any multiple may be added to it, shape (K, d + 1).
    """

    base: Vector
    free: Matrix


@dataclass(frozen=True)
class Constraints:
    """The constraints on a polynomial.

    Attributes:
        powers: The powers of x that have a coefficient, ascending.
        fixed: Power and value of each coefficient with a given value.
        through: The points (x, y) that the curve goes through.
    """

    powers: tuple[int, ...]
    fixed: tuple[tuple[int, float], ...] = ()
    through: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(
        cls,
        powers: Sequence[int],
        fix: Mapping[str, float] | None = None,
        through: Sequence[tuple[float, float]] | None = None,
    ) -> "Constraints":
        """Return the constraints that a user gives.

        Args:
            powers: The powers of x that have a coefficient.
            fix: Values of coefficients by name, such as ``c1`` or ``slope``.
            through: Points (x, y) that the curve goes through.

        Raises:
            UsageError: If a name is not that of a coefficient, a number is not finite, or a point is not a pair.
        """
        require_option("fix", fix, or_null(MAPPING))
        fixed = {}
        for name, value in (fix or {}).items():
            power = power_of(str(name))
            if power is None or power not in powers:
                raise UsageError(f"fix must name coefficients of the powers {_listed(powers)}, got {name!r}")
            fixed[power] = _finite("a fixed coefficient", value)
        if not all(isinstance(point, Sequence | np.ndarray) and len(point) == 2 for point in through or ()):
            raise UsageError(f"through must be points (x, y), as in [(4, 2)], got {through}")
        points = tuple(tuple(_finite("a point to go through", value) for value in point) for point in through or ())
        return cls(tuple(sorted(powers)), tuple(sorted(fixed.items())), points)  # type: ignore[arg-type]

    @property
    def count(self) -> int:
        """The number of given coefficients and points."""
        return len(self.fixed) + len(self.through)

    @property
    def known(self) -> dict[int, float]:
        """The values of coefficients that follow from the constraints alone, by power: given ones, and f(0)."""
        at_0 = [(0, y) for x, y in self.through if x == 0]
        return dict([*at_0, *self.fixed])

    @property
    def has_intercept(self) -> bool:
        """Whether a constant may be added to the curve."""
        return 0 in self.powers and 0 not in dict(self.fixed) and not self.through

    def family(self, frame: Frame, degree: int) -> Family:
        """Return the curves that meet the constraints.

        Raises:
            UsageError: If there are none, or only one.
        """
        with precise():
            given = {k: Decimal(0) for k in range(degree + 1) if k not in self.powers}
            given |= {power: Decimal(value) for power, value in self.fixed}
            columns = list(zip(*u_in_powers(frame, degree), strict=True))
            rows = [[*columns[power], value] for power, value in given.items()]
            for x, y in self.through:
                u = (Decimal(x) - Decimal(frame.center)) * frame.scale.denominator / frame.scale.numerator
                rows.append([*_chebyshev(u, degree), Decimal(y)])
            return _solve(rows, degree, Decimal(frame.y_center) if self.has_intercept else Decimal(0))


def _listed(powers: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(powers)))


def _finite(what: str, value: Any) -> float:
    if isinstance(value, bool | str) or not hasattr(value, "__float__") or not math.isfinite(float(value)):
        raise UsageError(f"{what} must be a finite number, got {value!r}")
    return float(value)


def _chebyshev(u: Decimal, degree: int) -> Vector:
    values = [Decimal(1), u]
    while len(values) <= degree:
        values.append(2 * u * values[-1] - values[-2])
    return values[: degree + 1]


def _solve(rows: Matrix, degree: int, constant: Decimal) -> Family:
    """Return all solutions of linear equations by elimination; a row holds d + 1 factors and the right side."""
    pivots: dict[int, Vector] = {}
    for row in rows:
        largest = max(map(abs, row[:-1]))
        rest = [value / largest for value in row]
        for column, known in pivots.items():
            rest = [value - rest[column] * part for value, part in zip(rest, known, strict=True)]
        column = max(range(degree + 1), key=lambda k: abs(rest[k]))
        if abs(rest[column]) <= NEGLIGIBLE:
            if abs(rest[-1]) > NEGLIGIBLE * (1 + abs(row[-1] / largest)):
                raise UsageError("fixed coefficients and points to go through contradict each other")
            continue
        rest = [value / rest[column] for value in rest]
        pivots = {
            other: [value - known[column] * part for value, part in zip(known, rest, strict=True)]
            for other, known in pivots.items()
        } | {column: rest}
    free = [k for k in range(degree + 1) if k not in pivots]
    if not free:
        raise UsageError("terms, fixed coefficients and points to go through leave nothing to fit")
    base = [pivots[k][-1] if k in pivots else Decimal(0) for k in range(degree + 1)]
    base[0] += constant
    added = [[-pivots[k][f] if k in pivots else Decimal(int(k == f)) for k in range(degree + 1)] for f in free]
    return Family(base, added)
