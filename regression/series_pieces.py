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

__all__ = ["BESIDE", "LONGEST", "ROWS", "Pieces", "stacks"]

ROWS = 1 << 17  # rows of a chunk: fewer make threads wait for the interpreter, more leave the cache
LONGEST = 1 << 11  # rows of a piece, whose sums fit int64: longer ones are cut
BESIDE = 1 << 8  # pieces that are transposed together, as their rows stay in the innermost cache
SAMPLE = 1 << 12  # rows that tell how mixed the series are


class Pieces(NamedTuple):
    """Rows of a batch that follow each other and are of one series.

    Attributes:
        starts: Where the pieces start, shape (P,); ``None`` where each starts at the end of the one before, and all
            are of one length: new memory costs more time than to say so.
        lengths: How many rows they have, shape (P,).
        codes: Which series they are of, shape (P,).
        longest: The largest number of rows.
    """

    starts: Tensor | None
    lengths: Tensor
    codes: Tensor
    longest: int = 0

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
        if even := _even(codes):
            return even, x, y
        starts, own = _starts(codes)
        lengths = torch.diff(starts, append=starts.new_full((1,), len(codes)))
        longest = int(lengths.max())
        if longest > LONGEST:
            parts = (lengths + (LONGEST - 1)) // LONGEST
            ends = (starts + lengths).repeat_interleave(parts)
            before = (parts.cumsum(0) - parts).repeat_interleave(parts)
            starts = starts.repeat_interleave(parts) + LONGEST * (torch.arange(len(ends), device=ends.device) - before)
            lengths = (ends - starts).clamp_max(LONGEST)
            own = own.repeat_interleave(parts)
        return cls(starts, lengths, own, min(longest, LONGEST)), x, y

    def chosen(self, those: Tensor) -> "Pieces":
        """Return some of the pieces."""
        starts = self.starts
        if starts is None:
            starts = self.longest * torch.arange(len(self.codes), device=self.codes.device)
        return Pieces(starts[those], self.lengths[those], self.codes[those], self.longest)

    def chunk(self) -> int:
        """Return how many of them have at most ``ROWS`` rows together, and fill blocks."""
        count = ROWS // self.longest
        return count - count % BESIDE or count


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
    keys, order = (_whole_numbers(len(codes), codes.device) for _ in range(2))
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


def _even(codes: Tensor) -> Pieces | None:
    """Return the pieces if all have the same number of rows, at most ``LONGEST``, as series measured together have.

    To see that takes a third of the time of finding them.
    """
    others = (codes[: LONGEST + 1] != codes[0]).nonzero()
    length = int(others[0]) if len(others) else len(codes)
    if length > LONGEST or len(codes) % length:
        return None
    own = _whole_numbers(len(codes) // length, codes.device)

    def work(parts: Iterator[slice]) -> bool:
        for part in parts:
            changes = _changes(codes[part.start : part.stop + 1])
            ends = changes[length - 1 :: length]
            if _count(changes) != len(ends) or not bool(ends.all()):
                return False
            firsts = codes[part][::length]
            own[part.start // length :][: len(firsts)].copy_(firsts)  # to assign would keep the interpreter
        return True

    if not all(shared_out(work, codes, ROWS // length * length)):
        return None
    return Pieces(None, own.new_tensor(length).expand(len(own)), own, length)


def _whole_numbers(count: int, device: torch.device) -> Tensor:
    return room_for((count,), device).view(torch.int64)


def _starts(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows whose series is not that of the row before, the first row among them, and those series."""

    def work(parts: Iterator[slice]) -> list[tuple[int, Tensor, Tensor]]:
        found = []
        for part in parts:
            own = codes[part.start : part.stop + 1]
            rows = _nonzero(_changes(own)).add_(1)
            found.append((part.start, rows + part.start, own[rows]))
        return found

    found = sorted((triple for share in shared_out(work, codes[1:], ROWS) for triple in share), key=itemgetter(0))
    return (
        torch.cat([codes.new_zeros(1), *(rows for _, rows, _ in found)]),
        torch.cat([codes[:1], *(own for _, _, own in found)]),
    )


def _changes(codes: Tensor) -> Tensor:
    """Tell of each row but the first whether its series is not that of the row before; by numpy in half the time."""
    own = codes.numpy() if codes.is_cpu else codes
    return torch.as_tensor(own[1:] != own[:-1])


def _count(values: Tensor) -> int:
    """Return how many are true, by numpy where it can: in a fifth of the time."""
    return int(np.count_nonzero(values.numpy()) if values.is_cpu else values.count_nonzero())


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
    if pieces.starts is None:
        rows: slice | Tensor = slice(part.start * pieces.longest, part.stop * pieces.longest)
        yield part, x[rows].view(-1, pieces.longest), y[rows].view(-1, pieces.longest)
        return
    starts, lengths = pieces.starts[part], pieces.lengths[part]
    for length in lengths.bincount().nonzero()[:, 0].tolist():
        is_one = lengths == length
        is_all = bool(is_one.all())
        chosen = part if is_all else is_one.nonzero()[:, 0]
        own = starts if is_all else starts[chosen]
        first, last = int(own[0]), int(own[-1])
        if last - first == (len(own) - 1) * length:  # side by side already
            rows = slice(first, last + length)
        else:
            rows = (own[:, None] + torch.arange(length, device=own.device)).flatten()
        yield chosen if is_all else chosen + part.start, x[rows].view(-1, length), y[rows].view(-1, length)
