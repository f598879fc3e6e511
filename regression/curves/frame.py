"""The coordinates in which sums over points are taken: x, y and weights scaled to at most 1 without rounding."""

import math
from dataclasses import dataclass
from fractions import Fraction

from regression.common.errors import UsageError

__all__ = ["Frame"]

MIN_EXPONENT = -1000  # of a scale, so that its reciprocal is a float64 number too
MAX_HALF_RANGE = 2.0**1023  # of a column, so that its range is a float64 number


@dataclass(frozen=True)
class Frame:
    """``u = (x - center) stretch / 2^exponent`` and ``v = (y - y_center) / 2^y_exponent`` in [-1, 1], and weights.

    Differences are double-double numbers, so u and v have about 104 correct bits, even where the range of a column is
    small against its size. The weight of a point is ``w = (2^sigma_exponent / sigma)²``, at most 1.

    Attributes:
        center: Float64 number near the middle of the x range.
        exponent: Exponent of the smallest power of two that is at least half the x range.
        stretch: Factor from 1 to 2 that makes the range of u all of [-1, 1]: on a part of it Chebyshev polynomials of
            high degree are nearly dependent.
        y_center: Float64 number near the middle of the y range.
        y_exponent: Exponent of the smallest power of two that is at least half the y range.
        sigma_exponent: Exponent of the largest power of two that is at most the smallest sigma; 0 without sigma.
        low: Smallest x.
        high: Largest x.
    """

    center: float
    exponent: int
    stretch: float
    y_center: float
    y_exponent: int
    sigma_exponent: int
    low: float
    high: float

    @classmethod
    def of(cls, x: tuple[float, float], y: tuple[float, float], smallest_sigma: float | None) -> "Frame":
        """Return the coordinates of points.

        Args:
            x: Smallest and largest x.
            y: Smallest and largest y.
            smallest_sigma: Smallest sigma, or ``None`` without sigma.

        Raises:
            UsageError: If a range is too large for float64.
        """
        center, half_range = _middle("x", *x)
        y_center, y_half_range = _middle("y", *y)
        exponent = _power_above(half_range)
        whole = max(Fraction(x[1]) - Fraction(center), Fraction(center) - Fraction(x[0])) / Fraction(2) ** exponent
        return cls(
            center=center,
            exponent=exponent,
            stretch=_rounded_down(1 / whole) if whole else 1.0,
            y_center=y_center,
            y_exponent=_power_above(y_half_range),
            sigma_exponent=0 if smallest_sigma is None else math.frexp(smallest_sigma)[1] - 1,
            low=x[0],
            high=x[1],
        )

    @property
    def scale(self) -> Fraction:
        """The factor from u to ``x - center``, exactly."""
        return Fraction(2) ** self.exponent / Fraction(self.stretch)

    def loop_numbers(self) -> tuple[float, float, float, float, float, float]:
        """Return the numbers that loops take: center, power, stretch of x; center, power of y; power of sigma."""
        return (
            self.center, math.ldexp(1, -self.exponent), self.stretch,
            self.y_center, math.ldexp(1, -self.y_exponent), math.ldexp(1, -self.sigma_exponent),
        )  # fmt: skip


def _middle(name: str, low: float, high: float) -> tuple[float, float]:
    """Return the middle of a range, and the larger of its distances to the ends."""
    center = low / 2 + high / 2
    half_range = max(high - center, center - low)
    if half_range > MAX_HALF_RANGE:
        raise UsageError(f"{name} must span less than 1.7e308, got {low:g} to {high:g}")
    return center, half_range


def _power_above(size: float) -> int:
    """Return the exponent of the smallest power of two that is at least a size; 0 for size 0."""
    mantissa, exponent = math.frexp(size)
    return max(exponent - (mantissa == 0.5), MIN_EXPONENT)


def _rounded_down(value: Fraction) -> float:
    """Return the largest float64 number that is at most a value."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, 0.0)
