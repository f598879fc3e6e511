"""A table of points in one or many files: read in blocks of rows, finite or refused."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from regression.common.arrays import NanPolicy
from regression.common.collectives import rank_and_size
from regression.common.errors import DataError, UsageError
from regression.common.text import counted
from regression.common.threads import even_slices, share_out, threads_for
from regression.data.readers.arrow_and_numpy import ArrayColumns, ArrowColumns, read_npz
from regression.data.readers.columns import Array, Column, FileColumns, Part, even_borders, has_finite_sum, overlaps
from regression.data.readers.csv_text import read_delimited
from regression.data.readers.files import Kind, find_files, kind_of
from regression.data.readers.large_csv import Place, PlainText
from regression.data.readers.parquet import ParquetColumns
from regression.data.readers.series_names import Labels

__all__ = ["Table"]

T = TypeVar("T")
SERIES_ADVICE = "; choose another column with --data.series"
POSITIVE_ADVICE = "; a standard deviation of y is above 0: correct it, or leave the row out"


class Table:
    """Columns of numbers in one or many files, one after the other, as float64.

    Args:
        path: A file, a folder, or a pattern.
        columns: Names or numbers of the columns.
        positive: Position among the columns of one whose numbers must be positive, or ``None``.
        nan_policy: Whether rows with a missing or infinite number are refused (``raise``) or left out (``omit``).
        has_series: Whether the last column names the series of a row, by whole numbers or texts; they are read as
            codes.

    Attributes:
        rows: Number of rows, those to leave out included.
        cuts: Rows at which a block of rows begins, and the end.
        in_memory: Whether all rows are in memory already, in one piece.
        is_sound: Whether it is known that no row is to be refused or left out.
        labels: What the codes of series mean, or ``None`` without them.

    Raises:
        DataError: If a file is not such a table.
    """

    def __init__(
        self,
        path: str,
        columns: Sequence[Column],
        positive: int | None = None,
        nan_policy: NanPolicy = "raise",
        has_series: bool = False,
    ) -> None:
        self.path, self.columns, self.positive, self.nan_policy = path, list(columns), positive, nan_policy
        self.labels = Labels() if has_series else None
        files = find_files(path)
        rank, self._processes = rank_and_size()
        places = _places([file.stat().st_size for file in files], rank, self._processes)
        self._files = [_opened(*both, self.columns, self.labels) for both in zip(files, places, strict=True)]
        self._starts = [0]
        self.cuts = [0]
        for file in self._files:
            self.cuts += [self._starts[-1] + cut for cut in file.cuts[1:]]
            self._starts.append(self._starts[-1] + file.rows)
        self.rows = self._starts[-1]
        self.in_memory = all(file.in_memory for file in self._files)
        if not self.rows:
            raise DataError(f"{path}: expected at least one row, got a table without any")
        self.is_sound = all(file.is_finite for file in self._files) and self._has_positive_ends()

    def bytes_decoded(self) -> float:
        """Return the bytes of the row groups decoded so far over those of the Parquet files."""
        found = [file.bytes_decoded() for file in self._files if isinstance(file, ParquetColumns)]
        return sum(begun for begun, _ in found) / sum(stored for _, stored in found)

    def _has_positive_ends(self) -> bool:
        ends = None if self.positive is None else self.extremes()
        return ends is None or bool(ends[self.positive, 0] > 0)

    def borders(self, processes: int) -> list[int] | None:
        """Return the rows at which begins what each process has parsed of text, and the end; else ``None``."""
        if processes == 1 or processes != self._processes or not all(isinstance(f, PlainText) for f in self._files):
            return None
        owned = [
            (owner, first + start)
            for first, file in zip(self._starts, self._files, strict=False)
            if isinstance(file, PlainText)
            for owner, start in zip(file.owners, file.starts, strict=False)
        ]
        begun = [next((row for owner, row in owned if owner >= process), self.rows) for process in range(processes)]
        return [*begun, self.rows]

    @cached_property
    def places(self) -> Sequence[int]:
        """Rows at which reading can begin without waste, from 0 to ``rows``."""
        if all(isinstance(file.places, range) for file in self._files):
            return range(self.rows + 1)
        places = [file.cuts if isinstance(file.places, range) else file.places for file in self._files]
        return [0, *(first + place for first, own in zip(self._starts, places, strict=False) for place in own[1:])]

    def scan(self, start: int, stop: int, work: Callable[[int, Part], None], is_checked_by_work: bool = False) -> None:
        """Call ``work`` with the number of the first row and the columns of each part of the rows.

        It is called from several threads at once, by the one that decoded the part, which is valid during the call.

        Args:
            start: First row.
            stop: Row after the last.
            work: What to do with a part.
            is_checked_by_work: Whether ``work`` raises a ``UsageError`` for a number that is not finite, so that parts
                need not be looked at before, unless rows are left out or must hold other than finite numbers.

        Raises:
            DataError: As ``read`` does; the rows of parts that came before may have been worked on.
        """
        is_trusted = is_checked_by_work and self.nan_policy == "raise" and self.positive is None and self.labels is None

        def add(item: _Piece) -> None:
            work(self._starts[item.file] + item.first, item.columns if is_trusted else self._kept(item))

        try:
            self._share_out(start, stop, add)
        except UsageError:
            self.read(start, stop)  # names the first of the rows, and counts all that are like it
            raise

    def _share_out(self, start: int, stop: int, work: Callable[["_Piece"], None]) -> None:
        """Work on all parts of the rows; codes of texts are given in the order in which they come, by one thread."""
        threads = 1 if self.labels is not None else threads_for(stop - start)
        borders = even_borders(self.places, start, stop, threads, reach=self.rows)
        share_out(work, [self._pieces(*ends) for ends in pairwise(borders)], threads)

    def _pieces(self, start: int, stop: int) -> Iterator["_Piece"]:
        for index, low, high in overlaps(self._starts, start, stop):
            file, at = self._files[index], low - self._starts[index]
            parts = file.parts(at, high - self._starts[index])
            while (columns := _guarded(file.path, partial(next, parts, None))) is not None:
                yield _Piece(index, at, columns)
                at += len(columns[0])

    def _kept(self, item: "_Piece") -> Part:
        """Return a part without the rows to leave out."""
        if self._is_good(item.columns):
            return item.columns
        return self._judged(item.file, np.stack(list(item.columns)), item.first)

    def _is_good(self, columns: Part) -> bool:
        """Tell whether all numbers are finite, and positive where they must be: quickly, while they are in a cache."""
        is_positive = self.positive is None or bool((columns[self.positive] > 0).all())
        return self.labels is None and is_positive and all(map(has_finite_sum, columns))

    def read(self, start: int, stop: int) -> Array:
        """Return the rows from start to before stop, shape (C, n); fewer where rows are left out.

        Raises:
            DataError: If a number is missing, infinite, or not positive where it must be.
        """
        pieces = list(overlaps(self._starts, start, stop))
        if len(pieces) == 1:
            index, low, high = pieces[0]
            first = self._starts[index]
            if (values := self._files[index].view(low - first, high - first)) is not None:
                return values if self._are_good(values) else self._judged(index, values, low - first)
        whole, are_good = self._whole(start, stop)
        if are_good:
            return whole
        kept = [
            self._judged(index, whole[:, low - start : high - start], low - self._starts[index])
            for index, low, high in pieces
        ]
        return np.concatenate(kept, axis=1)

    def _are_good(self, values: Array) -> bool:
        threads, found = threads_for(values.shape[1]), list[bool]()
        slices = even_slices(values.shape[1], threads)
        share_out(lambda rows: found.append(self._is_good(values[:, rows])), slices, threads)
        return all(found)

    def _whole(self, start: int, stop: int) -> tuple[Array, bool]:
        """Return all rows in one array, and whether none is to be judged."""
        whole, found = np.empty((len(self.columns), max(0, stop - start))), list[bool]()

        def write(item: _Piece) -> None:
            at = self._starts[item.file] + item.first - start
            place = whole[:, at : at + len(item.columns[0])]
            for row, column in zip(place, item.columns, strict=True):
                row[:] = column
            found.append(self._is_good(place))

        self._share_out(start, stop, write)
        return whole, all(found)

    def _judged(self, index: int, values: Array, first: int) -> Array:
        """Return the rows of a file, from the first on, without those to leave out, once none is to be refused."""
        path = self._files[index].path
        missing = ~np.isfinite(values)
        if self.positive is not None:
            wrong = np.zeros_like(missing)
            wrong[self.positive] = values[self.positive] <= 0
            self._require_none(wrong & ~missing, path, values, first, "be positive", POSITIVE_ADVICE)
        if self.labels is not None:
            wrong = np.zeros_like(missing)
            wrong[-1] = (values[-1] != np.floor(values[-1])) & ~missing[-1]
            self._require_none(wrong, path, values, first, "name series by whole numbers or texts", SERIES_ADVICE)
        if self.nan_policy == "omit":
            return values[:, ~missing.any(axis=0)] if missing.any() else values
        self._require_none(missing, path, values, first, "be finite", "; --data.nan_policy omit leaves such rows out")
        return values

    def _require_none(
        self, bad: NDArray[np.bool_], path: Path, values: Array, first: int, expected: str, advice: str = ""
    ) -> None:
        if not bad.any():
            return
        rows = bad.any(axis=0)
        row = int(rows.argmax())
        column = int(bad[:, row].argmax())
        got = "a missing number" if np.isnan(values[column, row]) else f"{values[column, row]:g}"
        raise DataError(
            f"{path}: column {str(self.columns[column])!r} must {expected}, got {got} in data row {first + row + 1}, "
            f"and {counted(int(rows.sum()), 'such row')} in all{advice}"
        )

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column, shape (C, 2), where every file says them itself."""
        found = [file.extremes() for file in self._files if file.rows]
        known = [part for part in found if part is not None]
        if len(known) < len(found) or self.nan_policy == "omit":  # a row that is left out may hold the largest x
            return None
        stacked = np.stack(known)
        return np.stack([stacked[:, :, 0].min(axis=0), stacked[:, :, 1].max(axis=0)], axis=1)


class _Piece(NamedTuple):
    """Consecutive rows of the file with a number, from the first on."""

    file: int
    first: int
    columns: Part


def _places(sizes: Sequence[int], rank: int, processes: int) -> list[Place]:
    """Return where files of so many bytes stand, of which this process parses its share where they are text."""
    before = accumulate(sizes, initial=0)
    return [Place(start, max(sum(sizes), 1), rank, processes) for start, _ in zip(before, sizes, strict=False)]


def _opened(file: Path, place: Place, columns: Sequence[Column], labels: Labels | None) -> FileColumns:
    readers: dict[Kind, Callable[[], FileColumns]] = {
        "text": lambda: read_delimited(file, columns, False, labels, place),
        "gzip": lambda: read_delimited(file, columns, True, labels),
        "parquet": lambda: ParquetColumns(file, columns, labels),
        "arrow": lambda: ArrowColumns(file, columns, labels),
        "npy": lambda: ArrayColumns(file, columns),
        "npz": lambda: read_npz(file, columns),
    }
    opened: FileColumns = _guarded(file, lambda: readers[kind_of(file)]())
    return opened


def _guarded(path: Path, read: Callable[[], T]) -> T:
    """Read, and name the file in whatever the libraries raise for a damaged one: they raise many kinds."""
    try:
        return read()
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"{path} needs more memory than there is: Parquet, Arrow and NPY files are streamed") from None
    except Exception as error:
        # The first sentence: the next one of some libraries is the one that is said here.
        reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")[:200] or type(error).__name__
        raise DataError(f"{path} is damaged, or not what its name says: {reason}") from error
