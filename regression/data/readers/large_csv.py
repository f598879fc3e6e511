"""Large text files of nothing but numbers, parsed in pieces; all else in them is left to the strict parser."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from regression.common.collectives import all_gather_objects
from regression.common.errors import DataError
from regression.common.threads import share_out
from regression.data.readers.arrow_and_numpy import without_copy
from regression.data.readers.columns import Array, FileColumns, Part, merged_cuts, overlaps, slices_of

__all__ = ["BOM", "ROW_BYTES", "Place", "PlainText", "open_plain"]

LARGE_BYTES = 64 << 20  # of rows; for fewer, the import of polars takes longer than it saves
ROW_BYTES = 1 << 22  # that a row may have
PIECE_BYTES = 4 << 20  # that are parsed together, up to the end of a row
PIECES = 24  # at least, and eight for each process: threads and processes end at about the same time
CACHED_BYTES = 1 << 18  # that a processor's own cache holds with what is made of them
BOM = b"\xef\xbb\xbf"

_Facts = tuple[int, Array]  # of a piece: the number of its rows, and the smallest and largest number of each column


class _NotPlainError(Exception):
    """Something is not a number, or may not be read as the strict parser reads it."""


class Place(NamedTuple):
    """Where a file stands among all bytes of a table, of which each process parses a contiguous share.

    Attributes:
        before: Bytes of the files before it.
        total: Bytes of all files.
        rank: This process, from 0.
        processes: Number of processes.
    """

    before: int = 0
    total: int = 1
    rank: int = 0
    processes: int = 1

    def owner(self, byte: int) -> int:
        """Return the process that parses a byte of the file."""
        return min((self.before + byte) * self.processes // self.total, self.processes - 1)


class _Format(NamedTuple):
    """How rows are written, and which columns are wanted, by their positions."""

    path: Path
    delimiter: str
    width: int
    positions: Sequence[int]


class PlainText(FileColumns):
    """Columns of numbers in a large text file; a piece that another process has parsed is parsed here when asked for.

    Args:
        form: How the rows are written.
        cuts: Bytes at which the pieces begin, and the end.
        parsed: The chunks of rows of the pieces that have been parsed here.
        known: For each piece the number of its rows, and the smallest and largest number of each column.
        owners: For each piece the process that has parsed it.
    """

    def __init__(
        self,
        form: _Format,
        cuts: Sequence[int],
        parsed: dict[int, list[Part]],
        known: Sequence[_Facts],
        owners: Sequence[int],
    ) -> None:
        self.path, self._form, self._cuts, self._parsed, self.owners = form.path, form, cuts, parsed, owners
        self.starts = [0, *accumulate(rows for rows, _ in known)]
        self.rows = self.starts[-1]
        self.cuts = merged_cuts([self.rows])  # no pieces: blocks do not depend on the number of processes
        ends = np.array([ends for rows, ends in known if rows]).reshape(-1, len(form.positions), 2)
        self._ends: Array = np.stack(
            [ends[:, :, 0].min(axis=0, initial=np.inf), ends[:, :, 1].max(axis=0, initial=-np.inf)], axis=1
        )
        self.is_finite = bool(np.isfinite(self._ends).all())  # NaN is the smallest number of a column that holds it

    @property
    def places(self) -> Sequence[int]:
        """Any row, or those at which a piece begins where some pieces are not here."""
        return range(self.rows + 1) if len(self._parsed) == len(self.owners) else self.starts

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield slices of what was parsed."""
        for piece, low, high in overlaps(self.starts, start, stop):
            at = self.starts[piece]
            for chunk in self._chunks(piece):
                first, at = at, at + len(chunk[0])
                if low < at and first < high:
                    yield from slices_of(chunk, max(low, first) - first, min(high, at) - first)

    def _chunks(self, piece: int) -> list[Part]:
        if piece not in self._parsed:
            try:
                chunks = _parsed(self._form, *self._cuts[piece : piece + 2])
            except _NotPlainError:
                chunks = []
            if _rows(chunks) != self.starts[piece + 1] - self.starts[piece]:
                raise DataError(f"{self.path} was changed while it was read: expected the same numbers once more")
            self._parsed[piece] = chunks
        return self._parsed[piece]

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column."""
        return self._ends if self.is_finite else None


def open_plain(
    path: Path,
    start: int,
    delimiter: str,
    width: int,
    positions: Sequence[int],
    place: Place,
    large_bytes: int = LARGE_BYTES,
    piece_bytes: int = PIECE_BYTES,
) -> PlainText | None:
    """Read columns of numbers from the rows of a text file, if it is large, all numbers, and all of them are wanted.

    Whatever is returned is what the strict parser returns, bit for bit: each decimal is rounded to the nearest float64.
    Every process must call it. Each parses its own range of bytes, and all tell each other how many rows they found.

    Args:
        path: The file.
        start: Bytes before the rows, those of the header.
        delimiter: What separates the cells.
        width: Number of columns, C.
        positions: Those of the wanted columns, from 0 to C - 1.
        place: Which bytes are this process's own.
        large_bytes: Bytes of rows from which a file is large.
        piece_bytes: Most bytes of a piece, up to the end of its last row.

    Returns:
        The columns; or ``None`` where the strict parser must decide, since some cell is not a number or a row has not
        one cell for each column, or where it is as quick.
    """
    size = path.stat().st_size
    if size - start < large_bytes or len(set(positions)) < width:  # the strict parser does not convert other columns
        return None
    pieces = max(PIECES, 8 * place.processes)
    form = _Format(path, delimiter, width, positions)
    cuts = _cuts(path, start, size, min(piece_bytes, -(-(size - start) // pieces)))
    owners = [place.owner(cut) for cut in cuts[:-1]]
    own_pieces = [piece for piece, owner in enumerate(owners) if owner == place.rank]
    parsed, own = _all_parsed(form, cuts, own_pieces) if owners else ({}, None)
    known = _told(own, place.processes)
    return None if known is None else PlainText(form, cuts, parsed, known, owners)


def _told(own: dict[int, _Facts] | None, processes: int) -> list[_Facts] | None:
    """Return the facts of the pieces of all processes, in order; ``None`` where some process found one not plain."""
    shared = [own] if processes == 1 else all_gather_objects(own)
    found = [facts for facts in shared if facts is not None]
    known = {piece: facts for each in found for piece, facts in each.items()}
    return [known[piece] for piece in sorted(known)] if len(found) == len(shared) else None


def _cuts(path: Path, start: int, size: int, piece_bytes: int) -> list[int]:
    """Return where the pieces begin, and the end; nothing where a row is longer than the strict parser takes."""
    cuts = [start]
    with path.open("rb") as file:
        while cuts[-1] < size:
            file.seek(cuts[-1] + piece_bytes)
            rest = file.readline(ROW_BYTES)
            if len(rest) == ROW_BYTES and not rest.endswith(b"\n"):
                return []
            cuts.append(min(file.tell(), size))
    return cuts


def _all_parsed(
    form: _Format, cuts: Sequence[int], pieces: Sequence[int]
) -> tuple[dict[int, list[Part]], dict[int, _Facts] | None]:
    """Return the chunks of rows of some pieces, and their facts, or ``None`` where some piece is not plain."""
    parsed: dict[int, list[Part]] = {}
    facts: dict[int, _Facts] = {}

    def read(piece: int) -> None:
        parsed[piece] = _parsed(form, cuts[piece], cuts[piece + 1])
        facts[piece] = _facts(parsed[piece], len(form.positions))

    try:
        # Signals raise in the main thread only, which is not the one that parses: none of them is caught there.
        share_out(read, [pieces], max(2, torch.get_num_threads()))
    except _NotPlainError:  # the pieces that wait are given up
        return parsed, None
    return parsed, facts


def _parsed(form: _Format, start: int, stop: int) -> list[Part]:
    """Return the rows of a piece in chunks, for each an array for each wanted column."""
    import polars as pl

    with form.path.open("rb") as file:
        file.seek(start)
        text = file.read(stop - start)
    # For the strict parser a carriage return alone ends a row; polars drops it behind a cell, as it drops a mark before
    # the first one.
    if (b"\r" in text and _has_return_alone(text)) or text.startswith(BOM) or _has_long_row(text):
        raise _NotPlainError
    schema = {f"c{k}": pl.Float64 for k in range(form.width)}
    try:
        # Told of no quotation mark, it takes one for a part of a cell, which then is no number.
        table: Any = pl.read_csv(text, separator=form.delimiter, schema=schema, has_header=False, quote_char=None)
    except (Exception, pl.exceptions.PanicException):  # it raises many kinds, and a panic is no Exception
        raise _NotPlainError from None
    if any(table.null_count().row(0)):  # an empty cell, a short row, or a blank line
        raise _NotPlainError
    batches = table.to_arrow().to_batches()
    return [[without_copy(batch.column(k)) for k in form.positions] for batch in batches if batch.num_rows]


def _rows(chunks: Sequence[Part]) -> int:
    return sum(len(chunk[0]) for chunk in chunks)


def _facts(chunks: Sequence[Part], columns: int) -> _Facts:
    """Return the number of rows, and the smallest and largest number of each column, shape (C, 2), NaN without rows."""
    found = np.array([[(column.min(), column.max()) for column in chunk] for chunk in chunks]).reshape(-1, columns, 2)
    if not len(found):
        return 0, np.full((columns, 2), np.nan)
    return _rows(chunks), np.stack([found[:, :, 0].min(axis=0), found[:, :, 1].max(axis=0)], axis=1)


def _has_long_row(text: bytes) -> bool:
    """Tell whether a row is longer than the strict parser takes."""
    start = 0
    while len(text) - start > ROW_BYTES:
        end = text.rfind(b"\n", start, start + ROW_BYTES)
        if end < 0:
            return True
        start = end + 1
    return False


def _has_return_alone(text: bytes) -> bool:
    """Tell whether something other than the end of a line follows a carriage return."""
    symbols = np.frombuffer(text, dtype=np.uint8)
    parts = (symbols[k : k + CACHED_BYTES + 1] for k in range(0, len(symbols), CACHED_BYTES))
    return any(bool(((part[:-1] == ord("\r")) > (part[1:] == ord("\n"))).any()) for part in parts)
