"""Columns of numbers from CSV and TSV text, strictly: a cell is a number, or empty, or the file is refused."""

import csv
import gzip
import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from regression.common.errors import DataError
from regression.common.text import counted
from regression.data.readers.columns import ChunkColumns, Column, FileColumns, find_columns
from regression.data.readers.large_csv import BOM, ROW_BYTES, Place, open_plain
from regression.data.readers.series_names import Labels

__all__ = ["read_delimited"]

DELIMITERS = (",", ";", "\t", "|")
MISSING = ["", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "NaN", "nan"]
MAX_HEADER = 1 << 20
BOMB_RATIO, BOMB_BYTES = 200, 64 << 20  # numbers as text shrink two- to twentyfold, not two hundredfold
ONE_EACH = "give every row one cell for each column, and numbers a decimal point"
ADVICE = (  # for a cell of such a form
    (r"[-+\d.' ]*\d,[\d,.' ]+(?:[eE].*)?", "write numbers with a decimal point and without commas, as in 1000.5"),
    (r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*", "write dates as numbers, such as days since the first one"),
    (r"(?i:true|false)", "write 1 or 0"),
    (r"=.*", "save the value, not the formula"),
    (r".*", "correct it, or leave the cell empty and the row out with --data.nan_policy omit"),
)


class Watched(io.RawIOBase):
    """The bytes of a text file on their way to the parser, which refuses what the parser would let through.

    Args:
        path: The file.
        delimiter: What separates its cells.
        stream: The text, unpacked if it is packed, after its header.
        raw: The file as it is stored.
    """

    def __init__(self, path: Path, delimiter: str, stream: IO[bytes], raw: IO[bytes]) -> None:
        self.path, self.stream, self.raw = path, stream, raw
        self._beside = np.frombuffer(delimiter.encode() + b'\r\n"', dtype=np.uint8)  # what may stand beside a mark
        self._tail = b"\n"
        self._count, self._marks = 0, 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            DataError: If a quotation mark stands inside a cell or is not closed, a byte order mark begins the rows, or
                a packed file grows hundreds of times larger.
        """
        piece = self.stream.read(size)
        if not self._count and piece.startswith(BOM):  # the parser would drop it
            raise DataError(f"{self.path}: data row 1 begins with a byte order mark: move it before the header")
        self._count += len(piece)
        if self._count > BOMB_BYTES and self._count > BOMB_RATIO * self.raw.tell():
            raise DataError(f"{self.path} unpacks to more than {BOMB_RATIO} times its size: unpack it yourself first")
        if b'"' in piece or self._tail.endswith(b'"'):
            self._judge(self._tail + (piece or b"\n"))
        if not piece and self._marks % 2:
            raise DataError(f"{self.path}: a quotation mark is not closed before the end of the file: close it")
        self._tail = (self._tail + piece[-2:])[-2:]
        return piece

    def _judge(self, text: bytes) -> None:
        """Refuse a mark inside a cell; the first byte was judged before, the last waits for what follows it."""
        symbols = np.frombuffer(text, dtype=np.uint8)
        at = np.flatnonzero(symbols[1:-1] == ord('"')) + 1
        is_closing = (self._marks + np.arange(len(at))) % 2 == 1
        self._marks += len(at)
        # An opening mark has one of them before it, a closing one after it; two marks in a cell stand for one.
        wrong = at[~np.isin(symbols[np.where(is_closing, at + 1, at - 1)], self._beside)]
        if len(wrong):
            around = text[max(0, wrong[0] - 20) : wrong[0] + 20].decode(errors="replace").splitlines()
            raise DataError(f"{self.path}: a quotation mark stands inside a cell, near {' '.join(around)!r}: remove it")


def read_delimited(
    path: Path, columns: Sequence[Column], is_packed: bool, labels: Labels | None = None, place: Place | None = None
) -> FileColumns:
    """Read columns of numbers from text with one header row.

    The delimiter is that of ``, ; tab |`` with which the header has the columns. Cells are numbers as in ``-1.5e3``;
    empty cells and NA are missing. What is no number is refused, never converted.

    Args:
        path: The file, UTF-8, with or without a byte order mark.
        columns: Names or numbers of the columns.
        is_packed: Whether it is packed with gzip.
        labels: Codes of the texts that the last column holds, or ``None`` for numbers there too.
        place: Which bytes this process parses if the file is large; by default all.

    Returns:
        The columns, NaN for missing cells.

    Raises:
        DataError: If the text is not such a table; names the row, counted from 1 after the header, where there is one.
    """
    with path.open("rb") as raw:
        try:
            delimiter, names, positions = _header(path, _unpacked(raw, is_packed), columns)
            if labels is None and not is_packed:
                plain = open_plain(path, raw.tell(), delimiter, len(names), positions, place or Place())
                if plain is not None:
                    return plain

            def parse(threads: bool) -> list[Any]:
                raw.seek(0)
                stream = _unpacked(raw, is_packed)
                _header_line(path, stream)
                return _parse(Watched(path, delimiter, stream, raw), delimiter, positions, len(names), threads, labels)

            batches = _with_row_numbers(path, names, parse)
        except (OSError, EOFError) as error:
            raise DataError(f"{path}: {error}: the file is damaged") from None
    return ChunkColumns(path, batches)


def _unpacked(raw: IO[bytes], is_packed: bool) -> IO[bytes]:
    return gzip.GzipFile(fileobj=raw) if is_packed else raw  # type: ignore[return-value]


def _header_line(path: Path, stream: IO[bytes]) -> bytes:
    """Take the first line that is not blank, and leave the stream after it."""
    line, skipped = b"", 0
    while not line.strip(b"\xef\xbb\xbf \t\r\n"):
        line = _line(stream)
        skipped += len(line)
        if not line:
            raise DataError(f"{path} has no row: expected a header row and at least one row of numbers")
        if skipped > MAX_HEADER:
            raise DataError(f"{path}: the first line is longer than a megabyte: expected the names of columns")
    return line.removeprefix(BOM)


def _line(stream: IO[bytes]) -> bytes:
    """Return the next line with its end, which may be a carriage return alone."""
    start = stream.readline(MAX_HEADER + 1)
    at = start.find(b"\r")
    if at >= 0 and start[at:] not in (b"\r", b"\r\n"):
        stream.seek(at + 1 - len(start), io.SEEK_CUR)
        return start[: at + 1]
    return start


def _header(path: Path, stream: IO[bytes], columns: Sequence[Column]) -> tuple[str, list[str], list[int]]:
    """Return the delimiter, the names of all columns, and the positions of the wanted ones."""
    line = _header_line(path, stream)
    if b"\0" in line:
        raise DataError(f"{path} is not text: expected a CSV file with a header row")
    names = {}
    for mark in DELIMITERS:
        with suppress(UnicodeDecodeError, csv.Error):
            names[mark] = next(csv.reader([line.decode().rstrip("\r\n")], delimiter=mark, strict=True))
    if not names:
        raise DataError(f"{path}: the header row is not UTF-8 text with balanced quotation marks: save it as such")
    wanted = {str(column) for column in columns}
    delimiter = max(names, key=lambda mark: (len(wanted & set(names[mark])), len(names[mark])))
    header = names[delimiter]
    if all(map(_is_number, header)):
        raise DataError(f"{path} has no header row: its first row holds only numbers; add one that names the columns")
    return delimiter, header, find_columns(path, header, columns)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse(
    source: Watched, delimiter: str, positions: list[int], width: int, threads: bool, labels: Labels | None
) -> list[Any]:
    """Return the columns of each block of text."""
    import pyarrow as pa  # a third of a second to import, and not every run needs it
    from pyarrow import csv as arrow_csv

    names = [f"c{k}" for k in range(width)]
    chosen = [names[k] for k in positions]
    types = dict.fromkeys(chosen, pa.float64())
    if labels is not None:
        types[chosen[-1]] = pa.string()
    read = arrow_csv.ReadOptions(use_threads=threads, block_size=ROW_BYTES, column_names=names)
    convert = arrow_csv.ConvertOptions(
        column_types=types,
        include_columns=list(dict.fromkeys(chosen)),
        null_values=MISSING,
        strings_can_be_null=True,
    )
    parse = arrow_csv.ParseOptions(delimiter=delimiter)
    try:  # the reader that gives one block after the other parses them in one thread
        # Its own pool of memory took 2 s of the system's time for 50 million rows, the C library's takes half a second.
        table = arrow_csv.read_csv(pa.PythonFile(source, "r"), read, parse, convert, pa.system_memory_pool())
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return []
        raise
    return [[_values(batch[name], labels) for name in chosen] for batch in table.to_batches()]


def _values(column: Any, labels: Labels | None) -> Any:
    if labels is not None and str(column.type) == "string":
        return labels.codes(column)
    return column.to_numpy(zero_copy_only=False)


def _with_row_numbers(path: Path, names: list[str], parse: Callable[[bool], list[Any]]) -> list[Any]:
    """Parse with threads; where that fails, once more without, as only then the parser knows the row."""
    from pyarrow import ArrowException

    for threads in (True, False):
        try:
            return parse(threads)
        except (ArrowException, UnicodeDecodeError) as error:
            message = str(error)
    raise DataError(f"{path}: {_explained(message, names)}")


def _explained(message: str, names: list[str]) -> str:
    """Return the parser's message in this program's words."""
    row = re.search(r"Row #(\d+):", message)
    where = f"data row {row[1]}" if row else "some row"
    if cell := re.search(r"invalid value '(.*)'$", message, flags=re.DOTALL):
        column = re.search(r"CSV column #(\d+)", message)
        where += f", column {names[int(column[1])]!r}," if column else ""
        advice = next(advice for form, advice in ADVICE if re.fullmatch(form, cell[1], flags=re.DOTALL))
        return f"{where} holds {cell[1][:60]!r} where a number is expected: {advice}"
    if width := re.search(r"Expected (\d+) columns, got (\d+)", message):
        return f"{where} has {counted(int(width[2]), 'cell')}, the header has {width[1]}: {ONE_EACH}"
    if "straddling" in message:
        return f"a row is longer than {ROW_BYTES >> 20} MiB, or a quotation mark is not closed: mend it"
    return f"not a readable CSV file ({' '.join(message.split())[:200]})"
