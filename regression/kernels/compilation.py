"""Compiles loops with numba and caches them: the only file that uses numba's internals, imported when first needed.

numba caches compiled functions in ``NUMBA_CACHE_DIR``, else in the ``__pycache__`` beside their source, else in the
user's cache folder. A problem with that folder must not fail a fit: where there is none (numba issues 4908 and 5566),
or it cannot be read or written, a loop is compiled for the present process alone.
"""

import hashlib
import pickle
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar

import numba
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher
from numba.core.serialize import dumps
from numba.extending import intrinsic

from regression.kernels.folder_lock import FolderLock

__all__ = ["CompiledLoop", "Notice", "compile_called", "operation"]

# error_model numpy: a division by 0 gives inf or nan instead of an exception. _nrt False: no reference counts, which
# take two thirds of the time of loops over some hundred numbers; loops allocate no arrays, so none are needed.
OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
SECONDS_TO_WAIT = 60.0  # for another process that compiles, which takes a few seconds
SECONDS_TO_NOTICE = 1.0  # a compilation that takes less prints no notice
SECONDS_BETWEEN_NOTICES = 60.0  # processes that start together compile different loops in turn: one notice is enough
NOTICE_MARK = "regression.noticed"
CACHED = "once"
NOT_CACHED = "for this run only; set NUMBA_CACHE_DIR to a folder where they can be kept"


class CompiledLoop(CPUDispatcher):  # type: ignore[misc]
    """A loop that numba compiles, or loads from the cache, at its first call with arguments of each type.

    Args:
        function: The loop, a Python function that is defined in a file.
    """

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function, targetoptions={"nopython": True, **OPTIONS})
        self._cache: SharedCache | NoCache = _cache(function)

    def compile(self, sig: Any) -> Any:
        """Return the address of the loop for arguments of given types."""
        with global_compiler_lock:
            try:
                return super().compile(sig)
            finally:
                self._cache.end()


class SharedCache(FunctionCache):  # type: ignore[misc]
    """A cache folder that processes share: one process compiles, the others wait and load the result.

    Without the lock, processes that start at once would all compile, and write the same files (numba issue 10128).
    """

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        self._lock = FolderLock(Path(self.cache_path))
        self._notice = Notice(CACHED, Path(self.cache_path) / NOTICE_MARK)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the loop for arguments of given types, or ``None`` if this process has to compile it."""
        loop = self._load(sig, target_context)
        if loop is None and self._lock.acquire(SECONDS_TO_WAIT):
            loop = self._load(sig, target_context)
        if loop is None:
            self._notice.start(SECONDS_TO_NOTICE)
        return loop

    def save_overload(self, sig: Any, data: Any) -> None:
        """Cache a compiled loop; ignore errors, because the disk may be full, the folder gone, a file damaged."""
        with suppress(Exception):
            super().save_overload(sig, data)

    def end(self) -> None:
        """Release the lock, after the loop has been cached or could not be compiled."""
        self._notice.cancel()
        self._lock.release()

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # pickle raises exceptions of many types for truncated or damaged files
            with suppress(OSError):
                self.flush()
            return None


class NoCache(NullCache):  # type: ignore[misc]
    """The cache where no folder can be written: every loop is compiled anew."""

    def __init__(self) -> None:
        self._notice = Notice(NOT_CACHED)

    def load_overload(self, sig: Any, target_context: Any) -> None:
        """Return ``None``, so that the loop is compiled."""
        self._notice.start(SECONDS_TO_NOTICE)

    def end(self) -> None:
        """Cancel the notice, after the loop has been compiled."""
        self._notice.cancel()


class CheckedContent(CompileResultCacheImpl):  # type: ignore[misc]
    """A cached loop with a digest of its bytes, because damaged machine code would crash or give wrong numbers."""

    def reduce(self, data: Any) -> tuple[bytes, bytes]:
        """Return the digest and the bytes of a loop."""
        content: bytes = dumps(super().reduce(data))
        return hashlib.sha256(content).digest(), content

    def rebuild(self, target_context: Any, reduced_data: tuple[bytes, bytes]) -> Any:
        """Return the loop.

        Raises:
            ValueError: If the bytes are not those that were written.
        """
        digest, content = reduced_data
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("a cached loop is damaged")
        return super().rebuild(target_context, pickle.loads(content))


SharedCache._impl_class = CheckedContent


class Notice:
    """A line on stderr about a long compilation, printed once, and by one of the processes that share a mark.

    Args:
        how_often: How often loops are compiled, in words.
        mark: A file whose modification time is the time when a process last printed the line.
    """

    is_printed: ClassVar[bool] = False

    def __init__(self, how_often: str, mark: Path | None = None) -> None:
        self._line = f"regression: compiling the loops over points for this processor, {how_often}"
        self._mark = mark
        self._timer: threading.Timer | None = None

    def start(self, seconds: float) -> None:
        """Print the line after a number of seconds, unless ``cancel`` is called before."""
        self._timer = threading.Timer(seconds, self._print)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Do not print the line, if it is not printed yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _print(self) -> None:
        if not Notice.is_printed and not self._is_printed_by_another():
            with suppress(OSError, ValueError, AttributeError):  # stderr may be closed
                print(self._line, file=sys.stderr, flush=True)
        Notice.is_printed = True

    def _is_printed_by_another(self) -> bool:
        if self._mark is None:
            return False
        with suppress(OSError):
            if time.time() - self._mark.stat().st_mtime < SECONDS_BETWEEN_NOTICES:
                return True
        with suppress(OSError):
            self._mark.touch()
        return False


def _cache(function: FunctionType) -> SharedCache | NoCache:
    try:
        return SharedCache(function)
    except (RuntimeError, OSError):  # numba's "no locator available": no folder can be written
        return NoCache()


def compile_called(function: FunctionType) -> Any:
    """Return a loop that other compiled loops can call; it is compiled into each caller, and cached as a part of it.

    A real call would pass the shape and strides of each array, which takes longer than a loop over a few numbers.
    """
    return numba.njit(no_cpython_wrapper=True, forceinline=True, **OPTIONS)(function)


def operation(build: Callable[..., Any], result: str, arguments: list[str]) -> Any:
    """Return an operation of the processor that compiled loops can call; see ``compiled_as``."""
    signature = getattr(types, result)(*(getattr(types, name) for name in arguments))

    def typed(*_: Any) -> Any:
        return signature, lambda _context, builder, _signature, values: build(builder, *values)

    names = ", ".join(f"a{k}" for k in range(len(arguments)))
    return intrinsic(eval(f"lambda typingcontext, {names}: typed()", {"typed": typed}))  # numba reads the signature
