"""Large text files of plain numbers alone, parsed in pieces by polars; other files are left to the strict parser."""

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch

from regression.common.arrays import MAX_EXACT
from regression.common.collectives import all_gather_objects, rank_and_size
from regression.common.row_ranges import overlaps
from regression.common.threads import share_out
from regression.readers.arrow_files import view
from regression.readers.columns import Array, FileColumns, Part, joined_ends, slices_of
from regression.readers.source import Source

__all__ = ["BOM", "LONG_WHOLE", "ROW_BYTES", "PlainText", "open_plain"]

LARGE_BYTES = 64 << 20  # of rows; for fewer, importing polars takes longer than it saves
ROW_BYTES = 1 << 22  # of the longest row
PIECE_BYTES = 16 << 20  # parsed together, up to the end of a row; with fewer the parser's threads wait more often
BUFFER_BYTES = 1 << 16  # read at once to find the end of a row
# Of a file, or for each process if that is more: so that threads and processes end at about the same time.
LEAST_PIECES, PIECES_PER_PROCESS = 24, 8
BOM = b"\xef\xbb\xbf"
LONG_WHOLE = r"\d{16,}"  # digits of a whole number that float64 may round
ANY_LONG_WHOLE = re.compile(rf"(?<![\d.]){LONG_WHOLE}(?![\d.eE])".encode())

Piece = tuple[list[Part], Array]  # chunks of its rows, and the smallest and largest number of each column
Facts = tuple[int, Array]  # of a piece: the number of its rows, and the smallest and largest number of each column


class _NotPlainError(Exception):
    """A cell is not a plain number, or the strict parser might read the text otherwise."""


class PlainText(FileColumns):
    """Columns of numbers in a large text file; pieces of other processes are parsed here when first read, and kept.

    Args:
        source: The file.
        parse: Returns a piece by its number.
        parsed: Chunks of the pieces that this process has parsed.
        gathered: For each process the facts about the pieces that it has parsed.
    """

    is_loaded = True  # changes of the file are detected when a piece is parsed

    def __init__(
        self,
        source: Source,
        parse: Callable[[int], Piece],
        parsed: dict[int, list[Part]],
        gathered: Sequence[dict[int, Facts]],
    ) -> None:
        self.source, self._parse, self._parsed = source, parse, parsed
        facts = {piece: (owner, *own[piece]) for owner, own in enumerate(gathered) for piece in own}
        owners, rows, ends = zip(*(facts[piece] for piece in sorted(facts)), strict=True)
        self._divide(rows)
        self.sizes = [self.rows]  # one group, so that blocks do not depend on the number of processes
        self.owned = list(zip(owners, self._starts, strict=False))
        self._ends = joined_ends(np.array(ends))
        self.is_finite = bool(np.isfinite(self._ends).all())  # NaN is the smallest number of a column that holds it

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield slices of the parsed chunks."""
        for piece, low, high in overlaps(self._starts, start, stop):
            at = self._starts[piece]
            if piece not in self._parsed:
                self._parsed[piece] = self.source.guarded(partial(self._parse_again, piece))
            for chunk in self._parsed[piece]:
                first, at = at, at + len(chunk[0])
                if low < at and first < high:
                    yield from slices_of(chunk, max(low, first) - first, min(high, at) - first)

    def _parse_again(self, piece: int) -> list[Part]:
        """Return the rows of a piece that another process has parsed, perhaps from another copy of the file."""
        with suppress(_NotPlainError):
            chunks, _ = self._parse(piece)
            if _rows(chunks) == self._starts[piece + 1] - self._starts[piece]:
                return chunks
        raise ValueError("two processes found different rows in it")

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column."""
        return self._ends if self.is_finite else None


def open_plain(
    source: Source,
    start: int,
    delimiter: str,
    width: int,
    positions: Sequence[int],
    own_bytes: range,
    large_bytes: int = LARGE_BYTES,
    piece_bytes: int = PIECE_BYTES,
) -> PlainText | None:
    """Read columns of numbers from a large text file of plain numbers alone, if all its columns are wanted.

    The numbers are those of the strict parser, bit for bit: each decimal is rounded to the nearest float64. Every
    process must call it. Each parses the pieces that begin in its own range of bytes, and they exchange for each piece
    the number of its rows and the ends of its columns.

    Args:
        source: The file.
        start: Bytes before the rows, those of the header.
        delimiter: The separator of the cells.
        width: Number of columns, C.
        positions: Positions of the wanted columns, from 0 to C - 1.
        own_bytes: The bytes that this process parses.
        large_bytes: Least bytes of rows of a large file.
        piece_bytes: Most bytes of a piece, up to the end of its last row.

    Returns:
        The columns; ``None`` if the file is not such a file, and the strict parser has to read it.
    """
    rows_bytes = source.size - start
    if rows_bytes < large_bytes or len(set(positions)) < width:  # other columns would have to be numbers too
        return None
    pieces = max(LEAST_PIECES, PIECES_PER_PROCESS * rank_and_size()[1])
    cuts = _cuts(source, start, min(piece_bytes, -(-rows_bytes // pieces)))

    def parse(piece: int) -> Piece:
        return _parse(source, cuts[piece], cuts[piece + 1], delimiter, width, positions)

    own_pieces = [piece for piece, cut in enumerate(cuts[:-1]) if cut in own_bytes]
    parsed, facts = _parse_all(parse, own_pieces)
    gathered = all_gather_objects(facts if len(cuts) > 1 else None)
    return None if None in gathered else PlainText(source, parse, parsed, gathered)


def _cuts(source: Source, start: int, piece_bytes: int) -> list[int]:
    """Return the bytes where pieces begin, and the end; empty if a row at a cut is too long for the strict parser."""
    cuts = [start]
    with source.path.open("rb", buffering=BUFFER_BYTES) as file:
        while cuts[-1] < source.size:
            file.seek(cuts[-1] + piece_bytes)
            rest = file.readline(ROW_BYTES)
            if len(rest) == ROW_BYTES and not rest.endswith(b"\n"):
                return []
            cuts.append(min(file.tell(), source.size))
    return cuts


def _parse_all(
    parse: Callable[[int], Piece], pieces: Sequence[int]
) -> tuple[dict[int, list[Part]], dict[int, Facts] | None]:
    """Return the chunks of rows of some pieces, and their facts, or ``None`` for the facts if a piece is not plain."""
    parsed: dict[int, list[Part]] = {}
    facts: dict[int, Facts] = {}

    def read(piece: int) -> None:
        parsed[piece], ends = parse(piece)
        facts[piece] = _rows(parsed[piece]), ends

    try:
        # polars parses in threads of its own, usually as many as torch has, for which a thread here waits. With twice
        # as many here, the parser has another piece while one is read from the file or looked through. As they are at
        # least two, the main thread, in which signals raise exceptions, does not parse here, and ``_parse`` cannot
        # mistake such an exception for one of polars.
        share_out(read, [pieces], 2 * torch.get_num_threads())
    except _NotPlainError:  # pieces that are not yet parsed are skipped
        return parsed, None
    return parsed, facts


def _parse(source: Source, start: int, stop: int, delimiter: str, width: int, positions: Sequence[int]) -> Piece:
    """Return the rows between two bytes in chunks, each with an array for each wanted column, and their ends."""
    import polars as pl

    with source.path.open("rb", buffering=0) as file:
        file.seek(start)
        text = file.read(stop - start)
    source.require_same_so_far()
    if len(text) != stop - start:  # a cut cell would be another number
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    # A carriage return alone ends a row for the strict parser, but polars ignores it after a cell. It also ignores a
    # byte order mark before the first cell.
    if (b"\r" in text and text.count(b"\r") != text.count(b"\r\n")) or text.startswith(BOM):
        raise _NotPlainError
    schema = {f"c{k}": pl.Float64 for k in range(width)}
    try:
        # Without a quotation character, a quotation mark is a part of a cell, which then is no number.
        table: Any = pl.read_csv(text, separator=delimiter, schema=schema, has_header=False, quote_char=None)
    except (Exception, pl.exceptions.PanicException):  # it raises exceptions of many types; a panic is no Exception
        raise _NotPlainError from None
    if any(table.null_count().row(0)):  # an empty cell, a short row, or a blank line
        raise _NotPlainError
    batches = table.to_arrow().to_batches()
    chunks: list[Part] = [[view(batch.column(k)) for k in positions] for batch in batches if batch.num_rows]
    found = np.array([[(column.min(), column.max()) for column in chunk] for chunk in chunks])
    ends = joined_ends(found.reshape(-1, len(positions), 2))
    # NaN hides the ends of its column. The strict parser looks at each whole number.
    if not (abs(ends) < MAX_EXACT).all() and ANY_LONG_WHOLE.search(text):
        raise _NotPlainError
    return chunks, ends


def _rows(chunks: Sequence[Part]) -> int:
    return sum(len(chunk[0]) for chunk in chunks)
