"""An object as a stream, of which each read is one request."""

import io
import os
from collections.abc import Callable

__all__ = ["Ranges"]


class Ranges(io.RawIOBase):
    """The bytes of an object up to an end, as a seekable stream that reads nothing ahead.

    Args:
        read_at: From a number of bytes and an offset to these bytes, fewer only at the end of the object.
        stop: The offset of the end.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], stop: int) -> None:
        self._read_at, self._stop, self._at = read_at, stop, 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the offset of the next byte, and return it."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._stop}[whence]
        return self._at

    def size(self) -> int:
        """Return the offset of the end."""
        return self._stop

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Write the next bytes into a buffer, and return their number."""
        count = max(0, min(len(buffer), self._stop - self._at))
        found = self._read_at(count, self._at) if count else b""
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)
