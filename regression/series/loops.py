"""The loops over series, one after the other: ranges, coordinates, sums, solution, and residuals where they are needed.

Each series has coordinates of its own, ``u = (x - center) / half the range`` and ``v = (y - y_center) 2^-m``, both in
[-1, 1]; the loops of ``moments/loops.py`` take its sums in these coordinates.
"""

from typing import Any

from regression.kernels.compiled import loop
from regression.moments.loops import add_moments, add_residuals
from regression.series.equations import Frame, unit_power
from regression.series.solver import prepare_residuals, refine, solve
from regression.series.workspace import Model, Workspace

__all__ = ["LARGEST", "add_sums", "fit_whole", "solve_sums"]

TINY = 2.0**-1000  # the smallest half range that is stretched to [-1, 1]
LARGEST = 2.0**1000  # x and y must be smaller, so that their scales are float64 numbers

Ends = tuple[float, float, float, float, float]


@loop
def range_of(values: Any) -> tuple[float, float]:
    """Return the smallest number and minus the largest one, or NaN for both if a number is not finite."""
    low, high, rest = values[0], values[0], 0.0
    for i in range(len(values)):
        low, high = min(low, values[i]), max(high, values[i])
        rest += values[i] - values[i]
    return low + rest, rest - high


@loop
def half_range(low: float, high: float, center: float) -> float:
    """Return the larger distance from the center to an end, at least so much that ``center / half`` is below 2^60."""
    return max(high - center, center - low, abs(center) * 2.0**-60, TINY)


@loop
def frame_of(ends: Any, model: Model) -> Frame:
    """Return the coordinates of a series: center, power, stretch, y's center, power, and sigma's power."""
    low, high, y_low, y_high = ends[0], -ends[1], ends[2], -ends[3]
    center = low * 0.5 + high * 0.5
    half = half_range(low, high, center)
    power = unit_power(half)
    y_center = 0.0 if model.powers[0] > 0 else y_low * 0.5 + y_high * 0.5
    y_power = unit_power(half_range(y_low, y_high, y_center))
    sigma_power = 2 * unit_power(max(ends[4], TINY)) if model.has_sigma else 1.0
    return center, power, 1 / (half * power), y_center, y_power, sigma_power


@loop
def ranges_of(x: Any, y: Any, sigma: Any) -> Ends:
    """Return a row of ``SeriesTable.ranges``."""
    low, high = range_of(x)
    y_low, y_high = range_of(y)
    return low, high, y_low, y_high, range_of(sigma)[0] if len(sigma) > 0 else 1.0


@loop
def read_ends(row: Any) -> Ends:
    """Return a row of ``SeriesTable.ranges`` as Python's numbers: numpy's are slow in loops that are not compiled."""
    return float(row[0]), float(row[1]), float(row[2]), float(row[3]), float(row[4])


@loop
def clear(totals: Any) -> None:
    """Write zeros."""
    for total in totals:
        for k in range(4):
            total[k] = 0


@loop
def rows_of(points: Any, first: Any, length: Any, series: int) -> Any:
    """Return x, y and sigma of a series."""
    start, stop = int(first[series]), int(first[series]) + int(length[series])
    return points[0][start:stop], points[1][start:stop], points[2][start:stop]


@loop
def fit_whole(
    start: int, stop: int, model: Model, workspace: Workspace, points: Any, first: Any, length: Any, ranges: Any,
    numbers: Any, needs_residuals: Any,
) -> int:  # fmt: skip
    """Write ranges and numbers of the series from start to before stop, all of whose rows are in the batch.

    Write also which of them need sums of residuals, and return how many have numbers that cannot be fitted.
    """
    bad = 0
    for series in range(start, stop):
        x, y, sigma = rows_of(points, first, length, series)
        ends = ranges_of(x, y, sigma)
        row = ranges[series]
        row[0], row[1], row[2], row[3], row[4] = ends
        is_fit = abs(ends[0]) + abs(ends[1]) + abs(ends[2]) + abs(ends[3]) < LARGEST and ends[4] > 0
        needs_residuals[series], bad = False, bad + (not is_fit)
        if is_fit:
            frame = frame_of(ends, model)
            clear(workspace.totals)
            add_moments(x, y, sigma, frame, model.powers[-1], workspace.rows, workspace.totals)
            needs_residuals[series] = (
                solve(workspace.totals, float(len(x)), frame, model, workspace, numbers[series]) > 0
            )
    return bad


@loop
def add_sums(
    start: int, stop: int, model: Model, workspace: Workspace, points: Any, first: Any, length: Any, indices: Any,
    ranges: Any, nobs: Any, takes_residuals: bool, totals: Any, residual_totals: Any, numbers: Any,
) -> int:  # fmt: skip
    """Add a batch's rows of series to the totals of the sums, or of residuals, of the series with the given indices."""
    size, degree = len(model.powers), model.powers[-1]
    for series in range(start, stop):
        index, (x, y, sigma) = indices[series], rows_of(points, first, length, series)
        frame = frame_of(read_ends(ranges[index]), model)
        if takes_residuals:
            error = solve(totals[index], float(nobs[index]), frame, model, workspace, numbers[index])
            factor, curve = prepare_residuals(error, frame, model, workspace), workspace.basis[size]
            functions, sums = workspace.basis[:size], residual_totals[index]
            add_residuals(x, y, sigma, frame, degree, curve, functions, factor, workspace.rows, sums)
        else:
            add_moments(x, y, sigma, frame, degree, workspace.rows, totals[index])
    return 0


@loop
def solve_sums(
    start: int, stop: int, model: Model, workspace: Workspace, ranges: Any, nobs: Any, takes_residuals: bool,
    totals: Any, residual_totals: Any, numbers: Any, needs_residuals: Any,
) -> int:  # fmt: skip
    """Write the numbers of series from their totals, and which of them need sums of residuals."""
    for series in range(start, stop):
        frame, count, out = frame_of(read_ends(ranges[series]), model), float(nobs[series]), numbers[series]
        error = solve(totals[series], count, frame, model, workspace, out)
        needs_residuals[series] = error > 0
        if error > 0 and takes_residuals:
            factor = prepare_residuals(error, frame, model, workspace)
            refine(residual_totals[series], error, factor, count, frame, model, workspace, out)
    return 0
