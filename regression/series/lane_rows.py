"""Lanes: the rows of some series side by side, their ranges, and the coordinates that follow from these.

A lane is a series; one that is longer than a block is alone, and each lane has a piece of it. Each series has
coordinates of its own: ``u = (x - center) / half the range`` and ``v = (y - y_center) 2^-m``, both in [-1, 1].
"""

from typing import Any

from regression.common.compiled import loop
from regression.series.room import ROWS_PER_BLOCK, Model, Room

__all__ = ["LARGEST", "are_fit", "count_lanes", "find_ranges", "load", "set_frame", "set_lanes", "unit_power"]

TINY, LARGEST = 2.0**-1000, 2.0**1000  # the smallest range that is stretched to [-1, 1], and what scales can take
ROWS_PER_PIECE = 16  # of a long series, at least: all lanes with a piece of it are solved
WASTE = 4  # lanes may have this many times the rows of their series


@loop
def count_lanes(length: Any, series: int, stop: int, most: int) -> int:
    """Return how many series from one on go side by side: a long one alone, others of not too different length."""
    lanes, rows, longest = 0, 0, 0
    while series + lanes < stop and lanes < most:
        own = length[series + lanes]
        longest = max(longest, own)
        if lanes > 0 and (longest > ROWS_PER_BLOCK or longest * (lanes + 1) > WASTE * (rows + own)):
            return lanes
        rows += own
        lanes += 1
    return lanes


@loop
def set_lanes(first: Any, length: Any, series: int, lanes: int, room: Room) -> int:
    """Write where the lanes of some series begin and how long they are, and return how many lanes there are."""
    begin, count = room.begin, room.count
    room.loaded[0] = -1
    rows = length[series]
    if rows > ROWS_PER_BLOCK:
        pieces: int = min(len(begin), rows // ROWS_PER_PIECE)
        for i in range(pieces):
            start = rows * i // pieces
            begin[i], count[i] = first[series] + start, rows * (i + 1) // pieces - start
        return pieces
    for i in range(lanes):
        begin[i], count[i] = first[series + i], length[series + i]
    return lanes


@loop
def load(points: Any, block: int, lanes: int, model: Model, room: Room) -> int:
    """Write a block of the lanes' rows side by side, and return how many rows it has: 0 after the last block.

    A lane that has fewer rows goes on with its last one.
    """
    begin, count, loaded = room.begin, room.count, room.loaded
    longest, start = 0, block * ROWS_PER_BLOCK
    for i in range(lanes):
        longest = max(longest, count[i])
    rows = max(min(longest - start, ROWS_PER_BLOCK), 0)
    if rows > 0 and loaded[0] != block:
        for k in range(3 if model.has_sigma else 2):
            column = points[k]
            for row in range(rows):
                out = room.columns[k][row]
                for i in range(lanes):
                    out[i] = column[begin[i] + min(start + row, count[i] - 1)]
        loaded[0] = block
    return rows


@loop
def widen(values: Any, rows: int, lanes: int, low: Any, high: Any) -> None:
    """Widen ranges to the values; both ends become NaN where a value is not finite."""
    for row in range(rows):
        own = values[row]
        for i in range(lanes):
            rest = own[i] - own[i]
            low[i] = (low[i] if low[i] < own[i] else own[i]) + rest
            high[i] = (high[i] if high[i] > own[i] else own[i]) + rest


@loop
def find_ranges(points: Any, lanes: int, is_one: bool, model: Model, room: Room) -> None:
    """Write the ranges of lanes, or of the one series that all of them are pieces of."""
    ranges, infinity, block = room.ranges, float("inf"), 0
    for k in range(3):
        for i in range(lanes):
            ranges[2 * k][i], ranges[2 * k + 1][i] = infinity, -infinity
    rows = load(points, block, lanes, model, room)
    while rows > 0:
        for k in range(3 if model.has_sigma else 2):
            widen(room.columns[k], rows, lanes, ranges[2 * k], ranges[2 * k + 1])
        block += 1
        rows = load(points, block, lanes, model, room)
    if is_one:
        for k in range(3 if model.has_sigma else 2):
            join_ranges(ranges[2 * k], ranges[2 * k + 1], lanes)


@loop
def join_ranges(low: Any, high: Any, lanes: int) -> None:
    """Write the range of all lanes to each of them, NaN if one has it."""
    lowest, highest = low[0], high[0]
    for i in range(lanes):
        rest = low[i] - low[i]
        lowest = (lowest if lowest < low[i] else low[i]) + rest
        highest = (highest if highest > high[i] else high[i]) + rest
    for i in range(lanes):
        low[i], high[i] = lowest, highest


@loop
def are_fit(model: Model, lanes: int, ranges: Any) -> bool:
    """Tell whether ranges are of finite numbers that scales can take, and sigmas positive."""
    for k in range(6 if model.has_sigma else 4):
        least = 0.0 if k == 4 else -LARGEST
        for i in range(lanes):
            if not least < ranges[k][i] < LARGEST:
                return False
    return True


@loop
def unit_power(value: float) -> float:
    """Return the power of two that brings a positive number into [1/2, 1); by Rump's way, without its bits."""
    shrink = 2.0**-54 if value > 1 else 1.0
    wide = value * shrink * (2.0**52 + 1)
    return 0.5 / ((wide - (1 - 2.0**-53) * wide) / shrink)


@loop
def half_range(low: float, high: float, center: float) -> float:
    """Return the distance of the farther end from the center, or where there is none one that leaves room for it."""
    half, least = max(high - center, center - low), max(abs(center) * 2.0**-60, TINY)
    return half if half > least else least


@loop
def set_frame(model: Model, lanes: int, room: Room) -> None:
    """Write the coordinates that follow from ranges."""
    ranges = room.ranges
    low, high, y_low, y_high, least = ranges[0], ranges[1], ranges[2], ranges[3], ranges[4]
    center, power, stretch, x_power = room.center, room.power, room.stretch, room.x_power
    y_center, y_power, sigma_power = room.y_center, room.y_power, room.sigma_power
    for i in range(lanes):
        center[i] = low[i] * 0.5 + high[i] * 0.5
        half = half_range(low[i], high[i], center[i])
        power[i] = unit_power(half)
        stretch[i] = 1 / (half * power[i])
        x_power[i] = unit_power(half_range(low[i], high[i], 0.0))
        y_center[i] = y_low[i] * 0.5 + y_high[i] * 0.5 if model.has_intercept else 0.0
        y_power[i] = unit_power(half_range(y_low[i], y_high[i], y_center[i]))
        sigma_power[i] = 2 * unit_power(max(least[i], TINY)) if model.has_sigma else 1.0
