"""The file systems of stores that pyarrow has none for, such as web servers, by fsspec."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import fsspec
import pyarrow as pa
from pyarrow.fs import FSSpecHandler, PyFileSystem

from regression.stores.address import WEB, Address
from regression.stores.faults import ATTEMPTS, NO_PARTS, SECONDS_TO_ANSWER, SECONDS_TO_CONNECT, cause_of
from regression.stores.ranges import Ranges

__all__ = ["connect_by_fsspec"]

T = TypeVar("T")
SECONDS_BETWEEN = 0.25  # the first two attempts; twice as long after each further one
# What identifies the version of an object, by the names that servers and libraries have for it.
MARKS = ("ETag", "etag", "Content-MD5", "Last-Modified", "LastModified", "mtime", "modified", "updated")


def connect_by_fsspec(address: Address) -> tuple[Any, str]:
    """Return a file system by pyarrow's interface, and the path of an object in it."""
    options: dict[str, Any] = {"use_listings_cache": False}
    if address.scheme in WEB:
        import aiohttp

        # trust_env: names and passwords from ~/.netrc. identity: a part of a compressed answer has an unknown length.
        limits = aiohttp.ClientTimeout(None, connect=SECONDS_TO_CONNECT, sock_read=SECONDS_TO_ANSWER)
        options |= {"client_kwargs": {"trust_env": True, "timeout": limits}, "headers": {"Accept-Encoding": "identity"}}
    system, path = fsspec.core.url_to_fs(str(address), **options)
    return PyFileSystem(_Handler(system)), path


class _Handler(FSSpecHandler):  # type: ignore[misc]
    """Opens files of which exactly the requested ranges are read, without reading ahead."""

    def open_input_file(self, path: str) -> Any:
        """Return an Arrow file."""
        known = _retry(lambda: self.fs.info(path))
        size = known.get("size")
        if size is None or known.get("partial") is False:
            raise OSError(NO_PARTS)

        def read_at(count: int, start: int) -> bytes:
            found: bytes = _retry(lambda: self.fs.cat_file(path, start=start, end=start + count))
            if len(found) > count:
                raise OSError(NO_PARTS)
            return found

        return pa.PythonFile(Ranges(read_at, size), "r")

    def version(self, path: str) -> str:
        """Return what identifies the version of a file."""
        known = _retry(lambda: self.fs.info(path))
        return ", ".join(str(known[mark]) for mark in MARKS if mark in known)


def _retry(request: Callable[[], T]) -> T:
    """Return the answer to a request, which is repeated if the network or the store fails temporarily."""
    for attempt in range(1, ATTEMPTS):
        try:
            return request()
        except Exception as error:  # libraries raise exceptions of many types
            cause = cause_of(error)
            status = getattr(cause, "status", None)
            is_final = isinstance(cause, FileNotFoundError | PermissionError | NotImplementedError)
            if is_final or (status and status < 500):
                raise
        time.sleep(SECONDS_BETWEEN * 2 ** (attempt - 1))
    return request()
