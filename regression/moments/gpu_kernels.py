"""The sums of ``loops.add_moments`` as one kernel for CUDA devices, which reads each number once.

Triton compiles it when it is first used. Its arithmetic is that of the loops, from the same source; only the error of a
product is one fused operation here, exact either way. Numbers that every row needs come in a tensor: as arguments they
would be rounded to float32.
"""

from contextlib import nullcontext
from types import FunctionType

import torch
import triton
import triton.language as tl

from regression.common import double_double, fixed_point
from regression.moments.loops import LARGEST_SIGMA, LOGARITHM_UNIT

__all__ = ["moments", "sum_moments"]

LANES, STEPS_PER_PROGRAM = 128, 256  # rows at a time, and how often a program takes them: at most 2048 times


def for_triton(function, **names):
    """Return a function of the loops for Triton's compiler, with other meanings of some names that it uses."""
    return triton.jit(FunctionType(function.__code__, function.__globals__ | {"tl": tl} | names, function.__name__))


@triton.jit
def product_error(a, b):
    """Return ``a b`` less its rounding to float64, exactly."""
    return tl.fma(a, b, -(a * b))


@triton.jit
def steps(value, middle: tl.constexpr, per_unit: tl.constexpr):
    """Return how many float64 numbers a value is above ``middle``; their bit patterns are neighbours."""
    return value.to(tl.int64, bitcast=True) - tl.full((), middle, tl.float64).to(tl.int64, bitcast=True)


two_sum = for_triton(double_double.two_sum)
add = for_triton(double_double.add, two_sum=two_sum)
multiply = for_triton(double_double.multiply, product_error=product_error)
reciprocal_square = for_triton(double_double.reciprocal_square, product_error=product_error)
MIDDLES = {name: tl.constexpr(getattr(fixed_point, name)) for name in ("COARSE", "FINE")}
parts = for_triton(fixed_point.parts, steps=steps, **MIDDLES)
LOGARITHM_UNIT, LARGEST_SIGMA = tl.constexpr(LOGARITHM_UNIT), tl.constexpr(LARGEST_SIGMA)


@triton.jit
def place(values, inside, center, power, stretch):
    """Return ``(values - center) power stretch``, 0 outside of the rows, and whether it is not from -1 to 1."""
    difference, rest = two_sum(values.to(tl.float64), -center)
    high, low = multiply(difference * power, rest * power, stretch, 0.0)
    high, low = tl.where(inside, high, 0.0), tl.where(inside, low, 0.0)
    return (high, low), 1 - (tl.abs(high) <= 1.0).to(tl.int64)


@triton.jit
def times(a, b):
    """Return the product of two numbers."""
    return multiply(a[0], a[1], b[0], b[1])


@triton.jit
def logarithm(value):
    """Return the natural logarithm of a number from 1 to below infinity, as ``loops.logarithm`` has it."""
    bits = value.to(tl.int64, bitcast=True)
    e = (bits >> 52) - 1022
    m = ((bits & ((1 << 52) - 1)) | (1022 << 52)).to(tl.float64, bitcast=True)
    is_small = m < tl.full((), 0.7071067811865476, tl.float64)
    m, e = tl.where(is_small, 2 * m, m), tl.where(is_small, e - 1, e)
    s = (m - 1) / (m + 1)
    series = tl.zeros_like(s)
    for k in tl.static_range(12):
        series = series * (s * s) + tl.full((), 1 / (23 - 2 * k), tl.float64)
    return e.to(tl.float64) * tl.full((), 0.6931471805599453, tl.float64) + 2 * s * series


@triton.jit
def sum_moments(x_at, y_at, sigma_at, numbers_at, out_at, rows, degree: tl.constexpr, is_weighted: tl.constexpr,
                lanes: tl.constexpr, steps_per_program: tl.constexpr):  # fmt: skip
    """Write the sums over ``lanes * steps_per_program`` rows.

    Args:
        x_at: Points, float32 or float64, shape (rows,).
        y_at: Values, likewise.
        sigma_at: Standard deviations of y, likewise; not read unless weighted.
        numbers_at: Center, power and stretch of x, those of y, the power of sigma; float64.
        out_at: Totals as in ``loops.add_moments``, that of the logarithms, and the number of numbers outside as a coarse
            part; int64, shape (3 degree + 5, 4, programs).
        rows: Number of rows of all programs.
        degree: Highest degree d.
        is_weighted: Whether there is a sigma.
        lanes: Rows that are taken at a time.
        steps_per_program: How often, at most 2048 times.
    """
    program, programs = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    center, power, stretch = tl.load(numbers_at), tl.load(numbers_at + 1), tl.load(numbers_at + 2)
    y_center, y_power, y_stretch = tl.load(numbers_at + 3), tl.load(numbers_at + 4), tl.load(numbers_at + 5)
    sigma_power = tl.load(numbers_at + 6)
    zero = tl.zeros((lanes,), tl.float64)
    count: tl.constexpr = 6 * degree + 10  # coarse and fine parts of each total
    sums = ()
    for _k in tl.static_range(count):
        sums = sums + (tl.zeros((lanes,), tl.int64),)
    for step in tl.range(0, steps_per_program, num_stages=2):
        row = (program * steps_per_program + step) * lanes + tl.arange(0, lanes)
        inside = row < rows
        one = (tl.where(inside, 1.0, 0.0).to(tl.float64), zero)  # T_0; where it is 0, T_1 is too, and so are all
        u, outside = place(tl.load(x_at + row, mask=inside, other=0.0), inside, center, power, stretch)
        v, y_outside = place(tl.load(y_at + row, mask=inside, other=0.0), inside, y_center, y_power, y_stretch)
        outside += y_outside
        functions = (one, u)
        for k in tl.static_range(2, degree + 1):
            p, e = times(u, functions[k - 1])
            before = functions[k - 2]
            functions = functions + (add(2 * p, 2 * e, -before[0], -before[1]),)
        last, value, logarithms = functions[degree], v, zero
        firsts = functions
        if is_weighted:
            scaled = tl.load(sigma_at + row, mask=inside, other=1.0).to(tl.float64) * sigma_power
            scaled = tl.where(inside, scaled, 1.0)
            outside += 1 - ((scaled >= 1.0) & (scaled < float("inf"))).to(tl.int64)
            w = reciprocal_square(tl.minimum(scaled, tl.full((), LARGEST_SIGMA, tl.float64)))
            last, value = times(w, last), times(w, v)
            logarithms = logarithm(scaled) / LOGARITHM_UNIT
            firsts = ()
            for k in tl.static_range(degree + 1):
                firsts = firsts + (times(w, functions[k]),)
        added = ()
        for k in tl.static_range(degree + 1):
            added = added + parts(firsts[k][0], firsts[k][1])
        for k in tl.static_range(1, degree + 1):
            p, e = times(last, functions[k])
            added = added + parts(p, e)
        for k in tl.static_range(degree + 1):
            p, e = times(value, functions[k])
            added = added + parts(p, e)
        p, e = times(value, v)
        added = added + parts(p, e) + parts(logarithms, 0.0) + (outside, tl.zeros((lanes,), tl.int64))
        new = ()
        for k in tl.static_range(count):
            new = new + (sums[k] + added[k],)
        sums = new
    for k in tl.static_range(count):
        lower = tl.sum(sums[k] & 0xFFFFFFFF, axis=0)
        place_at = out_at + 2 * k * programs + program
        tl.store(place_at, tl.sum(sums[k] >> 32, axis=0) + (lower >> 32))
        tl.store(place_at + programs, lower & 0xFFFFFFFF)


def moments(x, y, sigma, numbers, degree, steps_per_program=STEPS_PER_PROGRAM):
    """Return the sums of points, int64 of shape (3 d + 4, 4), and how many numbers are outside of the frame.

    Args:
        x: Points, float32 or float64, shape (n,).
        y: Values, likewise.
        sigma: Standard deviations of y, likewise, or ``None``.
        numbers: ``Frame.numbers()``.
        degree: Highest degree d.
        steps_per_program: How often a program takes rows, at most 2048 times.
    """
    programs = -(-len(x) // (LANES * steps_per_program))
    columns = [column.detach().contiguous() for column in (x, y, y if sigma is None else sigma)]
    given = torch.tensor([*numbers[:5], 1.0, numbers[5]], dtype=torch.float64).to(x.device)
    out = torch.empty(3 * degree + 5, 4, programs, dtype=torch.int64, device=x.device)
    with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
        sum_moments[(programs,)](
            *columns, given, out, len(x), degree=degree, is_weighted=sigma is not None, lanes=LANES,
            steps_per_program=steps_per_program, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    sums = out.sum(dim=2)
    return sums[:-1], (sums[-1, 0] << 32) + sums[-1, 1]
