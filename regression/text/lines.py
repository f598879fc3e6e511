"""Text as a stream of bytes, whose first lines can be taken one by one, and whose rows can be rewritten."""

import io
import re
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import IO

from regression.common.errors import DataError
from regression.readers.dialect import BLANKS, BY_BLANKS, BY_WIDTHS
from regression.readers.source import FilePath
from regression.text.large_csv import ROW_BYTES

__all__ = ["MOST_LINE_BYTES", "TOO_LONG", "Lines", "TidyLines", "cut", "is_cut", "tidy_rows"]

MOST_LINE_BYTES = 1 << 20
PIECE_BYTES = 1 << 16
TOO_LONG = f"a row is longer than {ROW_BYTES >> 20} MiB, or a quotation mark is not closed: mend it"
LINE_END = re.compile(rb"\r\n|\r|\n")
AT_START = rb"(?:(?<=[\r\n])|\A)"
AT_END = rb"(?=[\r\n]|\Z)"


class Lines(io.RawIOBase):
    """The bytes of a text, of which lines can be taken before the rest is read.

    Args:
        stream: The text, decompressed; it need not be seekable.

    Attributes:
        taken: Number of bytes of the lines that were taken.
        count: Number of these lines.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._rest, self.taken, self.count = stream, b"", 0, 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def take(self) -> bytes:
        """Return the next line with its end, which may be a carriage return alone; at most a megabyte of it."""
        start = 0  # of what is not searched yet
        while True:
            at = LINE_END.search(self._rest, start)
            is_whole = at is not None and (at.end() < len(self._rest) or at.group() != b"\r")
            if is_whole or len(self._rest) > MOST_LINE_BYTES or not (piece := self._stream.read(PIECE_BYTES)):
                break
            start = max(0, len(self._rest) - 1)  # the last byte may be the first half of a line end
            self._rest += piece
        end = min(at.end() if at else len(self._rest), MOST_LINE_BYTES + 1)
        line, self._rest = self._rest[:end], self._rest[end:]
        self.taken, self.count = self.taken + end, self.count + bool(line)
        return line

    def put_back(self, *lines: bytes) -> None:
        """Put back the lines that were taken last."""
        self._rest = b"".join(lines) + self._rest
        self.taken, self.count = self.taken - sum(map(len, lines)), self.count - sum(map(bool, lines))

    def peek(self, count: int) -> list[bytes]:
        """Return the next lines without taking them; empty ones after the end."""
        lines = [self.take() for _ in range(count)]
        self.put_back(*lines)
        return lines

    def skip(self, size: int) -> None:
        """Leave out bytes of the stream, before any line is taken."""
        while size > self.taken:
            self.taken += len(self._stream.read(min(size - self.taken, PIECE_BYTES)))

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes after the lines that were taken."""
        if not self._rest:
            return self._stream.read(size)
        end = len(self._rest) if size < 0 else size
        piece, self._rest = self._rest[:end], self._rest[end:]
        return piece


class TidyLines(io.RawIOBase):
    """A text whose lines are rewritten as they are read.

    Args:
        path: The file.
        stream: The text.
        rewrite: From whole lines to those in their place.
    """

    def __init__(self, path: FilePath, stream: Lines, rewrite: Callable[[bytes], bytes]) -> None:
        self._path, self._stream, self._rewrite = path, stream, rewrite
        self._rest, self._ready, self._is_over = b"", b"", False

    def readable(self) -> bool:
        """Return true."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next rewritten bytes; empty only at the end."""
        while not self._ready and not self._is_over:
            piece = self._stream.read(PIECE_BYTES if size < 0 else size)
            self._rest, self._is_over = self._rest + piece, not piece
            # A carriage return at the very end may be the first half of a line end.
            whole = max(self._rest.rfind(b"\n"), self._rest.rfind(b"\r", 0, -1)) + 1 if piece else len(self._rest)
            if not whole and len(self._rest) > ROW_BYTES:
                raise DataError(f"{self._path}: {TOO_LONG}")
            self._ready, self._rest = self._rewrite(self._rest[:whole]), self._rest[whole:]
        end = len(self._ready) if size < 0 else size
        piece, self._ready = self._ready[:end], self._ready[end:]
        return piece


def tidy_rows(delimiter: str, comment: str, width: int) -> Callable[[bytes], bytes]:
    """Return a function that removes comments and blank lines, and puts tabs between cells without a delimiter.

    Args:
        delimiter: The separator of the cells, or a word for blanks or widths.
        comment: Mark at the beginning of comments, or nothing.
        width: Number of columns; of a single column a blank line is a missing number.
    """
    blank = rb" " if delimiter == "\t" else rb"[ \t]"  # two tabs separate three empty cells
    lines = [blank + rb"*"] * (width > 1)
    lines += [] if not comment else [blank + rb"*" + re.escape(comment.encode()) + rb"[^\r\n]*"]
    no_rows = re.compile(AT_START + rb"(?:" + rb"|".join(lines or [rb"(?!)"]) + rb")(?:\r\n|\r|\n|\Z)")

    def rewrite(text: bytes) -> bytes:
        kept = no_rows.sub(b"", text)
        return cut(kept, delimiter) if is_cut(delimiter) else kept

    return rewrite


def is_cut(delimiter: str) -> bool:
    """Tell whether cells are separated by blanks or widths instead of a delimiter; ``cut`` then separates them."""
    return delimiter == BY_BLANKS or delimiter.startswith(BY_WIDTHS)


def cut(text: bytes, delimiter: str) -> bytes:
    """Return whole lines with a tab between cells, and no blanks around them."""
    if delimiter == BY_BLANKS:
        return _blanks_to_tabs(text)
    ends = [0, *accumulate(map(int, delimiter.removeprefix(BY_WIDTHS).split(",")))]
    lines = []
    for line in text.decode().splitlines():
        cells = [line[low:high].strip(BLANKS) for low, high in pairwise(ends)]
        rest = line[ends[-1] :].strip(BLANKS)
        lines.append("\t".join([*cells, rest] if rest else cells) + "\n")
    return "".join(lines).encode()


def _blanks_to_tabs(text: bytes) -> bytes:
    """Return lines with a tab for the blanks between cells, and none at the ends; quoted blanks are kept."""
    parts = text.split(b'"')
    parts[::2] = [re.sub(rb"[ \t]+", b"\t", part) for part in parts[::2]]
    return re.sub(AT_START + rb"\t|\t" + AT_END, b"", b'"'.join(parts))
