"""Sums of products over points without rounding, by matrix products of slices of fixed-point numbers.

A matrix of all functions T_0 … T_d, y is multiplied by one of T_0, T_d, y only, because
``T_i T_d = (T_{d+i} + T_{d-i}) / 2`` gives the sums up to T_2d. With sigma every function is divided by it first; the
recurrence ``T_{k+1} = 2 u T_k - T_{k-1}`` stays as it is.

Each function is a fixed-point number h + l, h a multiple of 2^-51 and l what is left, good to about 2^-100 of the
largest value there can be. It is cut into slices, multiples of fixed powers of two, of at most 27 bits for one side of
the product and 20 for the other. So the sum of 256 products of slices is below 2^53 units and exact in float64 in any
order, and the blocks' sums are added as integers. Nothing depends on the order of the rows, the size of a batch or a
chunk, or the device; nor on fused operations: a product is only fused with a sum where both are exact.
Torch and the standard library only.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regression.sums import STRETCH, UNIT, Gram, chunk_rows, inverse_sigma, scaled, shared_out

if TYPE_CHECKING:
    from regression.moments import Frame

__all__ = ["exact_gram"]

LEFT, RIGHT = (26, 52, 78, 104), (19, 39, 58, 78, 98)  # slices are multiples of 2^-bits; the last one is rounded
BLOCK = 256  # 2^26 · 2^19 · 2^8 = 2^53
HALF = 26  # bits in the lower half of a block's sum: the halves' sums over all blocks stay in int64

Pair = tuple[Tensor, Tensor]  # h and l


def round_to(values: Tensor, bits: int, out: Tensor) -> Tensor:
    """Write the multiples of 2^-bits next to values of at most 2^(51-bits): adding a large number rounds to them."""
    large = math.ldexp(1.5, 52 - bits)
    return torch.add(values, large, out=out).sub_(large)


class FixedPoint:
    """Room for a chunk of rows, and the sums of products of their slices.

    Args:
        size: Number of rows n.
        degree: Highest degree d.
        weighted: Whether the points have a sigma.
        device: Where the points are.
    """

    def __init__(self, size: int, degree: int, weighted: bool, device: torch.device) -> None:
        self.size, self.degree, self.weighted = size, degree, weighted
        rows = degree + weighted + 1  # [T_0 if weighted], T_1 … T_d, y
        self.right_bits = [*(RIGHT if weighted else (0,)), *RIGHT * (2 if degree else 1)]  # T_0 or 1, [T_d], y
        self.left_bits = [bits for bits in LEFT for _ in range(rows)]
        padded = -(-size // BLOCK) * BLOCK  # the rows added are zeros
        columns = -(-len(self.right_bits) // 4) * 4  # BLAS is faster with multiples of four
        self.all_left = torch.zeros(len(LEFT), rows, padded, dtype=torch.float64, device=device)
        self.all_right = torch.zeros(columns, padded, dtype=torch.float64, device=device)
        self.left, self.right = self.all_left[:, :, :size], self.all_right[:, :size]
        room = torch.zeros(14, size, dtype=torch.float64, device=device).unbind()
        self.ring: list[Pair] = [(room[0], room[1]), (room[2], room[3]), (room[4], room[5])]
        self.work, self.twice = room[6:10], room[10:]
        units = [[math.ldexp(1, a + b) for b in self.right_bits] for a in self.left_bits]
        self.units = torch.tensor(units, dtype=torch.float64, device=device)

    def fill(self, x: Tensor, y: Tensor, sigma: Tensor | None, frame: "Frame") -> None:
        """Compute all slices of n rows."""
        before, last, spare = self.ring
        self.argument(x, frame, last)
        values = scaled(y, frame.y_exponent, torch.empty_like(last[0]))
        rest = None
        if sigma is None:
            before[0].fill_(1)
            before[1].zero_()
            self.right[0].fill_(1)
        else:
            inverse = inverse_sigma(sigma, frame) / 2
            values, rest = two_product(values, inverse)
            self.fixed(inverse, None, before)
            self.cut_left(before, 0)
            self.cut_right(before, 0)
            # T_1 = u T_0 = 2 u (T_0 / 2) - 0
            self.fixed(inverse / 2, None, last)
            high = round_to(last[0], LEFT[0], torch.empty_like(inverse))
            nothing = torch.zeros_like(inverse)
            self.advance(last, (high, last[0] - high), (nothing, nothing), spare)
            last, spare = spare, last
        for k in range(1, self.degree + 1):
            row = k - 1 + self.weighted
            self.cut_left(last, row)
            if k < self.degree:
                self.advance(last, (self.left[0, row], self.left[1, row]), before, spare)
                before, last, spare = last, spare, before
        if self.degree:
            self.cut_right(last, len(self.right_bits) - 2 * len(RIGHT))
        self.fixed(values, rest, spare)
        self.cut_left(spare, self.degree + self.weighted)
        self.cut_right(spare, len(self.right_bits) - len(RIGHT))

    def argument(self, x: Tensor, frame: "Frame", out: Pair) -> None:
        """Write u in fixed point, and keep 2 u: whole, and its h in two parts whose products are exact."""
        total, first, shadow, rest = self.work
        shift = frame.center * math.ldexp(1, -frame.exponent)
        scaled(x, frame.exponent, first)
        torch.sub(first, shift, out=total)  # Knuth's sum, which tells what the rounding took
        torch.sub(total, first, out=shadow)
        torch.sub(total, shadow, out=rest)
        first.sub_(rest)
        shadow.add_(shift)
        first.sub_(shadow)
        if frame.stretch == STRETCH:
            self.fixed(total, first, out)
        else:
            self.stretched(total, first, frame.stretch / STRETCH, out)
        high, low = out
        part = round_to(high, LEFT[0], total)
        for value, double in zip((high, low, part, high - part), self.twice, strict=True):
            torch.mul(value, 2, out=double)

    def stretched(self, values: Tensor, rest: Tensor, factor: float, out: Pair) -> None:
        """Write ``factor (values + rest)`` in fixed point; the factor has so few bits that its products are exact."""
        (high, low), (part_0, part_1) = out, self.twice[:2]
        rest.add_(values.sub_(round_to(values, 26, part_0)).sub_(round_to(values, 52, part_1))).mul_(factor)
        round_to(part_1.mul_(factor), 51, high)
        torch.sub(part_1, high, out=low).add_(rest)
        high.add_(part_0.mul_(factor))

    def fixed(self, values: Tensor, rest: Tensor | None, out: Pair) -> None:
        """Write ``values + rest`` in fixed point, where rest is less than half a unit of values."""
        high, low = out
        torch.sub(values, round_to(values, 51, high), out=low)
        if rest is not None:
            low.add_(rest)

    def advance(self, last: Pair, parts: Pair, before: Pair, out: Pair) -> None:
        """Write ``2 u T_k - T_{k-1}``; ``parts`` are the two halves of T_k's h."""
        high, low, part_0, part_1 = self.twice
        small, product, middle, carry = self.work
        torch.mul(part_1, parts[1], out=small)
        small.add_(torch.mul(high, last[1], out=product))
        small.add_(torch.mul(low, last[0], out=product))
        small.sub_(before[1])
        torch.mul(part_0, parts[1], out=middle).addcmul_(part_1, parts[0])  # exact
        round_to(torch.add(middle, small, out=product), 51, carry)
        torch.sub(carry, before[0], out=out[0]).addcmul_(part_0, parts[0])  # exact
        torch.sub(middle, carry, out=out[1]).add_(small)

    def cut_left(self, value: Pair, row: int) -> None:
        """Cut a number into four slices of at most 27 bits."""
        high, low = value
        first, second, third, fourth = self.left[:, row].unbind()
        torch.sub(high, round_to(high, LEFT[0], first), out=second)
        rest = torch.sub(low, round_to(low, LEFT[2], third), out=self.work[0])
        round_to(rest, LEFT[3], fourth)

    def cut_right(self, value: Pair, row: int) -> None:
        """Cut a number into five slices of at most 20 bits."""
        high, low = value
        upper, lower = self.work[:2]
        first, second, third, fourth, fifth = self.right[row : row + len(RIGHT)].unbind()
        torch.sub(high, round_to(high, RIGHT[0], first), out=upper)
        upper.sub_(round_to(upper, RIGHT[1], second))
        torch.sub(low, round_to(low, RIGHT[2], third), out=lower)
        third.add_(upper)
        lower.sub_(round_to(lower, RIGHT[3], fourth))
        round_to(lower, RIGHT[4], fifth)

    def products(self) -> Tensor:
        """Return the sums of the products of slices in their units, in two halves, int64 of shape (2, 4 F, C)."""
        left = self.all_left.view(len(self.left_bits), -1, BLOCK).transpose(0, 1)
        right = self.all_right.view(len(self.all_right), -1, BLOCK).permute(1, 2, 0)
        sums = (torch.bmm(left, right)[:, :, : len(self.right_bits)] * self.units).to(torch.int64)  # (blocks, 4 F, C)
        return torch.stack([(sums >> HALF).sum(dim=0), (sums & ((1 << HALF) - 1)).sum(dim=0)])

    def gram(self, halves: Tensor) -> Gram:
        """Return the Gram matrix from the sums of all chunks."""
        upper, lower = halves.tolist()
        rows, width = self.degree + self.weighted + 1, len(RIGHT)
        starts = [0, len(self.right_bits) - 2 * width if self.degree else 0, len(self.right_bits) - width]
        widths = [width if self.weighted else 1, width if self.degree or self.weighted else 1, width]
        scale = UNIT + 2 * self.weighted  # the functions were divided by 2 sigma
        result = []
        for row in range(rows):
            sums = [0] * len(self.right_bits)
            for index in range(row, len(self.left_bits), rows):
                for column, bits in enumerate(self.right_bits):
                    total = (upper[index][column] << HALF) + lower[index][column]
                    sums[column] += total << (scale - self.left_bits[index] - bits)
            result.append([sum(sums[start : start + size]) for start, size in zip(starts, widths, strict=True)])
        return result


def exact_gram(x: Tensor, y: Tensor, sigma: Tensor | None, frame: "Frame", degree: int) -> Gram:
    """Return the Gram matrix without rounding but that of the functions to fixed point.

    Args:
        x: Points, shape (n,), inside the frame's range.
        y: Values, shape (n,).
        sigma: Standard deviations of y, shape (n,), or ``None``.
        frame: Coordinates.
        degree: Highest degree.
    """
    if fused.takes_exact(x, y, sigma, degree):
        return fused.exact_gram(x, y, frame, degree)
    return chunked_gram(x, y, sigma, frame, degree)


def chunked_gram(x: Tensor, y: Tensor, sigma: Tensor | None, frame: "Frame", degree: int) -> Gram:
    """Return the Gram matrix by operations on chunks of rows."""
    layout = FixedPoint(0, degree, sigma is not None, x.device)

    def work(parts: Iterator[slice]) -> Tensor:
        room, totals = layout, torch.zeros(2, *layout.units.shape, dtype=torch.int64, device=x.device)
        for part in parts:
            if len(x[part]) != room.size:
                room = FixedPoint(len(x[part]), degree, sigma is not None, x.device)
            room.fill(x[part], y[part], None if sigma is None else sigma[part], frame)
            totals += room.products()
        return totals

    rows = chunk_rows(x, len(layout.left_bits) + len(layout.right_bits) + 16)
    gram = layout.gram(torch.stack(shared_out(work, x, rows)).sum(dim=0))
    if sigma is None:  # T_0 = 1 has no slices
        first = [len(x) << UNIT, gram[-2][0] if degree else len(x) << UNIT, gram[-1][0]]
        gram = [first, *gram]
    return gram


def two_product(a: Tensor, b: Tensor) -> Pair:
    """Return a b exactly (Dekker), of the shape of a; each operation is a kernel of its own, so none is fused.

    Most of them write to a vector that has served: fewer vectors leave the cache to the rest.
    """
    product = a * b
    a_hi, a_lo = _split(a)
    b_hi, b_lo = _split(b)
    rest = (a_hi * b_hi).sub_(product)
    rest.add_(a_hi.mul_(b_lo)).add_(torch.mul(a_lo, b_hi, out=a_hi)).add_(a_lo.mul_(b_lo))
    return product, rest


def _split(a: Tensor) -> Pair:
    scaled_up = a * 134217729.0  # 2^27 + 1
    hi = scaled_up - a
    torch.sub(scaled_up, hi, out=hi)
    return hi, torch.sub(a, hi, out=scaled_up)
