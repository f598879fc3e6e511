"""Rows of points in blocks: the unit in which large tables are read, split and shuffled. A small table is one block.

What is drawn at random in a block follows from a seed and the block's number alone, so that every process draws the
same, and a table of any size needs the memory of one block.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from regression.collectives import all_sum, rank_and_size
from regression.columns import Array
from regression.labels import Labels
from regression.permutation import shuffled
from regression.tables import Table

__all__ = ["BlockRows", "MemoryRows", "Points", "Rows", "SplitRows", "table_rows"]


KEPT = 4000  # rows of a table that is read in blocks that are kept for a figure


class Points(NamedTuple):
    """Points to fit: x and y of shape (N,), the standard deviations of y, and the codes of series, or ``None``.

    Points to predict have no y: it is NaN.
    """

    x: Tensor
    y: Tensor
    sigma: Tensor | None = None
    series: Tensor | None = None

    def chosen(self, rows: Tensor | slice) -> "Points":
        """Return the chosen rows."""
        columns = (None if values is None else _chosen(values, rows) for values in self)
        return Points(*columns)  # type: ignore[arg-type]

    @staticmethod
    def joined(parts: Sequence["Points"]) -> "Points":
        """Return all rows of the parts, in order."""
        if len(parts) == 1:
            return parts[0]
        columns = ([values for values in column if values is not None] for column in zip(*parts, strict=True))
        return Points(*(torch.cat(column) if column else None for column in columns))  # type: ignore[arg-type]


def _chosen(values: Tensor, rows: Tensor | slice) -> Tensor:
    # What values[rows] does as well, in twice the time for a tensor of numbers.
    return values.index_select(0, rows) if isinstance(rows, Tensor) else values[rows]


class Rows(ABC):
    """Rows in blocks.

    Attributes:
        counts: Number of rows of each block.
        omitted: Number of rows that were left out because a number in them is missing.
        labels: What the codes of series mean, or ``None`` without them.
    """

    counts: Sequence[int]
    omitted: int = 0
    labels: Labels | None = None

    @abstractmethod
    def block(self, index: int) -> Points:
        """Return the rows of a block."""

    def extremes(self) -> Points | None:
        """Return two points with the smallest and largest x, y and sigma, where they are known without reading."""
        return None

    def span(self, start: int, stop: int) -> Points | None:
        """Return the rows from start to before stop, over several blocks, where they can be read without joining."""
        return None

    def __len__(self) -> int:
        return sum(self.counts)

    def sample(self, limit: int) -> Points:
        """Return at most ``limit`` rows, evenly chosen from at most 8 evenly chosen blocks."""
        used = range(0, len(self.counts), -(-len(self.counts) // min(8, limit)))
        each = max(1, limit // len(used))
        blocks = [self.block(index) for index in used]
        return Points.joined([points.chosen(slice(None, None, -(-len(points.x) // each) or 1)) for points in blocks])


class MemoryRows(Rows):
    """Rows that are in memory, as one block.

    Args:
        points: The rows.
        omitted: Number of rows left out.
        labels: What the codes of series mean.
    """

    def __init__(self, points: Points, omitted: int = 0, labels: Labels | None = None) -> None:
        self.points, self.omitted, self.labels = points, omitted, labels
        self.counts = [len(points.x)]

    def block(self, index: int) -> Points:
        """Return all rows."""
        return self.points


class BlockRows(Rows):
    """Rows of a table that are read when they are needed.

    Args:
        table: The table; its columns are x, y if it is known, and sigma if there is one.
        has_y: Whether the second column is y.
    """

    def __init__(self, table: Table, has_y: bool) -> None:
        self.table, self.has_y, self.labels = table, has_y, table.labels
        self.counts = [end - start for start, end in self._spans()]
        self._kept: dict[int, Points] = {}
        if table.nan_policy == "omit":
            self._count()

    def _spans(self) -> list[tuple[int, int]]:
        return list(zip(self.table.cuts, self.table.cuts[1:], strict=False))

    def _count(self) -> None:
        """Read all blocks once, shared over the processes, for the number of rows that each of them keeps."""
        rank, size = rank_and_size()
        counts = torch.zeros(len(self.counts), dtype=torch.long)
        for index in range(rank, len(counts), size):
            counts[index] = self.table.read(*self._spans()[index]).shape[1]
        counts = all_sum(counts)
        self.omitted = self.table.rows - int(counts.sum())
        self.counts = counts.tolist()

    def block(self, index: int) -> Points:
        """Read the rows of a block."""
        return self._read(*self._spans()[index])

    def span(self, start: int, stop: int) -> Points | None:
        """Read consecutive rows, unless some are left out."""
        return None if self.omitted else self._read(start, stop)

    def _read(self, start: int, stop: int) -> Points:
        points = points_of(self.table.read(start, stop), self.has_y, self.labels is not None)
        # Even numbers of rows, for a figure: to read some of them again takes as long as a part of the fit.
        self._kept[start] = Points(*(None if c is None else c.clone() for c in points.chosen(self._every)))  # type: ignore[arg-type]
        return points

    @property
    def _every(self) -> slice:
        return slice(None, None, max(1, len(self) // KEPT))

    def sample(self, limit: int) -> Points:
        """Return at most ``limit`` rows, evenly chosen from what was read if that is much, else from blocks."""
        kept = Points.joined([self._kept[start] for start in sorted(self._kept)]) if self._kept else None
        if kept is None or len(kept.x) < min(limit, len(self)) // 4:
            return super().sample(limit)
        return kept.chosen(slice(None, None, -(-len(kept.x) // limit)))

    def extremes(self) -> Points | None:
        """Return two points with the smallest and largest numbers, where the files say them."""
        known = self.table.extremes()
        return None if known is None else points_of(known, self.has_y, self.labels is not None)


class SplitRows(Rows):
    """A random share of the rows, evenly taken from all blocks, or the rest of them.

    Args:
        rows: All rows.
        fraction: The share, from 0 to below 1.
        seed: Seed of the choice.
        is_rest: Whether these are the rest instead of the share.
    """

    def __init__(self, rows: Rows, fraction: float, seed: int, is_rest: bool) -> None:
        self.rows, self.seed, self.is_rest, self.omitted = rows, seed, is_rest, rows.omitted
        self._shares = [round(count * fraction) for count in rows.counts]
        pairs = zip(rows.counts, self._shares, strict=True)
        self.counts = [count - share if is_rest else share for count, share in pairs]

    def block(self, index: int) -> Points:
        """Return the rows of a block, in the order of the table."""
        order = shuffled(self.rows.counts[index], self.seed, index)
        share = self._shares[index]
        return self.rows.block(index).chosen((order[share:] if self.is_rest else order[:share]).sort().values)


def points_of(columns: Array, has_y: bool, has_series: bool) -> Points:
    """Return columns x, y, sigma and series as points, without a copy where possible."""
    x, *others = (torch.from_numpy(column) for column in columns)
    y = others.pop(0) if has_y else torch.full((1,), torch.nan, dtype=x.dtype).expand(len(x))
    series = others.pop() if has_series else None
    return Points(x, y, others[0] if others else None, series)


def table_rows(table: Table, has_y: bool, in_memory_rows: int) -> Rows:
    """Return the rows of a table: in memory if they are few or there already, else in blocks."""
    if not table.in_memory and table.rows > in_memory_rows:
        return BlockRows(table, has_y)
    points = points_of(table.read(0, table.rows), has_y, table.labels is not None)
    return MemoryRows(points, table.rows - len(points.x), table.labels)
