"""The columns of one file as float64 numbers: how they are named, and how a part of their rows is read."""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regression.common.errors import DataError
from regression.common.text import did_you_mean
from regression.common.threads import part_cuts

__all__ = [
    "BLOCK",
    "LARGE_BATCH",
    "MOST_MOVED",
    "Array",
    "ChunkColumns",
    "Column",
    "FileColumns",
    "MemoryColumns",
    "Part",
    "even_borders",
    "even_cuts",
    "find_columns",
    "has_finite_sum",
    "merged_cuts",
    "overlaps",
    "slices_of",
]

BLOCK = 1 << 20  # rows that are read, and shuffled, together: 8 MiB a column
LARGE_BATCH = 4 * BLOCK  # rows that are summed together: 64 MiB of x and y
MOST_MOVED = 0.25  # of a share's rows, to where reading can begin without waste: beyond, the waste costs less time

Array = NDArray[np.float64]
Part = Sequence[Array] | Array  # for each column an array of shape (n,), float64 or float32 and contiguous
Column = int | str


class FileColumns(ABC):
    """Columns of one file, read in parts.

    Attributes:
        path: The file.
        rows: Number of rows.
        cuts: Rows at which blocks begin, from 0 to ``rows``, at most ``BLOCK`` apart.
        in_memory: Whether all rows are in memory already, in one piece.
        is_finite: Whether all numbers are known to be there and finite.
    """

    path: Path
    rows: int
    cuts: Sequence[int]
    in_memory: bool = False
    is_finite: bool = False

    @property
    def places(self) -> Sequence[int]:
        """Rows at which reading can begin without waste, from 0 to ``rows``."""
        return range(self.rows + 1)

    @abstractmethod
    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows from start to before stop in parts that follow each other, NaN for missing numbers.

        A part has as many rows as a core's cache holds, and is only valid until the next one is asked for.
        """

    def view(self, start: int, stop: int) -> Array | None:
        """Return the rows from start to before stop where they are in memory as they are wanted, shape (C, n)."""
        return None

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column, shape (C, 2), where the file itself says them."""
        return None

    def _divide(self, sizes: Sequence[int]) -> None:
        """Note that the file is stored in groups of so many rows."""
        self._starts = [0, *accumulate(sizes)]
        self.rows, self.cuts = self._starts[-1], merged_cuts(sizes)


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

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield slices of the rows."""
        return slices_of(self.values, start, stop)

    def view(self, start: int, stop: int) -> Array:
        """Return a part of the rows."""
        return self.values[:, start:stop]


class ChunkColumns(FileColumns):
    """Columns that are in memory in chunks of rows; to join them would take their memory once more.

    Args:
        path: The file they come from.
        chunks: The numbers, for each chunk one array for each column.
    """

    def __init__(self, path: Path, chunks: Sequence[Part]) -> None:
        self.path, self._chunks = path, chunks
        self._divide([len(chunk[0]) for chunk in chunks])

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield slices of the chunks."""
        for k, low, high in overlaps(self._starts, start, stop):
            yield from slices_of(self._chunks[k], low - self._starts[k], high - self._starts[k])


def slices_of(columns: Part, start: int, stop: int) -> Iterator[Part]:
    """Yield the rows from start to before stop of columns that are in memory, in parts of nearly even length."""
    for low, high in pairwise(part_cuts(start, stop)):
        yield [column[low:high] for column in columns]


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
    hint = did_you_mean(name, names, "; choose with --data.x, --data.y and --data.sigma", shown=repr)
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


def even_borders(places: Sequence[int], start: int, stop: int, count: int, reach: float) -> list[int]:
    """Return the borders of consecutive shares of the rows from start to before stop.

    Args:
        places: Rows at which reading can begin without waste, ascending.
        start: First row.
        stop: Row after the last.
        count: Number of shares.
        reach: How far a border may be moved to the nearest such place; where there is none it stays.

    Returns:
        ``count + 1`` rows from start to stop; of even shares, but for the moves.
    """
    even = (start + (stop - start) * k // count for k in range(1, count))
    return [start, *(min(max(_moved(border, places, reach), start), stop) for border in even), stop]


def _moved(row: int, places: Sequence[int], reach: float) -> int:
    at = bisect_left(places, row)
    nearest = min(places[max(at - 1, 0) : at + 1], key=lambda place: abs(place - row), default=row)
    return nearest if abs(nearest - row) <= reach else row


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
