"""Kernels for CUDA devices. Each reads the points once, and keeps what follows from them in registers.

Triton compiles them when they are first used. Numbers that every row needs come in a tensor: as arguments they would be
rounded to float32.
"""

import triton
import triton.language as tl

__all__ = ["double_sums", "exact_sums"]


@triton.jit
def four(numbers_at):
    """Return four numbers that all rows need."""
    return tl.load(numbers_at), tl.load(numbers_at + 1), tl.load(numbers_at + 2), tl.load(numbers_at + 3)


@triton.jit
def double_sums(x_at, y_at, sigma_at, numbers_at, out_at, extremes_at, rows, degree: tl.constexpr,
                weighted: tl.constexpr, ranged: tl.constexpr, lanes: tl.constexpr, steps: tl.constexpr):  # fmt: skip
    """Write the sums over ``lanes * steps`` rows of the products that a fit in double needs, and the rows' range.

    Args:
        x_at: Points, float32 or float64, shape (rows,).
        y_at: Values, likewise.
        sigma_at: Standard deviations of y, likewise; not read unless weighted.
        numbers_at: What is taken from x, what the rest is multiplied by, what is taken from y, and what sigma is
            multiplied by; float64.
        out_at: The sums of T_k T_0, T_k T_d, T_k y and y y, all over sigma; float64, shape (3 degree + 4, programs).
        extremes_at: Smallest x, largest x, smallest y, largest y; float64, shape (4, programs). NaN does not
            show in them, but in the sums.
        rows: Number of rows of all programs.
        degree: Highest degree d.
        weighted: Whether there is a sigma.
        ranged: Whether the range is asked for.
        lanes: Rows that are taken at a time.
        steps: How often.
    """
    program = tl.program_id(0).to(tl.int64)
    center, factor, shift, weight = four(numbers_at)
    sums = ()
    for k in tl.static_range(3 * degree + 4):
        sums = sums + (tl.zeros((lanes,), tl.float64),)
    some_x, some_y = tl.load(x_at), tl.load(y_at)  # stand in for what is outside the rows
    x_low, y_low = tl.full((lanes,), 0.0, some_x.dtype) + some_x, tl.full((lanes,), 0.0, some_y.dtype) + some_y
    x_high, y_high = x_low, y_low
    for step in tl.range(0, steps, num_stages=3):
        row = (program * steps + step) * lanes + tl.arange(0, lanes)
        inside = row < rows
        x = tl.load(x_at + row, mask=inside, other=some_x)
        y = tl.load(y_at + row, mask=inside, other=some_y)
        if ranged:
            x_low, x_high = tl.minimum(x_low, x), tl.maximum(x_high, x)
            y_low, y_high = tl.minimum(y_low, y), tl.maximum(y_high, y)
        first = tl.where(inside, 1.0, 0.0).to(tl.float64)
        if weighted:
            first = first / (tl.load(sigma_at + row, mask=inside, other=1.0).to(tl.float64) * weight)
        u = (x.to(tl.float64) - center) * factor
        value = (y.to(tl.float64) - shift) * first
        terms, products = (first,), ()
        for k in tl.static_range(1, degree + 1):
            terms = terms + (u * first if k == 1 else 2 * u * terms[k - 1] - terms[k - 2],)
        for k in tl.static_range(degree + 1):
            products = products + (terms[k] * first if weighted else terms[k],)
        for k in tl.static_range(degree + 1):
            products = products + (terms[k] * terms[degree],)
        for k in tl.static_range(degree + 1):
            products = products + (terms[k] * value,)
        products = products + (value * value,)
        added = ()
        for k in tl.static_range(3 * degree + 4):
            added = added + (sums[k] + products[k],)
        sums = added
    for k in tl.static_range(3 * degree + 4):
        tl.store(out_at + k * tl.num_programs(0) + program, tl.sum(sums[k], axis=0))
    if ranged:
        place = extremes_at + program
        tl.store(place, tl.min(x_low, axis=0))
        tl.store(place + tl.num_programs(0), tl.max(x_high, axis=0))
        tl.store(place + 2 * tl.num_programs(0), tl.min(y_low, axis=0))
        tl.store(place + 3 * tl.num_programs(0), tl.max(y_high, axis=0))


@triton.jit
def rounded(value, bits: tl.constexpr):
    """Return the multiple of 2^-bits next to a value, and how many times 2^-bits it is, modulo 2^32.

    The sum with a large number has the second in its last bits.
    """
    large: tl.constexpr = 1.5 * 2.0 ** (52 - bits)
    total = value + tl.full((), large, tl.float64)
    return total - tl.full((), large, tl.float64), total.to(tl.int64, bitcast=True).to(tl.int32)


@triton.jit
def left_digits(high, low, inside):
    """Return ``h + l`` in multiples of 2^-26, 2^-52, 2^-78 and 2^-104; outside the rows 0."""
    high, low = tl.where(inside, high, 0.0), tl.where(inside, low, 0.0)
    first, digit_0 = rounded(high, 26)
    digit_1 = rounded(high - first, 52)[1]
    third, digit_2 = rounded(low, 78)
    digit_3 = rounded(low - third, 104)[1]
    return digit_0, digit_1, digit_2, digit_3


@triton.jit
def right_digits(high, low):
    """Return ``h + l`` in multiples of 2^-20, 2^-46, 2^-72 and 2^-98."""
    first, digit_0 = rounded(high, 20)
    rest = high - first
    second, digit_1 = rounded(rest, 46)
    digit_2 = rounded(rest - second, 72)[1]
    third, digit_3 = rounded(low, 72)
    digit_4 = rounded(low - third, 98)[1]
    return digit_0, digit_1, digit_2 + digit_3, digit_4


@triton.jit
def argument(x, power, shift, stretch, stretched: tl.constexpr):
    """Return u in fixed point, h and l, as ``FixedPoint.argument`` has it."""
    scaled = x * power
    total = scaled - shift
    back = total - scaled
    rest = (scaled - (total - back)) - (shift + back)
    if stretched:
        part_0 = rounded(total, 26)[0]
        part_1 = rounded(total - part_0, 52)[0]
        rest = (((total - part_0) - part_1) + rest) * stretch
        high = rounded(part_1 * stretch, 51)[0]
        low = (part_1 * stretch - high) + rest
        return high + part_0 * stretch, low
    high = rounded(total, 51)[0]
    return high, (total - high) + rest


@triton.jit
def advanced(high, low, before_high, before_low, u_high, u_low, u_0, u_1):
    """Return ``2 u T_k - T_{k-1}`` as ``FixedPoint.advance`` has it; the four parts are those of 2 u."""
    part_0 = rounded(high, 26)[0]
    part_1 = high - part_0
    small = ((u_1 * part_1 + u_high * low) + u_low * high) - before_low
    middle = u_0 * part_1 + u_1 * part_0  # exact
    carry = rounded(middle + small, 51)[0]
    return (carry - before_high) + u_0 * part_0, (middle - carry) + small


@triton.jit
def exact_sums(x_at, y_at, numbers_at, out_at, rows,
               degree: tl.constexpr, stretched: tl.constexpr, lanes: tl.constexpr, steps: tl.constexpr):  # fmt: skip
    """Write the sums over ``lanes * steps`` rows of the products that a fit in double-double needs, without rounding.

    The functions are those of ``fixedpoint``, cut into digits of 26 bits; products of digits that weigh the same are
    summed together, as integers: 4 products of 2^52 at most, 256 times.

    Args:
        x_at: Points, float32 or float64, shape (rows,).
        y_at: Values, likewise.
        numbers_at: What x is multiplied by, what is taken from that, what u is stretched by, what y is multiplied by;
            float64.
        out_at: Integers of shape (2, 16 degree + 9, programs): what the sums are above their lowest 32 bits, and those
            bits. The sums are those of T_1 … T_d, y in units of 2^-52 and 2^-104, and of their products with T_d and y
            (but T_d y only once) in units of 2^-46 … 2^-202.
        rows: Number of rows of all programs.
        degree: Highest degree d, at least 1.
        stretched: Whether u is stretched at all.
        lanes: Rows that are taken at a time.
        steps: How often, at most 256.
    """
    program = tl.program_id(0).to(tl.int64)
    power, shift, stretch, y_power = four(numbers_at)
    count: tl.constexpr = 16 * degree + 9
    sums = ()
    for k in tl.static_range(count):
        sums = sums + (tl.zeros((lanes,), tl.int64),)
    for step in tl.range(0, steps, num_stages=2):
        row = (program * steps + step) * lanes + tl.arange(0, lanes)
        inside = row < rows
        x = tl.load(x_at + row, mask=inside, other=0.0).to(tl.float64)
        y = tl.load(y_at + row, mask=inside, other=0.0).to(tl.float64)
        high, low = argument(x, power, shift, stretch, stretched)
        part_0 = rounded(high, 26)[0]
        u_high, u_low, u_0, u_1 = high * 2, low * 2, part_0 * 2, (high - part_0) * 2
        before_high, before_low = tl.full((lanes,), 1.0, tl.float64), tl.zeros((lanes,), tl.float64)
        left = (left_digits(high, low, inside),)
        for k in tl.static_range(1, degree):
            next_high, next_low = advanced(high, low, before_high, before_low, u_high, u_low, u_0, u_1)
            before_high, before_low, high, low = high, low, next_high, next_low
            left = left + (left_digits(high, low, inside),)
        value = y * y_power
        value_high = rounded(value, 51)[0]
        left = left + (left_digits(value_high, value - value_high, inside),)
        right = (right_digits(high, low), right_digits(value_high, value - value_high))
        added = ()
        for k in tl.static_range(degree + 1):
            a = left[k]
            added = added + (a[0].to(tl.int64) * (1 << 26) + a[1], a[2].to(tl.int64) * (1 << 26) + a[3])
        for column in tl.static_range(2):
            for k in tl.static_range(degree + column):
                a, b = left[k], right[column]
                for weight in tl.static_range(7):
                    total = tl.zeros((lanes,), tl.int64)
                    for i in tl.static_range(max(0, weight - 3), min(4, weight + 1)):
                        total += a[i].to(tl.int64) * b[weight - i].to(tl.int64)
                    added = added + (total,)
        new = ()
        for k in tl.static_range(count):
            new = new + (sums[k] + added[k],)
        sums = new
    for k in tl.static_range(count):
        place = out_at + k * tl.num_programs(0) + program
        tl.store(place, tl.sum(sums[k] >> 32, axis=0))
        tl.store(place + count * tl.num_programs(0), tl.sum(sums[k] & 0xFFFFFFFF, axis=0))
