"""Rows of one series that follow each other: a piece.

Pieces of one length are stacked side by side, so that a tensor operation works on thousands of series, and their sums
need no scattering. Torch, and numpy where it is faster.
"""

from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from regression.sums import room_for, shared_out

__all__ = ["LONGEST", "ROWS", "Pieces", "stacks"]

ROWS = 1 << 16  # rows of a chunk, whose terms stay in the cache
LONGEST = 1 << 11  # rows of a piece, whose sums fit int64: longer ones are cut
SAMPLE = 1 << 12  # rows that tell how mixed the series are


class Pieces(NamedTuple):
    """Rows of a batch that follow each other and are of one series.

    Attributes:
        starts: Where the pieces start, shape (P,).
        lengths: How many rows they have, shape (P,).
        codes: Which series they are of, shape (P,).
        longest: The largest number of rows.
        common: The number of rows that all of them have, or 0.
    """

    starts: Tensor
    lengths: Tensor
    codes: Tensor
    longest: int = 0
    common: int = 0

    @classmethod
    def of(cls, codes: Tensor, x: Tensor, y: Tensor) -> "tuple[Pieces, Tensor, Tensor]":
        """Find the pieces of a batch, and return them with its x and y in their order.

        The rows are sorted by series where many are beside those of another one. All columns have shape (N,).
        """
        codes, x, y = codes.long(), x.double(), y.double()
        if not len(codes):
            return cls(codes, codes, codes), x, y
        if _are_mixed(codes):
            codes, x, y = _sorted(codes, x, y)
        starts, own = _starts(codes)
        lengths = torch.diff(starts, append=starts.new_full((1,), len(codes)))
        shortest, longest = torch.stack(lengths.aminmax()).tolist()
        common = longest if shortest == longest <= LONGEST else 0
        if longest > LONGEST:
            parts = (lengths + (LONGEST - 1)) // LONGEST
            ends = (starts + lengths).repeat_interleave(parts)
            before = (parts.cumsum(0) - parts).repeat_interleave(parts)
            starts = starts.repeat_interleave(parts) + LONGEST * (torch.arange(len(ends), device=ends.device) - before)
            lengths = (ends - starts).clamp_max(LONGEST)
            own = own.repeat_interleave(parts)
        return cls(starts, lengths, own, min(longest, LONGEST), common), x, y

    def chosen(self, those: Tensor) -> "Pieces":
        """Return some of the pieces."""
        starts, lengths, codes = (values[those] for values in (self.starts, self.lengths, self.codes))
        return Pieces(starts, lengths, codes, self.longest, self.common)

    def chunk(self) -> int:
        """Return how many of them have at most ``ROWS`` rows together."""
        return ROWS // self.longest


def _are_mixed(codes: Tensor) -> bool:
    """Tell whether most rows are beside one of another series, by some thousand rows."""
    rows = torch.arange(0, len(codes) - 1, max(1, len(codes) // SAMPLE), device=codes.device)
    return 2 * int((codes[rows] != codes[rows + 1]).sum()) > len(rows)


def _sorted(codes: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows of each series side by side.

    Where it can numpy sorts numbers of which the upper bits are the series and the lower ones the row: in a fifth of
    the time that finding the order of the series takes.
    """
    low, high, bits = int(codes.min()), int(codes.max()), len(codes).bit_length()
    keys, order = (room_for((len(codes),), codes.device).view(torch.int64) for _ in range(2))
    if codes.is_cpu and (high - low).bit_length() + bits < 64:
        torch.arange(len(codes), out=order)
        torch.sub(codes, low, out=keys).bitwise_left_shift_(bits).bitwise_or_(order).numpy().sort()
        torch.bitwise_and(keys, (1 << bits) - 1, out=order)
        keys.bitwise_right_shift_(bits).add_(low)
    else:
        torch.argsort(codes, stable=False, out=order)
        torch.index_select(codes, 0, order, out=keys)
    x, y = (torch.index_select(values, 0, order, out=room_for((len(values),), values.device)) for values in (x, y))
    return keys, x, y


def _starts(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows whose series is not that of the row before, the first row among them, and those series."""

    def work(parts: Iterator[slice]) -> list[tuple[int, Tensor, Tensor]]:
        found = []
        for part in parts:
            own = codes[part.start : part.stop + 1]
            rows = _nonzero(own[1:] != own[:-1]).add_(1)
            found.append((part.start, rows + part.start, own[rows]))
        return found

    found = sorted((triple for share in shared_out(work, codes[1:], ROWS) for triple in share), key=itemgetter(0))
    return (
        torch.cat([codes.new_zeros(1), *(rows for _, rows, _ in found)]),
        torch.cat([codes[:1], *(own for _, _, own in found)]),
    )


def _nonzero(values: Tensor) -> Tensor:
    """Return the positions of what is true, by numpy where it can: in a third of the time."""
    return torch.from_numpy(np.flatnonzero(values.numpy())) if values.is_cpu else values.nonzero()[:, 0]


def stacks(pieces: Pieces, part: slice, x: Tensor, y: Tensor) -> Iterator[tuple[slice | Tensor, Tensor, Tensor]]:
    """Yield the pieces of a chunk, those of one length L together.

    Args:
        pieces: All pieces of the batch.
        part: Those of the chunk.
        x: Points of the batch, shape (N,).
        y: Values, shape (N,).

    Yields:
        The positions of the stack's P pieces among all, and their x and y, each of shape (P, L).
    """
    for length, chosen in _by_length(pieces, part):
        own = pieces.starts[part] if chosen is None else pieces.starts[part][chosen]
        where: slice | Tensor = part if chosen is None else chosen + part.start
        first, last = int(own[0]), int(own[-1])
        if last - first == (len(own) - 1) * length:  # side by side already
            rows: slice | Tensor = slice(first, last + length)
        else:
            rows = (own[:, None] + torch.arange(length, device=own.device)).flatten()
        yield where, x[rows].view(-1, length), y[rows].view(-1, length)


def _by_length(pieces: Pieces, part: slice) -> Iterator[tuple[int, Tensor | None]]:
    """Yield each length that pieces of a chunk have, and the places in the chunk of those, ``None`` if it is all."""
    if pieces.common:
        yield pieces.common, None
        return
    lengths = pieces.lengths[part]
    for length in lengths.bincount().nonzero()[:, 0].tolist():
        is_one = lengths == length
        yield length, None if bool(is_one.all()) else is_one.nonzero()[:, 0]
