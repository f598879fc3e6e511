"""Sums as whole numbers: those of fractions, whatever the order and the parts."""

from fractions import Fraction

import numpy as np

from regression.kernels.exact_sums import UNIT, exact_sum, product_limbs, whole_sums


def test_sums_are_those_of_fractions() -> None:
    """Numbers of any size, subnormal ones too, sum up exactly, in any order."""
    random = np.random.default_rng(0)
    values = random.normal(size=500) * 10.0 ** random.integers(-300, 300, 500)
    values[:3] = 5e-324, -2.2e-308, 0.0
    right = sum(map(Fraction, values.tolist()), Fraction(0))
    assert Fraction(exact_sum(values), UNIT) == right
    assert exact_sum(values[::-1][:200]) + exact_sum(values[::-1][200:]) == exact_sum(values)
    assert exact_sum(values[:0]) == 0


def test_products_have_90_bits() -> None:
    """Sums of products of numbers up to 1 are within 2^-90 a product of the exact ones, from below."""
    random = np.random.default_rng(1)
    a, b = random.uniform(-1, 1, (2, 300)) ** 3
    (total,) = whole_sums(np.array([limb.astype(np.int64).sum(keepdims=True) for limb in product_limbs(a, b)]))
    right = sum((Fraction(p) * Fraction(q) for p, q in zip(a.tolist(), b.tolist(), strict=True)), Fraction(0))
    assert 0 <= right - Fraction(total, 2**90) <= Fraction(len(a), 2**90)
