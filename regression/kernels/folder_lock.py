"""A lock for processes that share a folder, on one machine or several."""

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

__all__ = ["FolderLock"]

NAME = "regression.lock"
SECONDS_BETWEEN_TRIES = 0.05


class FolderLock:
    """A lock that raises no error: where locks do not work, or another process holds it too long, work goes on without.

    The system releases the lock when the process that holds it ends, however it ends.

    Args:
        folder: The folder, in which the lock's file is made and stays.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._file: IO[str] | None = None

    def acquire(self, seconds: float) -> bool:
        """Wait for the lock for at most a number of seconds, and return whether it is held."""
        try:
            file = self._path.open("w")
        except OSError:
            return False
        if _lock_within(seconds, file):
            self._file = file
            return True
        file.close()
        return False

    def release(self) -> None:
        """Release the lock if it is held."""
        if self._file is not None:
            with suppress(OSError):
                if sys.platform != "win32":
                    fcntl.flock(self._file, fcntl.LOCK_UN)  # after closing alone, a forked process would still hold it
            self._file.close()
            self._file = None


def _lock_within(seconds: float, file: IO[str]) -> bool:
    if sys.platform == "win32":
        return False
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(SECONDS_BETWEEN_TRIES)
        except OSError:  # a file system without locks
            return False
