"""Plain Python loops, compiled by numba where there is much to do.

A loop is written once, as plain Python on float64 numbers and rows of them. It runs as it stands where there is little
to do, so that small fits need neither numba's import nor a compilation, and compiled otherwise: the same bits either
way, and on every processor. That is known because numba, without ``fastmath``, marks no operation as one that may be
reordered or fused, and LLVM then rounds each one on its own as IEEE 754 says (LLVM Language Reference, Fast-Math
Flags); tests look at the loops' machine code for x86 and ARM. Loops are compiled without ``parallel=True``: whoever
calls them divides the work among threads, each of which runs without Python's lock.

Rows come from ``rows_for``. Beware of ``float(value)`` in a loop: compiled, it leaves a float32 number as it is, and
the product of two is then rounded to float32. An operation with a float64 number widens it: ``value - center``.
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

PLAIN_STEPS = 400_000  # inner steps of 1.2 µs each: as long as numba takes to be imported (0.32 s) and to load (0.18 s)
DIGEST_LETTERS = 12

Function = TypeVar("Function", bound=Callable[..., Any])

_lock = threading.RLock()
_compiled: dict[Callable[..., Any], Callable[..., Any]] = {}  # what ``compiled`` has returned
_called: dict[Callable[..., Any], Any] = {}  # what those call
_plain_steps: Counter[Callable[..., Any]] = Counter()


def loop(function: Function) -> Function:
    """Mark a function that ``compiled`` may be asked for, or that such a function calls."""
    function.is_loop = True  # type: ignore[attr-defined]
    return function


def compiled_as(build: Callable[..., Any], result: str, arguments: list[str]) -> Callable[[Function], Function]:
    """Mark a function for which compiled loops have an operation of the processor with the same result.

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
    """Return a loop as it stands while there is little to do, else compiled: the same bits either way.

    Once all that was asked for as it stands comes to ``PLAIN_STEPS``, the loop is compiled: many small pieces of work
    take at most twice the time that they would have taken had their number been known.

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
    """Return an array as a loop takes it, for reading only.

    Args:
        function: What ``choose`` or ``compiled`` has returned.
        values: Numbers of any shape, strides and byte order.

    Returns:
        Lists of Python's own numbers for the loop as it stands: numpy's scalars are slow, warn, and multiply float32
        numbers in float32. For a compiled loop a read-only array, contiguous and aligned, copied only if it has to be:
        numba compiles one version of the loop for each kind of array, and so has one for each dtype.
    """
    if isinstance(function, FunctionType):
        return values.tolist()
    flags = values.flags
    is_plain = flags.c_contiguous and flags.aligned and values.dtype.isnative
    view = (values if is_plain else values.astype(values.dtype.newbyteorder("="), order="C")).view()
    view.flags.writeable = False
    return view


def compiled(function: Function) -> Function:
    """Return a loop compiled; with ``NUMBA_DISABLE_JIT=1`` as it stands.

    It is compiled at its first call with arguments of each type, by one thread while the others wait, and kept for
    other processes; see ``compilation``.
    """
    with _lock:
        if function not in _compiled:
            _compiled[function] = _compile(function)
        return _compiled[function]  # type: ignore[return-value]


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    import numba

    if numba.config.DISABLE_JIT:
        return function
    from regression.common.compilation import CompiledLoop

    return CompiledLoop(_twin(function))


def _twin(function: Callable[..., Any]) -> FunctionType:
    """Return a copy of a loop that calls compiled loops and has a digest of all that it is made of in its name."""
    assert isinstance(function, FunctionType)
    called = {name: _called_compiled(value) for name, value in _used(function) if _is_marked(value)}
    twin = FunctionType(function.__code__, function.__globals__ | called, function.__name__, function.__defaults__)
    twin.__module__ = function.__module__
    twin.__qualname__ = f"{function.__qualname__}_{_digest(function)[:DIGEST_LETTERS]}"
    return twin


def _called_compiled(function: Callable[..., Any]) -> Any:
    """Return a loop or operation as compiled loops call it; it is kept as a part of them, not by itself."""
    if function not in _called:
        from regression.common.compilation import compile_called, operation

        described = getattr(function, "operation", None)
        _called[function] = operation(*described) if described else compile_called(_twin(function))
    return _called[function]


@cache
def _digest(function: Callable[..., Any]) -> str:
    """Return a digest of the source of a loop, of all that it calls, and of the numbers that it finds in modules.

    numba keeps a compiled loop until the file changes that the loop stands in. What it calls may stand in others.
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
    with suppress(OSError):  # there is no file, and numba then keeps nothing
        return inspect.getsource(function)
    return ""


def _is_marked(value: object) -> bool:
    return hasattr(value, "is_loop") or hasattr(value, "operation")


def _used(function: Callable[..., Any]) -> Sequence[tuple[str, Any]]:
    """Return the globals that a function names, sorted by name."""
    assert isinstance(function, FunctionType)
    names = sorted(set(_names(function.__code__)))
    return [(name, function.__globals__[name]) for name in names if name in function.__globals__]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # of a comprehension
            yield from _names(constant)
