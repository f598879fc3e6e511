"""The columns of one file as float64 numbers: how they are named, and how a part of their rows is read."""

import difflib
import sys
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regression.common.errors import DataError
from regression.common.threads import part_cuts
from regression.data.readers.series_names import Labels
from regression.data.readers.source import Source

__all__ = [
    "BLOCK",
    "LARGE_BATCH",
    "MOST_MOVED",
    "Array",
    "ChunkColumns",
    "Column",
    "FileColumns",
    "Part",
    "Wanted",
    "even_borders",
    "find_columns",
    "has_finite_sum",
    "joined_ends",
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


class Wanted(NamedTuple):
    """What is to be read of a file.

    Attributes:
        columns: Names or numbers of the columns.
        labels: Codes of the names of series that the last column holds, or ``None`` for numbers there too.
        own_bytes: Those of the file that this process parses if it is large text; of each file, each process has some.
    """

    columns: Sequence[Column]
    labels: Labels | None = None
    own_bytes: range = range(sys.maxsize)


class FileColumns(ABC):
    """Columns of one file, read in parts.

    Attributes:
        source: The file.
        sizes: Number of rows of each of the groups in which they are stored.
        rows: Number of all rows.
        has_texts: Whether the last column names series by texts.
        is_loaded: Whether the rows are in memory already, whatever becomes of the file.
        is_finite: Whether all numbers are known to be there and finite.
        owned: For pieces of the rows the process that has parsed each, and its first row.
    """

    source: Source
    sizes: Sequence[int]
    rows: int
    has_texts: bool = False
    is_loaded: bool = False
    is_finite: bool = False
    owned: Sequence[tuple[int, int]] = ()

    @property
    def places(self) -> Sequence[int]:
        """Rows at which reading can begin without waste, from 0 to ``rows``."""
        return range(self.rows + 1)

    @abstractmethod
    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows from start to before stop in parts that follow each other, NaN for missing numbers.

        A part has as many rows as a core's cache holds, and is only valid until the next one is asked for.
        """

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column, shape (C, 2), where the file itself says them."""
        return None

    def _divide(self, sizes: Sequence[int]) -> None:
        """Note that the file is stored in groups of so many rows."""
        self.sizes, self._starts = sizes, [0, *accumulate(sizes)]
        self.rows = self._starts[-1]


class ChunkColumns(FileColumns):
    """Columns that are in memory in chunks of rows; to join them would take their memory once more.

    Args:
        source: The file they come from.
        chunks: The numbers, for each chunk one array for each column.
        has_texts: Whether the last column names series by texts.
    """

    is_loaded = True

    def __init__(self, source: Source, chunks: Sequence[Part], has_texts: bool = False) -> None:
        self.source, self._chunks, self.has_texts = source, chunks, has_texts
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


def joined_ends(ends: Array) -> Array:
    """Return the smallest and largest number of each column, shape (C, 2), from those of parts, (parts, C, 2)."""
    lows, highs = ends[:, :, 0].min(axis=0, initial=np.inf), ends[:, :, 1].max(axis=0, initial=-np.inf)
    return np.stack([lows, highs], axis=1)


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


def merged_cuts(sizes: Sequence[int], block: int) -> list[int]:
    """Return rows at which to cut a file that is stored in groups of so many rows.

    Small groups are joined and large ones are divided evenly, so that blocks begin with a group where they can.
    """
    cuts = [0]
    end = 0
    for size in sizes:
        if end + size - cuts[-1] > block and end > cuts[-1]:
            cuts.append(end)
        pieces = -(-size // block)
        if pieces > 1:
            cuts += [end + size * piece // pieces for piece in range(1, pieces)]
        end += size
    return [*cuts, end] if end > cuts[-1] else cuts
