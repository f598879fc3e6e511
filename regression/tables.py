"""A table of points in one or many files: read in blocks of rows, finite or refused."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from regression.columnar import ArrayColumns, ArrowColumns, read_npz
from regression.columns import Array, Column, FileColumns, Room, has_finite_sum, overlaps
from regression.delimited import read_delimited
from regression.errors import DataError, counted
from regression.files import Kind, find_files, kind_of
from regression.labels import Labels
from regression.parquet import ParquetColumns
from regression.sums import shared_out

__all__ = ["NanPolicy", "Table"]

ROWS = 1 << 18  # that a thread looks at between two words with the others
NanPolicy = Literal["raise", "omit"]
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
        self._files = [_opened(file, self.columns, self.labels) for file in find_files(path)]
        self._room = Room()
        self._starts = [0]
        self.cuts = [0]
        for file in self._files:
            self.cuts += [self._starts[-1] + cut for cut in file.cuts[1:]]
            self._starts.append(self._starts[-1] + file.rows)
        self.rows = self._starts[-1]
        self.in_memory = all(file.in_memory for file in self._files)
        if not self.rows:
            raise DataError(f"{path}: expected at least one row, got a table without any")

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
                return self._checked(self._files[index], values, low - first)
        room = self._room.take(len(self.columns), max(0, stop - start))
        kept = [self._filled(*piece, room[:, piece[1] - start : piece[2] - start]) for piece in pieces]
        is_whole = sum(part.shape[1] for part in kept) == room.shape[1]
        return room if is_whole else np.concatenate(kept, axis=1)

    def _filled(self, index: int, low: int, high: int, out: Array) -> Array:
        """Read some of the rows of a file into an array, and return those that are kept."""
        file, first = self._files[index], self._starts[index]
        _guarded(file.path, lambda: file.fill(low - first, high - first, out))
        return self._checked(file, out, low - first)

    def _checked(self, file: FileColumns, values: Array, first: int) -> Array:
        path, is_plain = file.path, self.positive is None and self.labels is None
        if is_plain and (file.is_finite or _have_finite_sums(values)):
            return values  # what is true of nearly all tables, in at most one pass without more memory
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


def _have_finite_sums(values: Array) -> bool:
    def work(parts: Iterator[slice]) -> bool:
        return all(has_finite_sum(values[:, part]) for part in parts)

    return all(shared_out(work, torch.from_numpy(values[0]), ROWS))


def _opened(file: Path, columns: Sequence[Column], labels: Labels | None) -> FileColumns:
    readers: dict[Kind, Callable[[], FileColumns]] = {
        "text": lambda: read_delimited(file, columns, False, labels),
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
