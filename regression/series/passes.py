"""Passes over the points of series: all at once where they are at hand, or sums, residuals and solutions apart."""

from typing import Any

from regression.common.compiled import loop
from regression.series.frames import are_fit, cut_pieces, find_ranges, load, set_frame
from regression.series.loops import add_rows, move_sums
from regression.series.room import LONGEST, Model, Room
from regression.series.solver import prepare_again, solve

__all__ = ["add_cut", "fit_whole", "solve_cut"]

WASTE = 4  # lanes may have this many times the rows of their series


@loop
def next_lanes(length: Any, series: int, stop: int, most: int) -> int:
    """Return how many series from one on go side by side: a long one alone, others of not too different length."""
    lanes, rows, longest = 0, 0, 0
    while series + lanes < stop and lanes < most:
        own = length[series + lanes]
        longest = max(longest, own)
        if lanes > 0 and (own > LONGEST or longest > LONGEST or longest * (lanes + 1) > WASTE * (rows + own)):
            return lanes
        rows += own
        lanes += 1
    return lanes


@loop
def spread(size: int, room: Room) -> None:
    """Write what is known of the first lane's series to all lanes: each gets a piece of it."""
    for i in range(1, len(room.begin)):
        room.zoom[i] = room.zoom[0]
        for k in range(7):
            room.frame[k][i] = room.frame[k][0]
        for k in range(size):
            for part in range(2):
                room.known[k][part][i] = room.known[k][part][0]
                for j in range(k + 1):
                    room.basis[k][j][part][i] = room.basis[k][j][part][0]


@loop
def add_up(
    points: Any, first: Any, length: Any, series: int, lanes: int, rows: int, is_again: bool, model: Model, room: Room
) -> None:
    """Write the sums of some series.

    Args:
        points: x, y and sigma.
        first: First rows of series.
        length: Their numbers of rows.
        series: The first of those meant.
        lanes: How many.
        rows: Rows of the lanes that are loaded already, or 0.
        is_again: Whether the sums are those of residuals.
        model: What is fitted.
        room: With the series' frames; where the sums are written.
    """
    totals, is_long = room.again if is_again else room.totals, length[series] > LONGEST
    if is_long:
        spread(model.size, room)
        for total in totals:
            for k in range(4):
                total[k][0] = 0
    block, width = 0, cut_pieces(first, length, series, lanes, 0, room)
    while width > 0:
        if rows == 0 or block > 0:
            rows = load(points, width, model, room)
        add_rows(rows, width, is_again, model, room)
        move_sums(width, is_long, totals, room)
        block += 1
        width = cut_pieces(first, length, series, lanes, block, room)


@loop
def write_lanes(rows: Any, series: int, lanes: int, is_again: bool, doubt: Any, out: Any) -> None:
    """Write numbers of series next to each other, from one on; those again that were in doubt."""
    for k in range(len(rows)):
        values, target = rows[k], out[k]
        for i in range(lanes):
            if not is_again or doubt[i] > 0:
                target[series + i] = values[i]


@loop
def fit_whole(
    points: Any, first: Any, length: Any, start: int, stop: int, model: Model, room: Room, ranges: Any, numbers: Any
) -> None:
    """Write ranges and numbers of the series from start to before stop, all of whose rows are at hand."""
    series = start
    while series < stop:
        lanes = next_lanes(length, series, stop, len(room.begin))
        rows = find_ranges(points, first, length, series, lanes, model, room)
        write_lanes(room.ranges, series, lanes, False, room.doubt, ranges)
        is_open, is_again = are_fit(model, lanes, room), False
        if is_open:
            set_frame(model, lanes, room)
            for i in range(lanes):
                room.nobs[i] = float(length[series + i])
        while is_open:
            add_up(points, first, length, series, lanes, rows, is_again, model, room)
            is_open = solve(is_again, model, lanes, room) and not is_again
            write_lanes(room.numbers, series, lanes, is_again, room.doubt, numbers)
            if is_open:
                prepare_again(model.size, lanes, room)
                is_again = True
        series += lanes


@loop
def take(
    places: Any, series: int, lanes: int, ranges: Any, nobs: Any, totals: Any, again: Any, model: Model, room: Room
) -> None:
    """Write what is known of series at some places: their frames, and totals, of residuals too if there are such."""
    for i in range(lanes):
        place = places[series + i]
        room.nobs[i] = float(nobs[place])
        for k in range(6):
            room.ranges[k][i] = float(ranges[k][place])
        for at in range(len(totals)):
            for k in range(4):
                room.totals[at][k][i] = int(totals[at][k][place])
        for at in range(len(again)):
            for k in range(4):
                room.again[at][k][i] = int(again[at][k][place])
    set_frame(model, lanes, room)


@loop
def add_cut(
    points: Any, first: Any, length: Any, places: Any, start: int, stop: int, ranges: Any, nobs: Any, is_again: bool,
    model: Model, room: Room, totals: Any, again: Any,
) -> None:  # fmt: skip
    """Add the rows of series to their totals, or to those of residuals, at some places among them."""
    series = start
    while series < stop:
        lanes = next_lanes(length, series, stop, len(room.begin))
        take(places, series, lanes, ranges, nobs, totals, again, model, room)
        if is_again:
            solve(False, model, lanes, room)
            prepare_again(model.size, lanes, room)
        add_up(points, first, length, series, lanes, 0, is_again, model, room)
        found, out = (room.again, again) if is_again else (room.totals, totals)
        for i in range(lanes):
            for at in range(len(found)):
                for k in range(4):
                    out[at][k][places[series + i]] += found[at][k][i]
        series += lanes


@loop
def solve_cut(
    places: Any, start: int, stop: int, ranges: Any, nobs: Any, model: Model, room: Room, totals: Any, again: Any,
    numbers: Any, doubts: Any,
) -> None:  # fmt: skip
    """Write the numbers of series from their totals, and which of them need sums of residuals where there are none."""
    series = start
    while series < stop:
        lanes = min(stop - series, len(room.begin))
        take(places, series, lanes, ranges, nobs, totals, again, model, room)
        is_again, is_open = False, True
        while is_open:
            is_open = solve(is_again, model, lanes, room) and not is_again and len(again) > 0
            write_lanes(room.numbers, series, lanes, is_again, room.doubt, numbers)
            if is_open:
                prepare_again(model.size, lanes, room)
                is_again = True
        for i in range(lanes):
            doubts[series + i] = room.doubt[i] > 0
        series += lanes
