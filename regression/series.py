"""Many short series at once: their points' ranges, and the sums that fit a polynomial to each of them.

The points come in any order, in batches that cut series anywhere. One reading finds the range of each series, which
gives it coordinates of its own: ``u = (x - center) / scale`` and ``v = (y - y_center) / y_scale`` in [-1, 1], scales
being powers of two. Another one takes the sums ``Σ T_k(u)``, ``Σ T_k(u) T_d(u)``, ``Σ T_k(u) v`` and ``Σ v²`` of each.
The sums are whole numbers, the same bits for every order of the rows, every batch and every number of processes.

Rows of one series that follow each other are a piece. Pieces of one length are stacked side by side, so that a tensor
operation works on thousands of series, and their sums need no scattering. Torch only.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from regression.collectives import all_gather_rows, all_sum
from regression.errors import UsageError
from regression.moments import Arithmetic, check
from regression.series_terms import Terms
from regression.sums import shared_out

__all__ = ["SPLIT_BITS", "Frames", "Ranges", "SeriesSums"]

ROWS = 1 << 15  # rows of a chunk, whose terms stay in the cache
LONGEST = 64  # rows of a piece: longer ones are cut
NARROW, SPLIT_BITS = 4000, 31  # points of a series whose sums fit int64; bits of the lower half of longer ones' sums
LARGEST_EXPONENT = 1000


class Stack(NamedTuple):
    """Pieces of one length L: where their series stand, shape (P,), and their points, each of shape (P, L)."""

    series: Tensor
    x: Tensor
    y: Tensor


def stacks(codes: Tensor, x: Tensor, y: Tensor, known: Tensor | None = None) -> Iterator[Stack]:
    """Yield the pieces of a chunk, those of one length together.

    Args:
        codes: Whole numbers that name the series, shape (n,).
        x: Points, shape (n,).
        y: Values, shape (n,).
        known: All codes, in ascending order: a stack then has the positions among them in place of the codes.
    """
    starts, lengths = pieces(codes)
    series = codes[starts] if known is None else positions(known, codes[starts])
    for length in lengths.unique().tolist():
        chosen = (lengths == length).nonzero()[:, 0]
        first, last = int(starts[chosen[0]]), int(starts[chosen[-1]])
        if last - first == (len(chosen) - 1) * length:  # side by side already
            rows: slice | Tensor = slice(first, last + length)
        else:
            rows = (starts[chosen, None] + torch.arange(length, device=x.device)).flatten()
        yield Stack(series[chosen], x[rows].view(-1, length), y[rows].view(-1, length))


def pieces(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the pieces of a chunk start, and how many rows they have."""
    inner = (codes[1:] != codes[:-1]).nonzero()[:, 0] + 1
    starts = torch.cat([inner.new_zeros(1), inner])
    lengths = torch.cat([inner, inner.new_full((1,), len(codes))]) - starts
    if int(lengths.max()) <= LONGEST:
        return starts, lengths
    parts = (lengths + (LONGEST - 1)) // LONGEST
    ends = (starts + lengths).repeat_interleave(parts)
    before = (parts.cumsum(0) - parts).repeat_interleave(parts)
    starts = starts.repeat_interleave(parts) + LONGEST * (torch.arange(len(ends), device=codes.device) - before)
    return starts, (ends - starts).clamp_max(LONGEST)


def positions(known: Tensor, codes: Tensor) -> Tensor:
    """Return where codes stand among the known ones, which are in ascending order."""
    first = int(torch.searchsorted(known, codes[:1]))
    if torch.equal(known[first : first + len(codes)], codes):  # as they come in a table in the order of its series
        return torch.arange(first, first + len(codes), device=codes.device)
    return torch.searchsorted(known, codes)


def together(codes: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows with those of one series side by side, if hardly any of them are."""
    if 2 * int((codes[1:] != codes[:-1]).sum()) < len(codes):
        return codes, x, y
    order = codes.argsort()
    return codes[order], x[order], y[order]


@dataclass(frozen=True)
class Ranges:
    """How many points each series has, and between which x and y they lie.

    Attributes:
        codes: Whole numbers that name the series, ascending, shape (S,).
        nobs: Numbers of points, shape (S,).
        ends: Smallest x, largest x, smallest y and largest y, the smallest with the opposite sign, shape (4, S).
    """

    codes: Tensor
    nobs: Tensor
    ends: Tensor

    @classmethod
    def none(cls, device: torch.device | str = "cpu") -> "Ranges":
        """Return the ranges of no series."""
        whole = torch.zeros(0, dtype=torch.int64, device=device)
        return cls(whole, whole, torch.zeros(4, 0, dtype=torch.float64, device=device))

    @classmethod
    def of(cls, codes: Tensor, x: Tensor, y: Tensor) -> "Ranges":
        """Return the ranges of the series of one batch.

        Args:
            codes: Whole numbers that name the series, shape (N,).
            x: Points, shape (N,).
            y: Values, shape (N,).

        Raises:
            UsageError: If a number is not finite.
        """

        def work(parts: Iterator[slice]) -> list[Ranges]:
            found = [cls.none(x.device)]
            for part in parts:
                for stack in stacks(codes[part], x[part], y[part]):
                    ends = [-stack.x.amin(1), stack.x.amax(1), -stack.y.amin(1), stack.y.amax(1)]
                    found.append(cls(stack.series, torch.full_like(stack.series, stack.x.shape[1]), torch.stack(ends)))
            return found

        found = cls.merged([part for parts in shared_out(work, x, ROWS) for part in parts])
        if not found.ends.isfinite().all():
            check(x, y, None)
        return found

    @classmethod
    def merged(cls, parts: list["Ranges"]) -> "Ranges":
        """Return the ranges of the series of all parts, in which each series may be several times."""
        codes = torch.cat([part.codes for part in parts])
        nobs, ends = torch.cat([part.nobs for part in parts]), torch.cat([part.ends for part in parts], dim=1)
        if bool((codes[1:] > codes[:-1]).all()):
            return cls(codes, nobs, ends)
        known, place = codes.unique(return_inverse=True)
        return cls(
            known,
            torch.zeros_like(known).index_add_(0, place, nobs),
            ends.new_full((4, len(known)), -torch.inf).scatter_reduce_(1, place.expand(4, -1), ends, "amax"),
        )

    def reduced(self) -> "Ranges":
        """Return the ranges of the series of all processes."""
        return self.merged([Ranges(*map(all_gather_rows, (self.codes, self.nobs)), all_gather_rows(self.ends.T).T)])


@dataclass(frozen=True)
class Frames:
    """The coordinates of each series: centers of shape (S,), and the inverse scales, powers of two, of shape (S,)."""

    center: Tensor
    inverse: Tensor
    y_center: Tensor
    y_inverse: Tensor

    @classmethod
    def of(cls, ranges: Ranges) -> "Frames":
        """Return coordinates that take the points to [-1, 1].

        Raises:
            UsageError: If a series spans more than float64 can hold.
        """
        return cls(*_scaled(-ranges.ends[0], ranges.ends[1]), *_scaled(-ranges.ends[2], ranges.ends[3]))


def _scaled(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    center = low / 2 + high / 2
    exponent = torch.frexp(torch.maximum(high - center, center - low)).exponent.long()
    if len(exponent) and int(exponent.max()) > LARGEST_EXPONENT:
        raise UsageError(f"a series spans more than 1e301, from {float(low.min()):g} to {float(high.max()):g}")
    bits = (1023 - exponent.clamp_min(-LARGEST_EXPONENT)) << 52  # those of 2^-exponent
    return center, bits.view(torch.float64)


class SeriesSums:
    """The sums of each series, without rounding but that of the terms.

    Args:
        ranges: Those of all points of all processes.
        degree: Highest degree d.
        arithmetic: ``double-double``, or ``double`` for terms in units of 2^-50 alone.

    Attributes:
        frames: The coordinates of each series.
        sums: Whole numbers of shape (parts, halves, 3 d + 2, S): for k = 1 … d ``Σ T_k``, then ``Σ T_k T_d``, then
            for k = 0 … d ``Σ T_k v``, and ``Σ v²``; the parts in units of 2^-50 and 2^-99; the upper halves in units of
            2^31 where a series has very many points.
    """

    def __init__(self, ranges: Ranges, degree: int, arithmetic: Arithmetic) -> None:
        self.ranges, self.degree, self.arithmetic = ranges, degree, arithmetic
        self.frames = Frames.of(ranges)
        is_narrow = not len(ranges.nobs) or int(ranges.nobs.max()) <= NARROW
        shape = (1 if arithmetic == "double" else 2, 1 if is_narrow else 2, 3 * degree + 2, len(ranges.codes))
        self.sums = torch.zeros(shape, dtype=torch.int64, device=ranges.codes.device)
        self._lock = threading.Lock()  # threads may hold pieces of one series

    def add(self, codes: Tensor, x: Tensor, y: Tensor) -> None:
        """Add the points of one batch; codes, x and y of shape (N,)."""

        def work(parts: Iterator[slice]) -> None:
            room = torch.empty(Terms.room(self.degree), ROWS, dtype=torch.float64, device=x.device)
            for part in parts:
                for stack in stacks(codes[part], x[part], y[part], self.ranges.codes):
                    self._add_stack(stack, room)

        shared_out(work, x, ROWS)

    def reduced(self) -> "SeriesSums":
        """Add the sums of the other processes."""
        all_sum(self.sums)
        return self

    def _add_stack(self, stack: Stack, room: Tensor) -> None:
        size, length = stack.x.shape
        found = Terms(room[:, : size * length].view(-1, length, size), self.arithmetic == "double")
        frames, where = self.frames, stack.series
        u = found.mapped(stack.x, frames.center[where], frames.inverse[where])
        v = found.mapped(stack.y, frames.y_center[where], frames.y_inverse[where])
        functions = found.chebyshev(u, self.degree)
        for function in functions:
            found.add(function)
        for function in functions:
            found.add_product(function, functions[-1])
        found.add(v)
        for function in [*functions, v]:
            found.add_product(function, v)
        sums = found.sums()
        if self.sums.shape[1] == 2:
            sums = torch.cat([sums >> SPLIT_BITS, sums & ((1 << SPLIT_BITS) - 1)], dim=1)
        with self._lock:
            self.sums.view(-1, self.sums.shape[-1]).index_add_(1, where, sums.flatten(0, 2))
