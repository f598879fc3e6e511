"""A file as it was when it was first looked at, and the words for what goes wrong in reading it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from regression.common.errors import DataError

__all__ = ["Source"]

T = TypeVar("T")
ADVICE = {
    errno.EMFILE: ": raise the limit of open files (ulimit -n), or end what holds so many",
    errno.ENFILE: ": the machine has too many files open, try again later",
    errno.ENOMEM: ": it needs more memory than there is",
}


class Source:
    """A file, which must stay what it was when it was first looked at: another one's rows would be mixed with its own.

    It is opened whenever it is read, since there may be more files than a process can hold open. It is never mapped
    while its rows are read: who touches what was cut off a mapped file is ended by a signal.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._facts = self._present_facts()
        self.size = os.stat(path).st_size

    def _present_facts(self) -> tuple[int, ...]:
        known = os.stat(self.path)
        return known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns

    def require_same(self) -> None:
        """Refuse a file that was replaced, cut, written to or removed.

        Raises:
            DataError: If it was.
        """
        try:
            is_same = self._present_facts() == self._facts
        except OSError:
            is_same = False
        if not is_same:
            raise DataError(f"{self.path} was changed while it was read: expected the same file to the end, run again")

    def guarded(self, read: Callable[[], T]) -> T:
        """Return what reading gives, of a file that is still the same; libraries raise many kinds of errors.

        Raises:
            DataError: Of one line that names the file.
        """
        try:
            result = read()
        except DataError:
            raise
        except MemoryError:
            raise DataError(
                f"{self.path} needs more memory than there is: Parquet, Arrow and NPY files are streamed"
            ) from None
        except Exception as error:
            self.require_same()
            if isinstance(error, OSError) and error.errno:  # of the system, not of what the file holds
                what = os.strerror(error.errno) + ADVICE.get(error.errno, "")
                raise DataError(f"{self.path} cannot be read: {what}") from error
            # The first sentence: the next one of some libraries is the one that is said here.
            reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")[:200] or type(error).__name__
            raise DataError(f"{self.path} is damaged, or not what its name says: {reason}") from error
        self.require_same()
        return result
