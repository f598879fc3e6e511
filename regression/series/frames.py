"""The coordinates of series, from the ranges of their points.

A lane is a series of at most ``LONGEST`` rows, or a piece of a longer one. Each series has coordinates of its own:
``u = (x - center) / half the range`` and ``v = (y - y_center) 2^-m``, both in [-1, 1].
"""

from typing import Any

from regression.common.compiled import loop
from regression.series.room import LONGEST, Model, Room

__all__ = ["LARGEST", "are_fit", "cut_pieces", "find_ranges", "load", "set_frame", "unit_power"]

TINY, LARGEST = 2.0**-1000, 2.0**1000  # the smallest range that is stretched to [-1, 1], and what scales can take


@loop
def cut_pieces(first: Any, length: Any, series: int, lanes: int, block: int, room: Room) -> int:
    """Write where the lanes of a block begin and how long they are, and return how many there are.

    Args:
        first: First rows of series.
        length: Their numbers of rows.
        series: The first one of some series, of which only one alone is longer than a lane.
        lanes: How many series.
        block: Which block of a long series.
        room: Where to write.
    """
    begin, count, most = room.begin, room.count, len(room.begin)
    rows = length[series]
    if rows <= LONGEST:
        for i in range(lanes):
            begin[i], count[i] = first[series + i], length[series + i]
        return lanes if block == 0 else 0
    width = 0
    for i in range(most):
        done = (block * most + i) * LONGEST
        if done < rows:
            begin[i], count[i], width = first[series] + done, min(rows - done, LONGEST), i + 1
    return width


@loop
def fill_lanes(column: Any, begin: Any, count: Any, lanes: int, rows: int, out: Any) -> None:
    """Write rows side by side; a lane that has fewer goes on with its last one."""
    for row in range(rows):
        own = out[row]
        for i in range(lanes):
            own[i] = float(column[begin[i] + min(row, count[i] - 1)])


@loop
def load(points: Any, lanes: int, model: Model, room: Room) -> int:
    """Write the lanes' rows side by side, and return how many there are."""
    rows = 0
    for i in range(lanes):
        rows = max(rows, room.count[i])
    for k in range(3 if model.has_sigma else 2):
        fill_lanes(points[k], room.begin, room.count, lanes, rows, room.columns[k])
    return rows


@loop
def widen(values: Any, lanes: int, rows: int, low: Any, high: Any) -> None:
    """Widen ranges to the values; both ends become NaN where a value is not finite."""
    for row in range(rows):
        own = values[row]
        for i in range(lanes):
            rest = own[i] - own[i]
            low[i] = (low[i] if low[i] < own[i] else own[i]) + rest
            high[i] = (high[i] if high[i] > own[i] else own[i]) + rest


@loop
def find_ranges(points: Any, first: Any, length: Any, series: int, lanes: int, model: Model, room: Room) -> int:
    """Write the ranges of some series, and return the rows of the lanes that are loaded if there is but one block."""
    ranges, infinity, block, rows = room.ranges, float("inf"), 0, 0
    width = cut_pieces(first, length, series, lanes, 0, room)
    for i in range(len(room.begin)):
        for k in range(3):
            ranges[2 * k][i], ranges[2 * k + 1][i] = infinity, -infinity
    while width > 0:
        rows = load(points, width, model, room)
        for k in range(3 if model.has_sigma else 2):
            widen(room.columns[k], width, rows, ranges[2 * k], ranges[2 * k + 1])
        block += 1
        width = cut_pieces(first, length, series, lanes, block, room)
    if length[series] > LONGEST:
        join_ranges(ranges, len(room.begin))
    return rows if block == 1 else 0


@loop
def join_ranges(ranges: Any, lanes: int) -> None:
    """Write the range of all lanes to the first one, NaN if one has it."""
    for k in range(3):
        low, high = ranges[2 * k], ranges[2 * k + 1]
        for i in range(lanes):
            if low[i] < low[0] or low[i] != low[i]:
                low[0] = low[i]
            if high[i] > high[0] or high[i] != high[i]:
                high[0] = high[i]


@loop
def are_fit(model: Model, lanes: int, room: Room) -> bool:
    """Tell whether ranges are of finite numbers that scales can take, and sigmas positive."""
    for i in range(lanes):
        for k in range(6 if model.has_sigma else 4):
            if not -LARGEST < room.ranges[k][i] < LARGEST:
                return False
        if model.has_sigma and not room.ranges[4][i] > 0:
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
    low, high, y_low, y_high, least = room.ranges[0], room.ranges[1], room.ranges[2], room.ranges[3], room.ranges[4]
    frame = room.frame
    center, power, stretch, y_center, y_power = frame[0], frame[1], frame[2], frame[3], frame[4]
    sigma_power, x_power = frame[5], frame[6]
    for i in range(lanes):
        center[i] = low[i] * 0.5 + high[i] * 0.5
        half = half_range(low[i], high[i], center[i])
        power[i] = unit_power(half)
        stretch[i] = 1 / (half * power[i])
        x_power[i] = unit_power(half_range(low[i], high[i], 0.0))
        y_center[i] = y_low[i] * 0.5 + y_high[i] * 0.5 if model.has_intercept else 0.0
        y_power[i] = unit_power(half_range(y_low[i], y_high[i], y_center[i]))
        sigma_power[i] = 2 * unit_power(max(least[i], TINY)) if model.has_sigma else 1.0
