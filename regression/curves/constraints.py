"""Constraints on a polynomial: the powers that it has, coefficients with given values, and points it goes through."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from regression.common.arrays import as_whole
from regression.common.errors import UsageError
from regression.common.rules import MAPPING, Rule, or_null, require_option, whole
from regression.common.text import did_you_mean
from regression.common.time_scale import TimeScale
from regression.common.times import as_times, in_scale
from regression.curves.basis import MAX_DEGREE, recur
from regression.curves.change_of_basis import in_powers_of_x
from regression.curves.decimals import Matrix, Vector, dot, orthogonalize, precise, root, unit_vectors
from regression.curves.equation import power_of

__all__ = ["Constraints", "Family", "degree_within", "in_time_scales"]

NEGLIGIBLE = Decimal("1e-100")  # relative: elimination in 150 digits leaves less where the result is 0
POINT = "a point to go through"
POWER = whole(0, MAX_DEGREE)
DEGREE = Rule(f"{POWER.words}, or auto", lambda value: value == "auto" or POWER.holds(value))
TERMS = f"terms must be different whole numbers from 0 to {MAX_DEGREE}"


@dataclass(frozen=True)
class Family:
    """The curves that meet constraints: ``base + Σ a_k free_k`` in the functions of a basis.

    Attributes:
        base: One curve that meets the constraints, shape (d + 1,).
        free: Curves whose multiples may be added to it, shape (K, d + 1).
    """

    base: Vector
    free: Matrix

    def orthonormal(self) -> "Family":
        """Return the same curves, with orthonormal rows ``free`` and the ``base`` of least norm.

        Then a step of gradient descent along ``free`` is the projection of a step of all coefficients.
        """
        unit = unit_vectors(len(self.base))
        rows, squares, _ = orthogonalize(self.free, unit, Decimal(0), are_nested=False)
        free = [[value / root(square) for value in row] for row, square in zip(rows, squares, strict=True)]
        base = self.base
        for row, square in zip(rows, squares, strict=True):
            share = dot(base, row) / square
            base = [value - share * part for value, part in zip(base, row, strict=True)]
        return Family(base, free)


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
        terms: Sequence[int] | None = None,
        fix: Mapping[str, float] | None = None,
        through: Sequence[tuple[float, float]] | None = None,
    ) -> "Constraints | None":
        """Return the constraints that a user gives, ``None`` without any.

        Args:
            powers: The powers of x that have a coefficient if ``terms`` is ``None``.
            terms: The powers that a user gave; ``degree_within`` has checked them.
            fix: Values of coefficients by name, such as ``c1`` or ``slope``.
            through: Points (x, y) that the curve goes through.

        Raises:
            UsageError: If a name is not that of a coefficient, a number is not finite, a point is not a pair, or the
                constraints leave no curve, or only one.
        """
        require_option("fix", fix, or_null(MAPPING))
        powers = sorted(powers if terms is None else map(int, terms))
        points = _pairs(through)
        if terms is None and not fix and not points:
            return None
        fixed = {}
        for name, value in (fix or {}).items():
            power = power_of(str(name))
            if power is None or power not in powers:
                near = did_you_mean(str(name), ["intercept", "slope", *(f"c{power}" for power in powers)])
                listed = ", ".join(map(str, powers))
                raise UsageError(f"fix must name coefficients of the powers {listed}, got {name!r}{near}")
            if power in fixed:
                raise UsageError(f"fix names the coefficient c{power} twice, got {', '.join(map(str, fix or {}))}")
            fixed[power] = _finite("a fixed coefficient", value)
        found = cls(tuple(powers), tuple(sorted(fixed.items())), points)
        assert found.freedom  # raises if the constraints leave no curve, or only one
        return found

    @property
    def count(self) -> int:
        """The number of given coefficients and points."""
        return len(self.fixed) + len(self.through)

    @property
    def degree(self) -> int:
        """The highest power."""
        return self.powers[-1]

    @property
    def has_intercept(self) -> bool:
        """Whether a constant may be added to the curve."""
        return 0 in self.powers and 0 not in dict(self.fixed) and not self.through

    @cached_property
    def freedom(self) -> int:
        """The number of free coefficients, by elimination in a domain in which the points to go through are far apart.

        Raises:
            UsageError: If no curve meets the constraints, or only one.
        """
        at = [x for x, _ in self.through]
        center = Decimal(at[0]) if at else Decimal(0)
        scale = max((abs(Decimal(x) - center) for x in at), default=Decimal(0))
        return len(self.family("chebyshev", center, scale or Decimal(1)).free)

    def family(self, basis: str, center: Decimal, scale: Decimal) -> Family:
        """Return the curves that meet the constraints, in the functions of a basis of t, with ``x = center + scale t``.

        Raises:
            UsageError: If there are none, or only one.
        """
        with precise():
            given = {k: Decimal(0) for k in range(self.degree + 1) if k not in self.powers}
            given |= {power: Decimal(value) for power, value in self.fixed}
            columns = list(zip(*in_powers_of_x(basis, center, scale, self.degree), strict=True))
            rows = [[*columns[power], value] for power, value in given.items()]
            for x, y in self.through:
                t = (Decimal(x) - center) / scale
                rows.append([*recur(Decimal(1), t.__mul__, self.degree, basis), Decimal(y)])
            return _solve(rows, self.degree)

    def kept(self, family: Family, in_powers: Matrix) -> dict[int, Decimal]:
        """Return the coefficients that have the same value in all curves of a family, by power.

        They are the given ones, and those that follow from the constraints, such as f(0).

        Args:
            family: The curves that meet the constraints.
            in_powers: The functions of their basis in powers of x, a row for each.
        """
        found = {power: Decimal(value) for power, value in self.fixed}
        for power in self.powers:
            column = [row[power] for row in in_powers]
            if all(_is_zero(row, column) for row in family.free):
                found.setdefault(power, dot(family.base, column))
        return found


def degree_within(
    degree: Any, usual: int, fit_intercept: bool = True, terms: Any = None, fix: Any = None, through: Any = None
) -> Any:
    """Return the degree of a polynomial within constraints: that of the highest term, or the given one.

    Args:
        degree: The given degree.
        usual: The default degree, which may stand beside ``terms``.
        fit_intercept: Whether there is a constant term.
        terms: See ``Constraints.of``.
        fix: Likewise.
        through: Likewise.

    Raises:
        UsageError: If the terms are not different powers up to 60, or contradict another option, or the degree is to
            be chosen.
    """
    if terms is None:
        require_option("degree", degree, DEGREE)
        if degree == "auto" and not (fix is None and through is None):
            raise UsageError("fix and through need a whole number for the degree, got 'auto'")
        return degree
    if isinstance(terms, str) or not isinstance(terms, Collection):
        raise UsageError(f"{TERMS}, as in [0, 2], got {terms!r}")
    powers = [as_whole(term) for term in terms]
    if not powers or not all(map(POWER.holds, powers)) or len(set(powers)) < len(powers):
        raise UsageError(f"{TERMS}, got {powers}")
    if degree not in (usual, max(powers)) or not fit_intercept:
        raise UsageError("terms say which powers there are: leave out degree and fit_intercept")
    return max(powers)


def _finite(what: str, value: Any) -> float:
    is_time = isinstance(value, str) or as_times(what, value) is not None
    if is_time or isinstance(value, bool) or not hasattr(value, "__float__") or not math.isfinite(float(value)):
        is_hinted = is_time and what == POINT and str(value)[:4].isdigit()
        hint = ": give a time as a number of the time unit since the origin" if is_hinted else ""
        raise UsageError(f"{what} must be a finite number, got {value!r}{hint}")
    return float(value)


def in_time_scales(through: Any, x_time: TimeScale | None, y_time: TimeScale | None) -> Any:
    """Return points to go through with times converted to numbers of the scales of x and y; numbers are kept.

    Raises:
        UsageError: If a time is not of its scale's kind.
    """
    if not _is_list(through) or not all(_is_list(point) and len(point) == 2 for point in through):
        return through  # ``Constraints.of`` refuses it
    scales = (("x of through", x_time), ("y of through", y_time))
    return [
        [
            value if as_times(name, value) is None else float(in_scale(name, value, scale))
            for value, (name, scale) in zip(point, scales, strict=True)
        ]
        for point in through
    ]


def _pairs(through: Any) -> tuple[tuple[float, float], ...]:
    """Return points to go through as pairs of numbers; refuse anything else."""
    points = () if through is None else through
    if not _is_list(points) or not all(_is_list(point) and len(point) == 2 for point in points):
        raise UsageError(f"through must be points (x, y), as in [(4, 2)], got {through}")
    return tuple((_finite(POINT, x), _finite(POINT, y)) for x, y in points)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)


def _is_zero(row: Vector, column: Vector) -> bool:
    """Tell whether ``Σ row_k column_k`` is 0 but for the rounding of its terms."""
    return abs(dot(row, column)) <= NEGLIGIBLE * dot(list(map(abs, row)), list(map(abs, column)))


def _solve(rows: Matrix, degree: int) -> Family:
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
    added = [[-pivots[k][f] if k in pivots else Decimal(int(k == f)) for k in range(degree + 1)] for f in free]
    return Family(base, added)
