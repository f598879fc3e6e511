"""Where a series of Chebyshev polynomials is 0: eigenvalues in float64, refined by Newton's method."""

import math
from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from regression.curves.decimals import Vector, precise
from regression.inference.exact_curve import bound, derivative, value

__all__ = ["ROUNDING", "real_roots"]

ROUNDING = Decimal("1e-28")  # a value below this share of the largest term may be rounding of the coefficients
NEARLY_REAL = 1e-3  # imaginary part of a real root: rounding gives a double root one of 1e-8, a triple root 1e-5
MAX_STEPS = 300  # at a double root each of Newton's steps gains one bit


def real_roots(series: Vector, rounding: Decimal = ROUNDING, near: Iterable[Decimal] = ()) -> Vector:
    """Return the u at which ``Σ c_k T_k(u)`` is 0, in ascending order, each once; empty for a constant.

    Args:
        series: Coefficients c, shape (d + 1,).
        rounding: Share of the largest coefficient that counts as 0.
        near: Starting points besides the eigenvalues of the companion matrix.
    """
    with precise():
        largest = max(map(abs, series))
        kept = [part / largest for part in series] if largest else [Decimal(0)]
        while len(kept) > 1 and abs(kept[-1]) <= rounding:
            kept.pop()
        if len(kept) == 1:
            return []
        eigenvalues = np.polynomial.chebyshev.chebroots([float(part) for part in kept])
        starts = [Decimal(float(z.real)) for z in eigenvalues if abs(z.imag) <= NEARLY_REAL * (1 + abs(z.real))]
        slopes = derivative(kept)
        ends = [_newton(kept, slopes, start, rounding) for start in (*starts, *near)]
        result: Vector = []
        for u in sorted(u for u in ends if u is not None and math.isfinite(float(u))):
            if not result or u - result[-1] > 100 * rounding.sqrt() * (1 + abs(u)):
                result.append(u)
        return result


def _newton(series: Vector, slopes: Vector, start: Decimal, rounding: Decimal) -> Decimal | None:
    """Return the root to which Newton's method converges from a point; ``None`` if there is none nearby."""
    u = best = start
    least = Decimal("Infinity")  # smallest value so far: rounding may lift a double root off 0, so the best u counts
    for _ in range(MAX_STEPS):
        height, slope = value(series, u), value(slopes, u)
        share = abs(height) / bound(series, u)
        if share < least:
            best, least = u, share
        if share <= rounding * rounding or slope == 0 or abs(u - start) > (1 + abs(start)) / 10:
            break
        u -= height / slope
    return best if least <= rounding else None
