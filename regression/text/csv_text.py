"""Columns of numbers from CSV and TSV text, strictly: a cell is a number, or empty, or the file is refused."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import IO, Any, NamedTuple

import numpy as np

from regression.common.errors import DataError
from regression.common.times import nanoseconds
from regression.readers.columns import ChunkColumns, FileColumns, Part, Wanted
from regression.readers.dialect import BLANKS, Dialect
from regression.readers.source import MOST_UNPACKED, FilePath, Source
from regression.text.cells import NoNumber, as_numbers, explain, has_large, marks_to_nan, refusal
from regression.text.instants import as_instants, kind_of_cells, type_of
from regression.text.large_csv import BOM, ROW_BYTES, open_plain
from regression.text.layout import Layout, find_rows
from regression.text.lines import Lines, TidyLines

__all__ = ["Unpack", "read_text", "text_names", "unpack_zstd"]

HARMLESS_BYTES = 64 << 20  # text that unpacks to less is read whatever the size of its file
Unpack = Callable[[IO[bytes]], IO[bytes]]


class CheckedText(io.RawIOBase):
    """A stream of the text of a file, for the parser, that refuses faults which the parser accepts.

    Args:
        path: The file.
        delimiter: The separator of its cells.
        stream: The rows of the text, decompressed.
        raw: The file itself.
    """

    def __init__(self, path: FilePath, delimiter: str, stream: IO[bytes], raw: IO[bytes]) -> None:
        self.path, self.stream, self.raw = path, stream, raw
        self._beside = np.frombuffer(delimiter.encode() + b'\r\n"', dtype=np.uint8)  # allowed beside a quotation mark
        self._tail = b"\n"
        self._count, self._marks = 0, 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            DataError: If a quotation mark is inside a cell or not closed, the first row begins with a byte order mark,
                or a compressed file unpacks to hundreds of times its size.
        """
        piece = self.stream.read(size)
        if not self._count and piece.startswith(BOM):  # the parser would remove it
            raise DataError(f"{self.path}: data row 1 begins with a byte order mark: move it before the header")
        self._count += len(piece)
        if self._count > HARMLESS_BYTES and self._count > MOST_UNPACKED * self.raw.tell():
            raise DataError(
                f"{self.path} unpacks to more than {MOST_UNPACKED} times its size: unpack it yourself first"
            )
        if b'"' in piece or self._tail.endswith(b'"'):
            self._check_marks(self._tail + (piece or b"\n"))
        if not piece and self._marks % 2:
            raise DataError(f"{self.path}: a quotation mark is not closed before the end of the file: close it")
        self._tail = (self._tail + piece[-2:])[-2:]
        return piece

    def _check_marks(self, text: bytes) -> None:
        """Refuse a quotation mark inside a cell; the first byte was checked before, the last is with the next ones."""
        symbols = np.frombuffer(text, dtype=np.uint8)
        at = np.flatnonzero(symbols[1:-1] == ord('"')) + 1
        is_closing = (self._marks + np.arange(len(at))) % 2 == 1
        self._marks += len(at)
        # An opening mark follows one of these bytes, and one follows a closing mark; two marks in a cell are one.
        wrong = at[~np.isin(symbols[np.where(is_closing, at + 1, at - 1)], self._beside)]
        if len(wrong):
            around = text[max(0, wrong[0] - 20) : wrong[0] + 20].decode(errors="replace").splitlines()
            raise DataError(f"{self.path}: a quotation mark stands inside a cell, near {' '.join(around)!r}: remove it")


def read_text(source: Source, wanted: Wanted, unpack: Unpack = lambda raw: raw) -> FileColumns:
    """Read columns of numbers from text, whose form ``wanted.dialect`` states, or the text itself if it is certain.

    By default a text has one header row, and the delimiter is that of ``, ; tab |`` with which it has the columns.
    Cells are numbers as in ``-1.5e3``; empty cells and NA are missing, with or without blanks around them. Any other
    cell is refused, never converted.

    Names of series are texts: an empty cell is missing, NA is a name. An error names the row, counted from 1 after the
    header; lines of comments or blanks are not counted.

    Args:
        source: The file.
        wanted: What to read of it.
        unpack: Returns the text of a compressed file.
    """
    dialect, has_names = wanted.dialect, wanted.labels is not None
    with source.path.open("rb") as raw:
        lines = Lines(stream := unpack(raw))
        layout = find_rows(source.path, lines, wanted, len(wanted.columns) - has_names)
        instants = _instants(layout, lines, wanted)
        found: FileColumns | None = None
        is_plain = not instants and not layout.has_extra and layout.is_plain and dialect.is_plain
        if stream is raw and not has_names and is_plain:
            width = len(layout.names)
            found = open_plain(source, lines.taken, layout.delimiter, width, layout.positions, wanted.own_bytes)
        if found is None:
            parser = _Parser(source.path, raw, unpack, lines.taken, layout, has_names, dialect, instants)
            chunks = [_coded(chunk, wanted) for chunk in parser.chunks()]
            found = ChunkColumns(source, chunks, has_names, wanted)
    found.headings = layout.headings
    if wanted.clock is not None:
        for at, name in enumerate(layout.headings[: len(layout.headings) - has_names]):
            wanted.clock.expect(f"{source.path}: column {name!r}", wanted.role(at), instants.get(at))
    return found


def _instants(layout: Layout, lines: Lines, wanted: Wanted) -> dict[int, str]:
    """Return the kind of instants in the column of x by its position among the wanted ones; empty if it has none."""
    places = [at for at in range(len(layout.positions)) if wanted.role(at) == "x"]
    if wanted.clock is None or not places:
        return {}
    cells = layout.column(lines, layout.positions[places[0]])
    kind = kind_of_cells(cells, wanted.dialect)
    return {} if kind is None else {places[0]: kind}


def text_names(source: Source, dialect: Dialect, unpack: Unpack = lambda raw: raw) -> list[str]:
    """Return the names of the columns of text."""
    with source.path.open("rb") as raw:
        return find_rows(source.path, Lines(unpack(raw)), Wanted((), dialect=dialect), 0).names


def unpack_zstd(raw: IO[bytes]) -> IO[bytes]:
    """Return the text of a file that is compressed with Zstandard."""
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")  # type: ignore[no-any-return]


def _coded(chunk: list[Any], wanted: Wanted) -> Part:
    """Return columns as arrays, names of series in the last one as codes."""
    if wanted.labels is not None:
        from pyarrow import compute

        is_blank = compute.equal(compute.utf8_trim(chunk[-1], BLANKS), "")
        chunk[-1] = wanted.labels.codes(compute.if_else(is_blank, None, chunk[-1]))
    return [np.asarray(column) for column in chunk]


class _Parser(NamedTuple):
    """The strict parser of the rows of a file."""

    path: FilePath
    raw: IO[bytes]
    unpack: Unpack
    begin: int  # bytes of the text before the rows
    layout: Layout
    has_names: bool  # whether the last wanted column names series
    dialect: Dialect
    instants: Mapping[int, str]  # kinds of the columns of instants, by their positions among the wanted ones

    def chunks(self) -> list[list[Any]]:
        """Return the wanted columns of each block of text, or raise an error that names a wrong row."""
        from pyarrow import ArrowException

        failures = (ArrowException, UnicodeDecodeError)
        for has_extra in (True, False) if self.layout.has_extra else (False,):
            if not self.dialect.thousands:
                with suppress(*failures):
                    chunks = self._parse_quickly(has_extra)
                    if chunks is not None:
                        return chunks
            try:
                return list(self._parse_as_texts(has_extra))
            except failures as error:
                message = str(error)
        raise DataError(f"{self.path}: {explain(message, self.dialect)}")

    def _parse_quickly(self, has_extra: bool) -> list[list[Any]] | None:
        """Return the columns, whose numbers Arrow parses, in all threads; it accepts plain numbers only.

        Return ``None`` if some are so large that whole ones must be compared with their texts.
        """
        import pyarrow as pa  # a third of a second to import, and not every run needs it
        from pyarrow import csv as arrow_csv

        numbers = len(self.layout.positions) - self.has_names
        kinds: list[Any] = ["float64"] * numbers + ["string"] * self.has_names
        for at, kind in self.instants.items():
            kinds[at] = type_of(kind)
        try:  # read_csv, because open_csv parses in one thread
            # Arrow's own memory pool takes 2 s of system time for 50 million rows, the C library's half a second.
            table = arrow_csv.read_csv(*self._arguments(kinds, has_extra, are_texts=False), pa.system_memory_pool())
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return []
            raise
        chunks = [[batch[f"c{k}"] for k in self.layout.positions] for batch in table.to_batches()]
        for chunk in chunks:
            for at, column in enumerate(chunk[:numbers]):
                if at in self.instants:
                    chunk[at] = nanoseconds(f"{self.path}: column {self.layout.headings[at]!r}", column)
                    continue
                chunk[at] = marks_to_nan(np.asarray(column), self.dialect)
                if has_large(chunk[at]):
                    return None
        return chunks

    def _parse_as_texts(self, has_extra: bool) -> Iterator[list[Any]]:
        """Yield the columns of each block, whose cells Arrow returns as texts, so that an error can show the cell."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        row, numbers = 0, len(self.layout.positions) - self.has_names
        try:
            batches = arrow_csv.open_csv(*self._arguments(["string"] * len(self.layout.positions), has_extra, True))
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return
            raise
        for batch in batches:
            chunk = [batch[f"c{k}"] for k in self.layout.positions]
            for at, cells in enumerate(chunk[:numbers]):
                try:
                    kind = self.instants.get(at)
                    chunk[at] = as_instants(cells, self.dialect, kind) if kind else as_numbers(cells, self.dialect)
                except NoNumber as wrong:
                    name = self.layout.names[self.layout.positions[at]]
                    reason = refusal(row + wrong.row + 1, wrong, name, self.dialect, kind)
                    raise DataError(f"{self.path}: {reason}") from None
            yield chunk
            row += batch.num_rows

    def _arguments(self, kinds: list[Any], has_extra: bool, are_texts: bool) -> tuple[Any, Any, Any, Any]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        layout = self.layout
        types = dict(zip((f"c{k}" for k in layout.positions), kinds, strict=True))
        types = {name: pa.type_for_alias(kind) if isinstance(kind, str) else kind for name, kind in types.items()}
        if has_extra:
            types["extra"] = pa.null()  # refuses a cell that is not empty
        names = [f"c{k}" for k in range(len(layout.names))] + ["extra"] * has_extra
        return (
            pa.PythonFile(self._rows(layout.has_comments or not layout.is_plain or are_texts), "r"),
            arrow_csv.ReadOptions(use_threads=not are_texts, block_size=ROW_BYTES, column_names=names),
            arrow_csv.ParseOptions(delimiter=layout.delimiter),
            arrow_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[""] if are_texts else self.dialect.marks,
                decimal_point=self.dialect.decimal,
            ),
        )

    def _rows(self, is_tidied: bool) -> CheckedText:
        self.raw.seek(0)
        lines = Lines(self.unpack(self.raw))
        lines.skip(self.begin)
        text: Any = TidyLines(self.path, lines, self.layout.tidy) if is_tidied else lines
        return CheckedText(self.path, self.layout.delimiter, text, self.raw)
