"""What a Parquet file states of its row groups: believed before they are read, and checked when they are."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from regression.common.errors import DataError
from regression.readers.columns import Array, Part, joined_ends

__all__ = ["StatedEnds"]

NO_ENDS = (np.inf, -np.inf)  # of no numbers


class StatedEnds:
    """The smallest and largest number of each column in each row group, as the statistics of a file state them.

    A number outside of them would be noticed in summing. Ends that no row has would not, and what rests on the range,
    such as which x is extrapolated, would be wrong.

    Args:
        path: The file.
        names: Names of the C columns.
        starts: Rows at which the G groups begin, and the end.
        ends: What is stated, shape (G, C, 2); of groups without rows inf and -inf.

    Raises:
        DataError: If a largest number is below the smallest.
    """

    def __init__(self, path: Path, names: Sequence[str], starts: Sequence[int], ends: Array) -> None:
        self._path, self._names, self._starts, self._ends = path, names, starts, ends
        for group, column in np.argwhere(ends[:, :, 0] > ends[:, :, 1]):
            if starts[group] < starts[group + 1]:
                raise self._error(group, group + 1, column, "which is no range")

    @classmethod
    def read(cls, path: Path, metadata: Any, names: Sequence[str], starts: Sequence[int]) -> "StatedEnds | None":
        """Return what a file states of some columns of numbers, where it states all ends, and finite ones."""
        paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
        leaves = [paths.index(name) for name in names]  # nested columns are several of these
        ends = np.tile(NO_ENDS, (metadata.num_row_groups, len(leaves), 1))
        for k, group in enumerate(map(metadata.row_group, range(len(ends)))):
            known = [group.column(leaf).statistics for leaf in leaves if group.num_rows]
            if not all(each and each.has_min_max and isinstance(each.min, int | float) for each in known):
                return None  # those of float16 are bytes
            if known:
                ends[k] = [(each.min, each.max) for each in known]
        return cls(path, names, starts, ends) if np.isfinite(joined_ends(ends)).all() else None

    def joined(self) -> Array:
        """Return the smallest and largest number of each column, shape (C, 2)."""
        return joined_ends(self._ends)

    def checked(
        self, batches: Iterator[list[Any]], first: int, as_numbers: Callable[[list[Any]], Part]
    ) -> Iterator[list[Any]]:
        """Yield batches of consecutive rows, and refuse groups that have other ends, once their last row is there.

        Groups that end in the same batch are compared together, by the ends of all of them: small groups would take
        most of the time otherwise. The thread that decodes the last row of a group has decoded all of it, so that no
        other process or thread has to be asked.

        Args:
            batches: For each batch its columns.
            first: The group with whose first row they begin.
            as_numbers: Returns the columns of a batch as numbers.
        """
        row, found = self._starts[first], self._no_ends
        for columns in batches:
            last = bisect_right(self._starts, row + len(columns[0])) - 1  # the group after those that end here
            end = self._starts[last] - row
            row += len(columns[0])
            values = as_numbers(columns)
            if last > first:
                self._require(first, last, _widened(found, [column[:end] for column in values]))
                first, found, values = last, self._no_ends, [column[end:] for column in values]
            found = _widened(found, values)
            yield columns

    @property
    def _no_ends(self) -> Array:
        return np.tile(NO_ENDS, (len(self._names), 1))

    def _require(self, first: int, last: int, found: Array) -> None:
        """Refuse groups with other ends than stated; NaN are ends of missing numbers, which are refused elsewhere."""
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


def _widened(ends: Array, columns: Part) -> Array:
    """Return the smallest and largest numbers of columns and of rows before, shape (C, 2)."""
    if not len(columns[0]):
        return ends
    found = [[float(value) for value in torch.from_numpy(column).aminmax()] for column in columns]
    lows, highs = np.array(found).T
    return np.stack([np.minimum(ends[:, 0], lows), np.maximum(ends[:, 1], highs)], axis=1)
