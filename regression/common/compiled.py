"""Plain Python loops, compiled by numba where there is much to do.

A loop is written once, as plain Python on numbers. It runs as it stands where there is little to do, so that small
fits need neither numba's import nor a compilation, and compiled otherwise: the same bits either way.
"""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, TypeVar

__all__ = ["choose", "compiled", "compiled_as", "loop"]

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
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loop compiled; with ``NUMBA_DISABLE_JIT=1`` as it stands."""
    import numba

    if numba.config.DISABLE_JIT:
        return function
    if hasattr(function, "operation"):
        return _operation(*function.operation)
    assert isinstance(function, FunctionType)
    used = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    called = {
        name: compiled(value)
        for name, value in used.items()
        if hasattr(value, "is_loop") or hasattr(value, "operation")
    }
    twin = FunctionType(function.__code__, function.__globals__ | called, function.__name__, function.__defaults__)
    twin.__qualname__, twin.__module__ = function.__qualname__, function.__module__
    result: Callable[..., Any] = numba.njit(nogil=True, cache=True, error_model="numpy")(twin)
    return result


def _operation(build: Callable[..., Any], result: str, arguments: list[str]) -> Any:
    from numba import types
    from numba.extending import intrinsic

    signature = getattr(types, result)(*(getattr(types, name) for name in arguments))

    def typed(*_: Any) -> Any:
        return signature, lambda _context, builder, _signature, values: build(builder, *values)

    names = ", ".join(f"a{k}" for k in range(len(arguments)))
    return intrinsic(eval(f"lambda typingcontext, {names}: typed()", {"typed": typed}))  # numba counts the arguments


def choose(function: Callable[..., Any], steps: float) -> Callable[..., Any]:
    """Return a loop as it stands where there is little to do, else compiled."""
    return function if steps <= 20_000 else compiled(function)
