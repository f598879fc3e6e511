"""Sums of float64 numbers as whole numbers: exact, so that neither order nor division into parts matters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regression.kernels.double_double import product_error

__all__ = ["UNIT", "exact_sum", "product_limbs", "whole_sums"]

UNIT = 1 << 1126  # of exact sums in 1: the last bit of the smallest float64 number, which frexp makes 2^-1126
SMALLEST_EXPONENT = -1073  # that frexp finds
HALF_BITS, HALF = 27, 2**27 - 1  # of a significand, so that 2^26 of them are summed exactly in float64
LIMB_BITS = 30
GROUP_BITS = 3 * LIMB_BITS  # sums by group are whole numbers in units of 2^-90

Array = NDArray[np.float64]


def exact_sum(values: Array) -> int:
    """Return the sum of at most 2^26 finite numbers, shape (N,), in units of 2^-1126."""
    significands, exponents = np.frexp(values)
    whole = (significands * 2.0**53).astype(np.int64)
    total = 0
    for part, shift in ((whole >> HALF_BITS, HALF_BITS), (whole & HALF, 0)):
        sums = np.bincount(exponents - SMALLEST_EXPONENT, part).tolist()
        total += sum(int(number) << (k + shift) for k, number in enumerate(sums) if number)
    return total


def product_limbs(a: Any, b: Any) -> list[Array]:
    """Return products of numbers of at most 1 in size, rounded down to multiples of 2^-90, as three limbs of 30 bits.

    The limbs are whole numbers, of which 2^22 are summed exactly in float64; each counts 2^30 times the next.
    """
    rest, error = a * b * 2.0**LIMB_BITS, product_error(a, b)
    first = np.floor(rest)
    rest = (rest - first) * 2.0**LIMB_BITS
    second = np.floor(rest)
    rest = (rest - second) * 2.0**LIMB_BITS + error * 2.0**GROUP_BITS
    return [first, second, np.floor(rest)]


def whole_sums(limbs: NDArray[np.int64]) -> list[int]:
    """Return sums in units of 2^-90 from those of the three limbs, shape (3, groups)."""
    return [(a << 2 * LIMB_BITS) + (b << LIMB_BITS) + c for a, b, c in limbs.T.tolist()]
