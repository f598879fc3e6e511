"""The data module of points in columns of files."""

import os
from pathlib import Path
from typing import Any, NoReturn

from regression.common.arrays import NanPolicy, as_plain
from regression.common.errors import DataError, UsageError
from regression.common.rules import PATH, one_of, or_null, require_option, whole
from regression.common.text import counted
from regression.common.time_scale import TimeScale, TimeUnit, headed
from regression.common.times import named_origin
from regression.data.data_modules import PointsDataModule
from regression.data.rows import Rows, counted_rows, table_rows
from regression.data.table import Table
from regression.readers.clock import Clock
from regression.readers.columns import SERIES, Column
from regression.readers.dialect import STANDARD, Dialect, Header
from regression.readers.standard_input import STANDARD_INPUT
from regression.stores.address import Address, as_local, is_address

__all__ = ["TableDataModule"]

TWO_COLUMNS = "x and y must be two columns"


class TableDataModule(PointsDataModule):
    """Points from columns of one or many files, as float64.

    Reads CSV and TSV text, also compressed as .gz, .bz2, .xz or .zst, Parquet, Arrow (Feather), NPY and NPZ. Parquet,
    Arrow and NPY tables with more than ``in_memory_rows`` rows are streamed: the memory they need does not grow with
    their rows. Large text whose columns are all wanted numbers is divided among the processes, which each parse a part.

    Args:
        path: A file; a folder, for all tables in it; a pattern such as ``data/*.parquet``; the address of one of these
            in a store, such as ``s3://bucket/points``; or ``-`` for standard input.
        x: Name of the column of x, or its number counted from 1.
        y: Name or number of the column of y; not read to predict.
        sigma: Name or number of the column of the standard deviations of y; ``null`` for equal ones.
        sigma_x: Name or number of the column of the standard deviations of x, for an exact line through points with
            errors in x and y (York et al. 2004); ``null`` where x has no errors.
        weights: Name or number of a column of reciprocal variances 1 / sigma², instead of sigma.
        counts: Name or number of a column that says how many equal observations a row stands for; these observations
            are then the points. Not read to predict.
        series: Name or number of a column of whole numbers or texts that name the series of each row; each series is
            fitted by itself, with ``--model.solver exact``. ``null`` for one fit of all points.
        nan_policy: Whether rows with a missing or infinite number are refused (``raise``), or left out and counted
            (``omit``).
        validation_path: File, folder or pattern of the points to validate on, instead of ``validation_fraction``.
        in_memory_rows: Largest number of rows that is read into memory at once.
        comment: Mark at the beginning of lines of text that are comments, such as ``#``; ``auto`` takes ``#`` if the
            first line begins with it.
        skip_rows: Number of lines of text above the header to leave out.
        header: Whether the first row of text names the columns (``row``), or there are numbers from the first row on
            (``none``) and columns are given by number; ``auto`` refuses a first row that may be either.
        units_row: Whether a row of units follows the header; by default if it holds only known units.
        delimiter: Separator of the cells of text: a character, ``tab``, or ``blanks`` for any number of them; ``auto``
            takes that of ``, ; tab |`` which finds the columns in the header, or blanks if none does.
        decimal: The decimal sign in text, ``.`` or ``,``.
        thousands: The sign between groups of three digits in text, if there is one; for a blank also a narrow one.
        missing: Cells of text that stand for missing numbers, separated by commas, beside empty cells; a number among
            them, such as -999, is missing however it is written.
        widths: Width of each column of text in characters, separated by commas, such as ``8,10,10``; cells need no
            separator then. Text after the last column is refused; cells after the end of a line are empty.
        time_unit: Unit of the numbers that times of x or y are converted to: ``ns``, ``us``, ``ms``, ``s``, ``min``,
            ``h`` or ``d``; by default seconds, and to predict that of the fit.
        time_origin: The instant at which x is 0, such as ``2024-01-31T12:00:00Z``; by default the first one of the
            file, and to predict that of the fit.
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
        missing: str = STANDARD.missing,
        sigma_x: Column | None = None,
        weights: Column | None = None,
        counts: Column | None = None,
        widths: str = "",
        time_unit: TimeUnit | None = None,
        time_origin: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        require_option("path", path, PATH)
        local = [given and as_local(given) for given in as_plain((path, validation_path))]
        for given in filter(is_address, filter(None, local)):
            Address.parse(given)
        require_option("nan_policy", nan_policy, one_of(NanPolicy))
        require_option("in_memory_rows", in_memory_rows, whole())
        if validation_path is not None and self.validation_fraction:
            raise UsageError("give validation_path or validation_fraction, not both")
        self.dialect = Dialect(comment, skip_rows, header, units_row, delimiter, decimal, thousands, missing, widths)
        require_option("time_unit", time_unit, or_null(one_of(TimeUnit)))
        self.time_unit, self.time_origin = time_unit, named_origin(time_origin)
        self.save_hyperparameters()
        self.path, self.validation_path = local
        self.nan_policy, self.in_memory_rows = nan_policy, in_memory_rows
        self.x, self.y, self.sigma, self.series, self.sigma_x = x, y, sigma, series, sigma_x
        self.weights, self.counts = weights, counts
        self._require_one_meaning()
        self.axes = (str(x), str(y))  # until the table is open, which states their names
        for name in ("validation_path", "validation_fraction") if series is not None else ():
            if value := getattr(self, name):
                raise UsageError(f"series are fitted to all points: leave out {name} {value}")
        if series is not None and series in (x, y, sigma):
            raise UsageError(f"series must name a column other than x, y and sigma, got {series}")
        if sigma_x is not None and series is not None:
            self._refuse_sigma_x()

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
        if stage == "fit" and self.sigma_x is not None and self.sigma is None:  # to predict neither is read
            self._refuse_sigma_x()
        fitted = None if stage == "fit" or self.trainer is None else self.trainer.lightning_module
        fit = getattr(fitted, "result", None)
        like = getattr(fit, "x_time", None) or getattr(fit, "y_time", None)
        table, rows = self._open(self.path, like, stage != "predict", stage == "fit")
        self.x_time, self.y_time = (table.clock.scales.get(role) for role in ("x", "y"))
        # Two different numbers, or two different names, are two columns.
        is_mixed = str(self.x).isdecimal() != str(self.y).isdecimal()
        if stage != "predict" and is_mixed and table.headings[0] == table.headings[1]:
            raise UsageError(f"{TWO_COLUMNS}, got {self.x} and {self.y}, which are the same one of {self.path}")
        if stage != "predict":
            self.axes = headed(table.headings[0], self.x_time), headed(table.headings[1], self.y_time)
        return rows

    def validation_rows(self) -> Rows | None:
        """Open the table to validate on."""
        if self.validation_path is None:
            return None
        table, rows = self._open(self.validation_path, self.x_time or self.y_time)
        for role, scale in (("x", self.x_time), ("y", self.y_time)):
            if (found := table.clock.scales.get(role)) != scale:
                words = [each.kind if each else "numbers" for each in (scale, found)]
                raise DataError(f"{self.validation_path}: {role} must hold {words[0]}, as {self.path}, got {words[1]}")
        return rows

    def _require_one_meaning(self) -> None:
        """Refuse columns that contradict each other."""
        if str(self.x) == str(self.y):
            raise UsageError(f"{TWO_COLUMNS}, got {self.x} for both")
        if self.sigma is not None and self.weights is not None:
            raise UsageError("sigma and weights = 1 / sigma² say the same: give one of them")
        if self.counts is not None and (self.series is not None or self.sigma_x is not None):
            what = "series take" if self.sigma_x is None else "a line with sigma_x takes"
            raise UsageError(f"{what} no counts: leave out counts {self.counts}, or repeat the rows")

    def _refuse_sigma_x(self) -> NoReturn:
        raise UsageError(
            f"sigma_x needs the sigma of y, and no series: give sigma, or leave out sigma_x {self.sigma_x}"
        )

    def _open(
        self, path: str, like: TimeScale | None, has_y: bool = True, has_sigma_x: bool = False
    ) -> tuple[Table, Rows]:
        has_counts, has_weights = has_y and self.counts is not None, self.weights is not None
        named = {"x": self.x, "y": self.y if has_y else None, "counts": self.counts if has_counts else None}
        named |= {"sigma": self.sigma, "weights": self.weights, "sigma_x": self.sigma_x if has_sigma_x else None}
        columns = {role: name for role, name in (named | {SERIES: self.series}).items() if name is not None}
        positive = next((at for at, role in enumerate(columns) if role in ("sigma", "weights")), None)
        clock, has_series = Clock(self.time_unit, self.time_origin, like), self.series is not None
        given = (path, list(columns.values()), positive, self.nan_policy, has_series, self.dialect)
        table, most = Table(*given, clock=clock, roles=list(columns)), self.in_memory_rows
        rows = counted_rows(table, most, has_weights) if has_counts else table_rows(table, has_y, most, has_weights)
        if not len(rows):
            raise DataError(f"{path}: no row is left: each of its {table.rows:,} has a missing or infinite number")
        return table, rows
