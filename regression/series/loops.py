"""Sums over the points of many series: whole numbers that do not depend on the order of the rows.

The sums are those of the products of every two of the functions ``f T_0(u) … f T_d(u), h v``, where h is 1, or
1 / sigma in units of the smallest; f is h, or h x without an intercept: then the curve is x times a polynomial.
Lanes end with rows of weight 0, which add nothing to a sum, so that all have the rows of the longest.
"""

from typing import Any

from regression.common.compiled import loop
from regression.common.double_double import multiply, product_error, two_sum
from regression.common.fixed_point import LOWER, LOWER_BITS
from regression.series.lanes import add_parts, add_product, add_product_parts, fill, scale_rows, subtract_product
from regression.series.room import Model, Room

__all__ = ["add_rows", "move_sums"]


@loop
def set_coordinates(x: Any, frame: Any, out: Any, lanes: int) -> None:
    """Write u of a row; the difference to the center is exact."""
    center, power, stretch, high, low = frame[0], frame[1], frame[2], out[0], out[1]
    for i in range(lanes):
        upper, lower = two_sum(x[i], -center[i])
        high[i], low[i] = multiply(upper * power[i], lower * power[i], stretch[i], 0.0)


@loop
def set_values(y: Any, frame: Any, out: Any, lanes: int) -> None:
    """Write v of a row, exactly."""
    center, power, high, low = frame[3], frame[4], out[0], out[1]
    for i in range(lanes):
        upper, lower = two_sum(y[i], -center[i])
        high[i], low[i] = upper * power[i], lower * power[i]


@loop
def set_weights(row: int, model: Model, lanes: int, room: Room) -> None:
    """Write the factors h of a row: 1 or 1 / sigma, and 0 beyond a lane's last row."""
    sigma, power, count = room.columns[2][row], room.frame[5], room.count
    high, low = room.weight[0], room.weight[1]
    for i in range(lanes):
        one = 1.0 if row < count[i] else 0.0
        value = sigma[i] * power[i] if model.has_sigma else 1.0
        value = min(max(value, 1.0), 2.0**60)  # a share of 2^-120 of the largest weight is less than a unit of the sums
        inverse = 1 / value
        rest = ((1 - value * inverse) - product_error(value, inverse)) / value
        high[i], low[i] = one * inverse, one * rest


@loop
def multiply_by_x(a: Any, x: Any, power: Any, lanes: int) -> None:
    """Multiply the numbers by x in units of the largest."""
    high, low = a[0], a[1]
    for i in range(lanes):
        high[i], low[i] = multiply(high[i], low[i], x[i] * power[i], 0.0)


@loop
def set_polynomials(u: Any, functions: Any, size: int, lanes: int) -> None:
    """Write f T_1 … f T_d next to f, by ``T_{k+1} = 2 u T_k - T_{k-1}``."""
    for k in range(1, size):
        fill(functions[k], 0.0, lanes)
        add_product(functions[k], functions[k - 1], u, lanes)
        if k > 1:
            high, low, before, rest = functions[k][0], functions[k][1], functions[k - 2][0], functions[k - 2][1]
            for i in range(lanes):
                upper, error = two_sum(2 * high[i], -before[i])
                high[i], low[i] = upper, error + (2 * low[i] - rest[i])


@loop
def set_plain_functions(row: int, model: Model, lanes: int, room: Room) -> None:
    """Write the functions at a row of points of equal weight, all of them, for a curve with an intercept."""
    functions, size = room.functions, model.size
    fill(functions[0], 1.0, lanes)
    if size > 1:
        set_coordinates(room.columns[0][row], room.frame, functions[1], lanes)
    if size > 2:
        for i in range(lanes):
            room.u[0][i], room.u[1][i] = functions[1][0][i], functions[1][1][i]
        set_polynomials(room.u, functions, size, lanes)
    set_values(room.columns[1][row], room.frame, functions[size], lanes)


@loop
def set_functions(row: int, model: Model, lanes: int, room: Room) -> None:
    """Write the functions at a row."""
    functions, size, weight = room.functions, model.size, room.weight
    set_weights(row, model, lanes, room)
    set_values(room.columns[1][row], room.frame, room.v, lanes)
    fill(functions[size], 0.0, lanes)
    add_product(functions[size], weight, room.v, lanes)
    for k in range(2):
        for i in range(lanes):
            functions[0][k][i] = weight[k][i]
    if not model.has_intercept:
        multiply_by_x(functions[0], room.columns[0][row], room.frame[6], lanes)
    set_coordinates(room.columns[0][row], room.frame, room.u, lanes)
    set_polynomials(room.u, functions, size, lanes)


@loop
def set_residuals(size: int, lanes: int, room: Room) -> None:
    """Replace the functions by nearly orthogonal ones, and the value by the residual of the present curve."""
    functions, mixed, residual = room.functions, room.mixed, room.functions[size]
    for k in range(size):
        fill(mixed[k], 0.0, lanes)
        for j in range(k + 1):
            add_product(mixed[k], room.basis[k][j], functions[j], lanes)
        subtract_product(residual, room.known[k], mixed[k], lanes)
    for k in range(size):
        for part in range(2):
            for i in range(lanes):
                functions[k][part][i] = mixed[k][part][i]
    scale_rows(residual, residual, room.zoom, lanes)


@loop
def add_rows(rows: int, lanes: int, are_residuals: bool, model: Model, room: Room) -> None:
    """Add the products of every two functions at the rows that are loaded to the lanes' sums."""
    functions, coarse, fine = room.functions, room.coarse, room.fine
    shortest = rows
    for i in range(lanes):
        shortest = min(shortest, room.count[i])
    for row in range(rows):
        is_plain = model.has_intercept and not model.has_sigma and not are_residuals and row < shortest
        if is_plain:
            set_plain_functions(row, model, lanes, room)
        else:
            set_functions(row, model, lanes, room)
        if are_residuals:
            set_residuals(model.size, lanes, room)
        at = 0
        for i in range(model.size + 1):
            for j in range(i + 1):
                if is_plain and j == 0:
                    add_parts(coarse[at], fine[at], functions[i], lanes)
                else:
                    add_product_parts(coarse[at], fine[at], functions[i], functions[j], lanes)
                at += 1


@loop
def move_sums(lanes: int, is_long: bool, totals: Any, room: Room) -> None:
    """Write the lanes' sums to the totals of their series, or add those of a long one's pieces, and leave zeros."""
    for at in range(len(totals)):
        coarse, fine, total = room.coarse[at], room.fine[at], totals[at]
        coarse_upper, coarse_lower, fine_upper, fine_lower = total[0], total[1], total[2], total[3]
        for i in range(lanes):
            if is_long:
                coarse_upper[0] += coarse[i] >> LOWER_BITS
                coarse_lower[0] += coarse[i] & LOWER
                fine_upper[0] += fine[i] >> LOWER_BITS
                fine_lower[0] += fine[i] & LOWER
            else:
                coarse_upper[i], coarse_lower[i] = coarse[i] >> LOWER_BITS, coarse[i] & LOWER
                fine_upper[i], fine_lower[i] = fine[i] >> LOWER_BITS, fine[i] & LOWER
            coarse[i], fine[i] = 0, 0
