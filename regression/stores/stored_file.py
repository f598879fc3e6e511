"""One object in a store, with the interface of a ``Path``, read by ranges of bytes."""

import io
from functools import cached_property
from pathlib import PurePosixPath
from typing import IO, Any

from regression.stores.address import Address
from regression.stores.connection import connect
from regression.stores.faults import fault
from regression.stores.ranges import Ranges

__all__ = ["StoredFile"]

BUFFER_BYTES = 1 << 20  # of the smallest request
MARKS = ("etag", "last-modified", "generation")  # what identifies the version of an object, among its metadata


class StoredFile:
    """An object in a store; ``str`` returns its address.

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
        """The path of its folder, below the bucket or server."""
        return self._path.parent

    @cached_property
    def arrow_file(self) -> Any:
        """The object as an Arrow file, from which several threads may read at once."""
        return self._open()

    def facts(self) -> tuple[Any, ...]:
        """Ask the store what identifies the version of the object; its size is the last element."""
        is_first = "arrow_file" not in self.__dict__
        file = self.arrow_file if is_first else self._open()  # an open file does not notice later changes
        try:
            metadata = {str(name).lower(): value for name, value in (file.metadata() or {}).items()}
            marks = [metadata[mark] for mark in MARKS if mark in metadata] or [self._version()]
            return (*marks, file.size())
        except Exception as error:  # libraries raise exceptions of many types
            raise fault(self.address, error) from error

    def _version(self) -> Any:
        """Return when the object was changed, or what else identifies its version."""
        system, path = connect(self.address)
        by_fsspec = getattr(system, "handler", None)
        return system.get_file_info(path).mtime_ns if by_fsspec is None else by_fsspec.version(path)

    def open(self, mode: str = "rb", buffering: int = BUFFER_BYTES, stop: int | None = None) -> IO[bytes]:
        """Return its bytes as a stream.

        Args:
            mode: Not used; it makes the interface that of ``Path.open``.
            buffering: Bytes of the smallest request; with 0 a request has the bytes that a caller reads.
            stop: Offset after which nothing is read; by default the end.
        """
        raw = Ranges(self.arrow_file.read_at, self.arrow_file.size() if stop is None else stop)
        return io.BufferedReader(raw, buffering) if buffering else raw  # type: ignore[return-value]

    def _open(self) -> Any:
        system, path = connect(self.address)
        try:
            return system.open_input_file(path)
        except Exception as error:  # libraries raise exceptions of many types
            raise fault(self.address, error) from error
