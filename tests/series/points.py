"""Series to fit, and their right answers by rational arithmetic."""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[Array, Array, Array]
FIELDS = ("nobs", "rank", "params", "bse", "ssr", "sigma", "rsquared")


def mixed(series: int = 60, seed: int = 0, integer: bool = False) -> Shape:
    """Return codes, x and y of series of 4 to 12 points, each with offsets of its own, rows in order."""
    random = np.random.default_rng(seed)
    lengths = random.integers(4, 13, series)
    codes = np.repeat(random.permutation(series * 3)[:series] - series, lengths)
    offsets = np.repeat(random.choice([0.0, 5.0, -1e3, 1.7e9], series), lengths)
    x = offsets + (random.integers(0, 1000, len(codes)) if integer else random.uniform(0, 10, len(codes)))
    levels = np.repeat(random.choice([0.0, 1e6, -3e4], series), lengths)
    return codes, x, levels + 2 * (x - offsets) + random.normal(size=len(codes))


def rational(
    x: Array, y: Array, degree: int, sigma: Array | None = None, fit_intercept: bool = True
) -> tuple[list[Fraction], list[Fraction], Fraction, Fraction]:
    """Return coefficients, their variances for errors of sigma (1), ssr and tss, by arithmetic without rounding."""
    a, b = [Fraction(v) for v in x.tolist()], [Fraction(v) for v in y.tolist()]
    w = [1 / Fraction(v) ** 2 for v in (np.ones(len(x)) if sigma is None else sigma).tolist()]
    powers = range(0 if fit_intercept else 1, degree + 1)
    rows = [
        [sum((u * p ** (i + j) for p, u in zip(a, w, strict=True)), Fraction(0)) for j in powers]
        + [sum((u * p**i * q for p, q, u in zip(a, b, w, strict=True)), Fraction(0))]
        + [Fraction(int(i == j)) for j in powers]
        for i in powers
    ]
    for k, pivot in enumerate(rows):
        pivot[:] = [value / pivot[k] for value in pivot]
        for i, row in enumerate(rows):
            if i != k:
                row[:] = [value - row[k] * part for value, part in zip(row, pivot, strict=True)]
    size = len(rows)
    params = [row[size] for row in rows]
    curve = [sum(c * p**k for c, k in zip(params, powers, strict=True)) for p in a]
    ssr = sum((u * (q - f) ** 2 for q, f, u in zip(b, curve, w, strict=True)), Fraction(0))
    mean = sum(u * q for q, u in zip(b, w, strict=True)) / sum(w) if fit_intercept else Fraction(0)
    tss = sum((u * (q - mean) ** 2 for q, u in zip(b, w, strict=True)), Fraction(0))
    return params, [rows[k][size + 1 + k] for k in range(size)], ssr, tss
