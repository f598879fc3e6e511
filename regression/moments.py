"""Moments: all that least squares needs to know of the points, in one pass.

A polynomial fit needs the sums ``S_k = Σ w T_k(u)`` for k = 0 … 2 d and ``B_k = Σ w T_k(u) y`` for k = 0 … d, because
``T_i T_j = (T_{i+j} + T_{|i-j|}) / 2``. There are two arithmetics:

- ``double-double``: the terms are fixed-point numbers of about 100 bits and are summed without any rounding, as
  integers. So the result is the same, bit for bit, for every order of the rows, every batch size and every number of
  processes.
- ``double``: terms and the sums of 1024 rows are float64 numbers. Many times faster; each sum is off by about 2^-52 of
  the sum of its terms' sizes, and that in the last digits by the order of the rows and the batches. A solution loses
  twice the digits of its condition number from there.

Torch and the standard library only.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from regression.collectives import all_max, all_sum
from regression.errors import UsageError
from regression.fixedpoint import exact_gram
from regression.floatingpoint import float_gram
from regression.sums import LONGEST, STRETCH, UNIT, Gram, log_weights

__all__ = ["UNIT", "Arithmetic", "Frame", "Moments"]

Arithmetic = Literal["double-double", "double"]

MIN_EXPONENT = -1000  # of a scale: its reciprocal is a float64 too
LARGEST_REACH = 2.0**1023  # half the range of x: a larger scale is no float64
LARGEST_RATIO = 900  # exponent that |y| in units of its scale may reach beside much larger sigma
SAFE_EXPONENT = 300  # of numbers whose squares' sums are far from the ends of float64
LIMB_BITS, LIMBS = 32, 40  # how the integers travel between processes


@dataclass(frozen=True)
class Frame:
    """The coordinates of the moments: ``u = (x - center) / scale`` in [-1, 1], and y, sigma by powers of two.

    For double-double the scale is a power of two over a short number and the shift a float64 number, so that u is known
    to 100 bits. It takes the points' range to at least [-1024/1025, 1024/1025]: on a smaller part of [-1, 1] the
    Chebyshev polynomials of high degree are hard to tell apart. For double the scale is half the range in float64; of
    points that are read once only it is that of a sample of them.

    Attributes:
        center: Float64 number near the middle of the x range.
        exponent: Binary exponent of the power of two that is not below half the x range.
        y_exponent: Binary exponent of the largest ``|y|``; with sigma that of the largest ``|y| / sigma``, times the
            smallest sigma. For double 0 unless it is extreme.
        sigma_exponent: Binary exponent of the smallest sigma; 0 without sigma.
        low: Smallest x.
        high: Largest x.
        arithmetic: How terms and sums are rounded.
        y_center: What double takes from y: the end of its range nearest to zero, or 0 inside the range.
        stretch: What the power of two is divided by, in steps of 1/1024 from 1 to 2.
        half_width: The scale for double.
    """

    center: float
    exponent: int
    y_exponent: int
    sigma_exponent: int
    low: float
    high: float
    arithmetic: Arithmetic = "double-double"
    y_center: float = 0.0
    stretch: int = STRETCH
    half_width: float = 1.0

    @classmethod
    def of(cls, batches: Iterable[Any], arithmetic: Arithmetic = "double-double") -> "Frame":
        """Scan the batches of this process, and those of the others, for the range of the points.

        Args:
            batches: Yields objects with tensors ``x``, ``y`` and ``sigma`` (or ``None``), each of shape (n,).
            arithmetic: ``double-double`` or ``double``.

        Raises:
            UsageError: If a number is not finite, a sigma not positive, or there is no row at all.
        """
        if arithmetic not in get_args(Arithmetic):
            raise UsageError(f"arithmetic must be one of {', '.join(get_args(Arithmetic))}, got {arithmetic!r}")
        found, device = [-math.inf] * 6, torch.device("cpu")
        for batch in batches:
            device = batch.x.device
            if len(batch.x):
                found = list(map(max, found, extremes(batch.x, batch.y, batch.sigma)))
        low, high, y_low, y_high, smallest, ratio = all_max(
            torch.tensor(found, dtype=torch.float64, device=device)
        ).tolist()
        low, y_low, smallest = -low, -y_low, -smallest
        if low > high:
            raise UsageError("there are no rows to fit: expected at least one point")
        center = low / 2 + high / 2
        reach = max(high - center, center - low)
        if reach > LARGEST_REACH:
            raise UsageError(f"x must span less than 1.7e308, got {low:g} to {high:g}")
        sigma_exponent = _power_above(smallest) if math.isfinite(smallest) else 0
        y_exponent = _power_above(max(-y_low, y_high))
        if math.isfinite(ratio):
            y_exponent = max(int(ratio) + sigma_exponent, y_exponent - LARGEST_RATIO, MIN_EXPONENT)
        y_center = 0.0
        if arithmetic == "double":
            y_center = max(y_low, 0.0) or min(y_high, 0.0)
            y_exponent = 0 if abs(y_exponent) < SAFE_EXPONENT else y_exponent
        exponent = _power_above(reach)
        return cls(
            center, exponent, y_exponent, sigma_exponent, low, high, arithmetic, y_center,
            _stretch(exponent, max(Fraction(high) - Fraction(center), Fraction(center) - Fraction(low))), reach or 1.0,
        )  # fmt: skip

    @property
    def scale(self) -> Fraction:
        """The scale of u, exactly."""
        if self.arithmetic == "double-double":
            return Fraction(2) ** self.exponent * STRETCH / self.stretch
        return Fraction(self.half_width)

    @property
    def reach(self) -> float:
        """The float64 number next to half the range of x; 1 where it is 0."""
        return max(self.high - self.center, self.center - self.low) or 1.0


def extremes(x: Tensor, y: Tensor, sigma: Tensor | None) -> list[float]:
    """Return ``-min x, max x, -min y, max y, -min sigma`` and the binary exponent of ``max |y| / sigma``.

    One reading of each column, as NaN and infinities show in its smallest or largest number.
    """
    (low, high), (y_low, y_high) = ([float(value) for value in column.aminmax()] for column in (x, y))
    lowest, highest = (1.0, 1.0) if sigma is None else [float(value) for value in sigma.aminmax()]
    if not all(map(math.isfinite, (low, high, y_low, y_high, lowest, highest))) or lowest <= 0:
        check(x, y, sigma)
    if sigma is None:
        return [-low, high, -y_low, y_high, -math.inf, -math.inf]
    exponents = []
    for values, errors in zip(torch.split(y, LONGEST), torch.split(sigma, LONGEST), strict=True):
        exponent = torch.frexp(values.double()).exponent - torch.frexp(errors.double()).exponent
        exponents.append(exponent.masked_fill(values == 0, -(1 << 20)).max())
    top = float(torch.stack(exponents).max())
    return [-low, high, -y_low, y_high, -lowest, -math.inf if top == -(1 << 20) else top]


def _power_above(size: float) -> int:
    """Return the exponent of the smallest power of two that is not below a size; 0 for size 0."""
    mantissa, exponent = math.frexp(size)
    return max(exponent - (mantissa == 0.5), MIN_EXPONENT)


def _stretch(exponent: int, reach: Fraction) -> int:
    """Return the largest number of steps by which a reach, over its power of two, still fits into [-1, 1]."""
    return min(int(STRETCH * Fraction(2) ** exponent / reach), 2 * STRETCH) if reach else STRETCH


def check(x: Tensor, y: Tensor, sigma: Tensor | None) -> None:
    """Refuse numbers that are not finite, and sigmas that are not positive."""
    for name, values in (("x", x), ("y", y), ("sigma", sigma)):
        if values is not None and not values.isfinite().all():
            row = int(values.isfinite().int().argmin())
            raise UsageError(f"{name} must be finite, got {values[row].item()} at row {row} of a batch: leave it out")
    if sigma is not None and not (sigma > 0).all():
        row = int((sigma > 0).int().argmin())
        raise UsageError(f"sigma must be positive, got {sigma[row].item()} at row {row} of a batch: leave it out")


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of points ``(x, y[, sigma])`` for polynomials up to a degree.

    Attributes:
        frame: Coordinates u and scales in which the sums are taken.
        degree: Highest degree they serve.
        nobs: Number of points N.
        sums: Integers in units of 2^-1074: S_0 … S_2d, B_0 … B_d, ``Σ w y²``, ``Σ log w``.
    """

    frame: Frame
    degree: int
    nobs: int
    sums: tuple[int, ...]

    @classmethod
    def empty(cls, frame: Frame, degree: int) -> "Moments":
        """Return the moments of no points."""
        return cls(frame, degree, 0, (0,) * (3 * degree + 4))

    @classmethod
    def of(cls, x: Tensor, y: Tensor, sigma: Tensor | None, frame: Frame, degree: int) -> "Moments":
        """Return the moments of the points of one batch.

        Args:
            x: Points, shape (n,), inside the frame's range.
            y: Values, shape (n,).
            sigma: Standard deviations of y, shape (n,), or ``None`` for equal ones.
            frame: Coordinates.
            degree: Highest degree to serve.
        """
        if not len(x):
            return cls.empty(frame, degree)
        gram = (exact_gram if frame.arithmetic == "double-double" else float_gram)(x, y, sigma, frame, degree)
        return cls.of_gram(gram, frame, len(x), 0 if sigma is None else log_weights(sigma, frame))

    @classmethod
    def of_gram(cls, gram: Gram, frame: Frame, nobs: int, logarithms: int = 0) -> "Moments":
        """Return the moments of points with sums of products of T_0 … T_d, y.

        Args:
            gram: The sums; a row for each of T_0 … T_d, y, columns T_0, T_d, y.
            frame: Coordinates.
            nobs: Number of points.
            logarithms: ``Σ log w``.
        """
        degree = len(gram) - 2
        low = [row[0] for row in gram[:-1]]
        high = [2 * gram[k][1] - low[degree - k] for k in range(1, degree + 1)]  # T_k T_d = (T_{d+k} + T_{d-k}) / 2
        return cls(frame, degree, nobs, (*low, *high, *(row[2] for row in gram), logarithms))

    @property
    def is_weighted(self) -> bool:
        """Whether the points have weights other than 1."""
        return self.frame.sigma_exponent != 0 or self.sums[0] != self.nobs << UNIT

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of points; associative and commutative, bit for bit."""
        assert (self.frame, self.degree) == (other.frame, other.degree)
        sums = tuple(a + b for a, b in zip(self.sums, other.sums, strict=True))
        return replace(self, nobs=self.nobs + other.nobs, sums=sums)

    def without(self, other: "Moments") -> "Moments":
        """Return the moments of the points that are not in ``other``, exactly."""
        sums = tuple(a - b for a, b in zip(self.sums, other.sums, strict=True))
        return replace(self, nobs=self.nobs - other.nobs, sums=sums)

    def reduced(self, device: torch.device) -> "Moments":
        """Return the moments of the points of all processes."""
        limbs = torch.tensor([_to_limbs(total) for total in (self.nobs, *self.sums)], device=device)
        nobs, *sums = (_from_limbs(row) for row in all_sum(limbs).tolist())
        return replace(self, nobs=nobs, sums=tuple(sums))

    def state(self) -> dict[str, Any]:
        """Return the moments as plain numbers and strings, for a checkpoint."""
        return {"frame": vars(self.frame), "degree": self.degree, "nobs": self.nobs, "sums": list(map(hex, self.sums))}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Moments":
        """Return the moments that gave a state."""
        sums = tuple(int(total, 16) for total in state["sums"])
        return cls(Frame(**state["frame"]), state["degree"], state["nobs"], sums)


def _to_limbs(total: int) -> list[int]:
    """Return a signed integer as little-endian limbs, all but the last not negative."""
    limbs = []
    for _ in range(LIMBS - 1):
        total, limb = divmod(total, 1 << LIMB_BITS)
        limbs.append(limb)
    return [*limbs, total]


def _from_limbs(limbs: Sequence[int]) -> int:
    total = 0
    for limb in reversed(limbs):
        total = (total << LIMB_BITS) + limb
    return total
