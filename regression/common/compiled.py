"""Plain Python loops, compiled by numba where there is much to do.

A loop is written once, as plain Python on numbers. It runs as it stands where there is little to do, so that small
fits need neither numba's import nor a compilation, and compiled otherwise: the same bits either way.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from types import CodeType, FunctionType
from typing import Any, TypeVar

__all__ = ["compiled", "compiled_as", "loop"]

Function = TypeVar("Function", bound=Callable[..., Any])


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


@cache
def compiled(function: Callable[..., Any], is_inner: bool = False) -> Callable[..., Any]:
    """Return a loop compiled; with ``NUMBA_DISABLE_JIT=1`` as it stands.

    Args:
        function: The loop.
        is_inner: Whether only compiled loops call it: then it needs no entry from Python, which takes half a second to
            compile where arguments have many parts.
    """
    import numba

    if numba.config.DISABLE_JIT:
        return function
    if hasattr(function, "operation"):
        return _operation(*function.operation)
    assert isinstance(function, FunctionType)
    used = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    called = {
        name: compiled(value, is_inner=True)
        for name, value in used.items()
        if hasattr(value, "is_loop") or hasattr(value, "operation")
    }
    twin = FunctionType(function.__code__, function.__globals__ | called, function.__name__, function.__defaults__)
    twin.__qualname__ = f"{function.__qualname__}_{_digest(function)}"  # names the file that keeps it compiled
    twin.__module__ = function.__module__
    options = {"nogil": True, "cache": not is_inner, "error_model": "numpy", "no_cpython_wrapper": is_inner}
    # Loops make no arrays. Without numba's counts of who uses a row of one, a row costs nothing: the counts took two
    # thirds of the time of loops over some hundred numbers.
    options["_nrt"] = False
    result: Callable[..., Any] = numba.njit(**options)(twin)  # type: ignore[call-overload]
    return result


@cache
def _digest(function: Callable[..., Any]) -> str:
    """Return a digest of a loop, and of all that it calls: numba looks at the loop's own file alone."""
    assert isinstance(function, FunctionType)
    code, used = function.__code__, (function.__globals__.get(name) for name in function.__code__.co_names)
    parts = [code.co_code.hex(), repr([value for value in code.co_consts if not isinstance(value, CodeType)])]
    for value in used:
        if hasattr(value, "is_loop") or hasattr(value, "operation"):
            parts.append(_digest(value))
        elif isinstance(value, int | float):
            parts.append(repr(value))
    if hasattr(function, "operation"):
        parts.append(_digest(function.operation[0]))
    return sha256(" ".join(parts).encode()).hexdigest()[:16]


def _operation(build: Callable[..., Any], result: str, arguments: list[str]) -> Any:
    from numba import types
    from numba.extending import intrinsic

    signature = getattr(types, result)(*(getattr(types, name) for name in arguments))

    def typed(*_: Any) -> Any:
        return signature, lambda _context, builder, _signature, values: build(builder, *values)

    names = ", ".join(f"a{k}" for k in range(len(arguments)))
    return intrinsic(eval(f"lambda typingcontext, {names}: typed()", {"typed": typed}))  # numba counts the arguments
