"""An object as a stream of Python's, of which each read is one request."""

import io
import os
from collections.abc import Callable

__all__ = ["Ranges"]


class Ranges(io.RawIOBase):
    """The bytes of an object up to some end, read where and when they are asked for.

    Args:
        read_at: Returns so many bytes from a place on, fewer only at the end of the object.
        stop: Bytes up to the end.
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
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, and return it."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._stop}[whence]
        return self._at

    def size(self) -> int:
        """Return the bytes up to the end."""
        return self._stop

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        """Fill memory with the next bytes, and return how many there were."""
        count = max(0, min(len(room), self._stop - self._at))
        found = self._read_at(count, self._at) if count else b""
        room[: len(found)] = found
        self._at += len(found)
        return len(found)
