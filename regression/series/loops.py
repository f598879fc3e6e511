"""The loops over series, one after the other: ranges, coordinates, sums, solution, and residuals where they are needed.

Each series has coordinates of its own, ``u = (x - center) / half the range`` and ``v = (y - y_center) 2^-m``, both in
[-1, 1], and the sums and residuals of ``moments/loops.py`` in them.
"""

from typing import Any

from regression.kernels.compiled import loop
from regression.moments.loops import add_moments, add_residuals
from regression.series.equations import Frame, unit_power
from regression.series.room import Model, Room
from regression.series.solver import prepare_residuals, refine, solve

__all__ = ["LARGEST", "add_sums", "fit_whole", "solve_sums"]

TINY, LARGEST = 2.0**-1000, 2.0**1000  # the smallest range that is stretched to [-1, 1], and what scales can take

Ends = tuple[float, float, float, float, float]


@loop
def range_of(values: Any) -> tuple[float, float]:
    """Return the smallest number and minus the largest one; both are NaN if one is not finite."""
    low, high, rest = values[0], values[0], 0.0
    for i in range(len(values)):
        low, high = min(low, values[i]), max(high, values[i])
        rest += values[i] - values[i]
    return low + rest, rest - high


@loop
def half_range(low: float, high: float, center: float) -> float:
    """Return the distance of the farther end from the center, or where there is none one that leaves room for it."""
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
def ends_of(x: Any, y: Any, sigma: Any) -> Ends:
    """Return a row of ``Found.ranges``."""
    low, high = range_of(x)
    y_low, y_high = range_of(y)
    return low, high, y_low, y_high, range_of(sigma)[0] if len(sigma) > 0 else 1.0


@loop
def read_ends(row: Any) -> Ends:
    """Return a row of ``Found.ranges``, by numbers of Python's own: numpy's are slow where loops run as they stand."""
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
    start: int, stop: int, model: Model, room: Room, points: Any, first: Any, length: Any, ranges: Any, numbers: Any,
    doubts: Any,
) -> int:  # fmt: skip
    """Write ranges and numbers of the series from start to before stop, all of whose rows are at hand.

    Write also which need sums of residuals, and return how many have numbers that cannot be fitted.
    """
    bad = 0
    for series in range(start, stop):
        x, y, sigma = rows_of(points, first, length, series)
        ends = ends_of(x, y, sigma)
        row = ranges[series]
        row[0], row[1], row[2], row[3], row[4] = ends
        is_fit = abs(ends[0]) + abs(ends[1]) + abs(ends[2]) + abs(ends[3]) < LARGEST and ends[4] > 0
        doubts[series], bad = False, bad + (not is_fit)
        if is_fit:
            frame = frame_of(ends, model)
            clear(room.totals)
            add_moments(x, y, sigma, frame, model.powers[-1], room.work, room.totals)
            doubts[series] = solve(room.totals, float(len(x)), frame, model, room, numbers[series]) > 0
    return bad


@loop
def add_sums(
    start: int, stop: int, model: Model, room: Room, points: Any, first: Any, length: Any, places: Any, ranges: Any,
    nobs: Any, is_again: bool, totals: Any, of_residuals: Any, numbers: Any,
) -> int:  # fmt: skip
    """Add the rows at hand of series to their totals, or to those of residuals, at some places among them."""
    size, degree = len(model.powers), model.powers[-1]
    for series in range(start, stop):
        place, (x, y, sigma) = places[series], rows_of(points, first, length, series)
        frame = frame_of(read_ends(ranges[place]), model)
        if is_again:
            error = solve(totals[place], float(nobs[place]), frame, model, room, numbers[place])
            zoom, curve = prepare_residuals(error, frame, model, room), room.basis[size]
            functions, sums = room.basis[:size], of_residuals[place]
            add_residuals(x, y, sigma, frame, degree, curve, functions, zoom, room.work, sums)
        else:
            add_moments(x, y, sigma, frame, degree, room.work, totals[place])
    return 0


@loop
def solve_sums(
    start: int, stop: int, model: Model, room: Room, ranges: Any, nobs: Any, is_again: bool, totals: Any,
    of_residuals: Any, numbers: Any, doubts: Any,
) -> int:  # fmt: skip
    """Write the numbers of series from their totals, and which of them need sums of residuals where there are none."""
    for series in range(start, stop):
        frame, count, out = frame_of(read_ends(ranges[series]), model), float(nobs[series]), numbers[series]
        error = solve(totals[series], count, frame, model, room, out)
        doubts[series] = error > 0
        if error > 0 and is_again:
            zoom = prepare_residuals(error, frame, model, room)
            refine(of_residuals[series], error, zoom, count, frame, model, room, out)
    return 0
