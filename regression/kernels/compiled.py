"""Plain Python loops, compiled by numba where there is much to do.

A loop is written once, as plain Python on float64 numbers and rows of them. Where there is little to do it runs as
plain Python, so that small fits need neither numba's import nor a compilation; otherwise it runs compiled. The bits are
the same either way, and on every processor: without ``fastmath`` numba lets no operation be reordered or fused, and
LLVM then rounds each operation as IEEE 754 requires (LLVM Language Reference, Fast-Math Flags); tests check the loops'
machine code for x86 and ARM. Loops are compiled without ``parallel=True``: the caller divides the work among threads,
which run without Python's global interpreter lock.

Rows come from ``rows_for``. Do not use ``float(value)`` in a loop: when compiled, it leaves a float32 number in
float32, and the product of two is then rounded to float32. An operation with a float64 number, such as
``value - center``, converts it to float64.
"""

import hashlib
import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from types import CodeType, FunctionType
from typing import Any, TypeVar

import numpy as np

__all__ = ["PLAIN_STEPS", "choose", "compiled", "compiled_as", "loop", "rows_for"]

PLAIN_STEPS = 400_000  # at 1.2 µs each they take as long as importing numba (0.32 s) and loading a cached loop (0.18 s)
DIGEST_CHARACTERS = 12

Function = TypeVar("Function", bound=Callable[..., Any])

_lock = threading.RLock()
_compiled: dict[Callable[..., Any], Callable[..., Any]] = {}  # results of ``compiled``, by function
_callable: dict[Callable[..., Any], Any] = {}  # results of ``_callable_from_loops``, by function
_plain_steps: Counter[Callable[..., Any]] = Counter()


def loop(function: Function) -> Function:
    """Mark a function as one that can be compiled, by itself or as a part of a loop that calls it."""
    function.is_loop = True  # type: ignore[attr-defined]
    return function


def compiled_as(build: Callable[..., Any], result: str, arguments: list[str]) -> Callable[[Function], Function]:
    """Mark a function for which compiled loops use an operation of the processor with the same result.

    Args:
        build: Makes the operation from llvmlite's builder and the values of the arguments.
        result: numba's name of the result's type.
        arguments: numba's names of the arguments' types.
    """

    def mark(function: Function) -> Function:
        function.operation = (build, result, arguments)  # type: ignore[attr-defined]
        return function

    return mark


def choose(function: Function, work: int) -> Function:
    """Return a loop as plain Python while there is little to do, else compiled: the same bits either way.

    The loop is compiled when its plain runs have added up to ``PLAIN_STEPS``. So any number of small runs takes at most
    twice as long as if their number had been known beforehand.

    Args:
        function: A function marked with ``loop``.
        work: Number of inner steps of the call to come, such as rows times sums.
    """
    with _lock:
        if function not in _compiled:
            _plain_steps[function] += work
            if _plain_steps[function] <= PLAIN_STEPS:
                return function
    return compiled(function)


def rows_for(function: Callable[..., Any], values: "np.ndarray[Any, Any]") -> Any:
    """Return an array in the form that a loop reads.

    Args:
        function: The result of ``choose`` or ``compiled``.
        values: Numbers of any shape, strides and byte order.

    Returns:
        For plain Python, lists of Python's numbers, because numpy's scalars are slow, warn, and multiply float32
        numbers in float32. For a compiled loop a read-only array, contiguous and aligned, copied only if needed: numba
        compiles the loop anew for each kind of array, and this leaves one kind for each dtype.
    """
    if isinstance(function, FunctionType):
        return values.tolist()
    flags = values.flags
    is_plain = flags.c_contiguous and flags.aligned and values.dtype.isnative
    view = (values if is_plain else values.astype(values.dtype.newbyteorder("="), order="C")).view()
    view.flags.writeable = False
    return view


def compiled(function: Function) -> Function:
    """Return the compiled form of a loop; with ``NUMBA_DISABLE_JIT=1`` the plain function.

    The loop is compiled at its first call with arguments of each type, by one thread while the others wait, and cached
    for other processes; see ``compilation``.
    """
    with _lock:
        if function not in _compiled:
            _compiled[function] = _compile(function)
        return _compiled[function]  # type: ignore[return-value]


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    import numba

    if numba.config.DISABLE_JIT:
        return function
    from regression.kernels.compilation import CompiledLoop

    return CompiledLoop(_linked_copy(function))


def _linked_copy(function: Callable[..., Any]) -> FunctionType:
    """Return a copy of a loop that calls compiled functions; its name contains a digest of its source and theirs."""
    assert isinstance(function, FunctionType)
    called = {name: _callable_from_loops(value) for name, value in _used(function) if _is_marked(value)}
    copy = FunctionType(function.__code__, function.__globals__ | called, function.__name__, function.__defaults__)
    copy.__module__ = function.__module__
    copy.__qualname__ = f"{function.__qualname__}_{_digest(function)[:DIGEST_CHARACTERS]}"
    return copy


def _callable_from_loops(function: Callable[..., Any]) -> Any:
    """Return a form of a marked function that compiled loops can call; it is cached as a part of them."""
    if function not in _callable:
        from regression.kernels.compilation import compile_called, operation

        marked = getattr(function, "operation", None)
        _callable[function] = operation(*marked) if marked else compile_called(_linked_copy(function))
    return _callable[function]


@cache
def _digest(function: Callable[..., Any]) -> str:
    """Return a digest of the source of a loop, of all functions that it calls, and of the constants that it uses.

    numba notices only changes of the loop's own file, and what the loop uses may be defined in other files.
    """
    parts = [_source(function)]
    if hasattr(function, "operation"):
        build, *types = function.operation
        parts += [_source(build), repr(types)]
    for name, value in _used(function):
        if _is_marked(value):
            parts.append(f"{name} {_digest(value)}")
        elif isinstance(value, int | float | tuple):
            parts.append(f"{name} {value!r}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _source(function: Callable[..., Any]) -> str:
    with suppress(OSError):  # there is no source file: numba then caches nothing
        return inspect.getsource(function)
    return ""


def _is_marked(value: object) -> bool:
    return hasattr(value, "is_loop") or hasattr(value, "operation")


def _used(function: Callable[..., Any]) -> Sequence[tuple[str, Any]]:
    """Return the global names that a function uses, with their values, sorted by name."""
    assert isinstance(function, FunctionType)
    names = sorted(set(_names(function.__code__)))
    return [(name, function.__globals__[name]) for name in names if name in function.__globals__]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # of a comprehension
            yield from _names(constant)
