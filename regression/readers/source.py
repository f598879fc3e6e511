"""A file that must not change while it is read, and the messages for failures of reading."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from regression.common.errors import DataError, UsageError
from regression.stores.faults import fault, is_of_store
from regression.stores.stored_file import StoredFile

__all__ = ["MOST_UNPACKED", "FilePath", "Source"]

T = TypeVar("T")
FilePath = Path | StoredFile  # a file on this machine, or in a store
STORED_BYTES = 1 << 22  # requested at once from a store, of a file that is read from beginning to end
MOST_UNPACKED = 200  # times the size of a packed file: numbers shrink two- to twentyfold, so it is damaged or hostile
ADVICE = {errno.EMFILE: ": raise the limit of open files (ulimit -n)"}


class Source:
    """A file; every reading checks that it has not changed, because rows of two versions must not be mixed.

    The file is opened whenever it is read, because a process can hold only a limited number of files open. It is not
    mapped into memory, because a process that reads a mapped page which another program cuts off is killed.

    Args:
        path: The file, on this machine or in a store.

    Attributes:
        size: Its size in bytes.
        footer: The footer of a Parquet file, if it was read before the file is opened.
    """

    footer: Any = None

    def __init__(self, path: FilePath) -> None:
        self.path, self._facts = path, _facts(path)
        self.size: int = self._facts[-1]

    @property
    def is_stored(self) -> bool:
        """Whether the file is in a store."""
        return isinstance(self.path, StoredFile)

    def arrow_file(self) -> Any:
        """Open the file for Arrow."""
        if isinstance(self.path, StoredFile):
            return self.path.arrow_file
        import pyarrow as pa  # a third of a second to import, and not every run needs it

        return pa.OSFile(str(self.path))

    def stream(self, stop: int) -> IO[bytes]:
        """Open the file to be read up to a byte; from a store many bytes are requested at once, but none after it."""
        if isinstance(self.path, StoredFile):
            return self.path.open("rb", STORED_BYTES, stop)
        return self.path.open("rb", buffering=0)

    def require_same_so_far(self) -> None:
        """Refuse a changed file, between two parts of it; for a file in a store the caller checks after the last."""
        if not isinstance(self.path, StoredFile):
            self.require_same()

    def require_same(self) -> None:
        """Refuse a file that was replaced, truncated, written to or removed."""
        try:
            is_same = _facts(self.path) == self._facts
        except OSError:
            is_same = False
        if not is_same:
            raise DataError(f"{self.path} was changed while it was read: expected the same file to the end, run again")

    def guarded(self, read: Callable[[], T]) -> T:
        """Return the result of reading a part, or raise a ``DataError`` of one line for whatever a library raises."""
        try:
            result = read()
        except UsageError as error:
            raise DataError(str(error)) from None
        except MemoryError:
            needed = "needs more memory than there is: Parquet, Arrow and NPY files are streamed"
            raise DataError(f"{self.path} {needed}") from None
        except Exception as error:
            self.require_same()
            if isinstance(self.path, StoredFile) and is_of_store(error):
                raise fault(self.path.address, error) from error
            if isinstance(error, OSError) and error.errno:  # of the system, not of what the file holds
                reason = os.strerror(error.errno) + ADVICE.get(error.errno, "")
                raise DataError(f"{self.path} cannot be read: {reason}") from error
            # Only the first sentence, because the second of some libraries gives other advice than this message.
            reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")[:200] or type(error).__name__
            raise DataError(f"{self.path} is damaged, or not what its name says: {reason}") from error
        self.require_same_so_far()
        return result


def _facts(path: FilePath) -> tuple[Any, ...]:
    """Return what identifies the version of a file, its size last."""
    if isinstance(path, StoredFile):
        return path.facts()
    known = os.stat(path)
    return known.st_dev, known.st_ino, known.st_mtime_ns, known.st_size
