"""How loops are compiled and kept: the one file that relies on numba's inner parts, imported with numba when needed.

numba keeps compiled functions where ``NUMBA_CACHE_DIR`` says, else in the ``__pycache__`` beside their source, else in
the user's own cache folder. Nothing about that place can fail a fit: where there is none (numba 4908, 5566), or where
it cannot be read or written, a loop is compiled for the process at hand.
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

from regression.common.folder_lock import FolderLock

__all__ = ["CompiledLoop", "Notice", "compile_called", "operation"]

# A division by 0 gives inf or nan, as the processor has it. Loops make no arrays: without numba's counts of who uses a
# row of one, a row costs nothing; the counts take two thirds of the time of loops over some hundred numbers.
OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
SECONDS_TO_WAIT = 60.0  # for another process that compiles, which takes a few
SECONDS_TO_SAY = 1.0  # a compilation that ends sooner is not worth a line
SECONDS_TO_REPEAT = 60.0  # processes that start together compile one loop or another in turn
SAID = "regression.said"
KEPT = "once"
NOT_KEPT = "for this run alone: name a folder to keep them in by NUMBA_CACHE_DIR"


class CompiledLoop(CPUDispatcher):  # type: ignore[misc]
    """A loop that numba compiles at its first call with arguments of each type, or loads where it was kept.

    Args:
        function: The loop, a Python function that stands in a file.
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
    """Loops kept in a folder that processes share: one compiles, the others wait for it and load what it kept.

    Many processes that start at once would otherwise all compile, and write the same files (numba 10128).
    """

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        self._lock = FolderLock(Path(self.cache_path))
        self._notice = Notice(KEPT, Path(self.cache_path) / SAID)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the loop for arguments of given types, or ``None`` where this process is to compile it."""
        found = self._load(sig, target_context)
        if found is None and self._lock.acquire(SECONDS_TO_WAIT):
            found = self._load(sig, target_context)
        if found is None:
            self._notice.start(SECONDS_TO_SAY)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled loop if that is possible: the disk may be full, the folder gone, a file damaged."""
        with suppress(Exception):
            super().save_overload(sig, data)

    def end(self) -> None:
        """Let the other processes go on, once the loop is kept or could not be compiled."""
        self._notice.cancel()
        self._lock.release()

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # files that are cut short or damaged raise whatever pickle comes upon
            with suppress(OSError):
                self.flush()
            return None


class NoCache(NullCache):  # type: ignore[misc]
    """No place to keep loops in."""

    def __init__(self) -> None:
        self._notice = Notice(NOT_KEPT)

    def load_overload(self, sig: Any, target_context: Any) -> None:
        """Find nothing."""
        self._notice.start(SECONDS_TO_SAY)

    def end(self) -> None:
        """End the compilation."""
        self._notice.cancel()


class CheckedContent(CompileResultCacheImpl):  # type: ignore[misc]
    """A compiled loop with a digest of its bytes: damaged machine code would end the process, or be wrong."""

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
            raise ValueError("a kept loop is damaged")
        return super().rebuild(target_context, pickle.loads(content))


SharedCache._impl_class = CheckedContent


class Notice:
    """A line on stderr about compilations that take a while, once a process, and once for processes that share a file.

    Args:
        how_often: When loops are compiled, in words.
        mark: A file that says that another process has just said it.
    """

    is_said: ClassVar[bool] = False

    def __init__(self, how_often: str, mark: Path | None = None) -> None:
        self._line = f"regression: compiling the loops over points for this processor, {how_often}"
        self._mark = mark
        self._timer: threading.Timer | None = None

    def start(self, seconds: float) -> None:
        """Say it after some seconds, unless it is cancelled before."""
        self._timer = threading.Timer(seconds, self._say)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Leave it unsaid, unless it is said."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say(self) -> None:
        if not Notice.is_said and not self._is_said_by_another():
            with suppress(OSError, ValueError, AttributeError):  # stderr may be closed
                print(self._line, file=sys.stderr, flush=True)
        Notice.is_said = True

    def _is_said_by_another(self) -> bool:
        if self._mark is None:
            return False
        with suppress(OSError):
            if time.time() - self._mark.stat().st_mtime < SECONDS_TO_REPEAT:
                return True
        with suppress(OSError):
            self._mark.touch()
        return False


def _cache(function: FunctionType) -> SharedCache | NoCache:
    try:
        return SharedCache(function)
    except (RuntimeError, OSError):  # "no locator available": no folder can be written
        return NoCache()


def compile_called(function: FunctionType) -> Any:
    """Return a loop as compiled loops call it: compiled within each of them, and kept as a part of them."""
    return numba.njit(no_cpython_wrapper=True, **OPTIONS)(function)


def operation(build: Callable[..., Any], result: str, arguments: list[str]) -> Any:
    """Return an operation of the processor as compiled loops call it; see ``compiled_as``."""
    signature = getattr(types, result)(*(getattr(types, name) for name in arguments))

    def typed(*_: Any) -> Any:
        return signature, lambda _context, builder, _signature, values: build(builder, *values)

    names = ", ".join(f"a{k}" for k in range(len(arguments)))
    return intrinsic(eval(f"lambda typingcontext, {names}: typed()", {"typed": typed}))  # numba counts the arguments
