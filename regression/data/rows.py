"""Rows of points in blocks: the unit in which large tables are read, split and shuffled. A small table is one block.

Random choices within a block follow from a seed and the block's number alone, so that every process makes the same, and
a table of any size needs the memory of one block.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from regression.common.collectives import all_gather_objects, all_sum, rank_and_size
from regression.common.errors import UsageError
from regression.common.points import Points, unknown_y
from regression.common.row_ranges import ROWS_PER_PART, even_borders, overlaps
from regression.common.weights import repeated, sigma_of, whole_counts
from regression.data.shuffle import shuffled
from regression.data.table import Table
from regression.readers.columns import Array, Part
from regression.readers.series_names import Labels

__all__ = ["MOST_MOVED", "MemoryRows", "Rows", "SplitRows", "TableRows", "counted_rows", "table_rows"]

MOST_MOVED = 0.25  # largest move of a border, in lengths of a share: a longer one costs more than decoding rows twice
SAMPLED_ROWS = 4000  # of a table, kept during a scan for a figure
SAMPLED_BLOCKS = 16  # read for a figure, if this process has not scanned all rows


class Rows(ABC):
    """Rows in blocks.

    Attributes:
        counts: Number of rows of each block.
        has_sigma: Whether the points have standard deviations of y.
        has_sigma_x: Whether they have those of x too.
        omitted: Number of rows that were left out because a number in them is missing.
        labels: The names of series by their codes, or ``None`` without series.
    """

    counts: Sequence[int]
    has_sigma: bool = False
    has_sigma_x: bool = False
    omitted: int = 0
    labels: Labels | None = None

    @abstractmethod
    def block(self, index: int) -> Points:
        """Return the rows of a block."""

    @property
    def places(self) -> Sequence[int]:
        """Rows at which a scan can begin without waste, ascending, from 0 to the end."""
        return [0, *accumulate(self.counts)]

    def borders(self, processes: int) -> list[int]:
        """Return the rows at which the share of each process begins, and the end.

        A share is moved by at most a quarter of its length, to a place where reading can begin without waste.
        """
        places = self.places
        return even_borders(places, 0, places[-1], processes, MOST_MOVED * places[-1] / processes)

    def scan(self, start: int, stop: int, work: Callable[[Points], None], is_checked_by_work: bool = False) -> None:
        """Call ``work`` with parts of the rows from start to before stop, each in the thread that read it.

        Several threads call it at once, as many as torch uses, in no particular order. A part is small enough to stay
        in a core's cache, and valid only during the call, because its memory is reused. The row numbers are those of
        ``places``, which may include rows that are left out. With ``is_checked_by_work``, ``work`` checks that all
        numbers are finite; a check before it would take 6 % of the time of an exact fit; see ``Table.scan``.
        """
        starts = [0, *accumulate(self.counts)]
        for index, low, high in overlaps(starts, start, stop):
            self.block(index).chosen(slice(low - starts[index], high - starts[index])).scan(work)

    def extremes(self) -> Points | None:
        """Return two points with the smallest and largest x, y and sigma, if they are known without reading."""
        return None

    def span(self, start: int, stop: int) -> Points | None:
        """Return the rows from start to before stop of several blocks if they can be read at once, else ``None``."""
        return None

    def exchange_samples(self) -> None:  # noqa: B027  # rows in memory need no samples
        """Exchange the rows sampled for a figure with the other processes, where reading them again takes time."""

    def sample(self, limit: int) -> Points:
        """Return at most ``limit`` rows, evenly chosen from at most 8 evenly chosen blocks."""
        used = range(0, len(self.counts), -(-len(self.counts) // min(8, limit)))
        each = max(1, limit // len(used))
        blocks = [self.block(index) for index in used]
        return Points.joined([points.chosen(slice(None, None, -(-len(points.x) // each) or 1)) for points in blocks])

    def __len__(self) -> int:
        return sum(self.counts)


class MemoryRows(Rows):
    """Rows in memory, as one block."""

    def __init__(self, points: Points, omitted: int = 0, labels: Labels | None = None) -> None:
        self.points, self.omitted, self.labels = points, omitted, labels
        self.counts, self.has_sigma = [len(points.x)], points.sigma is not None
        self.has_sigma_x = points.sigma_x is not None

    @property
    def places(self) -> Sequence[int]:
        """All rows."""
        return range(len(self) + 1)

    def block(self, index: int) -> Points:
        """Return all rows."""
        return self.points


class TableRows(Rows):
    """Rows of a table that are read when they are needed; the latest block is kept.

    Args:
        table: The table; its columns are x, y if it is known, sigma and sigma_x if there are any, and codes of series.
        has_y: Whether the second column is y.
        is_one_block: Whether all rows are one block, which is not searched for rows to leave out.
        has_weights: Whether there are weights 1 / sigma² in the place of sigma.
    """

    def __init__(self, table: Table, has_y: bool, is_one_block: bool = False, has_weights: bool = False) -> None:
        self.table, self.has_y, self.has_weights, self.labels = table, has_y, has_weights, table.labels
        others = len(table.columns) - (1 + has_y + (table.labels is not None))
        self.has_sigma, self.has_sigma_x = others > 0, others > 1
        self._spans = list(pairwise([0, table.rows] if is_one_block else table.cuts))
        self.counts = [stop - start for start, stop in self._spans]
        self._latest: tuple[int, Points] | None = None
        self._samples, self._stride = dict[int, Array](), max(1, table.rows // SAMPLED_ROWS)
        if table.nan_policy == "omit" and not (table.is_sound or is_one_block):
            self._count()

    def _count(self) -> None:
        """Count the complete rows of each block, by one scan that is shared out over the processes."""
        rank, size = rank_and_size()
        counts = torch.zeros(len(self.counts), dtype=torch.long)
        for index in range(rank, len(counts), size):
            counts[index] = self._count_complete(*self._spans[index])
        self.counts = all_sum(counts).tolist()
        self.omitted = self.table.rows - len(self)

    def _count_complete(self, start: int, stop: int) -> int:
        found = list[int]()
        self.table.scan(start, stop, lambda _, columns: found.append(len(columns[0])))
        return sum(found)

    @property
    def places(self) -> Sequence[int]:
        """Rows of the table, including those that are left out."""
        return self.table.places

    def borders(self, processes: int) -> list[int]:
        """Return the borders of the shares of the processes; of text, a share is the rows that a process has parsed."""
        return self.table.borders(processes) or super().borders(processes)

    def block(self, index: int) -> Points:
        """Return the rows of a block."""
        if self._latest is None or self._latest[0] != index:
            self._latest = None  # so that its memory can be used for the next one
            self._latest = index, self._points(self.table.read(*self._spans[index]))
        return self._latest[1]

    def read_together(self) -> Points:
        """Read all rows; every process must call it."""
        return self._points(self.table.read_together())

    def span(self, start: int, stop: int) -> Points | None:
        """Read consecutive rows of several blocks, unless some are left out."""
        is_plain = len(self.counts) > 1 and not self.omitted
        return self._points(self.table.read(start, stop)) if is_plain else None

    def scan(self, start: int, stop: int, work: Callable[[Points], None], is_checked_by_work: bool = False) -> None:
        """Call ``work`` with parts of the rows of the table as they are read, and sample a few for a figure."""
        stride = self._stride

        def add(first: int, columns: Part) -> None:
            # Sampled now, because reading rows again would take a considerable part of the time of the fit.
            self._samples[first] = np.stack([column[-first % stride :: stride] for column in columns])
            work(self._points(columns))

        self.table.scan(start, stop, add, is_checked_by_work)

    def sample(self, limit: int) -> Points:
        """Return at most ``limit`` rows, evenly chosen: of the scanned rows if these are most, else of some blocks."""
        samples = [self._samples[first] for first in sorted(self._samples)]
        if sum(columns.shape[1] for columns in samples) * self._stride < 0.75 * self.table.rows:
            cuts = self.table.cuts[:-1][:: -(-len(self.table.cuts) // SAMPLED_BLOCKS)]
            samples = [self.table.read(cut, min(cut + ROWS_PER_PART, self.table.rows)) for cut in cuts]
        columns = np.concatenate(samples, axis=1, dtype=np.float64)
        return self._points(columns).chosen(slice(None, None, -(-columns.shape[1] // limit) or 1))

    def exchange_samples(self) -> None:
        """Take the samples of the other processes: reading their rows again would take longer."""
        for samples in all_gather_objects(self._samples):
            self._samples |= samples

    def extremes(self) -> Points | None:
        """Return two points with the smallest and largest numbers if the files state these, else ``None``."""
        known = self.table.extremes()
        return None if known is None else self._points(known)

    def _points(self, columns: Iterable[Array]) -> Points:
        """Return columns as points, without a copy where possible."""
        x, *others = map(_tensor, columns)
        y = others.pop(0) if self.has_y else unknown_y(x)
        series = others.pop() if self.labels is not None else None
        sigma, sigma_x = (*others, None, None)[:2]
        sigma = sigma_of(sigma) if sigma is not None and self.has_weights else sigma
        return Points(x, y, sigma, series, sigma_x)


def _tensor(column: Array) -> Tensor:
    """Return a column as a tensor; copies read-only memory, such as parsed text, because torch warns of it."""
    return torch.from_numpy(column if column.flags.writeable else column.copy())


class SplitRows(Rows):
    """A random share of the rows, evenly taken from all blocks, or the rest of them.

    Args:
        rows: All rows.
        fraction: The share, from 0 to below 1.
        seed: Seed of the choice.
        is_rest: Whether these are the rest instead of the share.
    """

    def __init__(self, rows: Rows, fraction: float, seed: int, is_rest: bool) -> None:
        self.rows, self.seed, self.is_rest = rows, seed, is_rest
        self.omitted, self.has_sigma, self.has_sigma_x = rows.omitted, rows.has_sigma, rows.has_sigma_x
        self._shares = [round(count * fraction) for count in rows.counts]
        pairs = zip(rows.counts, self._shares, strict=True)
        self.counts = [count - share if is_rest else share for count, share in pairs]
        self._latest: tuple[int, Points] | None = None

    def block(self, index: int) -> Points:
        """Return the rows of a block, in the order of the table; those of the latest block are kept."""
        if self._latest is None or self._latest[0] != index:
            order = shuffled(self.rows.counts[index], self.seed, index)
            share = self._shares[index]
            chosen = (order[share:] if self.is_rest else order[:share]).sort().values
            self._latest = index, self.rows.block(index).chosen(chosen)
        return self._latest[1]


def table_rows(table: Table, has_y: bool, in_memory_rows: int, has_weights: bool = False) -> Rows:
    """Return the rows of a table: in memory if they are few, else read when they are needed.

    Few rows that are known to have no missing number are read when they are needed too.
    """
    if table.rows > in_memory_rows:
        return TableRows(table, has_y, has_weights=has_weights)
    rows = TableRows(table, has_y, is_one_block=True, has_weights=has_weights)
    if table.is_sound:
        return rows
    points = rows.block(0)
    return MemoryRows(points, table.rows - len(points.x), table.labels)


def counted_rows(table: Table, in_memory_rows: int, has_weights: bool) -> MemoryRows:
    """Return the rows of a table, each repeated as often as its third column says.

    Raises:
        UsageError: If a count is not a whole number of at least 0, or there are more than fit into memory.
    """
    most = f"more than --data.in_memory_rows {in_memory_rows:,}: give a larger number if memory suffices"
    if table.rows > in_memory_rows:
        raise UsageError(f"rows with counts are read into memory, got {table.rows:,}, {most}")
    x, y, third, *others = map(torch.from_numpy, table.read(0, table.rows))
    try:
        counts = whole_counts(third)
    except UsageError as error:
        table.refuse(error)
    if (total := int(counts.sum())) > in_memory_rows:
        raise UsageError(f"counts add up to {total:,} observations, {most}")
    sigma = others[0] if others else None
    points = Points(x, y, sigma_of(sigma) if sigma is not None and has_weights else sigma)
    return MemoryRows(repeated(points, counts), table.rows - len(x))
