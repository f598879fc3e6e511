"""Time per row as the rows and the degree grow: ours in both arithmetics.

The claim: the time per row does not grow with the number of rows, from a hundred thousand to a hundred million, and
the time per row and coefficient does not grow with the degree, from 1 to 20.

There is one pass over the points in chunks that stay in the cache, and no chunk costs more than another. A degree adds
a recurrence step, a row to the product of matrices and, without rounding, four slices: a fixed number of operations per
row. What is fixed per fit, the K x K solution in decimal numbers and the criteria, takes milliseconds, grows as K³ and
would show below a million rows; it is measured on a thousand points, printed, and taken off. Each time is otherwise the
whole of ``regression.fit`` on points in memory, the median over the repeats; all fits of a repeat are made in turn. A
fit counts only if it is within a few standard errors of the curve that the points were drawn from.
"""

import argparse
import math
import platform
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

import regression
from regression.moments import Arithmetic

ROWS = (100_000, 1_000_000, 10_000_000, 100_000_000)
DEGREES = (1, 2, 5, 10, 20)
DEGREE, REPEATS = 5, 3
ARITHMETICS: tuple[Arithmetic, ...] = ("double", "double-double")
NOISE, SAFE = 0.1, 7.0  # standard errors

FEW, FIXED_REPEATS = 1000, 5

Column = NDArray[np.float64]
Times = dict[tuple[int, Arithmetic], float]


def true_curve(x: Column) -> Column:
    """Return the curve that the points are drawn from, a polynomial of degree 1."""
    return 2 - 0.5 * x


def points(rows: int) -> tuple[Column, Column]:
    """Return x in [−1, 3] and y with noise."""
    generator, x, y = np.random.default_rng(0), np.empty(rows), np.empty(rows)
    generator.random(out=x)
    generator.standard_normal(out=y)
    for start in range(0, rows, 1 << 16):
        part = slice(start, start + (1 << 16))
        x[part] = 4 * x[part] - 1
        y[part] = true_curve(x[part]) + NOISE * y[part]
    return x, y


def check(fit: regression.Fit, rows: int) -> None:
    """Stop unless a fit has all rows, the noise, and the true curve within a few standard errors."""
    prediction = fit.predict(np.linspace(-0.9, 2.9, 25))
    error = (prediction.mean.numpy() - true_curve(np.linspace(-0.9, 2.9, 25))) / prediction.mean_se.numpy()
    spread = (float(fit.sigma or 0) / NOISE - 1) * (2 * rows) ** 0.5
    if fit.nobs != rows or not max(abs(error).max(), abs(spread)) <= SAFE:
        raise SystemExit(
            f"a fit of degree {fit.degree} on {rows} points is {abs(error).max():.2g} standard errors off the curve, "
            f"its noise {abs(spread):.2g}"
        )


def measure(x: Column, y: Column, degrees: Sequence[int], repeats: int) -> Times:
    """Return the time of a fit in nanoseconds for each degree and arithmetic."""
    cases = [(degree, arithmetic) for degree in degrees for arithmetic in ARITHMETICS]
    times: dict[tuple[int, Arithmetic], list[float]] = {case: [] for case in cases}
    for _ in range(repeats):
        for degree, arithmetic in cases:
            start = time.perf_counter()
            fit = regression.fit(x, y, degree, arithmetic=arithmetic)
            times[degree, arithmetic].append((time.perf_counter() - start) * 1e9)
            check(fit, len(x))
    return {case: median(own) for case, own in times.items()}


def main(args: Sequence[str] | None = None) -> dict[str, list[dict[str, float]]]:
    """Measure, check and print both tables; return their rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), help="numbers of points")
    parser.add_argument("--degrees", type=int, nargs="+", default=list(DEGREES), help="degrees, on the second of them")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="fits of each kind (default: %(default)s)")
    options = parser.parse_args(args)
    degrees = sorted({DEGREE, *options.degrees})
    measure(*points(FEW), degrees, 1)  # the first call loads libraries and starts threads
    fixed = measure(*points(FEW), degrees, FIXED_REPEATS)
    by_rows, by_degree = [], []
    for rows in options.rows:
        found = measure(*points(rows), [DEGREE], options.repeats)
        by_rows.append({"rows": rows} | per_row(found, fixed, DEGREE, rows))
    rows = options.rows[min(1, len(options.rows) - 1)]
    found = measure(*points(rows), options.degrees, options.repeats)
    for degree in options.degrees:
        by_degree.append({"degree": degree} | per_row(found, fixed, degree, rows))
    print(f"python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{options.repeats} repeats, medians of ns/row; ratios to the first line; taken off per fit, in ms:")
    print(", ".join(f"degree {degree} {fixed[degree, 'double'] / 1e6:.0f}" for degree in degrees))
    show(by_rows, "rows", f"degree {DEGREE}", per_coefficient=False)
    show(by_degree, "degree", f"{rows:,} rows; ratios per coefficient", per_coefficient=True)
    return {"rows": by_rows, "degrees": by_degree}


def per_row(found: Times, fixed: Times, degree: int, rows: int) -> dict[str, float]:
    """Return the time per row of each arithmetic without what is fixed per fit, at least 0."""
    return {name: max(found[degree, name] - fixed[degree, name], 0.0) / rows for name in ARITHMETICS}


def show(table: list[dict[str, float]], key: str, title: str, per_coefficient: bool) -> None:
    """Print a table."""
    print(f"{key:>12} {'double':>10} {'ratio':>7} {'double-double':>15} {'ratio':>7}   {title}")
    for row in table:
        line = f"{int(row[key]):>12,}"
        for name, width in zip(ARITHMETICS, (10, 15), strict=True):
            size = [(line_["degree"] + 1 if per_coefficient else 1) for line_ in (row, table[0])]
            line += f" {row[name]:>{width}.1f} {row[name] / size[0] / ((table[0][name] or math.nan) / size[1]):>7.2f}"
        print(line)


if __name__ == "__main__":
    main()
