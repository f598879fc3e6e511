"""Double-double arithmetic: a number is ``high + low``, two float64 numbers, with about 104 correct bits.

The functions are plain Python on float64 numbers. Compiled they give the same bits, because each operation is rounded
separately. References: Knuth, The Art of Computer Programming 2, 4.2.2 (two-sum); Dekker, A floating-point
technique for extending the available precision, Numer. Math. 18, 1971, with Veltkamp's splitting (exact products).
"""

from typing import Any

from regression.kernels.compiled import compiled_as, loop

__all__ = ["add", "divide", "multiply", "product_error", "reciprocal_square", "two_sum"]

SPLIT = 2.0**27 + 1  # Veltkamp's constant: multiplying by it cuts a float64 number into halves of 26 bits


@loop
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return ``a + b`` rounded to float64, and its rounding error exactly."""
    total = a + b
    step = total - a
    return total, (a - (total - step)) + (b - step)


def _fused(builder: Any, a: Any, b: Any) -> Any:
    # A fused multiply-add gives the rounding error of a product in one operation. It is exact, like Dekker's method, so
    # the bits are the same with and without it; no other operation is fused.
    return builder.fma(a, b, builder.fneg(builder.fmul(a, b)))


@compiled_as(_fused, "float64", ["float64", "float64"])
def product_error(a: float, b: float) -> float:
    """Return the exact difference between ``a b`` and its rounding to float64.

    Valid for products between 2^-960 and 2^960 in size, of factors below 2^996: in plain Python larger factors
    overflow.
    """
    wide = SPLIT * a
    a_upper = wide - (wide - a)
    a_lower = a - a_upper
    wide = SPLIT * b
    b_upper = wide - (wide - b)
    b_lower = b - b_upper
    return (((a_upper * b_upper - a * b) + a_upper * b_lower) + a_lower * b_upper) + a_lower * b_lower


@loop
def multiply(a_high: float, a_low: float, b_high: float, b_low: float) -> tuple[float, float]:
    """Return the product of two numbers; its low part may overlap the high one by a few bits."""
    high = a_high * b_high
    return high, product_error(a_high, b_high) + (a_high * b_low + a_low * b_high)


@loop
def add(a_high: float, a_low: float, b_high: float, b_low: float) -> tuple[float, float]:
    """Return the sum of two numbers, its low part less than a unit of the high one."""
    total, rest = two_sum(a_high, b_high)
    rest += a_low + b_low
    high = total + rest
    return high, rest - (high - total)


@loop
def divide(a_high: float, a_low: float, b_high: float, b_low: float, inverse: float) -> tuple[float, float]:
    """Return the quotient of two numbers, its low part less than a unit of the high one; ``inverse`` is 1 / b_high."""
    quotient = a_high * inverse
    rest = (a_high - quotient * b_high) - product_error(quotient, b_high)
    rest = (rest + (a_low - quotient * b_low)) * inverse
    high = quotient + rest
    return high, rest - (high - quotient)


@loop
def reciprocal_square(value: float) -> tuple[float, float]:
    """Return ``1 / value²`` for a positive number whose square is a float64 number."""
    square = value * value
    high = 1 / square
    error = product_error(value, value)
    product = square * high
    rest = (1 - product) - product_error(square, high) - error * high
    return high, rest * high
