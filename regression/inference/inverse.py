"""The x of an observed y, by Fieller's method (Fieller 1954; Draper and Smith 1998, §3.2)."""

import math
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

from regression.common.text import shortest
from regression.curves.decimals import Vector, precise
from regression.inference.exact_curve import ExactCurve, value, vanishes
from regression.inference.places import ERRORS_UNKNOWN, Place, Places, roots
from regression.inference.real_roots import real_roots

__all__ = ["inverse"]

EXACT = Decimal("1e-60")  # share of the largest coefficient that counts as 0: the equation of the ends has no rounding
Interval = tuple[Decimal, Decimal]
INFINITE = Decimal("Infinity")


def inverse(
    curve: ExactCurve,
    y: float,
    spread: float,
    factor: float,
    x_range: tuple[float, float],
    why_no_spread: str,
    shown: Callable[[float], str] = "{:.8g}".format,
) -> Places:
    """Return the x at which the curve is y, each with the interval of all x that y does not rule out.

    An interval holds the x with ``(f(x) - y)² <= t² (se(f(x))² + spread²)``. For a line these are Fieller's intervals,
    whose probability holds for errors of any size, because the slope is not treated as certain. Of other curves those
    branches are returned whose intervals reach into the range of the fitted points.

    Args:
        curve: The curve f and its errors.
        y: The observed value.
        spread: Its standard deviation, ``s / √m`` for the mean of m observations; 0 for a mean that is known.
        factor: Half-width t of the intervals in standard errors.
        x_range: Smallest and largest x of the fitted points.
        why_no_spread: What to say where ``spread`` is NaN.
        shown: Writes an x in notes, such as an instant.
    """
    crossings = roots(curve, y, factor, x_range, shown)
    if len(curve.coefficients) == 1:
        return Places([], ["the curve is constant: no y determines an x"])
    if curve.errors is None or math.isnan(factor * spread):
        known = [place._replace(se=None, ci_lower=None, ci_upper=None) for place in crossings]
        if curve.errors is not None and not math.isnan(factor):
            return Places(known, [f"errors are unknown: {why_no_spread}"])
        return Places(known, [*{*crossings.notes, ERRORS_UNKNOWN}])
    with precise():
        intervals = _intervals(curve, Decimal(y), Decimal(spread), Decimal(factor), crossings)
        branches = [_branch(curve, interval, crossings, spread, x_range) for interval in intervals]
    reaching = [branch for branch in branches if _reaches(branch[0], x_range) or len(curve.coefficients) == 2]
    places = [place for branch in reaching for place in branch]
    return Places(places, _notes(places, y, crossings, shown))


def _intervals(curve: ExactCurve, y: Decimal, spread: Decimal, factor: Decimal, crossings: Places) -> list[Interval]:
    """Return the intervals of u that y does not rule out."""
    assert curve.errors is not None
    at = [curve.u(place.x) for place in crossings if place.x is not None]
    rows = [[factor * part for part in row] for row in curve.errors] + ([[factor * spread]] if spread else [])
    if not any(map(any, rows)):
        return [(u, u) for u in at]
    difference = [curve.coefficients[0] - y, *curve.coefficients[1:]]
    certain = [u for u in at if all(vanishes(row, u) for row in rows)]
    for u in certain:  # there the curve is y whatever its errors: the excess has the factor (u - certain)², never < 0
        while len(difference) > 1 and all(vanishes(row, u) for row in (difference, *rows)):
            difference, *rows = (_divide(row, u) for row in (difference, *rows))
    excess = square(difference)
    for row in rows:
        excess = add(excess, [-part for part in square(row)])
    near = [
        curve.u(place.x + sign * factor_se)
        for place in crossings
        if place.x is not None and place.se is not None
        for sign, factor_se in ((-1, float(factor) * place.se), (1, float(factor) * place.se))
    ]
    ends = [-INFINITE, *real_roots(excess, EXACT, near), INFINITE]
    found = [(low, high) for low, high in pairwise(ends) if value(excess, _between(low, high)) < 0]
    return sorted(found + [(u, u) for u in certain if not any(low <= u <= high for low, high in found)])


def _divide(series: Vector, root: Decimal) -> Vector:
    """Return ``Σ c_k T_k(u) / (u - root)`` without the remainder, by ``2 u T_k = T_{k+1} + T_{|k-1|}``."""
    result = [Decimal(0)] * (len(series) + 1)
    for k in range(len(series) - 1, 0, -1):
        result[k - 1] = 2 * (series[k] + root * result[k]) - result[k + 1]
    result[0] /= 2
    return result[: max(len(series) - 1, 1)]


def _between(low: Decimal, high: Decimal) -> Decimal:
    if low == -INFINITE:
        return Decimal(0) if high == INFINITE else high - 1 - abs(high)
    return low + 1 + abs(low) if high == INFINITE else (low + high) / 2


def _branch(
    curve: ExactCurve, interval: Interval, crossings: Places, spread: float, x_range: tuple[float, float]
) -> list[Place]:
    """Return the crossings in an interval, se by the delta method, or the interval without an x if there is none."""
    low, high = (float(curve.x(u)) for u in interval)
    slope, places = curve.slope(), []
    for place in crossings:
        if place.x is not None and low <= place.x <= high:
            u = curve.u(place.x)
            steepness, error = slope.at(u)[0], curve.at(u)[1]
            assert error is not None
            se = math.hypot(float(error), spread) / abs(float(steepness)) if place.kind != "touching" else None
            places.append(place._replace(se=se, ci_lower=low, ci_upper=high))
    is_outside = low > x_range[1] or high < x_range[0]
    return places or [Place(None, None, low, high, None, is_outside)]


def _reaches(place: Place, x_range: tuple[float, float]) -> bool:
    low, high = place.ci_lower, place.ci_upper
    return low is not None and high is not None and low <= x_range[1] and high >= x_range[0]


def _notes(places: list[Place], y: float, crossings: Places, shown: Callable[[float], str]) -> list[str]:
    """Return notes on intervals without an end, of several x or of none, and on why there is no interval."""
    notes, level = [], shortest(y)
    if not places:
        notes.append(f"the curve does not come within its errors of y = {level} on the fitted range")
        if crossings:
            at = ", ".join(shown(place.x) for place in crossings if place.x is not None)
            notes.append(f"the curve is {level} outside of the fitted points alone, at x = {at}")
    for place in {(place.ci_lower, place.ci_upper): place for place in places}.values():
        inside = sum((other.ci_lower, other.ci_upper) == (place.ci_lower, place.ci_upper) for other in places)
        low, high = math.isinf(place.ci_lower or 0), math.isinf(place.ci_upper or 0)
        if low and high:
            notes.append(f"no x is ruled out by y = {level}: the curve may be flat")
        elif low or high:
            notes.append(f"an interval of y = {level} is half-open: the curve may not rise or fall beyond the points")
        if inside > 1:
            notes.append(f"the intervals of {inside} x of y = {level} are one: they cannot be distinguished")
        if place.x is None and place.ci_lower is not None and place.ci_upper is not None:
            notes.append(
                f"from {shown(place.ci_lower)} to {shown(place.ci_upper)} the curve is within its errors of {level}"
            )
    return notes


def square(series: Vector) -> Vector:
    """Return ``(Σ c_k T_k)²`` in T_k, where ``T_i T_j = (T_{i+j} + T_{|i-j|}) / 2``."""
    result = [Decimal(0)] * (2 * len(series) - 1)
    for i, a in enumerate(series):
        for j, b in enumerate(series):
            result[i + j] += a * b / 2
            result[abs(i - j)] += a * b / 2
    return result


def add(a: Vector, b: Vector) -> Vector:
    """Return the sum of two series of any lengths."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    return [*(p + q for p, q in zip(longer, shorter, strict=False)), *longer[len(shorter) :]]
