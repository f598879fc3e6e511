"""A file as it was when it was first looked at, and the words for what goes wrong in reading it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from regression.common.errors import DataError, UsageError
from regression.stores.faults import fault, is_of_store
from regression.stores.stored_file import StoredFile

__all__ = ["Place", "Source"]

T = TypeVar("T")
Place = Path | StoredFile  # of a file: on this machine, or in a store
STORED_BYTES = 1 << 22  # that a store is asked for at once, of what is read from its beginning to its end
ADVICE = {errno.EMFILE: ": raise the limit of open files (ulimit -n)"}


class Source:
    """A file, which must stay what it was when it was first looked at, lest rows of two files be mixed.

    It is opened whenever it is read, since there may be more files than a process can hold open, and not mapped while
    its rows are read: a signal ends the process that touches what was cut off a mapped file.

    Args:
        path: The file, on this machine or in a store.

    Attributes:
        size: Its bytes.
        footer: What stands at the end of a Parquet file, where it was read before the file is opened.
    """

    footer: Any = None

    def __init__(self, path: Place) -> None:
        self.path, self._facts = path, _facts(path)
        self.size: int = self._facts[-1]

    @property
    def is_stored(self) -> bool:
        """Whether it is in a store."""
        return isinstance(self.path, StoredFile)

    def arrow_file(self) -> Any:
        """Open it as a file of Arrow's."""
        if isinstance(self.path, StoredFile):
            return self.path.arrow_file
        import pyarrow as pa  # a third of a second to import, and not every run needs it

        return pa.OSFile(str(self.path))

    def stream(self, stop: int) -> IO[bytes]:
        """Open it to be read up to some byte: a store is asked for many bytes at once, but for none that follow."""
        if isinstance(self.path, StoredFile):
            return self.path.open("rb", STORED_BYTES, stop)
        return self.path.open("rb", buffering=0)

    def require_same_so_far(self) -> None:
        """Refuse a changed file between two parts of it; a store is asked once all of them are read."""
        if not isinstance(self.path, StoredFile):
            self.require_same()

    def require_same(self) -> None:
        """Refuse a file that was replaced, cut, written to or removed."""
        try:
            is_same = _facts(self.path) == self._facts
        except OSError:
            is_same = False
        if not is_same:
            raise DataError(f"{self.path} was changed while it was read: expected the same file to the end, run again")

    def guarded(self, read: Callable[[], T]) -> T:
        """Return what reading a part gives, or say in one line why it gives nothing: libraries raise many errors."""
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
            # The first sentence: the next one of some libraries is the one that is said here.
            reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")[:200] or type(error).__name__
            raise DataError(f"{self.path} is damaged, or not what its name says: {reason}") from error
        self.require_same_so_far()
        return result


def _facts(path: Place) -> tuple[Any, ...]:
    if isinstance(path, StoredFile):
        return path.facts()
    known = os.stat(path)
    return known.st_dev, known.st_ino, known.st_mtime_ns, known.st_size
