"""Passes over the points of series: all at once where they are at hand, or sums, residuals and solutions apart."""

from typing import Any

from regression.common.compiled import loop
from regression.series.lane_rows import are_fit, count_lanes, find_ranges, set_frame, set_lanes
from regression.series.room import DOUBT, NOBS, SIGMA_HIGH, Model, Room
from regression.series.solver import prepare_again, solve
from regression.series.sums import add_up

__all__ = ["add_cut", "fit_whole", "solve_cut"]


@loop
def write_lanes(rows: Any, count: int, series: int, lanes: int, out: Any) -> None:
    """Write some rows of numbers of series next to each other, from one series on."""
    for k in range(count):
        values, target = rows[k], out[k]
        for i in range(lanes):
            target[series + i] = values[i]


@loop
def write_numbers(is_again: bool, series: int, lanes: int, room: Room, out: Any) -> None:
    """Write the numbers of series; those again that were in doubt."""
    doubt = room.facts[DOUBT]
    for k in range(len(room.numbers)):
        values, target = room.numbers[k], out[k]
        for i in range(lanes):
            if not is_again or doubt[i] > 0:
                target[series + i] = values[i]


@loop
def fit_whole(
    start: int, stop: int, model: Model, room: Room, points: Any, first: Any, length: Any, ranges: Any, numbers: Any
) -> None:
    """Write ranges and numbers of the series from start to before stop, all of whose rows are at hand."""
    series, facts = start, room.facts
    while series < stop:
        count = count_lanes(length, series, stop, len(facts[NOBS]))
        lanes = set_lanes(first, length, series, count, room)
        is_one = lanes > count
        find_ranges(points, lanes, is_one, model, room)
        write_lanes(facts, SIGMA_HIGH + 1, series, count, ranges)
        if are_fit(model, lanes, facts):
            set_frame(model, lanes, facts)
            for i in range(lanes):
                facts[NOBS][i] = length[series + min(i, count - 1)]
            add_up(points, lanes, is_one, False, model, room)
            is_doubtful = solve(False, model, lanes, room)
            write_numbers(False, series, count, room, numbers)
            if is_doubtful:
                prepare_again(model.size, lanes, room)
                add_up(points, lanes, is_one, True, model, room)
                solve(True, model, lanes, room)
                write_numbers(True, series, count, room, numbers)
        series += count


@loop
def take(places: Any, series: int, count: int, lanes: int, rows: Any, out: Any) -> None:
    """Write numbers of series at some places to the lanes, those of the last one to all that are left."""
    for k in range(len(rows)):
        values, target = rows[k], out[k]
        for i in range(lanes):
            target[i] = values[places[series + min(i, count - 1)]]


@loop
def take_totals(places: Any, series: int, count: int, lanes: int, totals: Any, room: Room) -> None:
    """Write totals of series at some places to the lanes."""
    for at in range(len(totals)):
        take(places, series, count, lanes, totals[at], room.totals[at])


@loop
def add_cut(
    start: int, stop: int, model: Model, room: Room, points: Any, first: Any, length: Any, places: Any, facts: Any,
    is_again: bool, totals: Any, of_residuals: Any,
) -> None:  # fmt: skip
    """Add the rows of series to their totals, or to those of residuals, at some places among them."""
    series, out = start, of_residuals if is_again else totals
    while series < stop:
        count = count_lanes(length, series, stop, len(room.facts[NOBS]))
        lanes = set_lanes(first, length, series, count, room)
        take(places, series, count, lanes, facts, room.facts)
        set_frame(model, lanes, room.facts)
        if is_again:
            take_totals(places, series, count, lanes, totals, room)
            solve(False, model, lanes, room)
            prepare_again(model.size, lanes, room)
        add_up(points, lanes, lanes > count, is_again, model, room)
        for at in range(len(out)):
            for k in range(4):
                for i in range(count):
                    out[at][k][places[series + i]] += room.totals[at][k][i]
        series += count


@loop
def solve_cut(
    start: int, stop: int, model: Model, room: Room, places: Any, facts: Any, is_again: bool, totals: Any,
    of_residuals: Any, numbers: Any, doubts: Any,
) -> None:  # fmt: skip
    """Write the numbers of series from their totals, and which of them need sums of residuals where there are none."""
    series = start
    while series < stop:
        lanes = min(stop - series, len(room.facts[NOBS]))
        take(places, series, lanes, lanes, facts, room.facts)
        set_frame(model, lanes, room.facts)
        take_totals(places, series, lanes, lanes, totals, room)
        is_doubtful = solve(False, model, lanes, room)
        write_numbers(False, series, lanes, room, numbers)
        for i in range(lanes):
            doubts[series + i] = room.facts[DOUBT][i] > 0
        if is_doubtful and is_again:
            prepare_again(model.size, lanes, room)
            take_totals(places, series, lanes, lanes, of_residuals, room)
            solve(True, model, lanes, room)
            write_numbers(True, series, lanes, room, numbers)
        series += lanes
