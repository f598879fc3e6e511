"""The words of the command line: their order, and the options that a checkpoint adds."""

import inspect
import json
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from jsonargparse import Namespace

from regression.cli.trusted_classes import CONFIG_OPTIONS
from regression.common.command_line import option_value
from regression.common.errors import UsageError
from regression.common.public_names import public
from regression.runs.find_checkpoint import LAST_OR_NEW

__all__ = ["checkpoint_options", "compare_points", "put_files_first", "require_same_model", "resolve_last_or_new"]

# Options that say which points there are.
POINT_OPTIONS = ("path", "x", "y", "sigma", "sigma_x", "weights", "counts", "points", "low", "high", "noise")


def put_files_first(args: Sequence[str]) -> list[str]:
    """Return the command line with its configuration files before its options, each in their order.

    For the parser the later one counts: with ``--model X -c FILE`` the file would replace X without a message.

    Args:
        args: The subcommand and what follows it.
    """
    files: list[str] = []
    others: list[str] = []
    words = iter(args[1:])
    for word in words:
        if word in CONFIG_OPTIONS:
            files += [word, *islice(words, 1)]
        else:
            (files if word.startswith(tuple(f"{option}=" for option in CONFIG_OPTIONS)) else others).append(word)
    return [args[0], *files, *others]


def resolve_last_or_new(args: Sequence[str], has_checkpoint: Callable[[], bool]) -> list[str]:
    """Return the command line with ``--ckpt_path last_or_new`` as ``last``, or without it if there is no checkpoint.

    With it, a job that is started again with the same command line is resumed.

    Args:
        args: The subcommand and what follows it.
        has_checkpoint: Tells whether a run has saved a checkpoint.
    """
    if option_value(args, "--ckpt_path") != LAST_OR_NEW:
        return list(args)
    if args[0] != "fit":
        raise UsageError(f"--ckpt_path {LAST_OR_NEW} is for fit; {args[0]} takes a path, last or best")
    rest, words = list[str](), iter(args)
    for word in words:
        if word == "--ckpt_path":
            next(words, None)  # its value
        elif not word.startswith("--ckpt_path="):
            rest.append(word)
    return [*rest, *(["--ckpt_path=last"] if has_checkpoint() else [])]


def checkpoint_options(checkpoint: dict[str, Any], is_split: bool) -> list[str]:
    """Return the options that build the checkpoint's model and data, to be placed before the user's options.

    Args:
        checkpoint: The checkpoint.
        is_split: Whether the data are those of the fit, so that its validation points are the same.
    """
    model = {"class_path": checkpoint["class_path"], "init_args": checkpoint["hyper_parameters"]}
    options = [f"--model={json.dumps(model)}"]
    for name, stored in ((key, checkpoint.get("datamodule_hyper_parameters")) for key in checkpoint):
        if stored is not None and isinstance(checkpoint[name], dict) and "class_path" in checkpoint[name]:
            split = ("validation_fraction", "validation_path")
            init_args = {key: value for key, value in stored.items() if is_split or key not in split}
            options.append(f"--data={json.dumps({**checkpoint[name], 'init_args': init_args})}")
    return options


def compare_points(data: Namespace, checkpoint: dict[str, Any]) -> str | None:
    """Return a line about points other than those of the checkpoint's fit, ``None`` where they are the same.

    Args:
        data: Class and options of the data module as parsed.
        checkpoint: The checkpoint.
    """
    stored, given = checkpoint.get("datamodule_hyper_parameters") or {}, data.init_args
    for name in POINT_OPTIONS:
        if name in stored and name in given and stored[name] != given[name]:
            return (
                f"--data.{name} was {stored[name]} in the run of the checkpoint: this run goes on from its "
                f"coefficients with {given[name]}"
            )
    return None


def require_same_model(model: Namespace, checkpoint: dict[str, Any]) -> None:
    """Refuse a class or options of the model other than the checkpoint's.

    Args:
        model: Class and options as parsed.
        checkpoint: The checkpoint.
    """
    if model.class_path != checkpoint["class_path"]:
        raise UsageError(f"--model {model.class_path} contradicts the checkpoint's {checkpoint['class_path']}")
    # A checkpoint of a module built in Python has only the options that were given; the others have their defaults.
    bases = reversed(public(model.class_path.rpartition(".")[2]).__mro__[:-1])  # the class's own options count last
    defaults = {name: given.default for base in bases for name, given in inspect.signature(base).parameters.items()}
    for name, value in model.init_args.items():
        stored = checkpoint["hyper_parameters"].get(name, defaults[name])
        if name not in ("updates_per_batch", "level") and value != stored:
            raise UsageError(f"--model.{name} {value} contradicts the checkpoint's {stored}: leave the option out")
