"""The data module of points in columns of files."""

import os
from pathlib import Path
from typing import Any

from regression.common.arrays import NanPolicy, as_plain
from regression.common.errors import DataError, UsageError
from regression.common.rules import PATH, one_of, require_option, whole
from regression.common.text import counted
from regression.data.data_modules import PointsDataModule
from regression.data.rows import Rows, counted_rows, table_rows
from regression.data.standard_input import STANDARD_INPUT
from regression.data.table import Table
from regression.readers.columns import Column
from regression.readers.dialect import Dialect, Header
from regression.stores.address import Address, as_local, is_address

__all__ = ["TableDataModule"]


class TableDataModule(PointsDataModule):
    """Points from columns of one or many files, as float64.

    CSV and TSV text, also packed as .gz, .bz2, .xz or .zst, Parquet, Arrow (Feather), NPY and NPZ. Parquet, Arrow
    and NPY tables with more than ``in_memory_rows`` rows are streamed: the memory they need does not grow with their
    rows. Of large text that holds the wanted numbers alone each process parses a range of its own.

    Args:
        path: A file; a folder, for all tables in it; a pattern such as ``data/*.parquet``; or ``-`` for standard input.
        x: Name of the column of x, or its number counted from 1.
        y: Name or number of the column of y; not read to predict.
        sigma: Name or number of the column of the standard deviations of y; ``null`` for equal ones.
        sigma_x: Name or number of the column of the standard deviations of x, for an exact line that is nearest in
            units of both (York et al. 2004); ``null`` where x has no errors.
        weights: Name or number of a column of reciprocal variances 1 / sigma², instead of sigma.
        counts: Name or number of a column of whole numbers: of how many equal observations a row stands for; these are
            then the points. Not read to predict.
        series: Name or number of a column of whole numbers or texts, of which each names a series that is fitted for
            itself, with ``--model.solver exact``; ``null`` for one fit of all points.
        nan_policy: Whether rows with a missing or infinite number are refused (``raise``), or left out and counted
            (``omit``).
        validation_path: File, folder or pattern of the points to validate on, instead of ``validation_fraction``.
        in_memory_rows: Largest number of rows that is read into memory at once.
        comment: What lines of text begin with that are no rows, such as ``#``; ``auto`` takes ``#`` where the first
            line begins with it.
        skip_rows: Lines of text above the header to leave out.
        header: Whether the first row of text names the columns (``row``) or there are numbers from the first row on
            (``none``), with columns given by number; ``auto`` refuses what may be either.
        units_row: Whether a row of units stands under the header; by default where it holds nothing but known units.
        delimiter: What parts the cells of text: a character, ``tab``, or ``blanks`` for any number of them; ``auto``
            takes that of ``, ; tab |`` which finds the columns in the header, or blanks where none does.
        decimal: The decimal sign in text, ``.`` or ``,``.
        thousands: The sign between groups of three digits in text, if there is one; a blank may be a narrow one.
        missing: Cells of text that hold no number, with commas between them, beside empty ones; a number among them,
            such as -999, is missing however it is written.
    """

    def __init__(
        self,
        path: str,
        x: Column = "x",
        y: Column = "y",
        sigma: Column | None = None,
        series: Column | None = None,
        nan_policy: NanPolicy = "raise",
        validation_path: str | None = None,
        in_memory_rows: int = 10_000_000,
        comment: str = "auto",
        skip_rows: int = 0,
        header: Header = "auto",
        units_row: bool | None = None,
        delimiter: str = "auto",
        decimal: str = ".",
        thousands: str = "",
        missing: str = "NA,N/A,n/a,#N/A,NULL,null,NaN,nan",
        sigma_x: Column | None = None,
        weights: Column | None = None,
        counts: Column | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        require_option("path", path, PATH)
        for given in filter(is_address, filter(None, (path, validation_path))):
            Address.parse(as_local(given))
        require_option("nan_policy", nan_policy, one_of(NanPolicy))
        require_option("in_memory_rows", in_memory_rows, whole())
        if validation_path is not None and self.validation_fraction:
            raise UsageError("give validation_path or validation_fraction, not both")
        self.dialect = Dialect(comment, skip_rows, header, units_row, delimiter, decimal, thousands, missing)
        self.save_hyperparameters()
        self.path, self.validation_path = as_plain((path, validation_path))
        self.nan_policy, self.in_memory_rows = nan_policy, in_memory_rows
        self.x, self.y, self.sigma, self.series, self.sigma_x = x, y, sigma, series, sigma_x
        self.weights, self.counts = weights, counts
        self._require_one_meaning()
        self.axes = (str(x), str(y))  # once the table is open, those that it has
        for name in ("validation_path", "validation_fraction") if series is not None else ():
            if value := getattr(self, name):
                raise UsageError(f"series are fitted to all points: leave out {name} {value}")
        if series is not None and series in (x, y, sigma):
            raise UsageError(f"series must name a column other than x, y and sigma, got {series}")
        if sigma_x is not None and (sigma is None or series is not None):
            raise UsageError(f"sigma_x needs the sigma of y, and no series: give sigma, or leave out sigma_x {sigma_x}")

    @property
    def provenance(self) -> str:
        """The number of rows, and the file, folder or pattern."""
        path = Path(os.path.expanduser(self.path))
        name = "standard input" if self.path == STANDARD_INPUT else path.name if path.is_file() else self.path
        what = "row" if self.counts is None else "observation"
        return f"{counted(len(self.all) + self.all.omitted, what)} of {name}"

    def rows(self, stage: str) -> Rows:
        """Open the table; without y to predict."""
        if self.series is not None and stage != "fit":
            raise UsageError(f"only fit takes series: leave out --data.series {self.series}")
        return self._open(self.path, stage != "predict", stage == "fit")

    def validation_rows(self) -> Rows | None:
        """Open the table to validate on."""
        return None if self.validation_path is None else self._open(self.validation_path, has_y=True)

    def _require_one_meaning(self) -> None:
        """Refuse columns that contradict each other."""
        if self.sigma is not None and self.weights is not None:
            raise UsageError("sigma and weights = 1 / sigma² say the same: give one of them")
        if self.counts is not None and (self.series is not None or self.sigma_x is not None):
            what = "series take" if self.sigma_x is None else "a line with sigma_x takes"
            raise UsageError(f"{what} no counts: leave out counts {self.counts}, or repeat the rows")

    def _open(self, path: str, has_y: bool, has_sigma_x: bool = False) -> Rows:
        sigma, has_counts = self.sigma if self.weights is None else self.weights, has_y and self.counts is not None
        first = (True, self.x), (has_y, self.y), (has_counts, self.counts)
        errors = (True, sigma), (has_sigma_x, self.sigma_x), (True, self.series)
        columns, last = ([name for is_read, name in part if is_read and name is not None] for part in (first, errors))
        positive, columns = None if sigma is None else len(columns), [*columns, *last]
        table = Table(path, columns, positive, self.nan_policy, self.series is not None, self.dialect)
        if has_y and path == self.path:
            self.axes = table.headings[0], table.headings[1]
        has_weights, most = self.weights is not None, self.in_memory_rows
        rows = counted_rows(table, most, has_weights) if has_counts else table_rows(table, has_y, most, has_weights)
        if not len(rows):
            raise DataError(f"{path}: no row is left: each of its {table.rows:,} has a missing or infinite number")
        return rows
