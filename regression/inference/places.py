"""Where a curve reaches a level and where it turns, with errors to first order (the delta method)."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from regression.common.text import shortest
from regression.curves.decimals import precise
from regression.inference.exact_curve import ExactCurve
from regression.inference.real_roots import real_roots

__all__ = ["Place", "Places", "extrema", "roots"]

FLAT = Decimal("1e-10")  # a slope below this share of the largest coefficient of the derivative counts as 0
SHOWN = "{:.8g}".format
DOUBLE = Decimal("1e-12")  # share of the x range that a double root, of half the digits, may be away from 0
ERRORS_UNKNOWN = "errors are unknown: those of the curve are"


class Place(NamedTuple):
    """A place on the x axis.

    Attributes:
        x: The place; ``None`` for an interval that holds no x of the curve.
        se: Its standard error; ``None`` if it is unknown.
        ci_lower: Lower end of its confidence interval, −∞ if there is no end; ``None`` if it is unknown.
        ci_upper: Upper end of its confidence interval, ∞ if there is no end; ``None`` if it is unknown.
        kind: What the curve does there: ``rising``, ``falling``, ``touching``, ``minimum``, ``maximum`` or ``flat``.
        extrapolated: Whether it lies outside the range of the fitted points.
    """

    x: float | None
    se: float | None
    ci_lower: float | None
    ci_upper: float | None
    kind: str | None
    extrapolated: bool


class Places(list[Place]):
    """A list of places, in ascending order.

    Attributes:
        notes: What the reader should know, such as why the list is empty.
    """

    def __init__(self, places: Iterable[Place], notes: Iterable[str]) -> None:
        super().__init__(places)
        self.notes = tuple(notes)

    def __str__(self) -> str:
        """Return a line for each place, and the notes."""
        return "\n".join([*map(_line, self), *(f"note: {note}" for note in self.notes)])


def _line(place: Place) -> str:
    limits = [f"{end:.8g}" for end in (place.ci_lower, place.ci_upper) if end is not None]
    parts = [
        "no x" if place.x is None else f"x = {place.x:.8g}",
        *([] if place.se is None else [f"± {place.se:.2g}"]),
        *([f"[{', '.join(limits)}]"] if limits else []),
        *([place.kind] if place.kind else []),
        *(["extrapolated"] if place.extrapolated else []),
    ]
    return " ".join(parts)


def roots(
    curve: ExactCurve,
    level: float,
    factor: float,
    x_range: tuple[float, float],
    shown: Callable[[float], str] = SHOWN,
) -> Places:
    """Return where the curve has a value: ``se(x) = se(f) / |f'|``.

    Args:
        curve: The curve and its errors.
        level: The value.
        factor: Half-width of the intervals in standard errors.
        x_range: Smallest and largest x of the fitted points.
        shown: Writes an x in notes, such as an instant.
    """
    with precise():
        shifted = ExactCurve(curve.center, curve.scale, curve.coefficients.copy(), curve.errors)
        shifted.coefficients[0] -= Decimal(level)
        zeros = real_roots(shifted.coefficients)
        kinds = {1: "rising", -1: "falling", 0: "touching"}
        places, notes = _places(shifted, zeros, kinds, factor, x_range, shown)
    y = shortest(level)
    if not zeros:
        is_zero = all(part == 0 for part in shifted.coefficients)
        notes = [f"the curve is {y} at every x" if is_zero else f"the curve does not reach {y} at any x"]
    notes += [
        f"the curve touches {y} at x = {shown(place.x)} without crossing: there is no error to first order"
        for place in places
        if place.x is not None and place.kind == "touching"
    ]
    return Places(places, notes)


def extrema(
    curve: ExactCurve, factor: float, x_range: tuple[float, float], shown: Callable[[float], str] = SHOWN
) -> Places:
    """Return where the curve turns: ``se(x) = se(f') / |f''|``; the arguments are those of ``roots``."""
    with precise():
        slope = curve.slope()
        zeros = real_roots(slope.coefficients)
        kinds = {1: "minimum", -1: "maximum", 0: "flat"}
        places, notes = _places(slope, zeros, kinds, factor, x_range, shown)
    if not zeros:
        is_constant = all(part == 0 for part in slope.coefficients)
        notes = ["the curve is constant: it has no extremum" if is_constant else "the curve has no extremum at any x"]
    notes += [
        f"the curve is flat at x = {shown(place.x)}, which is no extremum and has no error to first order"
        for place in places
        if place.x is not None and place.kind == "flat"
    ]
    return Places(places, notes)


def _places(
    curve: ExactCurve,
    zeros: Iterable[Decimal],
    kinds: dict[int, str],
    factor: float,
    x_range: tuple[float, float],
    shown: Callable[[float], str],
) -> tuple[list[Place], list[str]]:
    """Return the zeros of a curve with their errors, and notes on errors that may be too small."""
    places, notes = [], list[str]()
    slope = curve.slope()
    negligible = FLAT * max(map(abs, slope.coefficients)) / (1 + len(slope.coefficients))
    for u in zeros:
        steepness, steepness_se = slope.at(u)
        sign = 0 if abs(steepness) <= negligible else 1 if steepness > 0 else -1
        error = curve.at(u)[1]
        x = 0.0 if not sign and abs(curve.x(u)) <= DOUBLE * (abs(curve.center) + curve.scale) else float(curve.x(u))
        se = None if error is None or not sign else float(error / abs(steepness))
        low, high = (None, None) if se is None else (x - factor * se, x + factor * se)
        places.append(Place(x, se, low, high, kinds[sign], not x_range[0] <= x <= x_range[1]))
        if sign and steepness_se is not None and float(abs(steepness)) < factor * float(steepness_se):
            what = "slope" if "rising" in kinds.values() else "curvature"
            notes.append(f"the {what} at x = {shown(x)} may be 0: the interval of this place is too short")
    if places and curve.errors is None:
        notes.append(ERRORS_UNKNOWN)
    return places, notes
