"""Moments: all that least squares needs to know of the points, in one pass, exact to double-double terms.

A polynomial fit needs the sums ``S_k = Σ w T_k(u)`` for k = 0 … 2 d and ``B_k = Σ w T_k(u) y`` for k = 0 … d, because
``T_i T_j = (T_{i+j} + T_{|i-j|}) / 2``. Each term is a double-double number, an unevaluated sum hi + lo of two float64
numbers with 106 bits, made of elementwise operations only. The terms are then summed without any rounding, as
integers. So the result is the same, bit for bit, for every order of the rows, every batch size and every number of
processes. Torch and the standard library only.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from regression.collectives import all_max, all_sum
from regression.errors import UsageError

__all__ = ["Frame", "Moments"]

ROWS = 1 << 15  # rows per pass: the temporaries stay in the cache; a slice sum is exact up to 2^20 rows
SLICE_BITS = 32
MIN_EXPONENT = -1000  # of a scale: its reciprocal is a float64 too
LARGEST_REACH = 2.0**1023  # half the range of x: a larger scale is no float64
UNIT = 1074  # sums are integers in units of 2^-1074, the smallest positive float64
LIMB_BITS, LIMBS = 32, 40  # how the integers travel between processes

Pair = tuple[Tensor, Tensor]  # a double-double number hi + lo


@dataclass(frozen=True)
class Frame:
    """The coordinates of the moments: ``u = (x - center) / 2^exponent`` in [-1, 1], and y, sigma by powers of two.

    The scale is a power of two and the shift a float64 number, so that u is exactly a double-double number.

    Attributes:
        center: Float64 number near the middle of the x range.
        exponent: Binary exponent of the scale of x.
        y_exponent: Binary exponent of the largest ``|y|``.
        sigma_exponent: Binary exponent of the smallest sigma; 0 without sigma.
        low: Smallest x.
        high: Largest x.
    """

    center: float
    exponent: int
    y_exponent: int
    sigma_exponent: int
    low: float
    high: float

    @classmethod
    def of(cls, batches: Iterable[Any]) -> "Frame":
        """Scan the batches of this process, and those of the others, for the range of the points.

        Args:
            batches: Yields objects with tensors ``x``, ``y`` and ``sigma`` (or ``None``), each of shape (n,).

        Raises:
            UsageError: If a number is not finite, a sigma not positive, or there is no row at all.
        """
        low, high, largest, smallest, device = math.inf, -math.inf, 0.0, math.inf, torch.device("cpu")
        for batch in batches:
            check(batch.x, batch.y, batch.sigma)
            device = batch.x.device
            if len(batch.x):
                low, high = min(low, float(batch.x.min())), max(high, float(batch.x.max()))
                largest = max(largest, float(batch.y.abs().max()))
                smallest = math.inf if batch.sigma is None else min(smallest, float(batch.sigma.min()))
        extremes = torch.tensor([-low, high, largest, -smallest], dtype=torch.float64, device=device)
        low, high, largest, smallest = (-1.0, 1.0, 1.0, -1.0) * all_max(extremes).cpu().numpy()
        if low > high:
            raise UsageError("there are no rows to fit: expected at least one point")
        center = low / 2 + high / 2
        reach = max(high - center, center - low)
        if reach > LARGEST_REACH:
            raise UsageError(f"x must span less than 1.7e308, got {low:g} to {high:g}")
        return cls(
            float(center),
            _power_above(reach),
            _power_above(largest),
            _power_above(smallest) if math.isfinite(smallest) else 0,
            float(low),
            float(high),
        )


def _power_above(size: float) -> int:
    """Return the exponent of the smallest power of two that is not below a size; 0 for size 0."""
    mantissa, exponent = math.frexp(size)
    return max(exponent - (mantissa == 0.5), MIN_EXPONENT)


def check(x: Tensor, y: Tensor, sigma: Tensor | None) -> None:
    """Refuse numbers that are not finite, and sigmas that are not positive."""
    for name, values in (("x", x), ("y", y), ("sigma", sigma)):
        if values is not None and not values.isfinite().all():
            row = int(values.isfinite().int().argmin())
            raise UsageError(f"{name} must be finite, got {values[row].item()} at row {row} of a batch")
    if sigma is not None and not (sigma > 0).all():
        row = int((sigma > 0).int().argmin())
        raise UsageError(f"sigma must be positive, got {sigma[row].item()} at row {row} of a batch")


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
        totals = [0] * (3 * degree + 4)
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            hi, lo = _terms(x[rows], y[rows], None if sigma is None else sigma[rows], frame, degree)
            for part in (hi, lo):
                totals = [total + more for total, more in zip(totals, _exact_sums(part), strict=True)]
        return cls(frame, degree, len(x), tuple(totals))

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


def _terms(x: Tensor, y: Tensor, sigma: Tensor | None, frame: Frame, degree: int) -> Pair:
    """Return the terms of all sums as double-double numbers, two tensors of shape (3 degree + 4, n)."""
    u = _two_sum(x.double(), torch.full_like(x, -frame.center, dtype=torch.float64))
    u = _scaled(u, -frame.exponent)
    values = y.double() * math.ldexp(1, -frame.y_exponent)
    zero = torch.zeros_like(values)
    chebyshev: list[Pair] = [(torch.ones_like(values), zero), u]
    twice = (2 * u[0], 2 * u[1])
    while len(chebyshev) <= 2 * degree:
        before, last = chebyshev[-2:]
        product = _product(twice, last)
        chebyshev.append(_sum(product, (-before[0], -before[1])))
    weight: Pair = (torch.ones_like(values), zero)
    log_weight = zero
    if sigma is not None:
        # The power of two keeps the square of an extreme sigma inside float64.
        inverse = 1 / (sigma.double() * math.ldexp(1, -frame.sigma_exponent))
        weight, log_weight = _two_product(inverse, inverse), 2 * _log(inverse)
        chebyshev = [_product(term, weight) for term in chebyshev]
    terms = chebyshev[: 2 * degree + 1]
    terms += [_product(term, (values, zero)) for term in chebyshev[: degree + 1]]
    terms += [_product(_two_product(values, values), weight), (log_weight, zero)]
    return torch.stack([hi for hi, _ in terms]), torch.stack([lo for _, lo in terms])


def _exact_sums(values: Tensor) -> list[int]:
    """Return the row sums of a matrix of shape (C, n), n ≤ 2^20, without rounding, in units of 2^-1074.

    The values are cut into slices that are multiples of one power of two, from the top: adding and subtracting a
    large number rounds to such a multiple. A slice has 32 bits, so the sum of 2^20 of them has 52 and is exact.
    """
    totals = [0] * len(values)
    rest = values
    while rest.numel() and (top := float(rest.abs().max())) > 0:
        unit = max(math.frexp(top)[1] - SLICE_BITS, -UNIT)
        large = math.ldexp(1.5, unit + 52)
        slices = (rest + large) - large
        rest = rest - slices
        for index, total in enumerate(slices.sum(dim=1).tolist()):
            totals[index] += int(math.ldexp(total, -unit)) << (unit + UNIT)
    return totals


def _two_sum(a: Tensor, b: Tensor) -> Pair:
    """Return a + b exactly (Knuth)."""
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def _two_product(a: Tensor, b: Tensor) -> Pair:
    """Return a b exactly (Dekker); each operation is a kernel of its own, so none is fused."""
    product = a * b
    a_hi, a_lo = _split(a)
    b_hi, b_lo = _split(b)
    return product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


def _split(a: Tensor) -> Pair:
    scaled = a * 134217729.0  # 2^27 + 1
    hi = scaled - (scaled - a)
    return hi, a - hi


def _product(a: Pair, b: Pair) -> Pair:
    """Return a b to a relative 2^-102 or so."""
    hi, lo = _two_product(a[0], b[0])
    return _quick_sum(hi, lo + (a[0] * b[1] + a[1] * b[0]))


def _sum(a: Pair, b: Pair) -> Pair:
    """Return a + b to a relative 2^-104 or so, also where hi parts cancel."""
    hi, lo = _two_sum(a[0], b[0])
    more_hi, more_lo = _two_sum(a[1], b[1])
    hi, lo = _quick_sum(hi, lo + more_hi)
    return _quick_sum(hi, lo + more_lo)


def _quick_sum(a: Tensor, b: Tensor) -> Pair:
    """Return a + b exactly, for |a| ≥ |b|."""
    total = a + b
    return total, b - (total - a)


def _scaled(a: Pair, exponent: int) -> Pair:
    power = math.ldexp(1, exponent)
    return a[0] * power, a[1] * power


def _log(values: Tensor) -> Tensor:
    """Return the natural logarithm from exactly rounded operations alone: the same bits in every lane and device.

    With m in [√½, √2), ``log m = 2 artanh s`` for ``s = (m - 1) / (m + 1)``, |s| < 0.172.
    """
    mantissa, exponent = torch.frexp(values)
    small = mantissa < math.sqrt(0.5)
    mantissa = torch.where(small, 2 * mantissa, mantissa)
    s = (mantissa - 1) / (mantissa + 1)
    square, series = s * s, torch.zeros_like(s)
    for odd in range(23, 0, -2):
        series = series * square + 1 / odd
    return (exponent - small.int()).double() * math.log(2) + 2 * s * series


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
