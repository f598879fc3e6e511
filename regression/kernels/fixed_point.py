"""Sums that are the same in any order: each term is rounded to a multiple of 2^-100, and the multiples are summed.

Sums of whole numbers are exact, so neither the order nor the division into parts matters. Adding 6 to a term gives a
number from [4, 8), where float64 numbers are multiples of 2^-50: this rounds the term, and the last bits of the result
count the multiples. The rest of the term is rounded to a multiple of 2^-100 in the same way. References: Demmel and
Nguyen, Fast reproducible floating-point summation, ARITH 2013; Neal, Fast exact summation using small and large
superaccumulators, 2015.
"""

from collections.abc import Sequence
from typing import Any

from regression.kernels.compiled import compiled_as, loop
from regression.kernels.double_double import two_sum

__all__ = ["COARSE_UNITS", "UNIT_BITS", "add_to", "load_total", "split", "whole_total"]

UNIT_BITS = 100  # sums are whole numbers in units of 2^-100
COARSE_UNITS = 2**50  # a coarse part of 1, in units of 2^-50
COARSE, FINE = 6.0, 6.0 * 2.0**-50  # middle of the range where float64 numbers are multiples of 2^-50, and of 2^-100
LOWER_BITS, LOWER = 32, 2**32 - 1  # a sum is kept as two numbers, the lower one of 32 bits, so that 2^31 can be added
MIDDLE_BITS = 18  # from units of 2^-50 to 2^-68


def _bit_patterns(builder: Any, value: Any, middle: Any, _per_unit: Any) -> Any:
    # Between two powers of two, neighbouring float64 numbers have neighbouring bit patterns.
    from llvmlite import ir

    whole = ir.IntType(64)
    return builder.sub(builder.bitcast(value, whole), builder.bitcast(middle, whole))


@compiled_as(_bit_patterns, "int64", ["float64", "float64", "float64"])
def steps(value: float, middle: float, per_unit: float) -> int:
    """Return by how many float64 numbers a value exceeds ``middle``, where both lie between the same powers of two."""
    count = (value - middle) * per_unit
    return int(count) if abs(count) < 2.0**52 else 0  # 0 for NaN and numbers far outside


@loop
def split(high: float, low: float) -> tuple[int, int]:
    """Return a double-double number below 2 in size as a coarse count of 2^-50 and a fine count of 2^-100."""
    shifted = high + COARSE
    rest = (high - (shifted - COARSE)) + low
    return steps(shifted, COARSE, 2.0**50), steps(rest + FINE, FINE, 2.0**100)


@loop
def add_to(total: Any, coarse: int, fine: int) -> None:
    """Add the coarse and fine counts of at most 2048 terms to a total, which is four whole numbers."""
    total[0] += coarse >> LOWER_BITS
    total[1] += coarse & LOWER
    total[2] += fine >> LOWER_BITS
    total[3] += fine & LOWER


@loop
def load_total(total: Any) -> tuple[float, float]:
    """Return the value of a total as a double-double number."""
    coarse_upper, coarse_lower, fine_upper, fine_lower = total[0], total[1], total[2], total[3]
    upper, lower = coarse_upper + (coarse_lower >> LOWER_BITS), coarse_lower & LOWER
    middle, last = (lower << MIDDLE_BITS) + fine_upper + (fine_lower >> LOWER_BITS), fine_lower & LOWER
    high, low = two_sum(float(upper) * 2.0**-18, float(middle) * 2.0**-68)
    return two_sum(high, low + float(last) * 2.0**-100)


def whole_total(total: Sequence[int]) -> int:
    """Return the value of a total as a whole number of units of 2^-100."""
    coarse_upper, coarse_lower, fine_upper, fine_lower = map(int, total)
    coarse, fine = (coarse_upper << LOWER_BITS) + coarse_lower, (fine_upper << LOWER_BITS) + fine_lower
    return (coarse << UNIT_BITS // 2) + fine
