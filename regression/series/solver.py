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
from regression.series.lane_rows import unit_power
from regression.series.lanes import add_product, divide, fill, scale_rows
from regression.series.room import Model, Room

__all__ = ["solve"]

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
    """Write the lower triangle of the normal equations, and its diagonal, of T_k the first time, as squares."""
    at = 0
    for i in range(size + 1):
        row = room.matrix[i]
        for j in range(i + 1):
            load_sum(room.totals[at], lanes, row[j])
            at += 1
        if i == size or not is_again:
            high, square = row[i][0], room.squares[i]
            for lane in range(lanes):
                square[lane] = high[lane]


@loop
def factor(size: int, lanes: int, room: Room) -> None:
    """Replace M by D on the diagonal and L below; of columns that depend on others by 1 and zeros."""
    matrix, column, rank, keep = room.matrix, room.pairs, room.rank, room.pairs[size + 1][0]
    for i in range(lanes):
        rank[i] = 0.0
    for j in range(size):
        pair, square = matrix[j][j], room.squares[j]
        pivot, rest = pair[0], pair[1]
        for i in range(lanes):
            keep[i] = 1.0 if pivot[i] > LEAST * square[i] else 0.0
            rank[i] += keep[i]
            pivot[i], rest[i] = (pivot[i], rest[i]) if keep[i] > 0 else (1.0, 0.0)
        for i in range(j + 1, size + 1):
            scale_rows(matrix[i][j], keep, lanes, column[i])
            divide(column[i], pair, lanes, matrix[i][j])
        for i in range(j + 1, size + 1):
            for k in range(j + 1, i + 1):
                add_product(-1.0, matrix[i][j], column[k], lanes, matrix[i][k])


@loop
def place_basis(size: int, lanes: int, room: Room) -> None:
    """Write T_0 … T_d in terms of themselves, and in powers of x in units of a power of two.

    There ``u = shift + stretch t``.
    """
    basis, shift, stretch = room.basis, room.pairs[0], room.pairs[1]
    center, power, own_stretch = room.center, room.power, room.stretch
    shift_high, shift_low, high, low = shift[0], shift[1], stretch[0], stretch[1]
    for k in range(size):
        for j in range(2 * size):
            fill(basis[k][j], 1.0 if j == k or (k == 0 and j == size) else 0.0, lanes)
    for k in range(1, size):
        for i in range(lanes):
            own = (1.0 if k == 1 else 2.0) * own_stretch[i]
            shift_high[i], shift_low[i] = multiply(-center[i] * power[i], 0.0, own, 0.0)
            high[i], low[i] = own, 0.0
        for j in range(size, size + k + 1):
            add_product(1.0, shift, basis[k - 1][j], lanes, basis[k][j])
            if j > size:
                add_product(1.0, stretch, basis[k - 1][j - 1], lanes, basis[k][j])
            if k > 1:
                add_product(-1.0, basis[0][size], basis[k - 2][j], lanes, basis[k][j])


@loop
def orthogonalize(size: int, lanes: int, room: Room) -> None:
    """Replace the basis by orthogonal polynomials; those left out are in no curve."""
    for k in range(1, size):
        own = room.basis[k]
        for i in range(k):
            share, other = room.matrix[k][i], room.basis[i]
            for j in range(i + 1):
                add_product(-1.0, share, other[j], lanes, own[j])
                add_product(-1.0, share, other[size + j], lanes, own[size + j])


@loop
def add_curve(size: int, lanes: int, room: Room) -> None:
    """Add the present curve, in the basis, to the correction, in the orthogonal polynomials and in units of zoom."""
    matrix, curve, zoom = room.matrix, room.basis[size], room.zoom
    for k in range(size):
        pair, own = matrix[size][k], curve[k]
        high, low, own_high, own_low = pair[0], pair[1], own[0], own[1]
        for i in range(lanes):
            high[i], low[i] = add(high[i] / zoom[i], low[i] / zoom[i], own_high[i], own_low[i])
        for i in range(k + 1, size):
            add_product(1.0, matrix[i][k], curve[i], lanes, pair)


@loop
def set_goodness(model: Model, lanes: int, room: Room) -> None:
    """Write the trace of the inverse matrix, the explained sum of squares and that of the residuals."""
    size, matrix = model.size, room.matrix
    nobs, rank, trace, explained, ssr = room.nobs, room.rank, room.trace, room.explained, room.ssr
    own, values, zoom = matrix[size][size][0], matrix[size], room.zoom
    for i in range(lanes):
        trace[i], explained[i] = 0.0, 0.0
        ssr[i] = own[i] / zoom[i] / zoom[i] if nobs[i] > rank[i] and own[i] > 0 else 0.0
    for k in range(size):
        pivot, part, share = matrix[k][k][0], values[k][0], 1.0 if k > 0 or not model.has_intercept else 0.0
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
    square, zoom = room.squares[size], room.zoom
    nobs, rank, trace, ssr, error, doubt = room.nobs, room.rank, room.trace, room.ssr, room.error, room.doubt
    for i in range(lanes):
        share = SUM_ERROR * nobs[i] * size * size
        if is_again:
            of_terms = error[i] * ROUNDING * ROUNDING / (SUM_ERROR * size * size)
            of_sums = square[i] / zoom[i] / zoom[i] * share
            ssr[i] = ssr[i] if ssr[i] > of_terms and ssr[i] > of_sums else 0.0
        else:
            wide = 1 + math.sqrt(size * trace[i] * square[i])
            error[i] = share * wide * wide
            is_certain = (share * size * trace[i] < CERTAIN) & ((nobs[i] <= rank[i]) | (error[i] < CERTAIN * ssr[i]))
            doubt[i] = 0.0 if is_certain | (square[i] == 0) else 1.0


@loop
def write_coefficient(j: int, is_again: bool, model: Model, lanes: int, room: Room) -> None:
    """Write a coefficient and its standard error for errors of 1, and doubt the sums if they do not give its digits."""
    size, total, rows = model.size, room.pairs[0], room.pairs[1]
    high, low, variance, terms = total[0], total[1], rows[0], rows[1]
    nobs, trace, error, doubt = room.nobs, room.trace, room.error, room.doubt
    center, power, square = room.y_center, room.y_power, room.squares[size]
    params, errors = room.numbers[j], room.numbers[size + j]
    share, rounding = 1.0 if model.has_intercept and j == 0 else 0.0, ROUNDING if is_again else 0.0
    for i in range(lanes):
        high[i], low[i], variance[i], terms[i] = 0.0, 0.0, 0.0, share * abs(center[i] * power[i])
    for k in range(j, size):
        number, part = room.basis[k][size + j], room.matrix[size][k]
        add_product(1.0, part, number, lanes, total)
        own, own_part, pivot = number[0], part[0], room.matrix[k][k][0]
        for i in range(lanes):
            variance[i] += own[i] * own[i] / pivot[i]
            terms[i] += abs(own_part[i] * own[i])
    for i in range(lanes):
        value = add(high[i], low[i], share * center[i] * power[i], 0.0)[0]
        errors[i] = math.sqrt(variance[i])
        params[i] = 0.0 if abs(value) < rounding * terms[i] else value
        slack = math.sqrt(size * trace[i] * variance[i] * error[i] * SUM_ERROR * nobs[i]) * size
        doubt[i] = doubt[i] if is_again | (slack < CERTAIN * abs(value)) | (square[i] == 0) else 1.0


@loop
def write_goodness(model: Model, lanes: int, room: Room) -> None:
    """Write ssr, sigma, R² and rank in the user's units, and give them to coefficients and errors.

    NaN stands where the points leave a number open, or it is infinite.
    """
    size, numbers, step = model.size, room.numbers, room.pairs[0][0]
    nobs, rank, explained, own = room.nobs, room.rank, room.explained, room.ssr
    ssr, sigma, rsquared, ranks = numbers[2 * size], numbers[2 * size + 1], numbers[2 * size + 2], numbers[2 * size + 3]
    power, x_power, y_power, sigma_power = room.power, room.x_power, room.y_power, room.sigma_power
    for i in range(lanes):
        free, total, unit = nobs[i] - rank[i], explained[i] + own[i], sigma_power[i] / y_power[i]
        sigma[i] = math.sqrt(own[i] / free if free > 0 else math.nan) * unit
        rsquared[i] = explained[i] / total if total > 0 else math.nan
        ssr[i], ranks[i] = own[i] * unit * unit, rank[i]
        step[i] = (1.0 if rank[i] == size else math.nan) * (1.0 if model.has_intercept else x_power[i])
    for j in range(size):
        params, errors = numbers[j], numbers[size + j]
        for i in range(lanes):
            spread = 1.0 if model.absolute_sigma else sigma[i]
            params[i] *= step[i] / y_power[i]
            errors[i] *= spread / sigma_power[i] * step[i]
            step[i] *= power[i]
    for j in range(2 * size + 2):
        values = numbers[j]
        for i in range(lanes):
            values[i] += values[i] - values[i]


@loop
def prepare_again(size: int, lanes: int, room: Room) -> None:
    """Write what sums of residuals are taken with: orthogonal polynomials of lengths near 1, and the curve in them."""
    matrix, basis, rows = room.matrix, room.basis, room.pairs[0]
    scale, inverse, zoom, ssr, error = rows[0], rows[1], room.zoom, room.ssr, room.error
    for k in range(size):
        pivot, own = matrix[k][k][0], basis[k]
        for i in range(lanes):
            scale[i] = unit_power(math.sqrt(pivot[i]))
            inverse[i] = 1 / scale[i]
        for j in range(2 * size):
            scale_rows(own[j], scale, lanes, own[j])
        scale_rows(matrix[size][k], inverse, lanes, basis[size][k])
    for i in range(lanes):
        zoom[i] = unit_power(math.sqrt(ssr[i] + 16 * error[i]))


@loop
def solve(is_again: bool, model: Model, lanes: int, room: Room) -> bool:
    """Write the numbers of some series, and return whether there are such that sums of residuals must certify.

    Args:
        is_again: Whether to go by sums of residuals, which were taken as the first solution says.
        model: What is fitted.
        lanes: How many lanes.
        room: With their coordinates, numbers of points and totals; where the numbers are written.
    """
    size, is_doubtful = model.size, False
    load_matrix(is_again, size, lanes, room)
    if not is_again:
        for i in range(lanes):
            room.zoom[i] = 1.0
        place_basis(size, lanes, room)
    factor(size, lanes, room)
    orthogonalize(size, lanes, room)
    if is_again:
        add_curve(size, lanes, room)
    set_goodness(model, lanes, room)
    certify(is_again, size, lanes, room)
    for j in range(size):
        write_coefficient(j, is_again, model, lanes, room)
    write_goodness(model, lanes, room)
    for i in range(lanes):
        is_doubtful = is_doubtful or room.doubt[i] > 0
    if is_doubtful and not is_again:
        prepare_again(size, lanes, room)
    return is_doubtful
