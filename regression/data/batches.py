"""Global batches and shares: how rows are shared out over the devices.

A batch is counted in rows of the whole run. Each device holds its own slice of each global batch: no row twice, none
left out, a slice may be empty, and every device sees the same number of batches. For a pass in which batches and their
order do not matter, each device has one contiguous share of all rows instead, read where it lies.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from typing import NamedTuple

from regression.common.points import Batch, Points
from regression.common.row_ranges import even_borders, overlaps
from regression.data.rows import MOST_MOVED, Rows
from regression.data.shuffle import MOST_DRAWN_ROWS, Permutation, shuffled
from regression.readers.columns import BLOCK, LARGE_BATCH

__all__ = ["GlobalBatches", "Share", "Shares"]

LONG_BLOCK_SEED = 1 << 40  # added in ``division`` to the seed of an epoch with long blocks; larger than any seed
ROWS_PER_STEP = 1 << 25  # of a share, scanned between two updates of the progress bar, in a fraction of a second


class _Resumable:
    """A pass that can be resumed after the batches that were yielded before."""

    _done, _skipped = 0, 0

    def _begin(self) -> int:
        """Return how many batches a new pass leaves out, and reset this number for later passes."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def state_dict(self) -> dict[str, int]:
        """Return how many batches, or steps, of the epoch have been yielded."""
        return {"batches": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Make the next pass begin after the batches that were yielded before; its order is that of the epoch."""
        self._skipped = state["batches"]


class GlobalBatches(_Resumable):
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
        joined: Number of batches that are yielded together as one, limited by the largest size of a batch.
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
        """Number of rows that are yielded together."""
        return self.batch_size * self.joined

    def __len__(self) -> int:
        return -(-len(self.rows) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        return self._slices(self._begin())

    def _slices(self, skipped: int) -> Iterator[Batch]:
        epoch = _Epoch(self.rows, self._seed())
        for at, (first, end, rows) in enumerate(self._spans(skipped), start=skipped):
            points = epoch.between(first, end)
            self._done = at + 1
            yield Batch.of(points, rows)
            del points  # so that its memory can be used for the next batch

    def _spans(self, skipped: int) -> Iterator[tuple[int, int, int]]:
        """Yield for each batch after the skipped ones start and stop of this device's slice, and the batch's rows."""
        for start in range(skipped * self._size, len(self.rows), self._size):
            rows = min(self._size, len(self.rows) - start)
            first, end = (start + rows * rank // self.world_size for rank in (self.rank, self.rank + 1))
            yield first, end, rows

    @property
    def division(self) -> tuple[int, int, int]:
        """The division of an epoch: number of parts, rows of a part, and seed of the order, -1 for that of the data.

        Release 0.1 drew other orders of long blocks. Other seeds are stated for them here, so that a run that it left
        within such an epoch is not resumed there.
        """
        seed, has_long = self._seed(), max(self.rows.counts) > MOST_DRAWN_ROWS
        return len(self), self._size, -1 if seed is None else seed + (LONG_BLOCK_SEED if has_long else 0)

    def _seed(self) -> int | None:
        """Return the seed of the epoch's order; ``None`` for that of the data."""
        return self.epoch_seed() if self.epoch_seed and self.is_divided else None

    def in_order(self) -> "GlobalBatches":
        """Return the same batches without shuffling, for a pass in which the order does not matter."""
        return GlobalBatches(self.rows, self.batch_size, self.rank, self.world_size)

    def shares(self) -> "Shares":
        """Return the same rows for a pass in which neither batches nor order matter."""
        return Shares(self.rows, None, self.rank, self.world_size)

    def bounds(self) -> "Shares | list[Batch]":
        """Return points that include the smallest and largest numbers of all rows: only two if these are known."""
        return self.shares().bounds()


class _Epoch:
    """Rows by their position in an epoch: blocks, and rows within each, in the order of a seed, or of the data."""

    def __init__(self, rows: Rows, seed: int | None) -> None:
        self.rows, self.seed = rows, seed
        count = len(rows.counts)
        self._order = list(range(count)) if seed is None or count == 1 else shuffled(count, seed, -1).tolist()
        self._starts = [0, *accumulate(rows.counts[index] for index in self._order)]
        self._latest: tuple[int, Permutation] | None = None

    def between(self, start: int, stop: int) -> Points:
        """Return the rows at the positions from start to before stop."""
        if self.seed is None and stop - start > BLOCK and (points := self.rows.span(start, stop)):
            return points
        pieces = list(overlaps(self._starts, start, stop)) or [(0, 0, 0)]  # no rows, but with the block's columns
        return Points.joined([self._part(*piece) for piece in pieces])

    def _part(self, at: int, start: int, stop: int) -> Points:
        """Return rows of the block at a position in the order."""
        points, first = self.rows.block(self._order[at]), self._starts[at]
        if self.seed is None:
            return points.chosen(slice(start - first, stop - first))
        if self._latest is None or self._latest[0] != at:
            self._latest = at, Permutation(len(points.x), self.seed, self._order[at])
        return points.chosen(self._latest[1].between(start - first, stop - first))


class Share(NamedTuple):
    """One device's rows of a step of a pass; they are read when they are scanned."""

    rows: int  # number of rows of the whole step, over all devices
    start: int  # first row of this device
    stop: int  # row after its last
    source: Rows  # all rows
    is_last: bool = False  # whether the pass ends with this step

    def scan(self, work: Callable[[Points], None], is_checked_by_work: bool = False) -> None:
        """Call ``work`` with parts of this device's rows from several threads; see ``Rows.scan``.

        Every process must call it: at the end of a pass the processes exchange the rows sampled for a figure.
        """
        self.source.scan(self.start, self.stop, work, is_checked_by_work)
        if self.is_last:
            self.source.exchange_samples()


class Shares(_Resumable):
    """An iterable over one device's share of all rows, in steps, for a pass in which neither batches nor order matter.

    Of N rows, process p of P has those from N p / P to N (p + 1) / P. Each border is moved to the nearest place where
    reading can begin without waste, such as a row group, if there is one near: otherwise two processes would decode the
    same row group. Every process makes the same number of steps; some may be empty.

    Args:
        rows: All rows.
        batch_size: Rows of a step, over all devices; by default 33,554,432 for each of them.
        rank: Which device this is, from 0.
        world_size: Number of devices.
    """

    is_divided, updates = False, 1  # a pass makes one update, from all rows

    def __init__(self, rows: Rows, batch_size: int | None = None, rank: int = 0, world_size: int = 1) -> None:
        self.rows, self.rank, self.world_size = rows, rank, world_size
        self.batch_size = batch_size or ROWS_PER_STEP * world_size
        self._places, self._borders = rows.places, rows.borders(world_size)

    def __len__(self) -> int:
        return max(1, -(-self._places[-1] // self.batch_size))

    def __iter__(self) -> Iterator[Share]:
        skipped = self._begin()
        reach = MOST_MOVED * self.batch_size / self.world_size
        steps = [even_borders(self._places, *ends, len(self), reach) for ends in pairwise(self._borders)]
        own = steps[self.rank]
        for step in range(skipped, len(self)):
            self._done = step + 1
            rows = sum(borders[step + 1] - borders[step] for borders in steps)
            yield Share(rows, own[step], own[step + 1], self.rows, step == len(self) - 1)

    def pieces(self, before: int) -> Iterator[tuple[Points, int]]:
        """Yield this device's rows in pieces, each after up to ``before`` rows that precede it, and how many these are.

        The borders between devices differ from those of a scan, because rows that are left out are not counted.
        """
        epoch, count = _Epoch(self.rows, None), len(self.rows)
        start, stop = (count * rank // self.world_size for rank in (self.rank, self.rank + 1))
        for at in range(start, stop, BLOCK):
            first = max(0, at - before)
            yield epoch.between(first, min(at + BLOCK, stop)), at - first

    @property
    def division(self) -> tuple[int, int, int]:
        """The division of a pass: number of steps, approximate rows of a step, and -1 for the order of the data."""
        return len(self), self.batch_size, -1

    def shares(self) -> "Shares":
        """Return the same shares for another pass."""
        return Shares(self.rows, self.batch_size, self.rank, self.world_size)

    def bounds(self) -> "Shares | list[Batch]":
        """Return points that include the smallest and largest numbers of all rows: only two if these are known."""
        known = self.rows.extremes()
        return self.shares() if known is None else [Batch.of(known, len(known.x))]
