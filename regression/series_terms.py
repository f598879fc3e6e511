"""The terms of the sums of many series, as whole numbers.

Adding 6 to a term between -2 and 2 rounds it to a multiple of 2^-50 and leaves that multiple in the last bits of the
sum, so that the sums' bits can be added as integers. In double that is all. For double-double what the rounding takes
away is a second term, a multiple of 2^-99: products are exact, as one factor's 25 upper bits times the other's, the
mixed products, and the lower bits' product each fit float64. Sums that round are operations of their own, as a fused
one would have other bits. Torch only.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["FINE_UNIT", "UNIT", "Frames", "Terms"]

UNIT, FINE_UNIT = 2.0**-50, 2.0**-99
CENTER, FINE_CENTER = 6.0, 6 * 2.0**-49  # last bits in these units
HALF = 3 * 2.0**26  # added and taken away again, leaves multiples of 2^-25
SCRATCH = 3
LARGEST_EXPONENT = 1000


class Function(NamedTuple):
    """A function of the points, ``upper + lower + rest``: multiples of 2^-25 and 2^-50, and what is left, if any.

    Each has shape (L, P). In double ``upper`` has all digits and the others are not there.
    """

    upper: Tensor
    lower: Tensor | None = None
    rest: Tensor | None = None


class Frames(NamedTuple):
    """The coordinates of series: centers of x and y, and inverse scales, powers of two, each of shape (S,)."""

    center: Tensor
    inverse: Tensor
    y_center: Tensor
    y_inverse: Tensor

    @classmethod
    def of(cls, ends: Tensor) -> "Frames":
        """Return coordinates that take points to [-1, 1].

        Args:
            ends: Smallest x, largest x, smallest y, largest y, the smallest with the opposite sign, shape (4, S).
        """
        low, high = -ends[::2], ends[1::2]
        center = low / 2 + high / 2
        exponent = (
            torch.maximum(high - center, center - low).view(torch.int64) >> 52
        )  # plus 1022; ten times frexp's speed
        exponent.clamp_(1022 - LARGEST_EXPONENT, 1022 + LARGEST_EXPONENT)
        inverse = (2045 - exponent << 52).view(torch.float64)
        return cls(center[0], inverse[0], center[1], inverse[1])

    def chosen(self, series: Tensor | slice) -> "Frames":
        """Return the coordinates of some series."""
        return Frames(*(values[series] for values in self))


class Terms:
    """The terms of a stack of P pieces of L points, and their sums.

    Args:
        x: Points, shape (P, L).
        y: Values, shape (P, L).
        room: Memory for numbers, shape (B, L, P).
        is_double: Whether to leave out the second terms.
    """

    def __init__(self, x: Tensor, y: Tensor, room: Tensor, is_double: bool) -> None:
        self.is_double = is_double
        self._room = iter(room.unbind())
        self._high, self._low, self._mixed = (next(self._room) for _ in range(SCRATCH))
        self._out: Iterator[Tensor] = iter(())
        self._x, self._y = (torch.sub(values.T, 0, out=next(self._room)) for values in (x, y))  # faster than a copy

    @staticmethod
    def room(degree: int) -> int:
        """Return the number B of vectors that the functions of a degree need."""
        return SCRATCH + 2 + 3 * (degree + 1)

    def ends(self, out: Tensor) -> Tensor:
        """Write the ends of the pieces' ranges, shape (4, P), as ``Frames.of`` takes them, and return them."""
        for k, values in enumerate((self._x, self._y)):
            torch.amin(values, 0, out=out[2 * k]).neg_()
            torch.amax(values, 0, out=out[2 * k + 1])
        return out

    def sums(self, frames: Frames, degree: int, out: Tensor) -> Tensor:
        """Write and return ``Σ T_k``, then ``Σ T_k T_d``, for k = 1 … d, ``Σ T_k v`` for k = 0 … d, and ``Σ v²``.

        Args:
            frames: The coordinates u and v of the pieces' series.
            degree: Highest degree d.
            out: Room for whole numbers of shape (parts, 1, 3 d + 2, P), the parts in units of 2^-50 and 2^-99.
        """
        self._out = iter(out.movedim(2, 0)[:, :, 0])
        v = self._mapped(self._y, frames.y_center, frames.y_inverse)
        functions = self._chebyshev(self._mapped(self._x, frames.center, frames.inverse), degree)
        for function in functions:
            self._add(function)
        for function in functions:
            self._add_product(function, functions[-1])
        self._add(v)
        for function in [*functions, v]:
            self._add_product(function, v)
        return out

    def _mapped(self, values: Tensor, center: Tensor, inverse: Tensor) -> Function:
        values.sub_(center).mul_(inverse)
        return Function(values) if self.is_double else self._split(values.add_(CENTER).sub_(CENTER), None)

    def _split(self, value: Tensor, rest: Tensor | None) -> Function:
        upper = torch.add(value, HALF, out=next(self._room)).sub_(HALF)
        return Function(upper, value.sub_(upper), rest)

    def _chebyshev(self, u: Function, degree: int) -> list[Function]:
        """Return T_1(u) … T_d(u) by ``T_{k+1} = 2 u T_k - T_{k-1}``."""
        functions = [u] * min(degree, 1)
        for k in range(1, degree):
            one = Function(torch.ones_like(u.upper), torch.zeros_like(u.upper)) if k == 1 else None
            functions.append(self._next(u, functions[-1], one or functions[k - 2]))
        return functions

    def _next(self, u: Function, last: Function, before: Function) -> Function:
        value = next(self._room)
        if self.is_double:
            return Function(torch.mul(u.upper, last.upper, out=value).mul_(2).sub_(before.upper))
        self._multiply(u, last)
        assert before.lower is not None
        torch.sub(self._high, CENTER, out=value).mul_(2).sub_(before.upper).sub_(before.lower)
        rest = torch.mul(self._low, 2, out=next(self._room))
        if before.rest is not None:
            rest.sub_(before.rest)
        carry = torch.add(rest, CENTER, out=self._mixed).sub_(CENTER)
        return self._split(value.add_(carry), rest.sub_(carry))

    def _multiply(self, a: Function, b: Function) -> None:
        """Write the product plus ``CENTER``, rounded, and what that takes away."""
        high, low, mixed = self._high, self._low, self._mixed
        torch.mul(a.upper, b.upper, out=high).add_(CENTER)
        if self.is_double:
            return
        assert a.lower is not None
        assert b.lower is not None
        torch.mul(a.upper, b.lower, out=mixed).addcmul_(a.lower, b.upper)  # exact
        low.copy_(high)
        high.add_(mixed)
        low.sub_(high).add_(mixed).addcmul_(a.lower, b.lower)  # exact
        for factor, other in ((a, b), (b, a)):
            if factor.rest is not None:
                assert other.lower is not None
                low.add_(torch.add(other.upper, other.lower, out=mixed).mul_(factor.rest))

    def _add(self, function: Function) -> None:
        """Add a function to the sums."""
        torch.add(function.upper, CENTER, out=self._high)
        if function.lower is not None:
            self._high.add_(function.lower)
            if function.rest is None:
                self._low.zero_()
            else:
                self._low.copy_(function.rest)
        self._keep()

    def _add_product(self, a: Function, b: Function) -> None:
        """Add a product of functions to the sums."""
        self._multiply(a, b)
        self._keep()

    def _keep(self) -> None:
        out = next(self._out)
        _whole_sum(self._high, CENTER, out[0])
        if not self.is_double:
            _whole_sum(self._low.add_(FINE_CENTER), FINE_CENTER, out[1])


def _whole_sum(terms: Tensor, center: float, out: Tensor) -> None:
    """Write ``Σ (terms - center)`` over L in units of the terms' last bits, shape (P,); what overflows cancels."""
    (bits,) = struct.unpack("q", struct.pack("d", center))
    offset = len(terms) * bits % 2**64
    torch.sum(terms.view(torch.int64), dim=0, out=out).sub_(offset - 2**64 if offset >= 2**63 else offset)
