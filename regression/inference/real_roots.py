"""Where a series of Chebyshev polynomials is 0: eigenvalues in float64, made exact by Newton's steps."""

import math
from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from regression.curves.decimals import Vector, precise, root
from regression.inference.exact_curve import derivative, value

__all__ = ["ROUNDING", "real_roots"]

ROUNDING = Decimal("1e-28")  # of the largest term: what the rounding of double-double coefficients may leave of 0
NEARLY_REAL = 1e-3  # an eigenvalue's imaginary part: rounding alone makes 1e-8 of a double root, 1e-5 of a triple one
MOST_STEPS = 300  # a double root costs a step for each bit


def real_roots(series: Vector, rounding: Decimal = ROUNDING, near: Iterable[Decimal] = ()) -> Vector:
    """Return the u at which ``Σ c_k T_k(u)`` is 0, in ascending order, each once; empty for a constant.

    Args:
        series: Coefficients c, shape (d + 1,).
        rounding: Share of the largest coefficient that counts as 0.
        near: Where to look besides the eigenvalues of the companion matrix.
    """
    with precise():
        largest = max(map(abs, series))
        kept = [part / largest for part in series] if largest else [Decimal(0)]
        while len(kept) > 1 and abs(kept[-1]) <= rounding:
            kept.pop()
        if len(kept) == 1:
            return []
        found = np.polynomial.chebyshev.chebroots([float(part) for part in kept])
        starts = [Decimal(float(z.real)) for z in found if abs(z.imag) <= NEARLY_REAL * (1 + abs(z.real))]
        steps = derivative(kept)
        ends = [_newton(kept, steps, start, rounding) for start in (*starts, *near)]
        result: Vector = []
        for u in sorted(u for u in ends if u is not None and math.isfinite(float(u))):
            if not result or u - result[-1] > 100 * rounding.sqrt() * (1 + abs(u)):
                result.append(u)
        return result


def _newton(series: Vector, slopes: Vector, start: Decimal, rounding: Decimal) -> Decimal | None:
    """Return the root that Newton's steps lead to from a point; ``None`` if they lead nowhere near."""
    u = best = start
    least = Decimal("Infinity")  # of the heights on the way: rounding may leave a double root none of its own
    for _ in range(MOST_STEPS):
        height, slope = value(series, u), value(slopes, u)
        share = abs(height) / _size(series, u)
        if share < least:
            best, least = u, share
        if share <= rounding * rounding or slope == 0 or abs(u - start) > (1 + abs(start)) / 10:
            break
        u -= height / slope
    return best if least <= rounding else None


def _size(series: Vector, u: Decimal) -> Decimal:
    """Return a bound of ``Σ |c_k T_k(u)|``."""
    base = abs(u) + root(u * u - 1) if abs(u) > 1 else Decimal(1)
    total = Decimal(0)
    for part in reversed(series):
        total = total * base + abs(part)
    return total
