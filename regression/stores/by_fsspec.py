"""Stores that pyarrow has no file system for, such as web servers, by fsspec."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import fsspec
import pyarrow as pa
from pyarrow.fs import FSSpecHandler, PyFileSystem

from regression.stores.address import WEB, Address
from regression.stores.ranges import Ranges

__all__ = ["connect_by_fsspec"]

T = TypeVar("T")
ATTEMPTS, SECONDS_BETWEEN = 3, 0.25  # the second, and twice as long after each further one
SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 5.0, 10.0
MARKS = ("ETag", "etag", "Content-MD5", "Last-Modified", "LastModified", "mtime", "modified", "updated")  # of a version


def connect_by_fsspec(address: Address) -> tuple[Any, str]:
    """Return a file system by pyarrow's interface, and the path of an object in it."""
    options: dict[str, Any] = {"use_listings_cache": False}
    if address.scheme in WEB:
        import aiohttp

        # Names and passwords are those of ~/.netrc; packed, a part of a file would be of unknown length.
        limits = aiohttp.ClientTimeout(None, connect=SECONDS_TO_CONNECT, sock_read=SECONDS_TO_ANSWER)
        options |= {"client_kwargs": {"trust_env": True, "timeout": limits}, "headers": {"Accept-Encoding": "identity"}}
    system, path = fsspec.core.url_to_fs(str(address), **options)
    return PyFileSystem(_Handler(system)), path


class _Handler(FSSpecHandler):  # type: ignore[misc]
    """Opens files that are read by exact ranges, and not ahead."""

    def open_input_file(self, path: str) -> Any:
        """Return an Arrow file."""
        known = _retried(lambda: self.fs.info(path))
        size = known.get("size")
        if size is None or known.get("partial") is False:
            raise OSError("it gives no parts of files: download the file first")

        def read_at(count: int, start: int) -> bytes:
            found: bytes = _retried(lambda: self.fs.cat_file(path, start=start, end=start + count))
            if len(found) > count:
                raise OSError("it gives no parts of files: download the file first")
            return found

        return pa.PythonFile(Ranges(read_at, size), "r")

    def version(self, path: str) -> str:
        """Return what tells the version of a file."""
        known = _retried(lambda: self.fs.info(path))
        return ", ".join(str(known[mark]) for mark in MARKS if mark in known)


def _retried(ask: Callable[[], T]) -> T:
    """Return what a store answers, asked again where the network or the store fails for a moment."""
    for attempt in range(1, ATTEMPTS):
        try:
            return ask()
        except Exception as error:  # of many libraries
            cause = error.__cause__ or error  # fsspec says of a server that is away that the file is not there
            status = getattr(cause, "status", None)
            is_final = isinstance(cause, FileNotFoundError | PermissionError | NotImplementedError)
            if is_final or (status and status < 500):
                raise
        time.sleep(SECONDS_BETWEEN * 2 ** (attempt - 1))
    return ask()
