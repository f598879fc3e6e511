"""The loops over points: plain Python on numbers, compiled where there is much to do, with the same bits.

The loops work on 1,024 points at a time, whose numbers stay in a core's own cache. A *row of numbers* holds the values
of one function at these points as double-double numbers, ``high`` and ``low``. The functions are computed by the
Chebyshev recurrence ``T_{k+1} = 2 u T_k - T_{k-1}`` (Clenshaw, 1955); their products are summed as whole numbers, see
``kernels/fixed_point.py``. The compiler turns each loop ``for i in range(rows)`` into vector instructions.
"""

import math
from typing import Any

from regression.kernels.compiled import loop
from regression.kernels.double_double import add, multiply, reciprocal_square, two_sum
from regression.kernels.fixed_point import COARSE_UNITS, add_to, split

__all__ = ["ROWS_PER_STEP", "add_logarithms", "add_moments", "add_residuals"]

ROWS_PER_STEP = 1024
LARGEST_SIGMA = 2.0**400  # in units of the smallest sigma; the weight of a larger one rounds to 0 in units of 2^-100
LARGEST_TERM = 1.5  # of a sum, in its unit: an exact value of at most 1 is below this after rounding
LOGARITHM_UNIT = 2.0**11  # more than the logarithm of any float64 number


@loop
def write_coordinates(values: Any, start: int, rows: int, center: float, power: float, stretch: float, out: Any) -> int:
    """Write ``(values - center) power stretch``; return how many are not from -1 to 1, NaN among them."""
    high, low, column = out[0], out[1], values[start : start + rows]  # sliced, so that the compiler sees adjacent rows
    outside = 0
    for i in range(rows):
        difference, rest = two_sum(column[i], -center)
        high[i], low[i] = multiply(difference * power, rest * power, stretch, 0.0)
        outside += not abs(high[i]) <= 1.0
    return outside


@loop
def write_weights(sigma: Any, start: int, rows: int, power: float, out: Any) -> int:
    """Write ``1 / (sigma power)²``; return how many sigma are not from 1 to below infinity in these units."""
    high, low, column = out[0], out[1], sigma[start : start + rows]
    outside = 0
    for i in range(rows):
        scaled = column[i] * power
        high[i], low[i] = reciprocal_square(min(max(scaled, 1.0), LARGEST_SIGMA))
        outside += not 1.0 <= scaled < math.inf
    return outside


@loop
def write_ones(rows: int, out: Any) -> None:
    """Write 1."""
    for i in range(rows):
        out[0][i], out[1][i] = 1.0, 0.0


@loop
def write_polynomials(degree: int, rows: int, functions: Any) -> None:
    """Write T_2 … T_d after T_0 and T_1 = u."""
    u_high, u_low = functions[1][0], functions[1][1]
    for k in range(2, degree + 1):
        last_high, last_low = functions[k - 1][0], functions[k - 1][1]
        before_high, before_low = functions[k - 2][0], functions[k - 2][1]
        high, low = functions[k][0], functions[k][1]
        for i in range(rows):
            p, e = multiply(u_high[i], u_low[i], last_high[i], last_low[i])
            high[i], low[i] = add(2 * p, 2 * e, -before_high[i], -before_low[i])


@loop
def write_product(a: Any, b: Any, rows: int, out: Any) -> None:
    """Write ``a b``."""
    a_high, a_low, b_high, b_low, high, low = a[0], a[1], b[0], b[1], out[0], out[1]
    for i in range(rows):
        high[i], low[i] = multiply(a_high[i], a_low[i], b_high[i], b_low[i])


@loop
def add_multiple(a: Any, factor_high: float, factor_low: float, rows: int, out: Any) -> None:
    """Add ``factor a`` to a row of numbers."""
    a_high, a_low, high, low = a[0], a[1], out[0], out[1]
    for i in range(rows):
        p, e = multiply(a_high[i], a_low[i], factor_high, factor_low)
        high[i], low[i] = add(high[i], low[i], p, e)


@loop
def write_combination(coefficients: Any, degree: int, rows: int, workspace: Any, out: Any) -> None:
    """Write a linear combination of T_0 … T_d, which are the first rows of numbers of ``workspace``."""
    for i in range(rows):
        out[0][i], out[1][i] = 0.0, 0.0
    for k in range(degree + 1):
        if coefficients[k][0] != 0.0:
            add_multiple(workspace[k], coefficients[k][0], coefficients[k][1], rows, out)


@loop
def add_values(a: Any, rows: int, total: Any) -> None:
    """Add ``Σ a`` to a total."""
    high, low = a[0], a[1]
    coarse = 0
    fine = 0
    for i in range(rows):
        c, f = split(high[i], low[i])
        coarse += c
        fine += f
    add_to(total, coarse, fine)


@loop
def add_products(a: Any, b: Any, rows: int, total: Any) -> None:
    """Add ``Σ a b`` to a total."""
    a_high, a_low, b_high, b_low = a[0], a[1], b[0], b[1]
    coarse = 0
    fine = 0
    for i in range(rows):
        p, e = multiply(a_high[i], a_low[i], b_high[i], b_low[i])
        c, f = split(p, e)
        coarse += c
        fine += f
    add_to(total, coarse, fine)


@loop
def add_moments(x: Any, y: Any, sigma: Any, frame: Any, degree: int, workspace: Any, totals: Any) -> int:
    """Add the sums over points that determine the least-squares polynomials up to a degree.

    Args:
        x: Points, shape (N,).
        y: Values, shape (N,).
        sigma: Standard deviations of y, shape (N,); empty for weights of 1.
        frame: ``Frame.loop_numbers()``.
        degree: Highest degree d.
        workspace: ``max(d, 1) + 5`` rows of numbers.
        totals: Whole numbers, shape (3 d + 3, 4): the sums of w T_0 … w T_d; of w T_d times T_1 … T_d; of w v times
            T_0 … T_d and v.

    Returns:
        How many numbers were outside of the frame; then the sums are of no use.
    """
    center, power, stretch, y_center, y_power, sigma_power = frame
    value = max(degree, 1) + 1  # order in the workspace: T_0 … T_d, v, w, w T_d, w v
    weight, last, weighted_value = value + 1, degree, value
    is_weighted = len(sigma) > 0
    outside = 0
    if is_weighted or degree > 1:  # else T_0 is not read
        write_ones(min(ROWS_PER_STEP, len(x)), workspace[0])
    for start in range(0, len(x), ROWS_PER_STEP):
        rows = min(ROWS_PER_STEP, len(x) - start)
        outside += write_coordinates(x, start, rows, center, power, stretch, workspace[1])
        outside += write_coordinates(y, start, rows, y_center, y_power, 1.0, workspace[value])
        write_polynomials(degree, rows, workspace)
        if is_weighted:
            last, weighted_value = value + 2, value + 3
            outside += write_weights(sigma, start, rows, sigma_power, workspace[weight])
            write_product(workspace[weight], workspace[degree], rows, workspace[last])
            write_product(workspace[weight], workspace[value], rows, workspace[weighted_value])
            add_values(workspace[weight], rows, totals[0])
        else:
            add_to(totals[0], rows * COARSE_UNITS, 0)
        for k in range(1, degree + 1):
            if is_weighted:
                add_products(workspace[weight], workspace[k], rows, totals[k])
            else:
                add_values(workspace[k], rows, totals[k])
            add_products(workspace[last], workspace[k], rows, totals[degree + k])
            add_products(workspace[weighted_value], workspace[k], rows, totals[2 * degree + 1 + k])
        add_values(workspace[weighted_value], rows, totals[2 * degree + 1])
        add_products(workspace[weighted_value], workspace[value], rows, totals[3 * degree + 2])
    return outside


@loop
def count_large(a: Any, b: Any, rows: int) -> int:
    """Return how many products of two rows of numbers exceed ``LARGEST_TERM`` in size, NaN among them."""
    a_high, b_high = a[0], b[0]
    large = 0
    for i in range(rows):
        large += not abs(a_high[i] * b_high[i]) <= LARGEST_TERM
    return large


@loop
def add_residuals(
    x: Any, y: Any, sigma: Any, frame: Any, degree: int, curve: Any, functions: Any, power: float, workspace: Any,
    totals: Any,
) -> int:  # fmt: skip
    """Add the sums over points that refine a least-squares polynomial (Björck, 1967).

    With the residuals ``r = v - f(u)`` of a curve f and functions q_j, these are the sums of ``w q_j q_k``, of
    ``w r q_j`` and of ``w r²``. Residuals are scaled to at most 1, so these sums have far smaller rounding errors than
    ``Σ w v²``, from which the first pass finds ``Σ w r²`` by subtraction.

    Args:
        x: Points, shape (N,).
        y: Values, shape (N,).
        sigma: Standard deviations of y, shape (N,); empty for weights of 1.
        frame: ``Frame.loop_numbers()``.
        degree: Highest degree d.
        curve: Coefficients of f in T_0 … T_d, double-double, shape (d + 1, 2).
        functions: Coefficients of q_0 … q_{R-1}, shape (R, d + 1, 2).
        power: Factor of r that keeps every term at most 1.
        workspace: ``max(d, 1) + 4 + 2 R`` rows of numbers.
        totals: Whole numbers, shape (R (R + 1) / 2 + R + 1, 4): for each j the sums of w q_j q_k for k = 0 … j; then
            those of w r q_j; then that of w r².

    Returns:
        How many numbers were too large; then the sums are of no use.
    """
    center, stretch_power, stretch, y_center, y_power, sigma_power = frame
    count = len(functions)
    residual = max(degree, 1) + 1  # order in the workspace: T_0 … T_d, r, w, w r, then q_j and w q_j
    weight, weighted_residual, first = residual + 1, residual, residual + 3
    weighted_first = first
    is_weighted = len(sigma) > 0
    outside = 0
    write_ones(min(ROWS_PER_STEP, len(x)), workspace[0])
    for start in range(0, len(x), ROWS_PER_STEP):
        rows = min(ROWS_PER_STEP, len(x) - start)
        outside += write_coordinates(x, start, rows, center, stretch_power, stretch, workspace[1])
        outside += write_coordinates(y, start, rows, y_center, y_power, 1.0, workspace[residual])
        write_polynomials(degree, rows, workspace)
        for k in range(degree + 1):
            add_multiple(workspace[k], -curve[k][0], -curve[k][1], rows, workspace[residual])
        for i in range(rows):
            workspace[residual][0][i] *= power
            workspace[residual][1][i] *= power
        for j in range(count):
            write_combination(functions[j], degree, rows, workspace, workspace[first + j])
        if is_weighted:
            weighted_residual, weighted_first = residual + 2, first + count
            outside += write_weights(sigma, start, rows, sigma_power, workspace[weight])
            write_product(workspace[weight], workspace[residual], rows, workspace[weighted_residual])
            for j in range(count):
                write_product(workspace[weight], workspace[first + j], rows, workspace[weighted_first + j])
        pair = 0
        for j in range(count):
            outside += count_large(workspace[first + j], workspace[weighted_first + j], rows)
            for k in range(j + 1):
                add_products(workspace[first + k], workspace[weighted_first + j], rows, totals[pair])
                pair += 1
        for j in range(count):
            add_products(workspace[first + j], workspace[weighted_residual], rows, totals[pair + j])
        outside += count_large(workspace[residual], workspace[weighted_residual], rows)
        add_products(workspace[residual], workspace[weighted_residual], rows, totals[pair + count])
    return outside


@loop
def logarithm(value: float) -> float:
    """Return the natural logarithm, from correctly rounded operations only, which give the same bits on every machine.

    With ``value = m 2^e``, m in [√½, √2): ``log m = 2 artanh s`` for ``s = (m - 1) / (m + 1)``, |s| < 0.172.
    """
    m, e = math.frexp(value)
    if m < 0.7071067811865476:
        m, e = 2 * m, e - 1
    s = (m - 1) / (m + 1)
    series = 0.0
    for k in range(12):
        series = series * (s * s) + 1 / (23 - 2 * k)
    return e * 0.6931471805599453 + 2 * s * series


@loop
def add_logarithms(sigma: Any, power: float, total: Any) -> None:
    """Add ``Σ log(sigma power) / 2^11`` to a total."""
    for start in range(0, len(sigma), ROWS_PER_STEP):
        coarse = 0
        fine = 0
        for i in range(start, min(start + ROWS_PER_STEP, len(sigma))):
            c, f = split(logarithm(sigma[i] * power) / LOGARITHM_UNIT, 0.0)
            coarse += c
            fine += f
        add_to(total, coarse, fine)
