"""The sums of ``loops.add_moments`` as one kernel for CUDA devices, which reads each number once.

Triton compiles it at its first use, from the functions of single numbers that the loops use too; only the error of a
product is one fused operation here, and exact either way. Numbers that are the same for all rows are passed in a
tensor, because Triton would round arguments to float32.
"""

from types import FunctionType

import triton
import triton.language as tl

from regression.kernels import double_double, fixed_point
from regression.moments.loops import LARGEST_SIGMA, LOGARITHM_UNIT

__all__ = ["sum_moments"]


def for_triton(function, **names):
    """Return a function of the loops for Triton's compiler, with replacements for some of the names that it uses."""
    return triton.jit(FunctionType(function.__code__, function.__globals__ | {"tl": tl} | names, function.__name__))


@triton.jit
def product_error(a, b):
    """Return the exact difference between ``a b`` and its rounding to float64."""
    return tl.fma(a, b, -(a * b))


@triton.jit
def steps(value, middle: tl.constexpr, _per_unit: tl.constexpr):
    """Return by how many float64 numbers a value exceeds ``middle``: the difference of their bit patterns."""
    return value.to(tl.int64, bitcast=True) - tl.full((), middle, tl.float64).to(tl.int64, bitcast=True)


two_sum = for_triton(double_double.two_sum)
add = for_triton(double_double.add, two_sum=two_sum)
multiply = for_triton(double_double.multiply, product_error=product_error)
reciprocal_square = for_triton(double_double.reciprocal_square, product_error=product_error)
MIDDLES = {name: tl.constexpr(getattr(fixed_point, name)) for name in ("COARSE", "FINE")}
split = for_triton(fixed_point.split, steps=steps, **MIDDLES)
LOGARITHM_UNIT, LARGEST_SIGMA = tl.constexpr(LOGARITHM_UNIT), tl.constexpr(LARGEST_SIGMA)


@triton.jit
def coordinates(values, inside, center, power, stretch):
    """Return ``(values - center) power stretch``, which is 0 after the last row, and 1 where it is not from -1 to 1."""
    difference, rest = two_sum(values.to(tl.float64), -center)
    high, low = multiply(difference * power, rest * power, stretch, 0.0)
    high, low = tl.where(inside, high, 0.0), tl.where(inside, low, 0.0)
    return (high, low), 1 - (tl.abs(high) <= 1.0).to(tl.int64)


@triton.jit
def logarithm(value):
    """Return the natural logarithm of a finite number of at least 1, by the operations of ``loops.logarithm``."""
    bits = value.to(tl.int64, bitcast=True)
    m = ((bits & ((1 << 52) - 1)) | (1022 << 52)).to(tl.float64, bitcast=True)
    is_small = m < tl.full((), 0.7071067811865476, tl.float64)
    e = ((bits >> 52) - 1022 - is_small.to(tl.int64)).to(tl.float64)
    m = tl.where(is_small, 2 * m, m)
    s = (m - 1) / (m + 1)
    series = tl.zeros_like(s)
    for k in tl.static_range(12):
        series = series * (s * s) + tl.full((), 1 / (23 - 2 * k), tl.float64)
    return e * tl.full((), 0.6931471805599453, tl.float64) + 2 * s * series


@triton.jit
def times(a, b, has_factor: tl.constexpr = True):
    """Return ``a b``, or b without a factor a."""
    if has_factor:
        return multiply(a[0], a[1], b[0], b[1])
    return b


@triton.jit
def split_terms(one, u, v, w, degree: tl.constexpr, is_weighted: tl.constexpr):
    """Return the coarse and fine counts of all terms of the rows, in the order of ``loops.add_moments``."""
    functions = (one, u)
    for k in tl.static_range(2, degree + 1):
        p, e = times(u, functions[k - 1])
        functions = functions + (add(2 * p, 2 * e, -functions[k - 2][0], -functions[k - 2][1]),)
    terms = ()
    for k in tl.static_range(degree + 1):
        terms = terms + (times(w, functions[k], is_weighted),)
    last, value = terms[degree], times(w, v, is_weighted)
    for k in tl.static_range(1, degree + 1):
        terms = terms + (times(last, functions[k]),)
    for k in tl.static_range(degree + 1):
        terms = terms + (times(value, functions[k]),)
    terms = terms + (times(value, v),)
    counts = ()
    for k in tl.static_range(3 * degree + 3):
        counts = counts + split(terms[k][0], terms[k][1])
    return counts


@triton.jit
def sum_moments(x_at, y_at, sigma_at, numbers_at, out_at, rows, degree: tl.constexpr, is_weighted: tl.constexpr,
                lanes: tl.constexpr, steps_per_program: tl.constexpr):  # fmt: skip
    """Write the sums over ``lanes steps_per_program`` rows of x, y and, if weighted, sigma, shape (rows,) each.

    ``numbers_at`` points to center, power and stretch of x, the same of y, and the power of sigma. ``out_at`` points to
    the output, shape (3 degree + 5, 4, programs): the totals of ``loops.add_moments``, that of the logarithms, and the
    count of numbers outside.
    """
    program, programs = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    center, power, stretch = tl.load(numbers_at), tl.load(numbers_at + 1), tl.load(numbers_at + 2)
    y_center, y_power, y_stretch = tl.load(numbers_at + 3), tl.load(numbers_at + 4), tl.load(numbers_at + 5)
    sigma_power = tl.load(numbers_at + 6)
    nothing, zero = tl.zeros((lanes,), tl.int64), tl.zeros((lanes,), tl.float64)
    count: tl.constexpr = 2 * (3 * degree + 5)
    sums = (nothing,) * count
    for step in tl.range(0, steps_per_program, num_stages=2):
        row = (program * steps_per_program + step) * lanes + tl.arange(0, lanes)
        inside = row < rows
        one = (tl.where(inside, 1.0, 0.0).to(tl.float64), zero)  # T_0; after the last row all T_k are 0, as T_1 is
        u, outside = coordinates(tl.load(x_at + row, mask=inside, other=0.0), inside, center, power, stretch)
        v, y_outside = coordinates(tl.load(y_at + row, mask=inside, other=0.0), inside, y_center, y_power, y_stretch)
        w, logarithms = one, (nothing, nothing)
        outside += y_outside
        if is_weighted:
            scaled = tl.load(sigma_at + row, mask=inside, other=1.0).to(tl.float64) * sigma_power
            scaled = tl.where(inside, scaled, 1.0)
            outside += 1 - ((scaled >= 1.0) & (scaled < float("inf"))).to(tl.int64)
            w = reciprocal_square(tl.minimum(scaled, tl.full((), LARGEST_SIGMA, tl.float64)))
            logarithms = split(logarithm(scaled) / LOGARITHM_UNIT, 0.0)
        added = split_terms(one, u, v, w, degree, is_weighted) + logarithms + (outside, nothing)
        new = ()
        for k in tl.static_range(count):
            new = new + (sums[k] + added[k],)
        sums = new
    for k in tl.static_range(count):
        lower = tl.sum(sums[k] & 0xFFFFFFFF, axis=0)
        tl.store(out_at + 2 * k * programs + program, tl.sum(sums[k] >> 32, axis=0) + (lower >> 32))
        tl.store(out_at + (2 * k + 1) * programs + program, lower & 0xFFFFFFFF)
