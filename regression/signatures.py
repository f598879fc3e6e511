"""A shorter way to the options: jsonargparse looks at the same signatures and docstrings dozens of times a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from jsonargparse import _signatures

__all__ = ["remembered_signatures"]

RESOLVER = "get_signature_parameters"


@contextmanager
def remembered_signatures() -> Iterator[None]:
    """Let each signature be looked at once: it makes a parser for a class whenever it meets the class's name.

    There is no public place between a class and its parser. Where another version has none of this name, nothing is
    remembered, and nothing else is different.
    """
    resolve = getattr(_signatures, RESOLVER, None)
    if resolve is None:
        yield
        return

    @cache
    def known(component: Any, method: str | None) -> tuple[Any, ...]:
        return tuple(resolve(component, method))

    def remembered(component: Any, method: str | None = None, **_: Any) -> list[Any]:
        return list(known(component, method))

    setattr(_signatures, RESOLVER, remembered)
    try:
        yield
    finally:
        setattr(_signatures, RESOLVER, resolve)
