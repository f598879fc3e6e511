"""Uses private names of jsonargparse, and of Lightning's command line, which is based on it.

jsonargparse has no public hook between reading a class's name in a configuration and importing it. Its version is
bounded, and ``tests/test_foreign_privates.py`` fails if a name is gone or is used elsewhere. If a name is gone, the
command fails; it does not import a class unchecked.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import _actions, _common, _typehints
from lightning.pytorch.cli import LightningCLI

__all__ = ["SIGNS", "OwnCheckpoints", "cached_parsers", "kept_signs", "replaced_importer"]

IMPORTER = "import_object"
MAKER = "get_class_parser"
LOADER = "basic_json_or_yaml_load"
SIGNS = ("#", "?")  # which begin a comment and a key in YAML


@contextmanager
def replaced_importer(replace: Callable[[Any, Callable[[Any], Any]], Any]) -> Iterator[None]:
    """Replace the function that imports the classes named in options and configurations.

    Args:
        replace: The new function, called with the name and the original function.
    """
    modules = (_typehints, _actions)  # all modules of jsonargparse that resolve names
    original = vars(_typehints)[IMPORTER]
    for module in modules:
        assert IMPORTER in vars(module)
        setattr(module, IMPORTER, lambda name: replace(name, original))
    try:
        yield
    finally:
        for module in modules:
            setattr(module, IMPORTER, original)


@contextmanager
def kept_signs() -> Iterator[None]:
    """Keep a text such as ``#t`` as the value of an option that may be null; YAML would read a comment, and so null."""
    load = vars(_typehints)[LOADER]
    setattr(_typehints, LOADER, lambda text: text if text.startswith(SIGNS) else load(text))
    try:
        yield
    finally:
        setattr(_typehints, LOADER, load)


@contextmanager
def cached_parsers() -> Iterator[None]:
    """Cache the parser of each class: jsonargparse makes a new one at each use of the class's name, dozens of times.

    This saves a quarter of the time of an exact run without imports. Parsing does not change a parser, unless options
    of one class are linked to those of another: such parsers are not cached.
    """
    owner = _typehints.ActionTypeHint
    make: Callable[..., Any] = getattr(owner, MAKER)
    known: dict[Any, Any] = {}

    def cached(val_class: Any, sub_add_kwargs: Any = None, skip_args: Any = None) -> Any:
        options = sub_add_kwargs or {}
        if skip_args or options.get("linked_targets") or _common.nested_links.get():
            return make(val_class, sub_add_kwargs, skip_args)
        key = (val_class, *sorted((name, str(value)) for name, value in options.items()))
        if key not in known:
            known[key] = make(val_class, sub_add_kwargs)
        return known[key]

    setattr(owner, MAKER, staticmethod(cached))
    try:
        yield
    finally:
        setattr(owner, MAKER, staticmethod(make))


class OwnCheckpoints(LightningCLI):
    """LightningCLI that does not read a checkpoint's settings itself; ``parse_arguments`` does.

    Lightning reads them too late, after the error "model is required", and overrides options without a message.
    """

    def _parse_ckpt_path(self) -> None:
        pass
