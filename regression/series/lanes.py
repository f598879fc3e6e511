"""Double-double arithmetic on lanes: a pair of rows has the high and low parts of a number of each of some series.

Every inner loop runs over the lanes, so that compilers turn it into vector instructions.
"""

from typing import Any

from regression.common.compiled import loop
from regression.common.double_double import add, multiply, product_error
from regression.common.fixed_point import parts

__all__ = ["add_parts", "add_product", "add_product_parts", "divide", "fill", "scale_rows"]

Pair = Any  # two rows of lanes, of lists or of an array


@loop
def fill(out: Pair, value: float, lanes: int) -> None:
    """Write a float64 number to all lanes."""
    high, low = out[0], out[1]
    for i in range(lanes):
        high[i], low[i] = value, 0.0


@loop
def add_product(sign: float, a: Pair, b: Pair, lanes: int, out: Pair) -> None:
    """Add ``sign a b``, where the sign is 1 or -1."""
    high, low, a_high, a_low, b_high, b_low = out[0], out[1], a[0], a[1], b[0], b[1]
    for i in range(lanes):
        product, rest = multiply(sign * a_high[i], sign * a_low[i], b_high[i], b_low[i])
        high[i], low[i] = add(high[i], low[i], product, rest)


@loop
def divide(a: Pair, b: Pair, lanes: int, out: Pair) -> None:
    """Write a / b; b is not 0."""
    high, low, a_high, a_low, b_high, b_low = out[0], out[1], a[0], a[1], b[0], b[1]
    for i in range(lanes):
        quotient = a_high[i] / b_high[i]
        rest = (a_high[i] - quotient * b_high[i]) - product_error(quotient, b_high[i])
        rest = (rest + a_low[i] - quotient * b_low[i]) / b_high[i]
        total = quotient + rest
        high[i], low[i] = total, rest - (total - quotient)


@loop
def scale_rows(a: Pair, factor: Any, lanes: int, out: Pair) -> None:
    """Write a times a power of two of each lane."""
    high, low, a_high, a_low = out[0], out[1], a[0], a[1]
    for i in range(lanes):
        high[i], low[i] = a_high[i] * factor[i], a_low[i] * factor[i]


@loop
def add_parts(a: Pair, lanes: int, out: Any) -> None:
    """Add numbers to sums, as multiples of 2^-50 and of 2^-100."""
    high, low, coarse, fine = a[0], a[1], out[0], out[1]
    for i in range(lanes):
        upper, lower = parts(high[i], low[i])
        coarse[i] += upper
        fine[i] += lower


@loop
def add_product_parts(a: Pair, b: Pair, lanes: int, out: Any) -> None:
    """Add a b to sums, as multiples of 2^-50 and of 2^-100."""
    a_high, a_low, b_high, b_low, coarse, fine = a[0], a[1], b[0], b[1], out[0], out[1]
    for i in range(lanes):
        high, low = multiply(a_high[i], a_low[i], b_high[i], b_low[i])
        upper, lower = parts(high, low)
        coarse[i] += upper
        fine[i] += lower
