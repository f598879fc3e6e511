"""A shorter way to the options: jsonargparse makes the same parsers for the same classes dozens of times a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import _common, _typehints

__all__ = ["remembered_parsers"]

MAKER = "get_class_parser"


@contextmanager
def remembered_parsers() -> Iterator[None]:
    """Let one parser serve for a class: jsonargparse makes one whenever it meets the class's name.

    A parser is not changed by parsing, unless options of one class are linked to those of another: such parsers are
    made anew. There is no public place between a class and its parser; in a version without this one the command
    fails, and a test says where.
    """
    maker = _typehints.ActionTypeHint
    make = getattr(maker, MAKER)
    known: dict[Any, Any] = {}

    def remembered(val_class: Any, sub_add_kwargs: Any = None, skip_args: Any = None) -> Any:
        options = sub_add_kwargs or {}
        if skip_args or options.get("linked_targets") or _common.nested_links.get():
            return make(val_class, sub_add_kwargs, skip_args)
        key = (val_class, *sorted((name, str(value)) for name, value in options.items()))
        if key not in known:
            known[key] = make(val_class, sub_add_kwargs)
        return known[key]

    setattr(maker, MAKER, staticmethod(remembered))
    try:
        yield
    finally:
        setattr(maker, MAKER, staticmethod(make))
