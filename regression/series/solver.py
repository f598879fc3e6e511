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
from regression.series.frames import unit_power
from regression.series.lanes import add_product, divide, fill, scale_rows, subtract_product
from regression.series.room import Model, Room

__all__ = ["prepare_again", "solve"]

LEAST = 1e-24  # a column with a smaller share of its square left by those before it depends on them
SUM_ERROR = 2.0**-98  # of a sum of squares of n numbers of at most 1, over n
CERTAIN = 2.0**-57  # relative error that does not show in float64
MIDDLE_BITS = 18  # from units of 2^-50 to 2^-68
ROUNDING = 2.0**-94  # relative error of a residual, of which nothing is left after refinement but that


@loop
def load_matrix(totals: Any, size: int, lanes: int, room: Room) -> None:
    """Write the lower triangle of the normal equations from totals of whole numbers."""
    at = 0
    for i in range(size + 1):
        for j in range(i + 1):
            load_sum(totals[at], room.matrix[i][j], lanes)
            at += 1


@loop
def load_sum(total: Any, out: Any, lanes: int) -> None:
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
def factor(size: int, lanes: int, room: Room) -> None:
    """Replace M by D on the diagonal and L below; of columns that depend on others by 1 and zeros."""
    matrix, column, rank, keep = room.matrix, room.column, room.rank, room.spare
    for i in range(lanes):
        rank[i] = 0.0
    for j in range(size):
        pivot, rest, square = matrix[j][j][0], matrix[j][j][1], room.squares[j]
        for i in range(lanes):
            keep[i] = 1.0 if pivot[i] > LEAST * square[i] else 0.0
            rank[i] += keep[i]
            pivot[i], rest[i] = (pivot[i], rest[i]) if keep[i] > 0 else (1.0, 0.0)
        for i in range(j + 1, size + 1):
            scale_rows(column[i], matrix[i][j], keep, lanes)
            divide(matrix[i][j], column[i], matrix[j][j], lanes)
        for i in range(j + 1, size + 1):
            for k in range(j + 1, i + 1):
                subtract_product(matrix[i][k], matrix[i][j], column[k], lanes)


@loop
def keep_squares(size: int, lanes: int, room: Room) -> None:
    """Write the diagonal, the columns' sums of squares, before any is taken off."""
    for j in range(size + 1):
        for i in range(lanes):
            room.squares[j][i] = room.matrix[j][j][0][i]


@loop
def undo_zoom(size: int, lanes: int, room: Room) -> None:
    """Give the sums of residuals the units of the values."""
    for i in range(lanes):
        room.spare[i] = 1 / room.zoom[i]
    for j in range(size + 1):
        scale_rows(room.matrix[size][j], room.matrix[size][j], room.spare, lanes)
    scale_rows(room.matrix[size][size], room.matrix[size][size], room.spare, lanes)
    for i in range(lanes):
        room.left[i] = room.matrix[size][size][0][i]


@loop
def set_powers(size: int, lanes: int, room: Room) -> None:
    """Write T_0 … T_d in powers of x in units of a power of two, where ``u = shift + stretch t``."""
    powers, shift, stretch, one = room.powers, room.u, room.v, room.powers[0][0]
    fill(one, 1.0, lanes)
    for k in range(1, size):
        factor_of_u = 1.0 if k == 1 else 2.0
        for i in range(lanes):
            own = factor_of_u * room.frame[2][i]
            shift[0][i], shift[1][i] = multiply(-room.frame[0][i] * room.frame[1][i], 0.0, own, 0.0)
            stretch[0][i], stretch[1][i] = own, 0.0
        for j in range(k + 1):
            fill(powers[k][j], 0.0, lanes)
            if j < k:
                add_product(powers[k][j], shift, powers[k - 1][j], lanes)
            if j > 0:
                add_product(powers[k][j], stretch, powers[k - 1][j - 1], lanes)
            if j < k - 1:
                subtract_product(powers[k][j], one, powers[k - 2][j], lanes)


@loop
def orthogonalize(is_again: bool, size: int, lanes: int, room: Room) -> None:
    """Write the orthogonal polynomials, in terms of T_k and of powers of x; those left out are in no curve."""
    inner, outer, matrix = room.inner, room.outer, room.matrix
    for k in range(size):
        for j in range(k + 1):
            fill(inner[k][j], 1.0 if j == k else 0.0, lanes)
            if is_again:
                for part in range(2):
                    for i in range(lanes):
                        inner[k][j][part][i] = room.basis[k][j][part][i]
        for i in range(k):
            for j in range(i + 1):
                subtract_product(inner[k][j], matrix[k][i], inner[i][j], lanes)
    for k in range(size):
        for j in range(k + 1):
            fill(outer[k][j], 0.0, lanes)
            for i in range(j, k + 1):
                add_product(outer[k][j], inner[k][i], room.powers[i][j], lanes)


@loop
def add_known(size: int, lanes: int, room: Room) -> None:
    """Add the present curve, in the basis, to the correction, in the orthogonal polynomials."""
    for k in range(size):
        out = room.matrix[size][k]
        for i in range(lanes):
            out[0][i], out[1][i] = add(out[0][i], out[1][i], room.known[k][0][i], room.known[k][1][i])
        for i in range(k + 1, size):
            add_product(out, room.matrix[i][k], room.known[i], lanes)


@loop
def set_goodness(model: Model, lanes: int, room: Room) -> None:
    """Write the trace of the inverse matrix, the explained sum of squares and that of the residuals."""
    size, matrix, trace, explained, ssr = model.size, room.matrix, room.trace, room.explained, room.ssr
    for i in range(lanes):
        is_fit = room.nobs[i] <= room.rank[i]
        trace[i], explained[i], ssr[i] = 0.0, 0.0, 0.0 if is_fit else max(matrix[size][size][0][i], 0.0)
    for k in range(size):
        pivot, part = matrix[k][k][0], matrix[size][k][0]
        for i in range(lanes):
            explained[i] += pivot[i] * part[i] * part[i] if k > 0 or not model.has_intercept else 0.0
        for j in range(k + 1):
            number = room.inner[k][j][0]
            for i in range(lanes):
                trace[i] += number[i] * number[i] / pivot[i]


@loop
def certify(size: int, lanes: int, room: Room) -> None:
    """Write what the sums may have left in sums of squares, and whether the digits of the numbers are in doubt."""
    nobs, trace, ssr, square, error = room.nobs, room.trace, room.ssr, room.squares[size], room.error
    for i in range(lanes):
        share = SUM_ERROR * nobs[i] * size * size
        wide = 1 + math.sqrt(size * trace[i] * square[i])
        error[i] = share * wide * wide
        is_certain = share * size * trace[i] < CERTAIN and (nobs[i] <= room.rank[i] or error[i] < CERTAIN * ssr[i])
        room.doubt[i] = 0.0 if is_certain or square[i] == 0 else 1.0


@loop
def drop_rounding(size: int, lanes: int, room: Room) -> None:
    """Replace sums of squares by 0 where they are no more than what rounding leaves of residuals, after refinement."""
    for i in range(lanes):
        of_terms = room.error[i] * ROUNDING * ROUNDING / (SUM_ERROR * size * size)
        of_sums = room.left[i] * SUM_ERROR * room.nobs[i] * size * size
        if room.ssr[i] <= max(of_terms, of_sums):
            room.ssr[i] = 0.0


@loop
def write_params(j: int, is_again: bool, model: Model, lanes: int, room: Room) -> None:
    """Write a coefficient and its standard error, and doubt the sums where they do not give its digits."""
    size, total, variance, terms, doubt = model.size, room.column[0], room.spare, room.left, room.doubt
    params, errors, nobs, trace, error = room.numbers[j], room.numbers[size + j], room.nobs, room.trace, room.error
    center, power, square = room.frame[3], room.frame[4], room.squares[size]
    share = 1.0 if model.has_intercept and j == 0 else 0.0
    fill(total, 0.0, lanes)
    for i in range(lanes):
        variance[i], terms[i] = 0.0, share * abs(center[i] * power[i])
    for k in range(j, size):
        add_product(total, room.matrix[size][k], room.outer[k][j], lanes)
        outer, part, pivot = room.outer[k][j][0], room.matrix[size][k][0], room.matrix[k][k][0]
        for i in range(lanes):
            variance[i] += outer[i] * outer[i] / pivot[i]
            terms[i] += abs(part[i] * outer[i])
    high, low = total[0], total[1]
    for i in range(lanes):
        value = add(high[i], low[i], share * center[i] * power[i], 0.0)[0]
        params[i], errors[i] = value, math.sqrt(variance[i])
        if is_again:
            params[i] = value if abs(value) >= ROUNDING * terms[i] else 0.0
        else:
            slack = math.sqrt(size * trace[i] * variance[i] * error[i] * SUM_ERROR * nobs[i]) * size
            is_certain = slack < CERTAIN * abs(value) or square[i] == 0
            doubt[i] = doubt[i] if is_certain else 1.0


@loop
def write_goodness(model: Model, lanes: int, room: Room) -> None:
    """Write ssr, sigma, R² and rank, in the user's units."""
    size, numbers, nobs, rank, explained, own = model.size, room.numbers, room.nobs, room.rank, room.explained, room.ssr
    ssr, sigma, rsquared, ranks = numbers[2 * size], numbers[2 * size + 1], numbers[2 * size + 2], numbers[2 * size + 3]
    power, sigma_power = room.frame[4], room.frame[5]
    for i in range(lanes):
        free, total, unit = nobs[i] - rank[i], explained[i] + own[i], sigma_power[i] / power[i]
        sigma[i] = math.sqrt(own[i] / free if free > 0 else math.nan) * unit
        rsquared[i] = explained[i] / total if total > 0 else math.nan
        ssr[i], ranks[i] = own[i] * unit * unit, rank[i]


@loop
def scale_params(model: Model, lanes: int, room: Room) -> None:
    """Give coefficients and errors the user's units; NaN where the points leave them open, or they are infinite."""
    size, rank, sigma, step, one = model.size, room.rank, room.numbers[2 * model.size + 1], room.spare, room.left
    x_power, power, y_power, sigma_power = room.frame[1], room.frame[6], room.frame[4], room.frame[5]
    for i in range(lanes):
        step[i] = 1.0 if model.has_intercept else power[i]
        one[i] = 1.0 if rank[i] == size else math.nan
    for j in range(size):
        params, errors = room.numbers[j], room.numbers[size + j]
        for i in range(lanes):
            params[i] *= step[i] / y_power[i] * one[i]
            spread = 1 / sigma_power[i] if model.absolute_sigma else sigma[i] / sigma_power[i]
            errors[i] *= spread * step[i] * one[i]
            step[i] *= x_power[i]
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
        lanes: How many series.
        room: With their frames, numbers of points and totals; where the numbers are written.
    """
    size, is_doubtful = model.size, False
    load_matrix(room.again if is_again else room.totals, size, lanes, room)
    if is_again:
        undo_zoom(size, lanes, room)
    else:
        keep_squares(size, lanes, room)
        set_powers(size, lanes, room)
    factor(size, lanes, room)
    orthogonalize(is_again, size, lanes, room)
    if is_again:
        add_known(size, lanes, room)
    set_goodness(model, lanes, room)
    if is_again:
        drop_rounding(size, lanes, room)
    else:
        certify(size, lanes, room)
    for j in range(size):
        write_params(j, is_again, model, lanes, room)
    write_goodness(model, lanes, room)
    scale_params(model, lanes, room)
    for i in range(lanes):
        is_doubtful = is_doubtful or room.doubt[i] > 0
    return is_doubtful


@loop
def prepare_again(size: int, lanes: int, room: Room) -> None:
    """Write what sums of residuals are taken with: orthogonal polynomials of lengths near 1, and the curve in them."""
    scale, inverse = room.spare, room.left
    for k in range(size):
        pivot = room.matrix[k][k][0]
        for i in range(lanes):
            scale[i] = unit_power(math.sqrt(pivot[i]))
            inverse[i] = 1 / scale[i]
        for j in range(k + 1):
            scale_rows(room.basis[k][j], room.inner[k][j], scale, lanes)
        scale_rows(room.known[k], room.matrix[size][k], inverse, lanes)
    for i in range(lanes):
        room.zoom[i] = unit_power(math.sqrt(room.ssr[i] + 16 * room.error[i]))
