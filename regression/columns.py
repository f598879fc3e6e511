"""The columns of one file as float64 numbers: how they are named, and how a part of their rows is read."""

import difflib
import sys
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regression.errors import DataError

__all__ = [
    "BLOCK",
    "LARGE_BATCH",
    "Array",
    "ChunkColumns",
    "Column",
    "FileColumns",
    "MemoryColumns",
    "Room",
    "even_cuts",
    "find_columns",
    "has_finite_sum",
    "merged_cuts",
    "overlaps",
]

BLOCK = 1 << 20  # rows that are read, and shuffled, together: 8 MiB a column
LARGE_BATCH = 4 * BLOCK  # rows that are summed together: 64 MiB of x and y
PART = 1 << 16  # rows of a column that a processor's own cache holds
ROOMS = 3  # a batch that is worked on, the one before that is still referred to, and a smaller one

Array = NDArray[np.float64]
Column = int | str


class FileColumns(ABC):
    """Columns of one file, read in parts.

    Attributes:
        path: The file.
        rows: Number of rows.
        cuts: Rows at which reading can begin without waste, from 0 to ``rows``, at most ``BLOCK`` apart.
        in_memory: Whether all rows are in memory already, in one piece.
        is_finite: Whether the numbers that were given last are known to be there and finite.
    """

    path: Path
    rows: int
    cuts: Sequence[int]
    in_memory: bool = False
    is_finite: bool = False

    @abstractmethod
    def fill(self, start: int, stop: int, out: Array) -> None:
        """Write the rows from start to before stop, shape (C, stop − start), NaN for missing cells."""

    def view(self, start: int, stop: int) -> Array | None:
        """Return the rows from start to before stop where they are in memory as they are wanted."""
        return None

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column, shape (C, 2), where the file itself says them."""
        return None

    def _divide(self, sizes: Sequence[int]) -> None:
        """Note that the file is stored in groups of so many rows."""
        self._starts = [0, *accumulate(sizes)]
        self.rows, self.cuts = self._starts[-1], merged_cuts(sizes)


class Room:
    """Memory for rows, used again once nobody refers to it: the first touch of new memory takes as long as reading."""

    def __init__(self) -> None:
        self._arrays: list[Array] = []

    def take(self, columns: int, rows: int) -> Array:
        """Return an array of shape (C, n), whatever it holds."""
        size = columns * rows
        for k in range(len(self._arrays)):
            if len(self._arrays[k]) >= size and _references(self._arrays, k) == ALONE:
                return self._arrays[k][:size].reshape(columns, rows)
        self._arrays = [*self._arrays, np.empty(size)][-ROOMS:]
        return self._arrays[-1].reshape(columns, rows)


def _references(objects: Sequence[object], k: int) -> int:
    return sys.getrefcount(objects[k])


ALONE = _references([object()], 0)  # of what a list alone refers to


class MemoryColumns(FileColumns):
    """Columns that are in memory.

    Args:
        path: The file they come from.
        values: The numbers, shape (C, N).
    """

    in_memory = True

    def __init__(self, path: Path, values: Array) -> None:
        self.path, self.values = path, values
        self.rows = values.shape[1]
        self.cuts = even_cuts(self.rows)

    def fill(self, start: int, stop: int, out: Array) -> None:
        """Write a part of the rows."""
        out[:] = self.values[:, start:stop]

    def view(self, start: int, stop: int) -> Array:
        """Return a part of the rows."""
        return self.values[:, start:stop]


class ChunkColumns(FileColumns):
    """Columns that are in memory in chunks of rows; to join them would take their memory once more.

    Args:
        path: The file they come from.
        chunks: The numbers, for each chunk an array of shape (C, n), or one array for each column.
    """

    def __init__(self, path: Path, chunks: Sequence[Array | Sequence[Array]]) -> None:
        self.path, self._chunks = path, chunks
        self._divide([len(chunk[0]) for chunk in chunks])

    def fill(self, start: int, stop: int, out: Array) -> None:
        """Write a part of the rows."""
        for k, low, high in overlaps(self._starts, start, stop):
            for row, values in zip(out, self._chunks[k], strict=True):
                row[low - start : high - start] = values[low - self._starts[k] : high - self._starts[k]]

    def view(self, start: int, stop: int) -> Array | None:
        """Return a part of the rows that one chunk holds, if it is one array."""
        pieces = list(overlaps(self._starts, start, stop))
        if len(pieces) != 1 or not isinstance(chunk := self._chunks[pieces[0][0]], np.ndarray):
            return None
        first = self._starts[pieces[0][0]]
        return chunk[:, start - first : stop - first]

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column."""
        if not self.rows:
            return None
        with ThreadPoolExecutor() as threads:
            found = np.array(list(threads.map(_ends, (chunk for chunk in self._chunks if len(chunk[0])))))
        result: Array = np.stack([found[:, :, 0].min(axis=0), found[:, :, 1].max(axis=0)], axis=1)
        self.is_finite = bool(np.isfinite(result).all())  # NaN is the smallest number of a column that holds it
        return result if self.is_finite else None


def _ends(columns: Array | Sequence[Array]) -> list[tuple[np.float64, np.float64]]:
    return [_ends_of_column(column) for column in columns]


def _ends_of_column(column: Array) -> tuple[np.float64, np.float64]:
    parts = [column[start : start + PART] for start in range(0, len(column), PART)]
    ends = [(part.min(), part.max()) for part in parts]
    return np.min(ends), np.max(ends)


def find_columns(path: Path, names: Sequence[str], wanted: Sequence[Column]) -> list[int]:
    """Return the positions of the wanted columns.

    Args:
        path: The file, for the error.
        names: The names there are.
        wanted: Names, or numbers counted from 1; a name that is there comes before a number.

    Raises:
        DataError: If a column is not there, or there twice.
    """
    return [_position(path, list(names), column) for column in wanted]


def _position(path: Path, names: list[str], column: Column) -> int:
    name = str(column)
    if names.count(name) == 1:
        return names.index(name)
    if name in names:
        raise DataError(f"{path}: column {name!r} is there {names.count(name)} times: give its number, counted from 1")
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return int(name) - 1
    folded = {known.strip().casefold(): known for known in names}
    near = difflib.get_close_matches(name.strip().casefold(), folded, n=1)
    hint = f"; did you mean {folded[near[0]]!r}?" if near else "; choose with --data.x, --data.y and --data.sigma"
    shown = ", ".join(map(repr, names[:20])) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
    raise DataError(f"{path}: there is no column {name!r} among {shown}{hint}")


def overlaps(starts: Sequence[int], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each piece that has some of the rows from start to before stop its number, and the first and last ones.

    Args:
        starts: Rows at which the pieces begin, and the end.
        start: First row.
        stop: Row after the last.
    """
    piece = bisect_right(starts, start) - 1
    while start < stop:
        end = min(stop, starts[piece + 1])
        if start < end:
            yield piece, start, end
        start, piece = end, piece + 1


def has_finite_sum(values: Array) -> bool:
    """Tell whether the sum is finite, and with it every number; huge ones may have an infinite sum all the same."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def even_cuts(rows: int) -> list[int]:
    """Return rows at which to cut a file whose rows can be reached anywhere."""
    return [*range(0, rows, BLOCK), rows]


def merged_cuts(sizes: Sequence[int]) -> list[int]:
    """Return rows at which to cut a file that is stored in groups of so many rows.

    Small groups are joined and large ones are divided evenly, so that blocks begin with a group where they can.
    """
    cuts = [0]
    end = 0
    for size in sizes:
        if end + size - cuts[-1] > BLOCK and end > cuts[-1]:
            cuts.append(end)
        pieces = -(-size // BLOCK)
        if pieces > 1:
            cuts += [end + size * piece // pieces for piece in range(1, pieces)]
        end += size
    return [*cuts, end] if end > cuts[-1] else cuts
