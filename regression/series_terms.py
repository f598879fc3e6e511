"""The terms of the sums of many series, as whole numbers.

Adding 6 to a term between -2 and 2 rounds it to a multiple of 2^-50 and leaves that multiple in the last bits of the
sum, so that the sums' bits can be added as integers. In double that is all. For double-double points are rounded to
multiples of 2^-50, of which the 25 upper bits and the lower ones are kept apart: the products of the upper parts, the
mixed products, and those of the lower parts are multiples of 2^-50, 2^-75 and 2^-100 that fit float64, and each has a
sum of its own. None of them is rounded, so that it does not matter where a device fuses a product with a sum; sums that
round are operations of their own, as a fused one would have other bits. Torch only.
"""

import struct
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["FINE_UNIT", "UNIT", "Frames", "Terms"]

BITS = 25  # of a part of a number
UNIT, FINE_UNIT = 2.0**-50, 2.0**-100
CENTERS = [6 * 2.0 ** (-BITS * k) for k in range(3)]  # of parts with last bits 2^-50, 2^-75, 2^-100
CENTER_BITS = struct.unpack("3q", struct.pack("3d", *CENTERS))
HALF = 3 * 2.0**26  # added and taken away again, leaves multiples of 2^-25
LIMITS = (22 << 52, 2022 << 52)  # bits of 2^-1001 and 2^999


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
        # Bits of the power of two that is at most as large: ten times frexp's speed.
        power = widest.view(torch.int64).bitwise_and_(0x7FF << 52).clamp_(*LIMITS)
        return cls(center, torch.sub(2045 << 52, power).view(torch.float64))

    def chosen(self, series: Tensor) -> "Frames":
        """Return the coordinates of some series."""
        return Frames(*(values[:, series] for values in self))


class Terms:
    """The terms of stacks of P pieces of L points, and their sums.

    The functions T_1 … T_d, v have a row each, and operations are on all rows at once: few calls, and few vectors
    that the cache must hold. A function is ``upper + lower + rest``: multiples of 2^-25 and 2^-50, and what is left.
    In double ``upper`` has all digits.

    Args:
        rows: The largest number of points of a stack, P L.
        degree: Highest degree d.
        is_double: Whether to leave out all but the upper parts.
        device: Where the points are.
    """

    def __init__(self, rows: int, degree: int, is_double: bool, device: torch.device) -> None:
        self.degree, self.is_double = degree, is_double
        count = max(degree, 1) + 1  # there is a u even where it has no sums, for its range
        self._sizes = [count, count, *((0, 0, 0) if is_double else (count, degree, degree))]
        self._room = torch.empty(sum(self._sizes), rows, dtype=torch.float64, device=device)
        self._centers = self._room.new_tensor(CENTERS).unbind()

    def take(self, x: Tensor, y: Tensor) -> None:
        """Take the points of a stack, x and y of shape (P, L)."""
        room = self._room[:, : x.numel()].view(len(self._room), x.shape[1], x.shape[0])
        self._upper, self._scratch, self._lower, self._rest, self._spare = torch.split(room, self._sizes)
        self._values = self._upper if self.is_double else self._lower  # before they are cut in two
        self._points = self._values[:: len(self._upper) - 1]
        for row, values in zip(self._points, (x, y), strict=True):
            torch.sub(values.T, 0, out=row)  # faster than a copy

    def ends(self, out: Tensor) -> Tensor:
        """Write the ends of the pieces' ranges, shape (4, P), as ``Frames.of`` takes them, and return them."""
        torch.amin(self._points, 1, out=out[:2]).neg_()
        torch.amax(self._points, 1, out=out[2:])
        return out

    def sums(self, frames: Frames, out: Tensor) -> Tensor:
        """Write and return the sums of T_1 … T_d, v, then of T_1 T_d … T_d T_d, then of T_1 v … T_d v, v².

        Args:
            frames: The coordinates u and v of the pieces' series.
            out: Room for whole numbers of shape (parts, 1, 3 d + 2, P), the parts in units of 2^-50 and 2^-100.
        """
        degree, high = self.degree, out[0, 0]
        self._sums = (high,) if self.is_double else (high, torch.zeros_like(high), out[1, 0].zero_())
        self._points.sub_(frames.centers[:, None]).mul_(frames.inverses[:, None])
        functions, step = slice(0 if degree else 1, None), max(degree, 1)
        self._add(slice(functions.start, None, step), slice(0, degree + 1, step))
        self._rest[:1].zero_()
        for k in range(1, degree):
            self._next(k)
        if degree:
            self._add_products(slice(0, degree), degree - 1, degree + 1)
        self._add_products(functions, -1, 2 * degree + 1)
        if not self.is_double:
            self._carry(*self._sums)
        return out

    def _add(self, rows: slice, to: slice) -> None:
        """Write the sums of some functions, rounded to multiples of 2^-50, and cut those in two parts."""
        values = self._values[rows]
        if self.is_double:
            self._whole_sum(torch.add(values, CENTERS[0], out=self._scratch[: len(values)]), 0, to)
            return
        self._whole_sum(values.add_(CENTERS[0]), 0, to)
        upper = torch.add(values.sub_(CENTERS[0]), HALF, out=self._upper[rows]).sub_(HALF)
        values.sub_(upper)

    def _next(self, k: int) -> None:
        """Write ``T_{k+1} = 2 u T_k - T_{k-1}``, and its sum."""
        upper, lower, rest, rows = self._upper, self._lower, self._rest, slice(k, k + 1)
        if self.is_double:
            torch.mul(upper[0], upper[k - 1], out=upper[k]).mul_(2).sub_(upper[k - 2] if k > 1 else 1)
            self._add(rows, rows)
            return
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
        self._whole_sum(torch.add(rest[rows], CENTERS[2], out=low), 2, rows)

    def _add_products(self, rows: slice, factor: int, start: int) -> None:
        """Write the sums of the products of some functions with one of them, from a row of the sums on."""
        out = self._scratch[rows]
        to = slice(start, start + len(out))
        for part, product in enumerate((self._high, self._mixed, self._low)[: len(self._sums)]):
            self._whole_sum(product(rows, factor, out), part, to)

    def _high(self, rows: slice, factor: int, out: Tensor) -> Tensor:
        """Write products of upper parts, about the center of the sums, and return them."""
        if self.is_double:
            return torch.mul(self._upper[rows], self._upper[factor], out=out).add_(CENTERS[0])
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

    def _whole_sum(self, terms: Tensor, part: int, to: slice) -> None:
        """Write ``Σ (terms - center)`` over L in units of the terms' last bits; what overflows cancels."""
        offset = terms.shape[1] * CENTER_BITS[part] % 2**64
        out = torch.sum(terms.view(torch.int64), dim=1, out=self._sums[part][to])
        out.sub_(offset - 2**64 if offset >= 2**63 else offset)
