"""Passes over the points of series: all at once where they are at hand, or sums, residuals and solutions apart."""

from typing import Any

from regression.common.compiled import loop
from regression.series.lane_rows import are_fit, count_lanes, find_ranges, set_frame, set_lanes
from regression.series.room import Model, Room
from regression.series.solver import solve
from regression.series.sums import add_up

__all__ = ["add_cut", "fit_whole", "solve_cut"]


@loop
def write_lanes(rows: Any, is_again: bool, series: int, lanes: int, doubt: Any, out: Any) -> None:
    """Write numbers of series next to each other, from one series on; those again that were in doubt."""
    for k in range(len(rows)):
        values, target = rows[k], out[k]
        for i in range(lanes):
            if not is_again or doubt[i] > 0:
                target[series + i] = values[i]


@loop
def fit_whole(
    start: int, stop: int, model: Model, room: Room, points: Any, first: Any, length: Any, ranges: Any, numbers: Any
) -> None:
    """Write ranges and numbers of the series from start to before stop, all of whose rows are at hand."""
    series, nobs = start, room.nobs
    while series < stop:
        count = count_lanes(length, series, stop, len(nobs))
        lanes = set_lanes(first, length, series, count, room)
        find_ranges(points, lanes, lanes > count, model, room)
        write_lanes(room.ranges, False, series, count, nobs, ranges)
        is_open = are_fit(model, lanes, room.ranges)
        if is_open:
            set_frame(model, lanes, room)
            for i in range(lanes):
                nobs[i] = float(length[series + min(i, count - 1)])
        for is_again in (False, True):
            if is_open:
                add_up(points, lanes, lanes > count, is_again, model, room)
                is_open = solve(is_again, model, lanes, room)
                write_lanes(room.numbers, is_again, series, count, room.doubt, numbers)
        series += count


@loop
def take(places: Any, series: int, count: int, lanes: int, rows: Any, out: Any) -> None:
    """Write numbers of series at some places to the lanes, those of the last one to all that are left."""
    for k in range(len(rows)):
        values, target = rows[k], out[k]
        for i in range(lanes):
            target[i] = values[places[series + min(i, count - 1)]]


@loop
def take_series(
    places: Any, series: int, count: int, lanes: int, model: Model, room: Room, ranges: Any, nobs: Any, totals: Any
) -> None:
    """Write coordinates, numbers of points and totals of series at some places to the lanes."""
    take(places, series, count, lanes, ranges, room.ranges)
    for i in range(lanes):
        room.nobs[i] = float(nobs[places[series + min(i, count - 1)]])
    set_frame(model, lanes, room)
    for at in range(len(totals)):
        take(places, series, count, lanes, totals[at], room.totals[at])


@loop
def add_cut(
    start: int, stop: int, model: Model, room: Room, points: Any, first: Any, length: Any, places: Any, ranges: Any,
    nobs: Any, is_again: bool, totals: Any, of_residuals: Any,
) -> None:  # fmt: skip
    """Add the rows of series to their totals, or to those of residuals, at some places among them."""
    series, out = start, of_residuals if is_again else totals
    while series < stop:
        count = count_lanes(length, series, stop, len(room.nobs))
        lanes = set_lanes(first, length, series, count, room)
        take_series(places, series, count, lanes, model, room, ranges, nobs, totals)
        if is_again:
            solve(False, model, lanes, room)
        add_up(points, lanes, lanes > count, is_again, model, room)
        for at in range(len(out)):
            for k in range(4):
                values, target = room.totals[at][k], out[at][k]
                for i in range(count):
                    target[places[series + i]] += values[i]
        series += count


@loop
def solve_cut(
    start: int, stop: int, model: Model, room: Room, places: Any, ranges: Any, nobs: Any, is_again: bool, totals: Any,
    of_residuals: Any, numbers: Any, doubts: Any,
) -> None:  # fmt: skip
    """Write the numbers of series from their totals, and which of them need sums of residuals where there are none."""
    series = start
    while series < stop:
        lanes = min(stop - series, len(room.nobs))
        take_series(places, series, lanes, lanes, model, room, ranges, nobs, totals)
        is_doubtful = solve(False, model, lanes, room)
        write_lanes(room.numbers, False, series, lanes, room.doubt, numbers)
        for i in range(lanes):
            doubts[series + i] = room.doubt[i] > 0
        if is_doubtful and is_again:
            for at in range(len(totals)):
                take(places, series, lanes, lanes, of_residuals[at], room.totals[at])
            solve(True, model, lanes, room)
            write_lanes(room.numbers, True, series, lanes, room.doubt, numbers)
        series += lanes
