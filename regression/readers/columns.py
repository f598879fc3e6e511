"""The interface of the readers: which columns of a file are wanted, and its rows as float64 numbers, in parts."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regression.common.errors import DataError
from regression.common.row_ranges import overlaps, part_cuts
from regression.common.text import did_you_mean
from regression.readers.clock import ROLES, Clock
from regression.readers.dialect import STANDARD, Dialect
from regression.readers.series_names import Labels
from regression.readers.source import FilePath, Source

__all__ = [
    "BLOCK",
    "LARGE_BATCH",
    "SERIES",
    "Array",
    "ChunkColumns",
    "Column",
    "FileColumns",
    "Part",
    "Wanted",
    "find_columns",
    "joined_ends",
    "listed",
    "slices_of",
]

SERIES = "series"  # the role of a column of names of series
OPTIONAL = ("sigma", "sigma_x", "weights", "counts", SERIES)  # roles of columns that a table may lack
BLOCK = 1 << 20  # rows that are read, and shuffled, together: 8 MiB a column
LARGE_BATCH = 4 * BLOCK  # rows that are summed together: 64 MiB of x and y
MOST_LISTED = 20  # names in an error

Array = NDArray[np.float64]
Part = Sequence[Array] | Array  # for each column an array of shape (n,), float64 or float32 and contiguous
Column = int | str


class Wanted(NamedTuple):
    """What is to be read of a file."""

    columns: Sequence[Column]  # names or numbers
    labels: Labels | None = None  # codes of the names of series in the last column, if it holds such names
    own_bytes: range = range(sys.maxsize)  # of a large text file, that this process parses
    dialect: Dialect = STANDARD  # how text is written
    clock: Clock | None = None  # converts times to numbers; without it they are refused
    roles: Sequence[str] = ROLES  # of the columns

    def role(self, at: int) -> str:
        """Return the role of the column at a position."""
        if self.labels is not None and at == len(self.columns) - 1:
            return SERIES
        return self.roles[at] if at < len(self.roles) else f"column {at + 1}"


class FileColumns(ABC):
    """Columns of one file, read in parts.

    Attributes:
        source: The file.
        headings: Names of the columns, with the unit if the file has one.
        rows: Number of rows.
        sizes: Number of rows of each group in which they are stored.
        has_texts: Whether the last column names series by texts.
        is_loaded: Whether the rows are in memory, so that later changes of the file have no effect.
        is_finite: Whether it is known that no number is missing or infinite.
        owned: Of a file that several processes parse: for each piece, the process that parsed it, and its first row.
    """

    source: Source
    headings: Sequence[str] = ()
    has_texts: bool = False
    is_loaded: bool = False
    is_finite: bool = False
    owned: Sequence[tuple[int, int]] = ()

    def _divide(self, sizes: Sequence[int]) -> None:
        """Set the number of rows of each group in which the rows are stored."""
        self.sizes, self._starts = sizes, [0, *accumulate(sizes)]
        self.rows = self._starts[-1]

    @property
    def places(self) -> Sequence[int]:
        """Rows at which reading can begin without waste, from 0 to ``rows``."""
        return range(self.rows + 1)

    @abstractmethod
    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows from start to before stop in consecutive parts, NaN for missing numbers.

        A part is small enough for a core's cache, and valid until the same thread takes the next one.
        """

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column, shape (C, 2), if they are known without reading."""
        return None


class ChunkColumns(FileColumns):
    """Columns in memory, in chunks of rows that are not joined, because that would take twice their memory.

    Args:
        source: The file.
        chunks: For each chunk one array for each column.
        has_texts: Whether the last column names series by texts.
        wanted: What was read; needed if a column holds times, as whole nanoseconds.
    """

    is_loaded = True

    def __init__(
        self, source: Source, chunks: Sequence[Part], has_texts: bool = False, wanted: Wanted | None = None
    ) -> None:
        self.source, self._chunks, self.has_texts, self._wanted = source, chunks, has_texts, wanted
        self._divide([len(chunk[0]) for chunk in chunks])

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield slices of the chunks."""
        for k, low, high in overlaps(self._starts, start, stop):
            for part in slices_of(self._chunks[k], low - self._starts[k], high - self._starts[k]):
                yield [self._as_numbers(at, column) for at, column in enumerate(part)]

    def _as_numbers(self, at: int, column: Any) -> Array:
        """Return a column, which may hold whole nanoseconds of times, as numbers."""
        if column.dtype.kind == "f":
            return column  # type: ignore[no-any-return]
        assert self._wanted is not None
        assert self._wanted.clock is not None
        title = f"{self.source.path}: column {str(self._wanted.columns[at])!r}"
        return self._wanted.clock.numbers(title, self._wanted.role(at), column)


def slices_of(columns: Part, start: int, stop: int) -> Iterator[Part]:
    """Yield the rows from start to before stop of columns in memory, in parts of nearly equal length."""
    for low, high in pairwise(part_cuts(start, stop)):
        yield [column[low:high] for column in columns]


def find_columns(path: FilePath, names: Sequence[str], wanted: Wanted) -> list[int]:
    """Return the positions of columns given by name, or by number counted from 1; names have precedence.

    Raises:
        DataError: If the file has no such column, or two of the name.
    """
    return [_position(path, list(names), str(column), wanted.role(at)) for at, column in enumerate(wanted.columns)]


def _position(path: FilePath, names: list[str], name: str, role: str) -> int:
    if names.count(name) == 1:
        return names.index(name)
    if name in names:
        raise DataError(f"{path}: column {name!r} is there {names.count(name)} times: give its number, counted from 1")
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return int(name) - 1
    choose = f"--data.{role} (null for none)" if role in OPTIONAL else "--data.x and --data.y"
    hint = did_you_mean(name, names, f"; choose with {choose}", repr)
    if name.isdecimal():
        hint = f", whose numbers are 1 to {len(names)}{hint}"
    raise DataError(f"{path}: there is no column {name!r} among {listed(names, MOST_LISTED)}{hint}")


def listed(names: Sequence[str], most: int) -> str:
    """Return names of columns for an error: the first ones, and how many there are."""
    return ", ".join(map(repr, names[:most])) + (f", … ({len(names)} in all)" if len(names) > most else "")


def joined_ends(ends: Array) -> Array:
    """Return the smallest and largest number of each column, shape (C, 2), from those of parts, (parts, C, 2)."""
    if len(ends) == 1:
        only: Array = ends[0]  # quicker, and of many files most have one group
        return only
    lows, highs = ends[:, :, 0].min(axis=0, initial=np.inf), ends[:, :, 1].max(axis=0, initial=-np.inf)
    return np.stack([lows, highs], axis=1)
