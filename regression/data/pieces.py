"""Rows by their position in an epoch."""

from bisect import bisect_right
from itertools import accumulate

from regression.common.points import Points
from regression.data.readers.columns import BLOCK
from regression.data.rows import Rows
from regression.data.shuffle import Permutation, shuffled

__all__ = ["Pieces"]


class Pieces:
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
