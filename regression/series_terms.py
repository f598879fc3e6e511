"""The terms of the sums of many series, as whole numbers.

Adding 6 to a term between -2 and 2 rounds it to a multiple of 2^-50 and leaves that multiple in the last bits of the
sum, so that the sums' bits can be added as integers. In double that is all. For double-double points are rounded to
multiples of 2^-50, of which the 25 upper bits and the lower ones are kept apart: the products of the upper parts, the
mixed products, and those of the lower parts are multiples of 2^-50, 2^-75 and 2^-100 that fit float64, and each has a
sum of its own. None of them is rounded, so that it does not matter where a device fuses a product with a sum; sums that
round are operations of their own, as a fused one would have other bits. Torch only.
"""

import math
import struct
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from regression.series_pieces import BESIDE

__all__ = ["FINE_UNIT", "UNIT", "Frames", "Terms"]

BITS = 25  # of a part of a number
UNIT, FINE_UNIT = 2.0**-50, 2.0**-100
CENTERS = [6 * 2.0 ** (-BITS * k) for k in range(3)]  # of parts with last bits 2^-50, 2^-75, 2^-100
CENTER_BITS = struct.unpack("3q", struct.pack("3d", *CENTERS))
HALF = 3 * 2.0**26  # added and taken away again, leaves multiples of 2^-25
LIMITS = (22 << 52, 2022 << 52)  # bits of 2^-1001 and 2^999
LEAST_BESIDE = 32  # pieces of a block, which are ``BESIDE`` or half as many, a quarter …


class Frames(NamedTuple):
    """The coordinates of series: centers of x and y, and inverse scales, powers of two, each of shape (2, S)."""

    centers: Tensor
    inverses: Tensor

    @classmethod
    def of(cls, ends: Tensor) -> "Frames":
        """Return coordinates that take points to [-1, 1].

        Args:
            ends: Smallest x and y with the opposite sign, then largest x and y, shape (4, S).
        """
        opposite, high = ends[:2], ends[2:]
        center = (high - opposite).mul_(0.5)
        widest = torch.maximum(high - center, center + opposite)
        if not widest.amin() > 0:  # any scale goes with no width, but the smallest would make products infinite
            widest.masked_fill_(widest == 0, 1)
        # Bits of the power of two that is at most as large: ten times frexp's speed.
        power = widest.view(torch.int64).bitwise_and_(0x7FF << 52).clamp_(*LIMITS)
        return cls(center, power.neg_().add_(2045 << 52).view(torch.float64))

    def chosen(self, series: Tensor) -> "Frames":
        """Return the coordinates of some series."""
        return Frames(*(values[:, series] for values in self))


class Terms(ABC):
    """The terms of stacks of P pieces of L points, and their sums.

    The functions T_1 … T_d, v have a row each, and operations are on all rows at once: few calls, and few vectors
    that the cache must hold.

    Args:
        rows: The largest number of points of a stack, P L.
        degree: Highest degree d.
        sizes: Numbers of vectors of each kind, the first kind those that hold the points.
        device: Where the points are.
    """

    def __init__(self, rows: int, degree: int, sizes: list[int], device: torch.device) -> None:
        self.degree, self._sizes = degree, sizes
        self._room = torch.empty(sum(sizes), rows, dtype=torch.float64, device=device)
        self._ends_room = self._room.new_empty(4 * rows)
        self._shape: torch.Size | None = None

    @staticmethod
    def of(rows: int, degree: int, is_double: bool, device: torch.device) -> "Terms":
        """Return room for terms in double, or of about twice the digits."""
        return DoubleTerms(rows, degree, device) if is_double else FineTerms(rows, degree, device)

    def take(self, x: Tensor, y: Tensor) -> None:
        """Take the points of a stack, x and y of shape (P, L)."""
        if x.shape != self._shape:  # views are made once: they take as long as the operations
            self._shape = x.shape
            self._views(*x.shape)
        for row, values in zip(self._points, (x, y), strict=True):
            torch.sub(values.view(self._blocks).transpose(1, 2), 0, out=row)  # faster than a copy

    def _views(self, count: int, length: int) -> None:
        """Divide the room for P pieces of L points."""
        beside = math.gcd(count, BESIDE)
        beside = beside if beside >= LEAST_BESIDE else count
        self._blocks = (count // beside, beside, length)
        room = self._room[:, : count * length].view(-1, count // beside, length, beside)
        first, *others = torch.split(room, self._sizes)
        self._points = first[:: len(first) - 1]
        self._ends = self._ends_room[: 4 * count].view(4, count)
        self._smallest, self._largest = self._ends.view(2, 2, -1, beside).unbind()
        self._divide(first, *others)

    @abstractmethod
    def _divide(self, *kinds: Tensor) -> None:
        """Take the vectors of each kind, of shape (size, B, L, P / B) for B blocks of pieces."""

    def ends(self) -> Tensor:
        """Return the ends of the pieces' ranges, shape (4, P), as ``Frames.of`` takes them; the next overwrite them."""
        torch.amin(self._points, -2, out=self._smallest).neg_()
        torch.amax(self._points, -2, out=self._largest)
        return self._ends

    def sums(self, frames: Frames, out: Tensor) -> Tensor:
        """Write and return the sums of T_1 … T_d, v, then of T_1 T_d … T_d T_d, then of T_1 v … T_d v, v².

        Args:
            frames: The coordinates u and v of the pieces' series.
            out: Room for whole numbers of shape (parts, 1, 3 d + 2, P), the parts in units of 2^-50 and 2^-100.
        """
        blocks = (2, self._blocks[0], 1, self._blocks[1])
        origins = torch.mul(*frames).neg_().view(blocks)
        # Exact products: the one rounding is that of the difference to the center.
        torch.addcmul(origins, self._points, frames.inverses.view(blocks), out=self._points)
        self._sum(out[:, 0])
        return out

    @abstractmethod
    def _sum(self, out: Tensor) -> None:
        """Write the sums of the points' terms, shape (parts, 3 d + 2, P)."""


def whole_sum(terms: Tensor, part: int, out: Tensor) -> None:
    """Write ``Σ (terms - center)`` over L in units of the terms' last bits; what overflows cancels.

    Args:
        terms: The bits of terms about a center, as whole numbers of shape (rows, B, L, P / B).
        part: Which center.
        out: Room of shape (rows, B, P / B).
    """
    torch.sum(terms, dim=-2, out=out).add_(without_centers(terms.shape[-2], part))


def without_centers(length: int, part: int) -> int:
    """Return what to add to a sum of the bits of terms about a center, for int64, whose overflows cancel."""
    bits: int = CENTER_BITS[part]
    return (2**63 - length * bits) % 2**64 - 2**63


class DoubleTerms(Terms):
    """Terms in float64, rounded to multiples of 2^-50 at the end.

    Args:
        rows: The largest number of points of a stack.
        degree: Highest degree d.
        device: Where the points are.
    """

    def __init__(self, rows: int, degree: int, device: torch.device) -> None:
        # There is a u even where it has no sums, for its range.
        super().__init__(rows, degree, [max(degree, 1) + 1, degree + 1], device)
        self._totals_room = torch.empty((3 * degree + 2) * rows, dtype=torch.int64, device=device)

    def _divide(self, *kinds: Tensor) -> None:
        functions, self._scratch = kinds
        self._functions, self._polynomials = functions if self.degree else functions[1:], functions[: self.degree]
        self._value, self._bits = functions[-1], self._scratch.view(torch.int64)
        degree, (blocks, beside, _) = self.degree, self._blocks
        totals = self._totals_room[: (3 * degree + 2) * blocks * beside].view(-1, blocks, beside)
        self._totals, self._kinds = totals.flatten(1), torch.split(totals, [degree + 1, degree, degree + 1])

    def _sum(self, out: Tensor) -> None:
        functions, scratch, bits = self._polynomials, self._scratch, self._bits
        for k in range(1, self.degree):  # T_{k+1} = 2 u T_k - T_{k-1}
            torch.mul(functions[0], functions[k - 1], out=functions[k]).mul_(2).sub_(functions[k - 2] if k > 1 else 1)
        # One kind after the other in the same room: what has just been written is still in the cache.
        plain, last, mixed = self._kinds
        torch.add(self._functions, CENTERS[0], out=scratch)
        torch.sum(bits, dim=-2, out=plain)
        if self.degree:
            torch.mul(functions, functions[-1], out=scratch[:-1]).add_(CENTERS[0])
            torch.sum(bits[:-1], dim=-2, out=last)
        torch.mul(self._functions, self._value, out=scratch).add_(CENTERS[0])
        torch.sum(bits, dim=-2, out=mixed)
        torch.add(self._totals, without_centers(self._blocks[2], 0), out=out[0])


class FineTerms(Terms):
    """Terms of about twice the digits: a function is ``upper + lower + rest``, multiples of 2^-25 and 2^-50, and more.

    Args:
        rows: The largest number of points of a stack.
        degree: Highest degree d.
        device: Where the points are.
    """

    def __init__(self, rows: int, degree: int, device: torch.device) -> None:
        count = max(degree, 1) + 1
        super().__init__(rows, degree, [count, count, count, degree, degree], device)
        self._centers = self._room.new_tensor(CENTERS).unbind()

    def _divide(self, *kinds: Tensor) -> None:
        self._lower, self._upper, self._scratch, self._rest, self._spare = kinds  # points are not cut in two yet
        self._scratch_bits = self._scratch.view(torch.int64)

    def _sum(self, out: Tensor) -> None:
        degree = self.degree
        high, low = out.view(2, len(out[0]), *self._blocks[:2])
        self._sums = (high, torch.zeros_like(high), low.zero_())
        functions, step = slice(0 if degree else 1, None), max(degree, 1)
        self._add(slice(functions.start, None, step), slice(0, degree + 1, step))
        self._rest[:1].zero_()
        for k in range(1, degree):
            self._next(k)
        if degree:
            self._add_products(slice(0, degree), degree - 1, degree + 1)
        self._add_products(functions, -1, 2 * degree + 1)
        self._carry(*self._sums)

    def _add(self, rows: slice, to: slice) -> None:
        """Write the sums of some functions, rounded to multiples of 2^-50, and cut those in two parts."""
        values = self._lower[rows]
        whole_sum(values.add_(CENTERS[0]).view(torch.int64), 0, self._sums[0][to])
        upper = torch.add(values.sub_(CENTERS[0]), HALF, out=self._upper[rows]).sub_(HALF)
        values.sub_(upper)

    def _next(self, k: int) -> None:
        """Write ``T_{k+1} = 2 u T_k - T_{k-1}``, and its sum."""
        upper, lower, rest, rows = self._upper, self._lower, self._rest, slice(k, k + 1)
        high, mixed, low = (
            product(slice(0, 1), k - 1, out).sub_(center).mul_(2)
            for product, center, out in zip(
                (self._high, self._mixed, self._low), CENTERS, torch.split(self._scratch[:3], 1), strict=True
            )
        )
        if k > 1:
            high.sub_(upper[k - 2]).sub_(lower[k - 2])
            low.sub_(rest[k - 2])
        else:
            high.sub_(1)
        carry = torch.add(mixed, low, out=lower[rows]).add_(CENTERS[0]).sub_(CENTERS[0])
        torch.sub(mixed, carry, out=rest[rows]).add_(low)
        carry.add_(high)
        self._add(rows, rows)
        whole_sum(torch.add(rest[rows], CENTERS[2], out=low).view(torch.int64), 2, self._sums[2][rows])

    def _add_products(self, rows: slice, factor: int, start: int) -> None:
        """Write the sums of the products of some functions with one of them, from a row of the sums on."""
        out = self._scratch[rows]
        to = slice(start, start + len(out))
        for part, product in enumerate((self._high, self._mixed, self._low)):
            product(rows, factor, out)
            whole_sum(self._scratch_bits[rows], part, self._sums[part][to])

    def _high(self, rows: slice, factor: int, out: Tensor) -> Tensor:
        """Write products of upper parts, about the center of the sums, and return them."""
        return torch.addcmul(self._centers[0], self._upper[rows], self._upper[factor], out=out)  # exact

    def _mixed(self, rows: slice, factor: int, out: Tensor) -> Tensor:
        """Write products of upper parts and lower ones."""
        torch.addcmul(self._centers[1], self._upper[rows], self._lower[factor], out=out)  # exact
        return out.addcmul_(self._lower[rows], self._upper[factor])  # exact

    def _low(self, rows: slice, factor: int, out: Tensor) -> Tensor:
        """Write products of lower parts, and those with what is left."""
        torch.addcmul(self._centers[2], self._lower[rows], self._lower[factor], out=out)  # exact
        if self.degree > 1:  # T_1 and v have no rest
            rest = self._rest[rows]
            spare = self._spare[: len(rest)]
            out[: len(rest)].add_(torch.mul(self._upper[factor] + self._lower[factor], rest, out=spare))
            if factor >= 0:
                torch.add(self._upper[rows], self._lower[rows], out=spare)
                out.add_(spare.mul_(self._rest[factor]))
        return out

    @staticmethod
    def _carry(high: Tensor, mixed: Tensor, low: Tensor) -> None:
        """Leave whole multiples of 2^-50 in the high part of the sums, and less than one such unit in the low one."""
        mixed.add_(low >> BITS)
        high.add_(mixed >> BITS)
        mask = (1 << BITS) - 1
        low.bitwise_and_(mask).add_(mixed.bitwise_and_(mask).bitwise_left_shift_(BITS))
