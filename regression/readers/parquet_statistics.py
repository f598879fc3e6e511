"""The statistics of Parquet files: smallest and largest numbers, used before rows are read, and then checked."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from regression.common.errors import DataError
from regression.readers.columns import Array, Part, joined_ends
from regression.readers.source import FilePath

__all__ = ["StatedEnds"]

NO_ENDS = (np.inf, -np.inf)  # of no numbers


class StatedEnds:
    """The smallest and largest number of each column in each row group, as the statistics of a file state them.

    Summing refuses a number outside of them, but accepts stated ends that no row has; then results that depend on the
    range, such as which x is extrapolated, would be wrong: so ``check`` compares them with the rows.

    Args:
        path: The file.
        names: Names of the C columns.
        starts: Rows at which the G groups begin, and the end.
        ends: Smallest and largest numbers, shape (G, C, 2); inf and -inf for groups without rows.

    Raises:
        DataError: If a largest number is below the smallest.
    """

    def __init__(self, path: FilePath, names: Sequence[str], starts: Sequence[int], ends: Array) -> None:
        self._path, self._names, self._starts, self._ends = path, names, starts, ends
        wrong = ends[:, :, 0] > ends[:, :, 1]
        for group, column in np.argwhere(wrong) if wrong.any() else ():
            if starts[group] < starts[group + 1]:
                raise self._error(group, group + 1, column, "which is no range")

    @classmethod
    def read(cls, path: FilePath, metadata: Any, names: Sequence[str], starts: Sequence[int]) -> "StatedEnds | None":
        """Return the ends of some columns of numbers, or ``None`` unless all are stated and finite."""
        paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
        if any(paths.count(name) != 1 for name in names):  # a column "a.b" beside a field b of a column a
            return None
        leaves = [paths.index(name) for name in names]  # a nested column consists of several leaves
        ends = []
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            known = [group.column(leaf).statistics for leaf in leaves if group.num_rows]
            if not all(each and each.has_min_max and isinstance(each.min, int | float) for each in known):
                return None  # the ends of float16 numbers are bytes
            ends.append([(each.min, each.max) for each in known] or [NO_ENDS] * len(leaves))
        stated = np.array(ends, np.float64).reshape(len(ends), len(leaves), 2)
        return cls(path, names, starts, stated) if np.isfinite(joined_ends(stated)).all() else None

    def joined(self) -> Array:
        """Return the smallest and largest number of each column, shape (C, 2)."""
        return joined_ends(self._ends)

    def check(self, batches: Iterator[Part], first: int) -> Iterator[Part]:
        """Yield batches of consecutive rows, and refuse groups with other ends when their last row has been read.

        Groups that end in the same batch are compared together, because one comparison for each small group would take
        most of the time. The iterator that yields the last row of a group has yielded all of it, whichever threads
        take its batches, so no other one is involved.

        Args:
            batches: The columns of each batch.
            first: The group whose first row is that of the first batch.

        Raises:
            DataError: If the ends of some groups are not those stated.
        """
        row, found = self._starts[first], None
        for columns in batches:
            last = bisect_right(self._starts, row + len(columns[0])) - 1  # the group after those that end here
            end, rest = self._starts[last] - row, columns
            row += len(columns[0])
            if last > first:
                self._require(first, last, _widen(found, [column[:end] for column in columns]))
                first, found, rest = last, None, [column[end:] for column in columns]
            found = _widen(found, rest)
            yield columns

    def _require(self, first: int, last: int, found: Array | None) -> None:
        """Refuse groups with other ends than stated; ends are NaN if a number is missing, which ``Table`` refuses."""
        if found is None:  # no rows
            return
        stated = joined_ends(self._ends[first:last])
        for column, _ in np.argwhere((found < stated) | (found > stated)):
            low, high = found[column].tolist()
            raise self._error(first, last, column, f"they hold {low} to {high}")

    def _error(self, first: int, last: int, column: int, but: str) -> DataError:
        low, high = joined_ends(self._ends[first:last])[column].tolist()
        return DataError(
            f"{self._path}: the file states that column {self._names[column]!r} goes from {low} to {high} in rows "
            f"{self._starts[first] + 1:,} to {self._starts[last]:,}, {but}: write it again, or without statistics"
        )


def _widen(ends: Array | None, columns: Part) -> Array | None:
    """Return the ends of preceding rows, widened by those of more rows, shape (C, 2); ``None`` without rows."""
    if not len(columns[0]):
        return ends
    found = np.array([[float(value) for value in torch.from_numpy(column).aminmax()] for column in columns])
    return found if ends is None else joined_ends(np.stack([ends, found]))
