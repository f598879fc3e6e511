"""From the sums of some series, side by side, to their curves: the normal equations, factored in double-double numbers.

With ``M = L D Lᵀ`` the rows of ``L⁻¹`` are polynomials that are orthogonal on the points, and the last row of L, that
of the values, has the curve's coefficients in them. Their expansion in powers of x gives the user's coefficients, and
the lengths of its columns the standard errors. All sums of squares have positive terms alone, which lose no digits.

Where the sums do not certify the last digit they are taken once more, of these polynomials and of the residuals: one
step of refinement (Björck, Solving linear least squares problems by Gram-Schmidt orthogonalization, BIT 7, 1967), of
the factors as well.
"""

import math
from typing import Any

from regression.common.compiled import loop
from regression.common.double_double import add, multiply, two_sum
from regression.common.fixed_point import LOWER, LOWER_BITS
from regression.moments.loops import place_product
from regression.series.lane_rows import unit_power
from regression.series.lanes import add_product, divide, fill, scale_rows
from regression.series.room import (
    CENTER, DOUBT, ERROR, EXPLAINED, LEFT, NOBS, POWER, RANK, SIGMA_POWER, SPARE, SSR, STRETCH, TRACE, X_POWER,
    Y_CENTER, Y_POWER, ZOOM, Model, Room,
)  # fmt: skip

__all__ = ["prepare_again", "solve"]

LEAST = 1e-24  # a column with a smaller share of its square left by those before it depends on them
SUM_ERROR = 2.0**-98  # of a sum of squares of n numbers of at most 1, over n
CERTAIN = 2.0**-57  # relative error that does not show in float64
MIDDLE_BITS = 18  # from units of 2^-50 to 2^-68
ROUNDING = 2.0**-94  # relative error of a residual, of which nothing is left after refinement but that


@loop
def load_sum(total: Any, lanes: int, out: Any) -> None:
    """Write a total of each lane as a double-double number."""
    coarse_upper, coarse_lower, fine_upper, fine_lower = total[0], total[1], total[2], total[3]
    high, low = out[0], out[1]
    for i in range(lanes):
        carry = fine_lower[i] >> LOWER_BITS
        upper, lower = coarse_upper[i] + (coarse_lower[i] >> LOWER_BITS), coarse_lower[i] & LOWER
        middle, last = (lower << MIDDLE_BITS) + fine_upper[i] + carry, fine_lower[i] & LOWER
        total, rest = two_sum(float(upper) * 2.0**-18, float(middle) * 2.0**-68)
        high[i], low[i] = two_sum(total, rest + float(last) * 2.0**-100)


@loop
def load_matrix(is_again: bool, size: int, lanes: int, room: Room) -> None:
    """Write the lower triangle of the normal equations, and the first time its diagonal, the sums of squares."""
    matrix, at = room.matrix, 0
    for i in range(size + 1):
        for j in range(i + 1):
            load_sum(room.totals[at], lanes, matrix[i][j])
            at += 1
    if is_again:  # residuals get the unit of the values
        inverse, left = room.facts[SPARE], room.facts[LEFT]
        for i in range(lanes):
            inverse[i] = 1 / room.facts[ZOOM][i]
            left[i] = matrix[size][size][0][i] * inverse[i] * inverse[i]
        for j in range(size + 1):
            scale_rows(matrix[size][j], inverse, lanes, matrix[size][j])
        scale_rows(matrix[size][size], inverse, lanes, matrix[size][size])
    else:
        for j in range(size + 1):
            for i in range(lanes):
                room.squares[j][i] = matrix[j][j][0][i]


@loop
def factor(size: int, lanes: int, room: Room) -> None:
    """Replace M by D on the diagonal and L below; of columns that depend on others by 1 and zeros."""
    matrix, column, rank, keep = room.matrix, room.pairs, room.facts[RANK], room.facts[SPARE]
    for i in range(lanes):
        rank[i] = 0.0
    for j in range(size):
        pivot, rest, square = matrix[j][j][0], matrix[j][j][1], room.squares[j]
        for i in range(lanes):
            keep[i] = 1.0 if pivot[i] > LEAST * square[i] else 0.0
            rank[i] += keep[i]
            pivot[i], rest[i] = (pivot[i], rest[i]) if keep[i] > 0 else (1.0, 0.0)
        for i in range(j + 1, size + 1):
            scale_rows(matrix[i][j], keep, lanes, column[i])
            divide(column[i], matrix[j][j], lanes, matrix[i][j])
        for i in range(j + 1, size + 1):
            for k in range(j + 1, i + 1):
                add_product(-1.0, matrix[i][j], column[k], lanes, matrix[i][k])


@loop
def place_powers(size: int, lanes: int, room: Room) -> None:
    """Write T_0 … T_d in powers of x in units of a power of two, where ``u = shift + stretch t``."""
    powers, shift, stretch, facts = room.powers, room.pairs[0], room.pairs[1], room.facts
    center, power, own_stretch = facts[CENTER], facts[POWER], facts[STRETCH]
    shift_high, shift_low, high, low = shift[0], shift[1], stretch[0], stretch[1]
    fill(powers[0][0], 1.0, lanes)
    for k in range(1, size):
        for i in range(lanes):
            own = (1.0 if k == 1 else 2.0) * own_stretch[i]
            shift_high[i], shift_low[i] = multiply(-center[i] * power[i], 0.0, own, 0.0)
            high[i], low[i] = own, 0.0
        for j in range(k + 1):
            fill(powers[k][j], 0.0, lanes)
            if j < k:
                add_product(1.0, shift, powers[k - 1][j], lanes, powers[k][j])
            if j > 0:
                add_product(1.0, stretch, powers[k - 1][j - 1], lanes, powers[k][j])
            if j < k - 1:
                add_product(-1.0, powers[0][0], powers[k - 2][j], lanes, powers[k][j])


@loop
def orthogonalize(size: int, lanes: int, room: Room) -> None:
    """Write the orthogonal polynomials, in terms of T_k and of powers of x; those left out are in no curve."""
    basis, outer, matrix, powers = room.basis, room.outer, room.matrix, room.powers
    for k in range(1, size):
        for i in range(k):
            for j in range(i + 1):
                add_product(-1.0, matrix[k][i], basis[i][j], lanes, basis[k][j])
    for k in range(size):
        for j in range(k + 1):
            fill(outer[k][j], 0.0, lanes)
            for i in range(j, k + 1):
                add_product(1.0, basis[k][i], powers[i][j], lanes, outer[k][j])


@loop
def add_curve(size: int, lanes: int, room: Room) -> None:
    """Add the present curve, in the basis, to the correction, in the orthogonal polynomials."""
    matrix, curve = room.matrix, room.basis[size]
    for k in range(size):
        high, low, own_high, own_low = matrix[size][k][0], matrix[size][k][1], curve[k][0], curve[k][1]
        for i in range(lanes):
            high[i], low[i] = add(high[i], low[i], own_high[i], own_low[i])
        for i in range(k + 1, size):
            add_product(1.0, matrix[i][k], curve[i], lanes, matrix[size][k])


@loop
def set_goodness(model: Model, lanes: int, room: Room) -> None:
    """Write the trace of the inverse matrix, the explained sum of squares and that of the residuals."""
    size, matrix, facts = model.size, room.matrix, room.facts
    nobs, rank, trace, explained, ssr = facts[NOBS], facts[RANK], facts[TRACE], facts[EXPLAINED], facts[SSR]
    own = matrix[size][size][0]
    for i in range(lanes):
        trace[i], explained[i], ssr[i] = 0.0, 0.0, 0.0 if nobs[i] <= rank[i] else max(own[i], 0.0)
    for k in range(size):
        pivot, part, share = matrix[k][k][0], matrix[size][k][0], 1.0 if k > 0 or not model.has_intercept else 0.0
        for i in range(lanes):
            explained[i] += share * (pivot[i] * part[i] * part[i])
        for j in range(k + 1):
            number = room.basis[k][j][0]
            for i in range(lanes):
                trace[i] += number[i] * number[i] / pivot[i]


@loop
def certify(is_again: bool, size: int, lanes: int, room: Room) -> None:
    """Write what the sums may have left in those of residuals, and whether the numbers' digits are in doubt by that.

    After refinement, replace sums of squares by 0 where they are no more than what rounding leaves of residuals.
    """
    facts, square = room.facts, room.squares[size]
    nobs, rank, trace, ssr, error, doubt = facts[NOBS], facts[RANK], facts[TRACE], facts[SSR], facts[ERROR], facts[DOUBT]
    left = facts[LEFT]
    for i in range(lanes):
        share = SUM_ERROR * nobs[i] * size * size
        if is_again:
            of_terms = error[i] * ROUNDING * ROUNDING / (SUM_ERROR * size * size)
            ssr[i] = 0.0 if ssr[i] <= max(of_terms, left[i] * share) else ssr[i]
        else:
            wide = 1 + math.sqrt(size * trace[i] * square[i])
            error[i] = share * wide * wide
            is_certain = share * size * trace[i] < CERTAIN and (nobs[i] <= rank[i] or error[i] < CERTAIN * ssr[i])
            doubt[i] = 0.0 if is_certain or square[i] == 0 else 1.0


@loop
def write_coefficient(j: int, is_again: bool, model: Model, lanes: int, room: Room) -> None:
    """Write a coefficient and its standard error, and doubt the sums where they do not give its digits."""
    size, facts, matrix, outer = model.size, room.facts, room.matrix, room.outer
    total, variance, terms, doubt = room.pairs[0], facts[SPARE], facts[LEFT], facts[DOUBT]
    nobs, trace, error, center, power = facts[NOBS], facts[TRACE], facts[ERROR], facts[Y_CENTER], facts[Y_POWER]
    params, errors, square = room.numbers[j], room.numbers[size + j], room.squares[size]
    share = 1.0 if model.has_intercept and j == 0 else 0.0
    fill(total, 0.0, lanes)
    for i in range(lanes):
        variance[i], terms[i] = 0.0, share * abs(center[i] * power[i])
    for k in range(j, size):
        add_product(1.0, matrix[size][k], outer[k][j], lanes, total)
        own, part, pivot = outer[k][j][0], matrix[size][k][0], matrix[k][k][0]
        for i in range(lanes):
            variance[i] += own[i] * own[i] / pivot[i]
            terms[i] += abs(part[i] * own[i])
    high, low = total[0], total[1]
    for i in range(lanes):
        value = add(high[i], low[i], share * center[i] * power[i], 0.0)[0]
        errors[i] = math.sqrt(variance[i])
        if is_again:
            params[i] = value if abs(value) >= ROUNDING * terms[i] else 0.0
        else:
            params[i] = value
            slack = math.sqrt(size * trace[i] * variance[i] * error[i] * SUM_ERROR * nobs[i]) * size
            doubt[i] = doubt[i] if slack < CERTAIN * abs(value) or square[i] == 0 else 1.0


@loop
def write_goodness(model: Model, lanes: int, room: Room) -> None:
    """Write ssr, sigma, R² and rank, in the user's units."""
    size, facts, numbers = model.size, room.facts, room.numbers
    nobs, rank, explained, own = facts[NOBS], facts[RANK], facts[EXPLAINED], facts[SSR]
    ssr, sigma, rsquared, ranks = numbers[2 * size], numbers[2 * size + 1], numbers[2 * size + 2], numbers[2 * size + 3]
    power, sigma_power = facts[Y_POWER], facts[SIGMA_POWER]
    for i in range(lanes):
        free, total, unit = nobs[i] - rank[i], explained[i] + own[i], sigma_power[i] / power[i]
        sigma[i] = math.sqrt(own[i] / free if free > 0 else math.nan) * unit
        rsquared[i] = explained[i] / total if total > 0 else math.nan
        ssr[i], ranks[i] = own[i] * unit * unit, rank[i]


@loop
def scale_coefficients(model: Model, lanes: int, room: Room) -> None:
    """Give coefficients and errors the user's units; NaN where the points leave them open, or they are infinite."""
    size, facts, sigma = model.size, room.facts, room.numbers[2 * model.size + 1]
    rank, step, y_power, sigma_power = facts[RANK], facts[SPARE], facts[Y_POWER], facts[SIGMA_POWER]
    power, x_power = facts[POWER], facts[X_POWER]
    for i in range(lanes):
        step[i] = (1.0 if rank[i] == size else math.nan) * (1.0 if model.has_intercept else x_power[i])
    for j in range(size):
        params, errors = room.numbers[j], room.numbers[size + j]
        for i in range(lanes):
            spread = 1 / sigma_power[i] if model.absolute_sigma else sigma[i] / sigma_power[i]
            params[i] *= step[i] / y_power[i]
            errors[i] *= spread * step[i]
            step[i] *= power[i]
    for j in range(2 * size + 2):
        values = room.numbers[j]
        for i in range(lanes):
            values[i] += values[i] - values[i]


@loop
def solve(is_again: bool, model: Model, lanes: int, room: Room) -> bool:
    """Write the numbers of some series, and return whether there are such that sums of residuals must certify.

    Args:
        is_again: Whether to go by sums of residuals, after ``prepare_again``.
        model: What is fitted.
        lanes: How many lanes.
        room: With their facts and totals; where the numbers are written.
    """
    size, is_doubtful = model.size, False
    load_matrix(is_again, size, lanes, room)
    if not is_again:
        place_powers(size, lanes, room)
        for k in range(size):
            for j in range(k + 1):
                fill(room.basis[k][j], 1.0 if j == k else 0.0, lanes)
    factor(size, lanes, room)
    orthogonalize(size, lanes, room)
    if is_again:
        add_curve(size, lanes, room)
    set_goodness(model, lanes, room)
    certify(is_again, size, lanes, room)
    for j in range(size):
        write_coefficient(j, is_again, model, lanes, room)
    write_goodness(model, lanes, room)
    scale_coefficients(model, lanes, room)
    for i in range(lanes):
        is_doubtful = is_doubtful or room.facts[DOUBT][i] > 0
    return is_doubtful


@loop
def prepare_again(size: int, lanes: int, room: Room) -> None:
    """Write what sums of residuals are taken with: orthogonal polynomials of lengths near 1, and the curve in them."""
    facts, matrix, basis = room.facts, room.matrix, room.basis
    scale, inverse, zoom, ssr, error = facts[SPARE], facts[LEFT], facts[ZOOM], facts[SSR], facts[ERROR]
    for k in range(size):
        pivot = matrix[k][k][0]
        for i in range(lanes):
            scale[i] = unit_power(math.sqrt(pivot[i]))
            inverse[i] = 1 / scale[i]
        for j in range(k + 1):
            scale_rows(basis[k][j], scale, lanes, basis[k][j])
        scale_rows(matrix[size][k], inverse, lanes, basis[size][k])
    for i in range(lanes):
        zoom[i] = unit_power(math.sqrt(ssr[i] + 16 * error[i]))
