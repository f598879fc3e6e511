"""Double-double arithmetic on lanes: a vector has a number of each of some series, as two rows, high and low parts.

Every inner loop runs over the lanes, so that compilers turn it into vector instructions.
"""

from typing import Any

from regression.common.compiled import loop
from regression.common.double_double import add, multiply, product_error
from regression.common.fixed_point import parts

__all__ = ["add_parts", "add_product", "add_product_parts", "divide", "fill", "scale_rows", "subtract_product"]

Rows = Any  # two rows of lanes, of lists or of an array; or more such rows


@loop
def fill(out: Rows, high: float, lanes: int) -> None:
    """Write a float64 number to all lanes."""
    upper, lower = out[0], out[1]
    for i in range(lanes):
        upper[i], lower[i] = high, 0.0


@loop
def add_product(out: Rows, a: Rows, b: Rows, lanes: int) -> None:
    """Add a b to out."""
    high, low, a_high, a_low, b_high, b_low = out[0], out[1], a[0], a[1], b[0], b[1]
    for i in range(lanes):
        product, rest = multiply(a_high[i], a_low[i], b_high[i], b_low[i])
        high[i], low[i] = add(high[i], low[i], product, rest)


@loop
def subtract_product(out: Rows, a: Rows, b: Rows, lanes: int) -> None:
    """Subtract a b from out."""
    high, low, a_high, a_low, b_high, b_low = out[0], out[1], a[0], a[1], b[0], b[1]
    for i in range(lanes):
        product, rest = multiply(-a_high[i], -a_low[i], b_high[i], b_low[i])
        high[i], low[i] = add(high[i], low[i], product, rest)


@loop
def divide(out: Rows, a: Rows, b: Rows, lanes: int) -> None:
    """Write a / b to out; b is not 0."""
    high, low, a_high, a_low, b_high, b_low = out[0], out[1], a[0], a[1], b[0], b[1]
    for i in range(lanes):
        quotient = a_high[i] / b_high[i]
        rest = (a_high[i] - quotient * b_high[i]) - product_error(quotient, b_high[i])
        rest = (rest + a_low[i] - quotient * b_low[i]) / b_high[i]
        total = quotient + rest
        high[i], low[i] = total, rest - (total - quotient)


@loop
def scale_rows(out: Rows, a: Rows, factor: Any, lanes: int) -> None:
    """Write a times a power of two of each lane to out."""
    high, low, a_high, a_low = out[0], out[1], a[0], a[1]
    for i in range(lanes):
        high[i], low[i] = a_high[i] * factor[i], a_low[i] * factor[i]


@loop
def add_parts(coarse: Any, fine: Any, a: Rows, lanes: int) -> None:
    """Add numbers to sums, as multiples of 2^-50 and of 2^-100."""
    high, low = a[0], a[1]
    for i in range(lanes):
        upper, lower = parts(high[i], low[i])
        coarse[i] += upper
        fine[i] += lower


@loop
def add_product_parts(coarse: Any, fine: Any, a: Rows, b: Rows, lanes: int) -> None:
    """Add a b to sums, as multiples of 2^-50 and of 2^-100."""
    a_high, a_low, b_high, b_low = a[0], a[1], b[0], b[1]
    for i in range(lanes):
        high, low = multiply(a_high[i], a_low[i], b_high[i], b_low[i])
        upper, lower = parts(high, low)
        coarse[i] += upper
        fine[i] += lower
