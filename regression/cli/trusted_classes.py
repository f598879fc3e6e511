"""Limits the classes that a configuration may name, and its size, so that a foreign configuration runs no code.

jsonargparse imports what a ``class_path`` names before it checks that it is a class of the expected type, and an import
runs code. Here the name is checked before the import.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

from regression.cli.parser_internals import SIGNS, kept_signs, replaced_importer
from regression.common.errors import UsageError

__all__ = ["CONFIG_OPTIONS", "only_trusted_names", "require_plain_files"]

LIGHTNING_PARTS = ("accelerators", "callbacks", "cli", "core", "loggers", "plugins", "profilers", "strategies")
TRUSTED_MODULES = (
    "torch.optim",
    "torch.nn.modules.loss",
    *(f"lightning.{part}.{kind}" for part in ("pytorch", "fabric") for kind in LIGHTNING_PARTS),
    "regression",
    "jsonargparse",
)
TRUSTED_PREFIXES = (*TRUSTED_MODULES, "torch.nn")  # packages that a name may begin with; their import has no effects
MOST_BYTES = 1 << 20  # of YAML
MOST_LEVELS = 40  # of nested lists and mappings
MOST_VALUES = 100_000  # with all aliases expanded
CONFIG_SUFFIXES = (".yaml", ".yml", ".json")
CONFIG_OPTIONS = ("-c", "--config")


class _RefusalError(BaseException):
    """A name is refused. Not an ``Exception``, which the parser would catch to try the next of several types."""


@contextmanager
def only_trusted_names() -> Iterator[None]:
    """Make the parser import and build only optimizers, schedulers, losses, and classes of Lightning and this package.

    Raises:
        UsageError: If a configuration or an option names something else, or is a YAML bomb.
    """
    load = get_loader("yaml")
    set_loader("yaml", lambda text: _load_checked(text, load), (yaml.YAMLError,))
    try:
        with replaced_importer(_import_trusted), kept_signs():
            yield
    except _RefusalError as refusal:
        raise UsageError(str(refusal)) from None
    finally:
        set_loader("yaml", load, (yaml.YAMLError,))


def _import_trusted(name: Any, importer: Any) -> Any:
    """Import and return the class of a name, if it may be built."""
    if isinstance(name, str) and "." in name and not (_is_within(name, TRUSTED_PREFIXES) and "__" not in name):
        raise _RefusalError(_refusal(name))
    found = importer(name)  # refuses a text that is not a dotted name
    if not isinstance(found, type) or not _is_within(found.__module__, TRUSTED_MODULES):
        raise _RefusalError(_refusal(name))
    return found


def _is_within(name: str, places: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{place}.") for place in places)


def _refusal(name: str) -> str:
    return (
        f"{name} is not allowed: options and configurations can name torch's optimizers, schedulers and losses, and "
        "Lightning's and this program's classes; build anything else in a Python program of your own"
    )


def _load_checked(text: str, load: Any) -> Any:
    if len(text) > MOST_BYTES:
        raise _RefusalError(f"expected at most {MOST_BYTES:,} characters of YAML, got {len(text):,}: shorten it")
    _require_flat(text)
    if text.startswith(SIGNS) and "\n" not in text:
        return text  # the value of an option: YAML would read a comment or a key, and so nothing
    try:
        return load(text)
    except (ValueError, RecursionError, OverflowError) as error:  # such as a number of 5,000 digits
        raise yaml.YAMLError(str(error)) from None


def _require_flat(text: str) -> None:
    """Refuse nesting too deep for the parser's stack, and aliases that expand to too many values or to themselves."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor of each open list or mapping, and number of values before it
    values = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            values += sizes.get(str(anchor), MOST_VALUES + 1)  # an alias within its own anchor would expand without end
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((anchor, values))
            values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes |= {anchor: values - before} if anchor else {}
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            sizes |= {anchor: 1} if anchor else {}
        if values > MOST_VALUES:
            raise _RefusalError(f"expected at most {MOST_VALUES:,} values in YAML, got more with aliases: write less")
        if len(open_nodes) > MOST_LEVELS:
            raise _RefusalError(f"expected at most {MOST_LEVELS} levels of YAML, got more: write it flatter")


def require_plain_files(args: Sequence[str]) -> None:
    """Refuse a configuration of more than a mebibyte, and a pipe or a device, before they are read.

    Args:
        args: The command line.
    """
    for before, word in pairwise(["", *args]):
        path = Path(word.rpartition("=")[2])
        is_named = before in CONFIG_OPTIONS or word.startswith(CONFIG_OPTIONS) or path.suffix.lower() in CONFIG_SUFFIXES
        _require_plain(path, MOST_BYTES if is_named else None)


def _require_plain(path: Path, largest: int | None) -> None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # the parser reports a path that does not exist
        return
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # reading it might not end
        raise UsageError(f"{path} is not a regular file: expected one with that content")
    if largest is not None and found.st_size > largest:
        raise UsageError(
            f"expected a configuration of at most {largest:,} bytes, got {path} of {found.st_size:,}: shorten it"
        )
