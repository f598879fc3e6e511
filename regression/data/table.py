"""A table of points in one or many files: reads blocks of rows, and refuses numbers that break a rule."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from itertools import accumulate, groupby, pairwise
from operator import attrgetter
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from regression.common.arrays import NanPolicy
from regression.common.collectives import all_gather_objects, rank_and_size
from regression.common.errors import DataError, UsageError
from regression.common.row_ranges import even_borders, merged_cuts, overlaps
from regression.common.text import counted
from regression.common.threads import share_out, threads_for
from regression.data.files import find_files, open_file
from regression.data.footers import open_sources, share_footers
from regression.readers.clock import ROLES, Clock
from regression.readers.columns import BLOCK, Array, Column, Part, Wanted, joined_ends
from regression.readers.dialect import STANDARD, Dialect
from regression.readers.series_names import Labels

__all__ = ["Table"]

COUNTS = "counts"  # the role of a column that says how many observations a row stands for
RULES = {  # in the order in which they are checked, with the advice for numbers that break them
    "be positive": "; a standard deviation, or a weight, is above 0: correct it, or leave the row out",
    "be a whole number of at least 0": "; a row stands for so many observations: correct it, or leave the row out",
    "name series by whole numbers or texts": "; choose another column with --data.series",
    "be finite": "; --data.nan_policy omit leaves such rows out",
}


class Table:
    """Columns of numbers in one or many files, one after the other, as float64.

    Args:
        path: A file, a folder, or a pattern.
        columns: Names or numbers of the columns.
        positive: Position of the first column whose numbers must be positive, as must those of all columns after it
            but names of series; ``None`` if there is none.
        nan_policy: Whether rows with a missing or infinite number are refused (``raise``) or left out (``omit``).
        has_series: Whether the last column names the series of a row, by whole numbers or texts, read as codes.
        dialect: How text files are written.
        block_rows: Largest number of rows of a block.
        clock: Converts times to numbers, by default to seconds since the first one.
        roles: Role of each column of numbers, such as ``x``.

    Attributes:
        headings: Names of the columns, with units where the first file has them.
        rows: Number of rows, including those to leave out.
        cuts: Rows at which blocks begin, and the end.
        is_sound: Whether it is known that no row is to be refused or left out.
        labels: Names of the series by their codes, or ``None`` without series.

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
        dialect: Dialect = STANDARD,
        block_rows: int = BLOCK,
        clock: Clock | None = None,
        roles: Sequence[str] = ROLES,
    ) -> None:
        self.columns, self.nan_policy, self._roles = list(columns), nan_policy, roles
        last = len(self.columns) - has_series
        self.positive = slice(last if positive is None else positive, last)
        self.labels = Labels() if has_series else None
        sources = open_sources(find_files(path))
        share_footers(sources)
        rank, self._processes = rank_and_size()
        *before, total = accumulate((source.size for source in sources), initial=0)
        low, high = (total * process // self._processes for process in (rank, rank + 1))  # bytes of this process
        self.clock = clock or Clock()
        wanted = Wanted(self.columns, self.labels, dialect=dialect, clock=self.clock, roles=roles)
        self._files = [
            open_file(source, wanted._replace(own_bytes=range(low - first, high - first)))
            for source, first in zip(sources, before, strict=True)
        ]
        self.headings = self._files[0].headings
        if self.labels is not None:
            for file in self._files:
                self.labels.expect(file.source.path, file.has_texts)
        self._starts = [0, *accumulate(file.rows for file in self._files)]
        self.rows = self._starts[-1]
        if not self.rows:
            raise DataError(f"{path}: expected at least one row, got a table without any")
        self._cuts = [merged_cuts(file.sizes, block_rows) for file in self._files]
        self.cuts = self._rows_of_table(self._cuts)
        own, end = (self.rows * process // self._processes for process in (rank, rank + 1))
        self.clock.begin(lambda: self.scan(own, end, _ignore, is_checked_by_work=True))
        ends = self.extremes() if self._has_positive else None
        is_positive = ends is None or bool((ends[self.positive, 0] > 0).all())
        self.is_sound = is_positive and all(file.is_finite for file in self._files)

    @property
    def _has_positive(self) -> bool:
        return self.positive.start < self.positive.stop

    def _rows_of_table(self, places: Sequence[Sequence[int]]) -> list[int]:
        """Return row numbers of the table from those of each file, which begin with 0."""
        return [0, *(first + row for first, own in zip(self._starts, places, strict=False) for row in own[1:])]

    @cached_property
    def places(self) -> Sequence[int]:
        """Rows at which reading can begin without waste, from 0 to ``rows``."""
        if all(isinstance(file.places, range) for file in self._files):
            return range(self.rows + 1)
        pairs = zip(self._files, self._cuts, strict=True)
        return self._rows_of_table([cuts if isinstance(file.places, range) else file.places for file, cuts in pairs])

    def borders(self, processes: int) -> list[int] | None:
        """Return the row at which the text that each process has parsed begins, and the end; ``None`` if not text."""
        if processes == 1 or processes != self._processes or not all(file.owned for file in self._files):
            return None
        files = zip(self._starts, self._files, strict=False)
        owned = [(owner, first + row) for first, file in files for owner, row in file.owned]
        begun = [next((row for owner, row in owned if owner >= process), self.rows) for process in range(processes)]
        return [*begun, self.rows]

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column, shape (C, 2), if every file states them."""
        if self.nan_policy == "omit":  # a row to leave out may hold the largest x
            return None
        found = [file.extremes() for file in self._files if file.rows]
        known = [ends for ends in found if ends is not None]
        if len(known) < len(found):
            return None
        return joined_ends(np.stack(known))

    def scan(self, start: int, stop: int, work: Callable[[int, Part], None], is_checked_by_work: bool = False) -> None:
        """Call ``work`` with the number of the first row and the columns of each part of the rows.

        Several threads call it at once, each with the parts that it decoded. A part is valid only during the call.

        Args:
            start: First row.
            stop: Row after the last.
            work: What to do with a part, without the rows to leave out.
            is_checked_by_work: Whether ``work`` raises a ``UsageError`` for a number that is not finite; then parts are
                checked before only if rows are left out or there are other rules.

        Raises:
            DataError: If a number breaks a rule; ``work`` may have been called with other parts.
        """
        is_plain = not self._has_positive and self.labels is None
        is_trusted = is_checked_by_work and self.nan_policy == "raise" and is_plain

        def add(piece: _Piece) -> None:
            columns = piece.columns if is_trusted else self._without_incomplete(piece.columns)
            try:
                work(self._starts[piece.file] + piece.first, columns)
            except UsageError as error:
                raise DataError(f"{self._files[piece.file].source.path}: {error}") from None

        # The codes of texts are their places in the order in which they are read, so one thread reads all of them.
        threads = 1 if self.labels is not None else threads_for(stop - start)
        borders = even_borders(self.places, start, stop, threads, reach=self.rows)
        try:
            share_out(add, [self._pieces(*ends) for ends in pairwise(borders)], threads)
        except UsageError:
            self._refuse(start, stop)
            raise
        for index, *_ in overlaps(self._starts, start, stop):
            file = self._files[index]
            if file.source.is_stored and not file.is_loaded:  # files on this machine were checked after each part
                file.source.require_same()

    def _pieces(self, start: int, stop: int) -> Iterator["_Piece"]:
        for index, low, high in overlaps(self._starts, start, stop):
            file, at = self._files[index], low - self._starts[index]
            take = partial(next, file.parts(at, high - self._starts[index]), None)
            while (columns := take() if file.is_loaded else file.source.guarded(take)) is not None:
                yield _Piece(index, at, columns)
                at += len(columns[0])

    def _without_incomplete(self, columns: Part) -> Part:
        """Return a part without the rows to leave out, or raise an error if a row is to be refused."""
        if self._is_good(columns):
            return columns
        values = np.stack(list(columns))
        if any(bad.any() for _, bad in self._check(values)):
            raise UsageError("some rows are to be refused")  # the caller looks for the first of them
        return values[:, np.isfinite(values).all(axis=0)]

    def _is_good(self, columns: Part) -> bool:
        """Tell whether all numbers are finite, and positive where they must be; it may be ``False`` for huge numbers.

        A sum is quicker than a check of each number, and finite only if all of them are.
        """
        if self.labels is not None or not all((column > 0).all() for column in columns[self.positive]):
            return False
        with np.errstate(over="ignore", invalid="ignore"):  # the sum of huge finite numbers may be infinite too
            return all(bool(np.isfinite(column.sum())) for column in columns)

    def _check(self, values: Array) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield each rule with a mask of the values, shape (C, n), that break it."""
        column, is_known = np.arange(len(self.columns))[:, None], np.isfinite(values)
        if self._has_positive:
            must = (column >= self.positive.start) & (column < self.positive.stop)
            yield "be positive", must & (values <= 0) & is_known
        if COUNTS in self._roles:
            is_count = column == list(self._roles).index(COUNTS)
            yield "be a whole number of at least 0", is_count & ((values < 0) | (values != np.floor(values))) & is_known
        if self.labels is not None:
            is_name = column == len(self.columns) - 1
            yield "name series by whole numbers or texts", is_name & (values != np.floor(values)) & is_known
        if self.nan_policy == "raise":
            yield "be finite", ~is_known

    def refuse(self, error: UsageError) -> NoReturn:
        """Refuse the first row that breaks a rule, or the table with the given error if no row does."""
        self._refuse(0, self.rows)
        raise DataError(f"{self._files[0].source.path}: {error}")

    def _refuse(self, start: int, stop: int) -> None:
        """Raise an error that names the first row of a file that breaks a rule, and how many rows do; else return."""
        for index, pieces in groupby(self._pieces(start, stop), attrgetter("file")):
            counts, words = Counter[str](), dict[str, str]()
            for piece in pieces:
                values = np.stack(list(piece.columns))
                for rule, bad in self._check(values):
                    rows = bad.any(axis=0)
                    if rows.any() and rule not in words:
                        row = int(rows.argmax())
                        column = int(bad[:, row].argmax())
                        got = "a missing number" if np.isnan(values[column, row]) else f"{values[column, row]:g}"
                        name = str(self.columns[column])
                        words[rule] = f"{name!r} must {rule}, got {got} in data row {piece.first + row + 1}"
                    counts[rule] += int(rows.sum())
            for rule in (rule for rule in RULES if rule in words):
                path, rows_like_it = self._files[index].source.path, counted(counts[rule], "such row")
                raise DataError(f"{path}: column {words[rule]}, and {rows_like_it} in all{RULES[rule]}")

    def read(self, start: int, stop: int) -> Array:
        """Return the rows from start to before stop, shape (C, n); fewer where rows are left out.

        Raises:
            DataError: As ``scan`` does.
        """
        whole, kept = np.empty((len(self.columns), max(0, stop - start))), dict[int, int]()

        def write(first: int, columns: Part) -> None:
            at, count = first - start, len(columns[0])
            for row, column in zip(whole, columns, strict=True):
                row[at : at + count] = column
            kept[at] = count

        self.scan(start, stop, write)
        if sum(kept.values()) == whole.shape[1]:
            return whole
        return np.concatenate([whole[:, at : at + count] for at, count in sorted(kept.items())], axis=1)

    def read_together(self) -> Array:
        """Return all rows, shape (C, n); every process must call it.

        From a store each process reads a share and sends it to the others, because reading all rows takes longer.
        """
        rank, processes = rank_and_size()
        if processes == 1 or self.labels is not None or not any(file.source.is_stored for file in self._files):
            return self.read(0, self.rows)
        borders, own = even_borders(self.places, 0, self.rows, processes, reach=self.rows), None
        with suppress(UsageError):
            own = self.read(borders[rank], borders[rank + 1])
        gathered: list[Array | None] = all_gather_objects(own)
        shares = [share for share in gathered if share is not None]
        # If a share is refused, every process reads all rows, so that all raise the same error.
        return np.concatenate(shares, axis=1) if len(shares) == processes else self.read(0, self.rows)


def _ignore(first: int, columns: Part) -> None:
    """Do nothing: the scan for the first instant is done when the readers have decoded all times."""


class _Piece(NamedTuple):
    """Consecutive rows of one file: its index, the number of the first row in it, and the columns."""

    file: int
    first: int
    columns: Part
