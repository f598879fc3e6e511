"""Large text files of nothing but numbers, parsed in all threads; all else in them is left to the strict parser."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from regression.columns import LARGE_BATCH, Array, overlaps

if TYPE_CHECKING:
    from polars import DataFrame

__all__ = ["BOM", "ROW_BYTES", "read_plain"]

LARGE = 64 << 20  # bytes of rows; for fewer, the import of polars takes longer than it saves
ROW_BYTES = 1 << 22  # that a row may have
PIECE = 12 << 20  # bytes that are parsed together, up to the end of a row: as few waits as the memory allows
PIECES = 24  # at least: the threads end at about the same time
CHUNK = LARGE_BATCH  # rows of an array after the first one, which holds all rows unless those of its piece are long
ROOM = 1.02  # what the first array has for rows that are shorter than those of its piece
PART = 1 << 18  # bytes that a processor's own cache holds with what is made of them: ten times faster than a piece
BOM = b"\xef\xbb\xbf"


class _NotPlainError(Exception):
    """Something is not a number, or may not be read as the strict parser reads it."""


def read_plain(path: Path, start: int, delimiter: str, width: int, positions: Sequence[int]) -> list[Array] | None:
    """Read columns of numbers from the rows of a text file, if it is large, all numbers, and all of them are wanted.

    Whatever is returned is what the strict parser returns, bit for bit: each decimal is rounded to the nearest float64.

    Args:
        path: The file.
        start: Bytes before the rows, those of the header.
        delimiter: What separates the cells.
        width: Number of columns, C.
        positions: Those of the wanted columns, from 0 to C - 1.

    Returns:
        The wanted columns in arrays of shape (C, n), mostly a single one; or ``None`` where the strict parser must
        decide, since some cell is not a number or a row has not one cell for each column, or where it is as quick.
    """
    size = path.stat().st_size
    if size - start < LARGE or len(set(positions)) < width:  # the strict parser does not convert what is not wanted
        return None
    with ThreadPoolExecutor() as threads:
        try:
            cuts = _cuts(path, start, size)
            joined = _Joined(positions, len(cuts) - 1)

            def read(piece: int) -> None:
                joined.add(piece, _parsed(path, cuts[piece], cuts[piece + 1], delimiter, width))

            # Signals raise in the main thread only, which is not the one that parses: none of them is caught there.
            list(threads.map(read, range(len(cuts) - 1)))
            return joined.chunks()
        except _NotPlainError:  # the pieces that wait are given up
            return None


class _Joined:
    """The rows of pieces that come in any order, written one after the other.

    Args:
        positions: The columns to keep.
        pieces: Number of pieces, of about the same length.
    """

    def __init__(self, positions: Sequence[int], pieces: int) -> None:
        self._positions, self._pieces = positions, pieces
        self._lock = Lock()
        self._waiting: dict[int, DataFrame] = {}
        self._next, self._rows = 0, 0  # the first piece whose place is not known, and its first row if it were
        self._arrays: list[Array] = []
        self._starts = [0]  # rows at which the arrays begin, and the end

    def add(self, piece: int, table: "DataFrame") -> None:
        """Write a piece, and those that waited for it, once all before it have come."""
        for start, known in self._placed(piece, table):
            for k, position in enumerate(self._positions):
                end = start
                for values in known.to_series(position).get_chunks():
                    first, end = end, end + len(values)
                    self._write(k, first, values.to_numpy())

    def _placed(self, piece: int, table: "DataFrame") -> list[tuple[int, "DataFrame"]]:
        """Return the pieces whose places are known now, each with its first row."""
        found = []
        with self._lock:
            self._waiting[piece] = table
            while self._next in self._waiting:
                known = self._waiting.pop(self._next)
                found.append((self._rows, known))
                self._next, self._rows = self._next + 1, self._rows + len(known)
                self._make_room(len(known))
        return found

    def _make_room(self, piece: int) -> None:
        """Get memory for the rows so far; at first for those of all pieces, if they have as many as this one."""
        while self._starts[-1] < self._rows:
            rows = CHUNK if self._arrays else int(ROOM * piece * self._pieces) + 1
            try:
                array = np.empty((len(self._positions), rows))
            except MemoryError:  # the rows of this piece may be far shorter than the others
                rows = CHUNK
                array = np.empty((len(self._positions), rows))
            self._arrays.append(array)
            self._starts.append(self._starts[-1] + rows)

    def _write(self, row: int, start: int, values: Array) -> None:
        stop = start + len(values)
        for k, low, high in overlaps(self._starts, start, stop):
            self._arrays[k][row, low - self._starts[k] : high - self._starts[k]] = values[low - start : high - start]

    def chunks(self) -> list[Array]:
        """Return all rows."""
        return [array[:, : self._rows - first] for array, first in zip(self._arrays, self._starts, strict=False)]


def _cuts(path: Path, start: int, size: int) -> list[int]:
    """Return where the pieces begin, and the end."""
    cuts, piece = [start], min(PIECE, -(-(size - start) // PIECES))
    with path.open("rb") as file:
        while cuts[-1] < size:
            file.seek(cuts[-1] + piece)
            rest = file.readline(ROW_BYTES)
            if len(rest) == ROW_BYTES and not rest.endswith(b"\n"):
                raise _NotPlainError
            cuts.append(min(file.tell(), size))
    return cuts


def _parsed(path: Path, start: int, stop: int, delimiter: str, width: int) -> "DataFrame":
    import polars as pl

    with path.open("rb") as file:
        file.seek(start)
        text = file.read(stop - start)
    # For the strict parser a carriage return alone ends a row; polars drops it behind a cell, as it drops a mark before
    # the first one.
    if (b"\r" in text and _has_return_alone(text)) or text.startswith(BOM) or _has_long_row(text):
        raise _NotPlainError
    schema = {f"c{k}": pl.Float64 for k in range(width)}
    try:
        # Told of no quotation mark, it takes one for a part of a cell, which then is no number.
        table = pl.read_csv(text, separator=delimiter, schema=schema, has_header=False, quote_char=None)
    except (Exception, pl.exceptions.PanicException):  # it raises many kinds, and a panic is no Exception
        raise _NotPlainError from None
    if any(table.null_count().row(0)):  # an empty cell, a short row, or a blank line
        raise _NotPlainError
    return table


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
    parts = (symbols[k : k + PART + 1] for k in range(0, len(symbols), PART))
    return any(bool(((part[:-1] == ord("\r")) > (part[1:] == ord("\n"))).any()) for part in parts)
