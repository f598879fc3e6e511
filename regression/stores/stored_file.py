"""One object in a store: opened by the interfaces of a file on this machine, and read by ranges of bytes."""

import io
from functools import cached_property
from pathlib import PurePosixPath
from typing import IO, Any

from regression.stores.address import Address
from regression.stores.connection import connect
from regression.stores.faults import fault
from regression.stores.ranges import Ranges

__all__ = ["StoredFile"]

BUFFER_BYTES = 1 << 20  # of a request, where less is asked for
MARKS = ("etag", "last-modified", "generation")  # of a version, among what a store says of an object


class StoredFile:
    """An object in a store, which shows itself by its address.

    Args:
        address: The address.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._path = PurePosixPath(address.key)

    def __str__(self) -> str:
        return str(self.address)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self._path.name

    @property
    def suffix(self) -> str:
        """The ending of its name."""
        return self._path.suffix

    @property
    def parent(self) -> PurePosixPath:
        """The folder that it is in, below the bucket or server."""
        return self._path.parent

    @cached_property
    def arrow_file(self) -> Any:
        """The object as a file of Arrow's, from which several threads may read at once."""
        return self._opened()

    def facts(self) -> tuple[Any, ...]:
        """Ask the store for what tells the version of the object, its size the last."""
        is_first = "arrow_file" not in self.__dict__
        file = self.arrow_file if is_first else self._opened()
        try:
            said = {str(name).lower(): value for name, value in (file.metadata() or {}).items()}
            marks = [said[mark] for mark in MARKS if mark in said] or [self._changed()]
            return (*marks, file.size())
        except Exception as error:  # of the libraries, which raise many kinds
            raise fault(self.address, error) from error

    def _changed(self) -> Any:
        """Return when the object was changed, or what else tells its version."""
        system, path = connect(self.address)
        by_fsspec = getattr(system, "handler", None)
        return system.get_file_info(path).mtime_ns if by_fsspec is None else by_fsspec.version(path)

    def open(self, mode: str = "rb", buffering: int = BUFFER_BYTES, stop: int | None = None) -> IO[bytes]:
        """Return its bytes as a stream.

        Args:
            mode: As that of files.
            buffering: Bytes of a request, where less is asked for; with 0 a request has what is asked for.
            stop: Bytes after which nothing is read; by default its end.
        """
        raw = Ranges(self.arrow_file.read_at, self.arrow_file.size() if stop is None else stop)
        return io.BufferedReader(raw, buffering) if buffering else raw  # type: ignore[return-value]

    def _opened(self) -> Any:
        system, path = connect(self.address)
        try:
            return system.open_input_file(path)
        except Exception as error:  # of the libraries, which raise many kinds
            raise fault(self.address, error) from error
