"""Global batches: how rows are shared out over the devices.

A batch is counted in rows of the whole run. Each device holds its own slice of each global batch: no row twice, none
left out, a slice may be empty, and every device sees the same number of batches.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from regression.collectives import all_gather_rows, rank_and_size
from regression.columns import BLOCK, LARGE_BATCH
from regression.permutation import Permutation, shuffled
from regression.rows import Points, Rows

__all__ = ["Batch", "GlobalBatches", "gathered"]


class Batch(NamedTuple):
    """One device's slice of a global batch.

    Attributes:
        x: Points of this slice, shape (n,).
        y: Values of this slice, shape (n,).
        sigma: Standard deviations of y, shape (n,), or ``None``.
        rows: Number of rows of the whole global batch, over all devices.
        series: Codes of the series of this slice's points, shape (n,), or ``None``.
    """

    x: Tensor
    y: Tensor
    sigma: Tensor | None
    rows: int
    series: Tensor | None = None

    @classmethod
    def of(cls, points: Points, rows: int) -> "Batch":
        """Return this device's points of a global batch of so many rows."""
        return cls(points.x, points.y, points.sigma, rows, points.series)

    def split(self, size: int) -> list["Batch"]:
        """Return the batches of ``size`` rows that follow each other in this one, all of whose rows must be here."""
        assert len(self.x) == self.rows
        parts = (slice(start, min(start + size, self.rows)) for start in range(0, self.rows, size))
        sigma = self.sigma
        return [Batch(self.x[k], self.y[k], None if sigma is None else sigma[k], k.stop - k.start) for k in parts]


class GlobalBatches:
    """An iterable over one device's slices of the global batches.

    Slicing whole tensors replaces a per-sample ``DataLoader``, and a contiguous share per device replaces a sampler
    that pads with duplicates. Rows in several blocks are read one block at a time; a device skips the blocks of others.

    Args:
        rows: All rows, in blocks.
        batch_size: Rows per update, over all devices; ``None`` puts all rows in one batch.
        rank: Which device this is, from 0.
        world_size: Number of devices.
        epoch_seed: Called at the start of each epoch for the seed of its order, the same on every device: the blocks
            are shuffled, and the rows within each. ``None`` keeps the order of the data.
        joined: Number of batches that are handed out together, as one, as far as a large batch holds them.
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        epoch_seed: Callable[[], int] | None = None,
        joined: int = 1,
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size or max(1, len(rows))
        self.joined = max(1, min(joined, LARGE_BATCH // self.batch_size)) if self.is_divided else 1
        self.rank, self.world_size = rank, world_size
        self.epoch_seed = epoch_seed
        self._done, self._skipped = 0, 0

    @property
    def is_divided(self) -> bool:
        """Whether an update sees only some of the rows."""
        return self.batch_size < len(self.rows)

    @property
    def updates(self) -> int:
        """Number of updates of an epoch that makes one on each batch."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def _size(self) -> int:
        """Number of rows that are handed out together."""
        return self.batch_size * self.joined

    def __len__(self) -> int:
        return -(-len(self.rows) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        skipped, self._skipped = self._skipped, 0
        return self._slices(skipped)

    def _slices(self, skipped: int) -> Iterator[Batch]:
        pieces = _Pieces(self.rows, self._seed())
        for at, (first, end, rows) in enumerate(self._spans(skipped), start=skipped):
            points = pieces.between(first, end)
            self._done = at + 1
            yield Batch.of(points, rows)
            del points  # its memory serves for the next ones, unless somebody else holds it

    def _spans(self, skipped: int) -> Iterator[tuple[int, int, int]]:
        """Yield for each batch after some the first and last row of this device's slice, and the rows of all."""
        for start in range(skipped * self._size, len(self.rows), self._size):
            rows = min(self._size, len(self.rows) - start)
            first, end = (start + rows * rank // self.world_size for rank in (self.rank, self.rank + 1))
            yield first, end, rows

    @property
    def division(self) -> tuple[int, int, int]:
        """How an epoch is handed out: in how many parts, of how many rows, in the order of which seed, or -1."""
        seed = self._seed()
        return len(self), self._size, -1 if seed is None else seed

    def _seed(self) -> int | None:
        """Return the seed of the epoch's order; ``None`` for that of the data."""
        return self.epoch_seed() if self.epoch_seed and self.is_divided else None

    def state_dict(self) -> dict[str, int]:
        """Return how many batches of the epoch have been handed out."""
        return {"batches": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next pass begin after the batches that had been handed out; its order is that of the epoch.

        Args:
            state: What ``state_dict`` returned.
        """
        self._skipped = state["batches"]

    def in_order(self) -> "GlobalBatches":
        """Return the same batches without shuffling, for a pass in which the order does not matter."""
        return GlobalBatches(self.rows, self.batch_size, self.rank, self.world_size)

    def in_large_batches(self) -> "GlobalBatches":
        """Return the rows in order and in few batches, for a pass in which the batches do not matter either."""
        return GlobalBatches(self.rows, max(self.batch_size, LARGE_BATCH), self.rank, self.world_size)

    def bounds(self) -> "GlobalBatches | list[Batch]":
        """Return batches whose smallest and largest numbers are those of all rows: two points if they are known."""
        known = self.rows.extremes()
        return self.in_large_batches() if known is None else [Batch.of(known, len(known.x))]


class _Pieces:
    """Rows by their position in an epoch, with the block that was used last at hand."""

    def __init__(self, rows: Rows, seed: int | None) -> None:
        self.rows, self.seed = rows, seed
        count = len(rows.counts)
        self.order = list(range(count)) if seed is None or count == 1 else shuffled(count, seed, -1).tolist()
        self.starts = [0, *accumulate(rows.counts[index] for index in self.order)]
        self.at = -1
        self.points: Points | None = None
        self.permutation: Permutation | None = None

    def between(self, start: int, stop: int) -> Points:
        """Return the rows at the positions from start to before stop."""
        if self.seed is None and stop - start > BLOCK and (points := self.rows.span(start, stop)):
            return points
        at = max(0, min(bisect_right(self.starts, start) - 1, len(self.order) - 1))
        parts = [self._part(at, start, stop)]
        while self.starts[at + 1] < stop:
            at += 1
            parts.append(self._part(at, start, stop))
        return parts[0].joined(parts)

    def _part(self, at: int, start: int, stop: int) -> Points:
        if at != self.at or self.points is None:
            index = self.order[at]
            self.at, self.points = at, self.rows.block(index)
            self.permutation = None if self.seed is None else Permutation(len(self.points.x), self.seed, index)
        first, last = self.starts[at : at + 2]
        begin, end = max(start, first) - first, min(stop, last) - first
        return self.points.chosen(self.permutation.between(begin, end) if self.permutation else slice(begin, end))


def gathered(batch: Batch) -> Batch:
    """Return the whole global batch, put together from the slices of all processes."""
    if rank_and_size()[1] == 1:
        return batch
    columns = [batch.x, batch.y, *([] if batch.sigma is None else [batch.sigma])]
    x, y, *sigma = all_gather_rows(torch.stack(columns, dim=1)).T.contiguous()  # in one message
    return Batch(x, y, sigma[0] if sigma else None, batch.rows)
