"""Where jsonargparse, and Lightning's command line over it, are handled by private names.

There is no public place between a class's name in a configuration and its import. The version of jsonargparse is
bounded, and ``tests/test_foreign_privates.py`` fails where a name is gone or one is used elsewhere: the command then
fails rather than trust.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import _actions, _common, _typehints
from lightning.pytorch.cli import LightningCLI

__all__ = ["OwnCheckpoints", "remembered_parsers", "replaced_importer"]

IMPORTER = "import_object"
MAKER = "get_class_parser"


@contextmanager
def replaced_importer(replace: Callable[[Any, Callable[[Any], Any]], Any]) -> Iterator[None]:
    """Let another function resolve the names of classes that options and configurations hold.

    Args:
        replace: Given the name, and the original function that imports what it stands for.
    """
    modules = (_typehints, _actions)  # all that resolve names of options
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
def remembered_parsers() -> Iterator[None]:
    """Let one parser serve for a class: jsonargparse makes one whenever it meets the class's name, dozens of times.

    That is a quarter of the time that an exact run takes besides imports. Parsing does not change a parser, unless
    options of one class are linked to those of another: such parsers are made anew.
    """
    owner = _typehints.ActionTypeHint
    make: Callable[..., Any] = getattr(owner, MAKER)
    known: dict[Any, Any] = {}

    def remembered(val_class: Any, sub_add_kwargs: Any = None, skip_args: Any = None) -> Any:
        options = sub_add_kwargs or {}
        if skip_args or options.get("linked_targets") or _common.nested_links.get():
            return make(val_class, sub_add_kwargs, skip_args)
        key = (val_class, *sorted((name, str(value)) for name, value in options.items()))
        if key not in known:
            known[key] = make(val_class, sub_add_kwargs)
        return known[key]

    setattr(owner, MAKER, staticmethod(remembered))
    try:
        yield
    finally:
        setattr(owner, MAKER, staticmethod(make))


class OwnCheckpoints(LightningCLI):
    """LightningCLI that leaves a checkpoint's settings to ``parse_arguments``.

    Its own reading of them comes too late, after "model is required", and overrides options silently.
    """

    def _parse_ckpt_path(self) -> None:
        pass
