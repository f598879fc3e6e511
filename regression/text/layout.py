"""Where the rows of a text begin, the names of its columns, and the delimiter: as given, or found if certain."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from regression.common.errors import DataError
from regression.common.text import counted
from regression.readers.columns import Column, Wanted, find_columns
from regression.readers.dialect import AUTO, BLANKS, BY_BLANKS, DELIMITERS, Dialect
from regression.readers.source import FilePath
from regression.text.large_csv import BOM
from regression.text.lines import MOST_LINE_BYTES, Lines, cut, is_cut, tidy_rows

__all__ = ["Layout", "find_rows"]

EXCEL = re.compile(rb'"?sep=(.)"?[\r\n]*', flags=re.IGNORECASE)
SYMBOL = (
    r"(?:da|[yzafpnuµμmcdhkMGTPEZY])?"
    r"(?:mol|cd|Hz|Pa|Wb|lm|lx|Bq|Gy|Sv|eV|Da|bar|cal|Torr|[oO]hms?|[mgsAKNJWCVFΩSTHlLMG])"
)
WORD = (
    r"%|‰|ppm|ppb|°[CF]?|deg(?:[CF]|rees?)?|rad|sr|min|hr?|d|yr|atm|mmHg|psi|dBm?|"
    r"(?i:counts?|cts|px|pixels?|a\.u\.|arb\. ?u(?:nits|\.)"
    r"|sec(?:onds?)?|minutes?|hours?|days?|years?|volts?|amperes?|kelvins?|celsius|met(?:er|re)s?|grams?|watts?|joules?|newtons?)"
)
POWER = r"(?:\^?[-−]?\d|\^\([-−]?\d\)|[⁻¹²³]+)?"
UNIT = re.compile(rf"[\[(]?(?:1/)?(?:{SYMBOL}|{WORD}){POWER}(?:[·*/ .](?:{SYMBOL}|{WORD}){POWER})*[\])]?")
NUMBER = re.compile(
    r"[-+]?(?:\d[\d ,.'’_\u00a0\u202f]*|[.,]\d+)(?:[eEdDqQ][-+]?\d+)?|[-+]?(?i:nan|inf|infinity)"
    r"|\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?"  # an instant
)
LINES_AHEAD = 50  # searched for the wanted names, and for the first cells of a column


class Layout(NamedTuple):
    """How the rows of a text are to be read."""

    delimiter: str  # between cells, after ``tidy``
    names: list[str]  # of all columns
    units: list[str] | None  # from a row of units after the header
    positions: list[int]  # of the wanted columns
    has_extra: bool  # whether rows end with one more delimiter than the header
    is_plain: bool  # whether cells are separated by the delimiter before ``tidy`` too
    has_comments: bool  # whether there may be lines of comments
    tidy: Callable[[bytes], bytes]  # removes comments and blank lines, and puts the delimiter between cells

    @property
    def headings(self) -> list[str]:
        """Names of the wanted columns, with their units."""
        units = self.units or [""] * len(self.names)
        return [f"{self.names[k]} ({units[k].strip('[]() ')})" if units[k] else self.names[k] for k in self.positions]

    def column(self, lines: Lines, position: int) -> Iterator[str]:
        """Yield the first cells of a column, without taking their lines."""
        for line in self.tidy(b"".join(lines.peek(LINES_AHEAD))).splitlines():
            with suppress(UnicodeDecodeError, csv.Error, IndexError):
                yield _split(line, self.delimiter)[position]


class _First(NamedTuple):
    """The first row that is no comment: its bytes, delimiter and cells."""

    line: bytes
    delimiter: str
    cells: list[str]


def find_rows(path: FilePath, lines: Lines, wanted: Wanted, numbers: int) -> Layout:
    """Take the lines before the rows of numbers, and return how these are to be read.

    Args:
        path: The file.
        lines: Its text, from which all lines before the first row are taken.
        wanted: The columns to read, and the dialect, whose open options are found from the text if it is certain.
        numbers: Number of wanted columns that hold numbers.

    Raises:
        DataError: If there is no header row, a wanted column is missing, or the options do not fit the text.
    """
    dialect, columns = wanted.dialect, wanted.columns
    for k in range(dialect.skip_rows):
        if not lines.take():
            raise DataError(f"{path} has {counted(k, 'line')}: expected more than skip_rows {dialect.skip_rows}")
    line = _line(path, lines)
    marks = dialect.delimiters
    if sep := EXCEL.fullmatch(line):
        marks = marks if dialect.delimiter != AUTO else (sep[1].decode(errors="replace"),)
        line = _line(path, lines)
    comment, remark = _comment_mark(line, dialect), b""
    while comment and line.lstrip(BLANKS.encode()).startswith(comment.encode()):
        remark, line = line, _line(path, lines, " below its comments")
    delimiter = _delimiter(path, line, lines, marks, {str(column) for column in columns})
    first = _First(line, delimiter, _cells(path, line, delimiter))
    names = _names(path, first, remark.lstrip(BLANKS.encode())[len(comment.encode()) :], columns, dialect)
    if names is not first.cells:
        lines.put_back(line)
    try:
        positions = find_columns(path, names, wanted)
    except DataError as error:
        raise DataError(f"{error}{_hint(path, lines, first, columns)}") from None
    units = _units(path, lines, delimiter, len(names), positions[:numbers], dialect) if names is first.cells else None
    row = _cells(path, lines.peek(1)[0], delimiter, is_row=True)
    has_extra = len(row) == len(names) + 1 and not row[-1].strip(BLANKS)
    tidy = tidy_rows(delimiter, comment, len(names))
    tidied = "\t" if is_cut(delimiter) else delimiter
    return Layout(tidied, names, units, positions, has_extra, not is_cut(delimiter), bool(comment), tidy)


def _comment_mark(line: bytes, dialect: Dialect) -> str:
    if dialect.comment != AUTO:
        return dialect.comment
    return "#" if line.startswith(b"#") else ""


def _line(path: FilePath, lines: Lines, after: str = "") -> bytes:
    """Take the first line that is not blank."""
    line, skipped = b"", 0
    while not line.strip(b"\xef\xbb\xbf \t\r\n"):
        line = lines.take()
        skipped += len(line)
        if not line:
            raise DataError(f"{path} has no row{after}: expected a header row and at least one row of numbers")
        if skipped > MOST_LINE_BYTES:
            raise DataError(f"{path}: the first line is longer than a megabyte: expected the names of columns")
    if b"\0" in line:
        raise DataError(f"{path} is not text: expected a CSV file with a header row")
    return line.removeprefix(BOM)


def _split(line: bytes, delimiter: str) -> list[str]:
    if is_cut(delimiter):
        line, delimiter = cut(line, delimiter), "\t"
    return next(csv.reader([line.decode().rstrip("\r\n")], delimiter=delimiter, strict=True), [])


def _cells(path: FilePath, line: bytes, delimiter: str, is_row: bool = False) -> list[str]:
    """Return the cells of a line; none of a row that cannot be split, because the parser refuses it later."""
    with suppress(UnicodeDecodeError, csv.Error):
        return _split(line, delimiter)
    if is_row:
        return []
    raise DataError(f"{path}: the header row is not UTF-8 text with balanced quotation marks: save it as such")


def _delimiter(path: FilePath, line: bytes, lines: Lines, marks: Sequence[str], wanted: set[str]) -> str:
    """Return the delimiter with which a row has most of the wanted names, and of equal ones most cells."""
    cells = {}
    for mark in marks:
        with suppress(UnicodeDecodeError, csv.Error):
            cells[mark] = _split(line, mark)
    best = max(cells, key=lambda mark: (len(wanted & set(cells[mark])), len(cells[mark])), default=marks[0])
    if len(marks) > 1 and len(cells.get(best, ())) == 1 and not wanted & set(cells[best]):
        # No delimiter separates cells: blanks do if the next row then has as many cells, and a number among them.
        header, row = (_cells(path, each, BY_BLANKS, is_row=True) for each in (line, lines.peek(1)[0]))
        if len(header) > 1 and len(header) == len(row) and any(map(NUMBER.fullmatch, row)):
            return BY_BLANKS
    return best


def _names(path: FilePath, first: _First, remark: bytes, wanted: Sequence[Column], dialect: Dialect) -> list[str]:
    """Return the names of the columns: the cells of the first row, unless it is a row of numbers."""
    cells, columns = first.cells, [f"column {k}" for k in range(1, len(first.cells) + 1)]
    are_numbers = all(map(NUMBER.fullmatch, (cell.strip(BLANKS) for cell in cells)))
    if dialect.header == "none":
        return columns
    if dialect.header == "row" or not are_numbers:
        return cells
    commented = _cells(path, remark.strip(BLANKS.encode()), first.delimiter, is_row=True)
    if len(commented) == len(cells) and not any(map(NUMBER.fullmatch, commented)):
        return [name.strip(BLANKS) for name in commented]  # numpy.savetxt writes the header as a comment
    named = {str(column) for column in wanted}
    can_be_names = bool(named) and named <= set(cells)
    can_be_row = bool(named) and all(name.isdecimal() and 1 <= int(name) <= len(cells) for name in named)
    if can_be_names != can_be_row:
        return cells if can_be_names else columns
    if can_be_names:
        raise DataError(f"{path}: the first row may be names or numbers: give --data.header row, or --data.header none")
    raise DataError(
        f"{path} has no header row: its first row holds only numbers; add one that names the columns, or number them, "
        "as in --data.header none --data.x 1 --data.y 2"
    )


def _units(
    path: FilePath, lines: Lines, delimiter: str, width: int, positions: Sequence[int], dialect: Dialect
) -> list[str] | None:
    """Take a row of units, if there is one, and return it."""
    units, row = (_cells(path, line, delimiter, is_row=True) for line in lines.peek(2))
    units = [cell.strip(BLANKS) for cell in units]
    if dialect.units_row is None:
        is_certain = len(units) == len(row) == width and bool(positions)
        if not is_certain or not all(
            UNIT.fullmatch(units[k]) and NUMBER.fullmatch(row[k].strip(BLANKS)) for k in positions
        ):
            return None
    elif not dialect.units_row:
        return None
    elif len(units) != width:
        raise DataError(f"{path}: the row of units has {counted(len(units), 'cell')}, the header has {width}")
    elif found := next((cell for cell in units if NUMBER.fullmatch(cell)), None):
        raise DataError(f"{path}: the row of units holds the number {found!r}: leave out --data.units_row")
    lines.take()
    return units


def _hint(path: FilePath, lines: Lines, first: _First, wanted: Sequence[Column]) -> str:
    """Return advice for wrong names of columns: where the wanted ones are, or which option to give."""
    names = {str(column) for column in wanted}
    for ahead, line in enumerate(lines.peek(LINES_AHEAD), start=1):
        for mark in (first.delimiter, *DELIMITERS):
            if len(line) <= MOST_LINE_BYTES and names <= set(_cells(path, line, mark, is_row=True)):
                return f"; line {lines.count + ahead} names them: give --data.skip_rows {lines.count + ahead - 1}"
    is_undivided = len(first.cells) == 1 and not names & set(first.cells)
    return "; if the cells have another separator, give --data.delimiter" if is_undivided else ""
