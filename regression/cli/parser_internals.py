"""Where jsonargparse, and Lightning's command line over it, are handled by private names.

There is no public place between a class's name in a configuration and its import. The version of jsonargparse is
bounded, and ``tests/test_foreign_privates.py`` fails where a name is gone or one is used elsewhere: the command then
fails rather than trust.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import _actions, _typehints
from lightning.pytorch.cli import LightningCLI

__all__ = ["OwnCheckpoints", "replaced_importer"]

IMPORTER = "import_object"


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


class OwnCheckpoints(LightningCLI):
    """LightningCLI that leaves a checkpoint's settings to ``parse_arguments``.

    Its own reading of them comes too late, after "model is required", and overrides options silently.
    """

    def _parse_ckpt_path(self) -> None:
        pass
