"""Sums over the points of many series: whole numbers that do not depend on the order of the rows.

The sums are those of the products of every two of the functions ``f T_0(u) … f T_d(u), h v``, where h is 1, or
1 / sigma in units of the smallest; f is h, or h x without an intercept: then the curve is x times a polynomial.
Lanes end with rows of weight 0, which add nothing to a sum, so that all have the rows of the longest.
"""

from typing import Any

from regression.common.compiled import loop
from regression.common.double_double import multiply, product_error, two_sum
from regression.common.fixed_point import LOWER, LOWER_BITS
from regression.moments.loops import place_polynomials, place_product
from regression.series.lane_rows import load
from regression.series.lanes import add_parts, add_product, add_product_parts, scale_rows
from regression.series.room import ROWS_PER_BLOCK, Model, Room

__all__ = ["add_up"]

LARGEST_SIGMA = 2.0**60  # in units of the smallest: a share of 2^-120 of the largest weight is no unit of the sums


@loop
def place_coordinates(values: Any, center: Any, power: Any, stretch: Any, lanes: int, out: Any) -> None:
    """Write ``(value - center) power stretch`` of each lane; the difference is exact, and the power one of two."""
    high, low = out[0], out[1]
    for i in range(lanes):
        difference, rest = two_sum(values[i], -center[i])
        high[i], low[i] = multiply(difference * power[i], rest * power[i], stretch[i], 0.0)


@loop
def place_values(values: Any, center: Any, power: Any, lanes: int, out: Any) -> None:
    """Write ``(value - center) power`` of each lane, exactly."""
    high, low = out[0], out[1]
    for i in range(lanes):
        difference, rest = two_sum(values[i], -center[i])
        high[i], low[i] = difference * power[i], rest * power[i]


@loop
def place_weights(row: int, model: Model, lanes: int, room: Room, h: Any, f: Any) -> None:
    """Write h and f of each lane, 0 beyond its last row."""
    x, sigma, count = room.columns[0][row % ROWS_PER_BLOCK], room.columns[2][row % ROWS_PER_BLOCK], room.count
    x_power, sigma_power = room.x_power, room.sigma_power
    high, low, f_high, f_low = h[0], h[1], f[0], f[1]
    for i in range(lanes):
        one = 1.0 if row < count[i] else 0.0
        value = sigma[i] * sigma_power[i] if model.has_sigma else 1.0
        value = min(max(value, 1.0), LARGEST_SIGMA)
        inverse = 1 / value
        rest = ((1 - value * inverse) - product_error(value, inverse)) / value
        high[i], low[i] = one * inverse, one * rest
        f_high[i], f_low[i] = multiply(high[i], low[i], 1.0 if model.has_intercept else x[i] * x_power[i], 0.0)


@loop
def place_functions(row: int, is_plain: bool, model: Model, lanes: int, room: Room) -> None:
    """Write the functions at a row, whose h are all 1 if it is plain."""
    pairs, size = room.pairs, model.size
    x, y = room.columns[0][row % ROWS_PER_BLOCK], room.columns[1][row % ROWS_PER_BLOCK]
    place_coordinates(x, room.center, room.power, room.stretch, lanes, pairs[1])
    place_polynomials(size - 1, lanes, pairs)
    place_values(y, room.y_center, room.y_power, lanes, pairs[size])
    if not is_plain:
        h, f = pairs[size + 1], pairs[size + 2]
        place_weights(row, model, lanes, room, h, f)
        for k in range(size + 1):
            place_product(f if k < size else h, pairs[k], lanes, pairs[k])


@loop
def place_residuals(size: int, lanes: int, room: Room) -> None:
    """Replace the functions by nearly orthogonal ones, and the value by the residual of the present curve."""
    pairs, basis = room.pairs, room.basis
    for k in range(size - 1, -1, -1):
        place_product(basis[k][k], pairs[k], lanes, pairs[k])
        for j in range(k):
            add_product(1.0, basis[k][j], pairs[j], lanes, pairs[k])
        add_product(-1.0, basis[size][k], pairs[k], lanes, pairs[size])
    scale_rows(pairs[size], room.zoom, lanes, pairs[size])


@loop
def add_row(is_plain: bool, size: int, lanes: int, room: Room) -> None:
    """Add the products of every two functions, of which the first is 1 if the row is plain."""
    pairs, sums, at = room.pairs, room.sums, 0
    for i in range(size + 1):
        for j in range(i + 1):
            if is_plain and j == 0:
                add_parts(pairs[i], lanes, sums[at])
            else:
                add_product_parts(pairs[i], pairs[j], lanes, sums[at])
            at += 1


@loop
def move_sums(lanes: int, room: Room) -> None:
    """Add the sums over a block to the totals, and leave zeros."""
    for at in range(len(room.sums)):
        coarse, fine, total = room.sums[at][0], room.sums[at][1], room.totals[at]
        coarse_upper, coarse_lower, fine_upper, fine_lower = total[0], total[1], total[2], total[3]
        for i in range(lanes):
            coarse_upper[i] += coarse[i] >> LOWER_BITS
            coarse_lower[i] += coarse[i] & LOWER
            fine_upper[i] += fine[i] >> LOWER_BITS
            fine_lower[i] += fine[i] & LOWER
            coarse[i], fine[i] = 0, 0


@loop
def fill_totals(is_joined: bool, lanes: int, room: Room) -> None:
    """Write 0 to the totals, or to all lanes the sum over the lanes: they are pieces of one series."""
    for total in room.totals:
        for k in range(4):
            own, joined = total[k], 0
            for i in range(lanes if is_joined else 0):
                joined += own[i]
            for i in range(lanes):
                own[i] = joined


@loop
def add_up(points: Any, lanes: int, is_one: bool, are_residuals: bool, model: Model, room: Room) -> None:
    """Write the totals of lanes, or of the one series that all of them are pieces of.

    Args:
        points: x, y and sigma.
        lanes: How many lanes.
        is_one: Whether they are pieces of one series.
        are_residuals: Whether the sums are those of residuals and of orthogonal polynomials.
        model: What is fitted.
        room: With the lanes' rows and coordinates, and the basis for residuals.
    """
    block, shortest = 0, room.count[0]
    for i in range(lanes):
        shortest = min(shortest, room.count[i])
    has_plain = model.has_intercept and not model.has_sigma
    fill_totals(False, lanes, room)
    rows = load(points, block, lanes, model, room)
    while rows > 0:
        for row in range(block * ROWS_PER_BLOCK, block * ROWS_PER_BLOCK + rows):
            is_plain = has_plain and row < shortest
            place_functions(row, is_plain, model, lanes, room)
            if are_residuals:
                place_residuals(model.size, lanes, room)
            add_row(is_plain and not are_residuals, model.size, lanes, room)
        move_sums(lanes, room)
        block += 1
        rows = load(points, block, lanes, model, room)
    if is_one:
        fill_totals(True, lanes, room)
