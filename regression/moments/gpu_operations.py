"""The sums over points that are on a CUDA device, by operations of torch, with the same bits as the loops.

The formulas are those of the loops, with tensors in place of numbers: each operation reads and writes a vector. They
are used where the kernel is not: without Triton, for few rows, for high degrees, and for a second pass, which few fits
need.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from regression.curves.decimals import Pair
from regression.curves.frame import Frame
from regression.kernels.double_double import add, multiply, reciprocal_square, two_sum
from regression.kernels.fixed_point import COARSE, FINE, LOWER, LOWER_BITS
from regression.moments.loops import LARGEST_SIGMA, LARGEST_TERM, LOGARITHM_UNIT
from regression.moments.second_pass import SecondPass

__all__ = ["carry", "moments", "residuals"]

Number = tuple[Any, Any]  # a double-double number, high and low, of each point: tensors of shape (n,)
NUMBERS_PER_CHUNK = 1 << 24  # double-double numbers in memory at a time: 16 bytes each, 256 MiB


def moments(
    x: Tensor, y: Tensor, sigma: Tensor | None, frame: Frame, degree: int, numbers_per_chunk: int = NUMBERS_PER_CHUNK
) -> tuple[list[list[int]], int]:
    """Return what ``gpu.moments`` returns, with at most ``numbers_per_chunk`` double-double numbers in memory."""

    def sums(x: Tensor, y: Tensor, sigma: Tensor | None) -> tuple[list[Tensor], Tensor]:
        u, v, w, outside = point_coordinates(x, y, sigma, frame)
        functions = polynomials(u, degree)
        last, value = times(w, functions[degree]), times(w, v)
        terms = [sum_chunk(*times(w, function)) for function in functions]
        terms += [sum_chunk(*multiply(*last, *function)) for function in functions[1:]]
        terms += [sum_chunk(*multiply(*value, *function)) for function in [*functions, v]]
        logarithms = torch.zeros_like(u[0]) if sigma is None else logarithm(sigma.double() * frame.loop_numbers()[-1])
        return [*terms, sum_chunk(logarithms / LOGARITHM_UNIT, 0.0)], outside

    return add_chunks(sums, x, y, sigma, numbers_per_chunk // (degree + 6))


def residuals(
    x: Tensor, y: Tensor, sigma: Tensor | None, request: SecondPass, numbers_per_chunk: int = NUMBERS_PER_CHUNK
) -> tuple[list[list[int]], int]:
    """Return the totals of ``loops.add_residuals``, and how many numbers are outside or too large.

    Args:
        x: Points, shape (n,).
        y: Values, shape (n,).
        sigma: Standard deviations of y, shape (n,), or ``None`` for weights of 1.
        request: The curve and the functions q_j.
        numbers_per_chunk: Most double-double numbers in memory at a time.
    """

    def sums(x: Tensor, y: Tensor, sigma: Tensor | None) -> tuple[list[Tensor], Tensor]:
        u, r, w, outside = point_coordinates(x, y, sigma, request.frame)
        functions = polynomials(u, request.degree)
        for (high, low), function in zip(request.curve, functions, strict=True):
            r = add(*r, *multiply(*function, -high, -low))
        r = r[0] * request.power, r[1] * request.power
        q = [combine(coefficients, functions) for coefficients in request.functions]
        weighted_r, weighted_q = times(w, r), [times(w, function) for function in q]
        pairs = [(q[k], weighted_q[j]) for j in range(len(q)) for k in range(j + 1)]
        pairs += [(function, weighted_r) for function in [*q, r]]
        for a, b in zip([*q, r], [*weighted_q, weighted_r], strict=True):
            outside = outside + count_beyond(a[0] * b[0], LARGEST_TERM)
        return [sum_chunk(*multiply(*a, *b)) for a, b in pairs], outside

    return add_chunks(sums, x, y, sigma, numbers_per_chunk // (request.degree + 6 + 2 * len(request.functions)))


def add_chunks(
    sums: Callable[[Tensor, Tensor, Tensor | None], tuple[list[Tensor], Tensor]],
    x: Tensor, y: Tensor, sigma: Tensor | None, rows_per_chunk: int,
) -> tuple[list[list[int]], int]:  # fmt: skip
    """Return the sums, over chunks of rows, of the totals and of the counts of numbers outside; 0 for no rows."""
    totals = torch.zeros(1, 4, dtype=torch.int64, device=x.device)
    outside = torch.zeros((), dtype=torch.int64, device=x.device)
    for start in range(0, max(len(x), 1), rows_per_chunk):
        rows = slice(start, start + rows_per_chunk)
        terms, beyond = sums(x[rows].detach(), y[rows].detach(), None if sigma is None else sigma[rows].detach())
        totals, outside = carry(totals + torch.stack(terms)), outside + beyond
    return totals.tolist(), int(outside)


def carry(totals: Tensor) -> Tensor:
    """Return totals, shape (count, 4), with what exceeds 32 bits of their lower numbers carried to the upper ones."""
    upper, lower = totals[:, 0::2], totals[:, 1::2]
    return torch.stack((upper + (lower >> LOWER_BITS), lower & LOWER), dim=2).flatten(1)


def point_coordinates(
    x: Tensor, y: Tensor, sigma: Tensor | None, frame: Frame
) -> tuple[Number, Number, Number | None, Tensor]:
    """Return u, v, w (``None`` without sigma) of points, and how many numbers are outside of the frame."""
    center, power, stretch, y_center, y_power, sigma_power = frame.loop_numbers()
    u, v = coordinates(x, center, power, stretch), coordinates(y, y_center, y_power, 1.0)
    outside = count_beyond(u[0], 1.0) + count_beyond(v[0], 1.0)
    if sigma is None:
        return u, v, None, outside
    scaled = sigma.double() * sigma_power
    outside = outside + (~((scaled >= 1.0) & (scaled < math.inf))).sum()
    return u, v, reciprocal_square(scaled.clamp(1.0, LARGEST_SIGMA)), outside  # type: ignore[arg-type]


def coordinates(values: Any, center: float, power: float, stretch: float) -> Number:
    """Return ``(values - center) power stretch``."""
    difference, rest = two_sum(values.double(), -center)
    return multiply(difference * power, rest * power, stretch, 0.0)


def count_beyond(values: Tensor, limit: float) -> Tensor:
    """Return how many numbers are larger than a limit in size, NaN among them."""
    return (~(values.abs() <= limit)).sum()


def polynomials(u: Number, degree: int) -> list[Number]:
    """Return T_0(u) … T_d(u)."""
    functions = [(torch.ones_like(u[0]), torch.zeros_like(u[0])), u]
    for _ in range(2, degree + 1):
        (p, e), (high, low) = multiply(*u, *functions[-1]), functions[-2]
        functions.append(add(2 * p, 2 * e, -high, -low))
    return functions[: degree + 1]


def times(w: Number | None, a: Number) -> Number:
    """Return ``w a``, or a if w is ``None``."""
    return a if w is None else multiply(*w, *a)


def combine(coefficients: tuple[Pair, ...], functions: list[Number]) -> Number:
    """Return a linear combination of functions."""
    result: Number = torch.zeros_like(functions[0][0]), torch.zeros_like(functions[0][0])
    for (high, low), function in zip(coefficients, functions, strict=True):
        if high != 0.0:
            result = add(*result, *multiply(*function, high, low))
    return result


def logarithm(values: Tensor) -> Tensor:
    """Return the natural logarithm by the operations of ``loops.logarithm``."""
    m, e = torch.frexp(values)
    is_small = m < 0.7071067811865476
    m, e = torch.where(is_small, 2 * m, m), e - is_small.int()
    s = (m - 1) / (m + 1)
    series = torch.zeros_like(s)
    for k in range(12):
        series = series * (s * s) + 1 / (23 - 2 * k)
    return e.double() * 0.6931471805599453 + 2 * s * series


def sum_chunk(high: Any, low: Any) -> Tensor:
    """Return the total of the numbers of a chunk, shape (4,)."""
    shifted = high + COARSE
    rest = (high - (shifted - COARSE)) + low
    whole = [((shifted - COARSE) * 2.0**50).long(), (((rest + FINE) - FINE) * 2.0**100).long()]
    return torch.stack([half.sum() for number in whole for half in (number >> LOWER_BITS, number & LOWER)])
