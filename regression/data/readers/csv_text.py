"""Columns of numbers from CSV and TSV text, strictly: a cell is a number, or empty, or the file is refused."""

import csv
import gzip
import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from regression.common.errors import DataError
from regression.common.text import counted
from regression.data.readers.columns import ChunkColumns, Column, FileColumns, Wanted, find_columns
from regression.data.readers.large_csv import BOM, ROW_BYTES, open_plain
from regression.data.readers.source import Source

__all__ = ["packed_text_names", "read_packed_text", "read_text", "text_names"]

DELIMITERS = (",", ";", "\t", "|")
MISSING = ["", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "NaN", "nan"]
BLANKS = " \t"  # that may stand around numbers
MOST_BLANKS = 1 << 13  # letters of all missing marks with blanks: the parser fails where they are some ten thousand
MAX_HEADER = 1 << 20
BOMB_RATIO, BOMB_BYTES = 200, 64 << 20  # numbers as text shrink two- to twentyfold, not two hundredfold
ONE_EACH = "give every row one cell for each column, and numbers a decimal point"
LEAVE_OUT = "leave the cell empty and the row out with --data.nan_policy omit"
ADVICE = {  # for a cell of such a form; \s is also a blank that is narrow, or that no line is broken at
    r"[-+]?\d[\d.,'’_\s]*[,'’_\s][\d.,'’_\s]*(?:[eE][-+]?\d+)?|[-+]?\d+(?:\.\d{3}){2,}|[-+]?,\d+":
        "write numbers with a decimal point and nothing else between digits, as in 1000.5",
    r"[-+]?\d*\.?\d*[dDqQ][-+]?\d+|[-+]?\d*\.\d*[-+]\d{2,3}": "write exponents with an E, as in 1.5E-10",
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}.*|\d{4}[-/]\d{1,2}"
    r"|.*\d{1,2}[-\s]?(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?![a-zA-Z]).*":
        "write dates as numbers, such as days since the first one",
    r"\d+:\d{2}(?::\d{2})?(?:[.,]\d+)?(?:\s*[aApP][mM])?": "write times as numbers, such as seconds",
    r"(?i:true|false)": "write 1 or 0",
    r"=.*": "save the value, not the formula",
    r"[−–—]\s*[\d.].*": "write the sign of negative numbers as a hyphen, -",
    r"[-+]?0[xX][\da-fA-F]+": "write it in decimal",
    r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*[a-zA-Zµμ°Ω%‰][^\d,]*|[<>≤≥~≈±$€£¥]\s*[\d.]+":
        "write the number alone, without a unit or a sign before it",
    r"(?i:[-.?*#]+|none|missing|empty|nil|n\.a\.|#[\w/]+[!?])": LEAVE_OUT,
    r".*": f"correct it, or {LEAVE_OUT}",
}  # fmt: skip


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

        Refused are quotation marks inside a cell or not closed, a byte order mark before the rows, and packed files
        that grow hundreds of times larger.
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


def read_text(source: Source, wanted: Wanted) -> FileColumns:
    """Read columns of numbers from text with one header row.

    The delimiter is that of ``, ; tab |`` with which the header has the columns. Cells are numbers as in ``-1.5e3``;
    empty cells and NA are missing, with blanks around them or not. What is no number is refused, never converted.

    Names of series are texts, missing where the cell is empty and not where it reads NA. An error names the row,
    counted from 1 after the header, where there is one.
    """
    return _read(source, wanted, lambda raw: raw)


def read_packed_text(source: Source, wanted: Wanted) -> FileColumns:
    """Read columns of numbers from text that is packed with gzip."""
    return _read(source, wanted, lambda raw: gzip.GzipFile(fileobj=raw))  # type: ignore[arg-type, return-value]


def text_names(source: Source) -> list[str]:
    """Return the names of the columns of text."""
    with source.path.open("rb") as raw:
        return _header(source.path, raw, ())[1]


def packed_text_names(source: Source) -> list[str]:
    """Return the names of the columns of text that is packed with gzip."""
    with gzip.open(source.path) as stream:
        return _header(source.path, stream, ())[1]  # type: ignore[arg-type]


def _read(source: Source, wanted: Wanted, unpacked: Callable[[IO[bytes]], IO[bytes]]) -> FileColumns:
    path, labels, has_names = source.path, wanted.labels, wanted.labels is not None
    with path.open("rb") as raw:
        stream = unpacked(raw)
        delimiter, names, positions = _header(path, stream, wanted.columns)
        if stream is raw and not has_names:
            plain = open_plain(source, raw.tell(), delimiter, len(names), positions, wanted.own_bytes)
            if plain is not None:
                return plain

        def rows() -> Watched:
            raw.seek(0)
            stream = unpacked(raw)
            _header_line(path, stream)
            return Watched(path, delimiter, stream, raw)

        kinds = ["float64"] * (len(positions) - has_names) + ["string"] * has_names
        chunks = _Parser(rows, delimiter, len(names), positions, kinds).chunks(path, names)
    if labels is not None:
        from pyarrow import compute

        for chunk in chunks:
            is_blank = compute.equal(compute.utf8_trim(chunk[-1], BLANKS), "")
            chunk[-1] = labels.codes(compute.if_else(is_blank, None, chunk[-1]))
    return ChunkColumns(source, [[np.asarray(column) for column in chunk] for chunk in chunks], has_names)


class _Parser(NamedTuple):
    """The strict parser: how to get at the rows, what parts their cells, and which columns are wanted, as what."""

    rows: Callable[[], Watched]
    delimiter: str
    width: int
    positions: list[int]
    kinds: list[str]

    def chunks(self, path: Path, names: list[str]) -> list[list[Any]]:
        """Return the wanted columns of each block of text, or say which row is wrong."""
        from pyarrow import ArrowException

        failures = (ArrowException, UnicodeDecodeError)
        with suppress(*failures):
            return self._parsed(True, MISSING)
        missing = [*MISSING, *self._marks_with_blanks()]
        # Only without threads the parser knows the row.
        for threads in (True, False) if len(missing) > len(MISSING) else (False,):
            try:
                return self._parsed(threads, missing)
            except failures as error:
                message = str(error)
        raise DataError(f"{path}: {_explained(message, names)}")

    def _parsed(self, threads: bool, missing: list[str]) -> list[list[Any]]:
        import pyarrow as pa  # a third of a second to import, and not every run needs it
        from pyarrow import csv as arrow_csv

        try:  # the reader that gives one block after the other parses them in one thread
            # Its own pool of memory takes 2 s of the system's time for 50 million rows, the C library's half a second.
            table = arrow_csv.read_csv(*self._arguments(self.kinds, threads, missing), pa.system_memory_pool())
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return []
            raise
        return [[batch[f"c{k}"] for k in self.positions] for batch in table.to_batches()]

    def _marks_with_blanks(self) -> list[str]:
        """Return the cells that are missing marks with blanks around them, which the parser does not know."""
        from pyarrow import ArrowException, array, compute
        from pyarrow import csv as arrow_csv

        found = set[str]()
        with suppress(ArrowException, UnicodeDecodeError):  # which is met once more, and explained
            for batch in arrow_csv.open_csv(*self._arguments(["string"] * len(self.kinds), False, [])):
                for cells in batch.columns:
                    is_mark = compute.is_in(compute.utf8_trim(cells, BLANKS), array(MISSING))
                    found.update(cells.filter(is_mark).unique().to_pylist())
        return sorted(found - set(MISSING)) if sum(map(len, found)) < MOST_BLANKS else []

    def _arguments(self, kinds: list[str], threads: bool, missing: list[str]) -> tuple[Any, Any, Any, Any]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        types = dict(zip((f"c{k}" for k in self.positions), map(pa.type_for_alias, kinds), strict=True))
        names = [f"c{k}" for k in range(self.width)]
        return (
            pa.PythonFile(self.rows(), "r"),
            arrow_csv.ReadOptions(use_threads=threads, block_size=ROW_BYTES, column_names=names),
            arrow_csv.ParseOptions(delimiter=self.delimiter),
            arrow_csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=missing),
        )


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
    with suppress(ValueError):  # a cell is a name
        list(map(float, header))
        raise DataError(f"{path} has no header row: its first row holds only numbers; add one that names the columns")
    return delimiter, header, find_columns(path, header, columns)


def _explained(message: str, names: list[str]) -> str:
    """Return the parser's message in this program's words."""
    row = re.search(r"Row #(\d+):", message)
    where = f"data row {row[1]}" if row else "some row"
    if cell := re.search(r"invalid value '(.*)'$", message, flags=re.DOTALL):
        column = re.search(r"CSV column #(\d+)", message)
        where += f", column {names[int(column[1])]!r}," if column else ""
        advice = next(advice for form, advice in ADVICE.items() if re.fullmatch(form, cell[1], flags=re.DOTALL))
        return f"{where} holds {cell[1][:60]!r} where a number is expected: {advice}"
    if width := re.search(r"Expected (\d+) columns, got (\d+)", message):
        return f"{where} has {counted(int(width[2]), 'cell')}, the header has {width[1]}: {ONE_EACH}"
    if "straddling" in message:
        return f"a row is longer than {ROW_BYTES >> 20} MiB, or a quotation mark is not closed: mend it"
    return f"not a readable CSV file ({' '.join(message.split())[:200]})"
