"""Many series of points at once: the sums that fit a polynomial to each of them.

The points come in any order, in batches that cut series anywhere. Each series has coordinates of its own, from its
points' range: ``u = (x - center) / scale`` and ``v = (y - y_center) / y_scale`` in [-1, 1], the scales powers of two.
A series whose rows follow each other in one batch of one process has range and sums in one pass. The others, ``cut``,
have only their ranges then, and their sums take a second one.

The sums are whole numbers, and a series' terms follow from its range and the point alone: the same bits for every order
of the rows, every batch and every number of processes.

Torch only.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from regression.collectives import all_gather_rows, all_sum
from regression.common.points import Points
from regression.errors import UsageError
from regression.moments.scan import require_finite as check

Arithmetic = Literal["double-double", "double"]
from regression.series_pieces import LONGEST, ROWS, Pieces, stacks
from regression.series_terms import Frames, Terms
from regression.sums import room_for, shared_out

__all__ = ["LONGEST", "SPLIT_BITS", "CutSums", "Series"]

SPLIT_BITS = 31  # bits in the lower half of a cut series' sums
LARGEST = 2.0**1000  # what the scales can take


@dataclass(frozen=True)
class Series:
    """What one pass finds of each series.

    Attributes:
        codes: Whole numbers that name the series, ascending, shape (S,).
        nobs: Numbers of points, shape (S,).
        times: Numbers of pieces, shape (S,).
        ends: Smallest x and y with the opposite sign, then largest x and y, shape (4, S).
        sums: As ``Terms.sums`` gives them, where there is but one piece, shape (parts, halves, 3 d + 2, S).
        arithmetic: ``double-double``, or ``double`` for terms in units of 2^-50 alone.
    """

    codes: Tensor
    nobs: Tensor
    times: Tensor
    ends: Tensor
    sums: Tensor
    arithmetic: Arithmetic

    @classmethod
    def of(cls, codes: Tensor, x: Tensor, y: Tensor, degree: int, arithmetic: Arithmetic) -> "Series":
        """Return what one batch says.

        Args:
            codes: Whole numbers that name the series, shape (N,).
            x: Points, shape (N,).
            y: Values, shape (N,).
            degree: Highest degree d.
            arithmetic: ``double-double`` or ``double``.

        Raises:
            UsageError: If a number is not finite, or a series spans more than float64 can hold.
        """
        is_double, device = arithmetic == "double", x.device
        pieces, x, y = Pieces.of(codes, x, y)
        ends = room_for((4, len(pieces.codes)), device)
        shape = (1 if is_double else 2, 1, 3 * degree + 2, len(pieces.codes))
        sums = room_for(shape, device).view(torch.int64)

        def work(parts: Iterator[slice]) -> None:
            terms = Terms.of(ROWS, degree, is_double, device)
            for part in parts:
                for where, own_x, own_y in stacks(pieces, part, x, y):
                    terms.take(own_x, own_y)
                    own_ends = terms.ends()
                    if not (largest := float(own_ends.amax())) < LARGEST:
                        check(Points(x, y))
                        raise UsageError(f"x and y of series must be below {LARGEST:.2g}, got {largest:g}")
                    # Where a stack is the whole chunk it writes to its place, else beside it.
                    own_sums = terms.sums(Frames.of(own_ends), sums[..., where])
                    if isinstance(where, slice):
                        ends[:, where].copy_(own_ends)
                    else:
                        ends[:, where], sums[..., where] = own_ends, own_sums

        if len(codes):
            shared_out(work, pieces.codes, pieces.chunk())
        once = pieces.codes.new_ones(1).expand(len(pieces.codes))
        return cls.merged([cls(pieces.codes, pieces.lengths, once, ends, sums, arithmetic)])

    @classmethod
    def merged(cls, parts: list["Series"]) -> "Series":
        """Return what some parts of the points say together; each series may be in several of them."""
        names = ("codes", "nobs", "times", "ends", "sums")
        joined = (torch.cat([getattr(part, name) for part in parts], dim=-1) for name in names)
        codes, nobs, times, ends, sums = joined if len(parts) > 1 else (getattr(parts[0], name) for name in names)
        if not bool((codes[1:] > codes[:-1]).all()):
            codes, place = codes.unique(return_inverse=True)
            nobs, times = (torch.zeros_like(codes).index_add_(0, place, counts) for counts in (nobs, times))
            ends, every = ends.new_full((4, len(codes)), -torch.inf), ends
            ends.scatter_reduce_(1, place.expand(4, -1), every, "amax")
            sums = sums.new_zeros(*sums.shape[:-1], len(codes)).index_add_(-1, place, sums)  # of use for one piece only
        return cls(codes, nobs, times, ends, sums, parts[0].arithmetic)

    def renamed(self, codes: Tensor) -> "Series":
        """Return the same with other codes, shape (S,)."""
        return replace(self, codes=codes)

    def gathered(self) -> "Series":
        """Return what the points of all processes say."""
        codes, nobs, times = map(all_gather_rows, (self.codes, self.nobs.contiguous(), self.times.contiguous()))
        ends, sums = (all_gather_rows(values.movedim(-1, 0).contiguous()).movedim(0, -1)
                      for values in (self.ends, self.sums))  # fmt: skip
        return self.merged([Series(codes, nobs, times, ends, sums, self.arithmetic)])

    @property
    def degree(self) -> int:
        """The highest degree."""
        return (self.sums.shape[2] - 2) // 3

    def chosen(self, those: Tensor) -> "Series":
        """Return some of the series."""
        codes, nobs, times = (values[those] for values in (self.codes, self.nobs, self.times))
        return Series(codes, nobs, times, self.ends[:, those], self.sums[..., those], self.arithmetic)


class CutSums:
    """The sums of the series that have several pieces, from a second pass over the points.

    Args:
        series: What the first pass found of these series in all processes.
    """

    def __init__(self, series: Series) -> None:
        self._series = series
        self._frames = Frames.of(self._series.ends)
        parts, _, count, size = self._series.sums.shape
        self._sums = torch.zeros(parts, 2, count, size, dtype=torch.int64, device=series.codes.device)
        self._lock = threading.Lock()  # threads may hold pieces of one series

    def add(self, codes: Tensor, x: Tensor, y: Tensor) -> None:
        """Add the points of one batch; codes, x and y of shape (N,)."""
        if not len(codes):
            return
        pieces, x, y = Pieces.of(codes, x, y)
        known = self._series.codes
        place = torch.searchsorted(known, pieces.codes).clamp_max(len(known) - 1)
        is_cut = known[place] == pieces.codes
        pieces, place = pieces.chosen(is_cut), place[is_cut]

        def work(parts: Iterator[slice]) -> None:
            terms = Terms.of(ROWS, self._series.degree, self._series.arithmetic == "double", x.device)
            for part in parts:
                for where, own_x, own_y in stacks(pieces, part, x, y):
                    own = place[where]
                    terms.take(own_x, own_y)
                    out = self._sums.new_empty(self._sums.shape[0], 1, self._sums.shape[2], len(own))
                    sums = terms.sums(self._frames.chosen(own), out)
                    halves = torch.cat([sums >> SPLIT_BITS, sums & ((1 << SPLIT_BITS) - 1)], dim=1)
                    with self._lock:
                        self._sums.index_add_(-1, own, halves)

        if len(place):
            shared_out(work, pieces.codes, pieces.chunk())

    def reduced(self) -> Series:
        """Return these series with the sums of all processes."""
        found = self._series
        return Series(found.codes, found.nobs, found.times, found.ends, all_sum(self._sums), found.arithmetic)
