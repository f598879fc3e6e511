"""Where a curve reaches a level and where it turns, with errors to first order (the delta method)."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from regression.curves.decimals import precise
from regression.inference.exact_curve import ExactCurve
from regression.inference.real_roots import real_roots

__all__ = ["Place", "Places", "extrema", "roots"]

FLAT = Decimal("1e-10")  # of the largest coefficient of a derivative: what a double root leaves of it
ERRORS_UNKNOWN = "errors are unknown: those of the curve are"


class Place(NamedTuple):
    """A place on the x axis.

    Attributes:
        x: The place; ``None`` for an interval without one.
        se: Its standard error; ``None`` where it is unknown.
        ci_lower: Lower end of its confidence interval, −∞ if it has none; ``None`` where it is unknown.
        ci_upper: Upper end, likewise.
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
        notes: What the reader should know, such as why there are none.
    """

    def __init__(self, places: Iterable[Place], notes: Iterable[str]) -> None:
        super().__init__(places)
        self.notes = tuple(notes)

    def __str__(self) -> str:
        """Return a line for each place, and the notes."""
        return "\n".join([*map(_words, self), *(f"note: {note}" for note in self.notes)])


def _words(place: Place) -> str:
    limits = [f"{end:.8g}" for end in (place.ci_lower, place.ci_upper) if end is not None]
    parts = [
        "no x" if place.x is None else f"x = {place.x:.8g}",
        *([] if place.se is None else [f"± {place.se:.2g}"]),
        *([f"[{', '.join(limits)}]"] if limits else []),
        *([place.kind] if place.kind else []),
        *(["extrapolated"] if place.extrapolated else []),
    ]
    return " ".join(parts)


def roots(curve: ExactCurve, level: float, factor: float, x_range: tuple[float, float]) -> Places:
    """Return where the curve is at a level: ``se(x) = se(f) / |f'|``.

    Args:
        curve: The curve and its errors.
        level: The value to reach.
        factor: Half-width of the intervals in standard errors.
        x_range: Smallest and largest x of the fitted points.
    """
    with precise():
        shifted = ExactCurve(curve.center, curve.scale, curve.coefficients.copy(), curve.errors)
        shifted.coefficients[0] -= Decimal(level)
        found = real_roots(shifted.coefficients)
        kinds = {1: "rising", -1: "falling", 0: "touching"}
        places, notes = _places(shifted, found, kinds, factor, x_range)
    if not found:
        whole = all(part == 0 for part in shifted.coefficients)
        notes = [f"the curve is {level:g} at every x" if whole else f"the curve does not reach {level:g} at any x"]
    notes += [
        f"the curve touches {level:g} at x = {place.x:.8g} without crossing: there is no error to first order"
        for place in places
        if place.kind == "touching"
    ]
    return Places(places, notes)


def extrema(curve: ExactCurve, factor: float, x_range: tuple[float, float]) -> Places:
    """Return where the curve turns: ``se(x) = se(f') / |f''|``; arguments as of ``roots``."""
    with precise():
        slope = curve.slope()
        found = real_roots(slope.coefficients)
        kinds = {1: "minimum", -1: "maximum", 0: "flat"}
        places, notes = _places(slope, found, kinds, factor, x_range)
    if not found:
        flat = all(part == 0 for part in slope.coefficients)
        notes = ["the curve is constant: it has no extremum" if flat else "the curve has no extremum at any x"]
    notes += [
        f"the curve is flat at x = {place.x:.8g}, which is no extremum and has no error to first order"
        for place in places
        if place.kind == "flat"
    ]
    return Places(places, notes)


def _places(
    curve: ExactCurve, found: Iterable[Decimal], kinds: dict[int, str], factor: float, x_range: tuple[float, float]
) -> tuple[list[Place], list[str]]:
    """Return the zeros of a curve with their errors, and which of these are not to be relied on."""
    places, notes = [], list[str]()
    slope = curve.slope()
    flat = FLAT * max(map(abs, slope.coefficients)) / (1 + len(slope.coefficients))
    for u in found:
        steepness, steepness_se = slope.at(u)
        sign = 0 if abs(steepness) <= flat else 1 if steepness > 0 else -1
        error = curve.at(u)[1]
        x, se = float(curve.x(u)), None if error is None or not sign else float(error / abs(steepness))
        low, high = (None, None) if se is None else (x - factor * se, x + factor * se)
        places.append(Place(x, se, low, high, kinds[sign], not x_range[0] <= x <= x_range[1]))
        if sign and steepness_se is not None and float(abs(steepness)) < factor * float(steepness_se):
            what = "slope" if "rising" in kinds.values() else "curvature"
            notes.append(f"the {what} at x = {x:.8g} may be 0: the interval of this place is too short")
    if places and curve.errors is None:
        notes.append(ERRORS_UNKNOWN)
    return places, notes
