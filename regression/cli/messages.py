"""Converts an error to one line: what was expected, what was given, what to do."""

import errno
import inspect
import re
import sys
from collections.abc import Iterable

import torch

from regression.common.errors import UsageError
from regression.common.public_names import MODULES
from regression.common.text import did_you_mean

__all__ = ["one_line"]

TYPE_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "dict": "key: value pairs",
}
EXPECTED_VALUES = {  # of options for which the parser's message names types of Python
    "--model.domain": "data, raw, or [low, high]",
    "--model.terms": "a list of powers, such as [0, 2]",
    "--model.fix": "names and values, such as {slope: 4}",
    "--model.through": "a list of points, such as [[4, 2]], with times as numbers of the time unit since the origin",
    "--figure.size": "two lengths in inches, such as [3.4, 2.8]",
}
WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
WRITE_ADVICE = "make room, or choose another folder with --trainer.default_root_dir; the checkpoints there are intact"


def one_line(error: BaseException, options: Iterable[str] = ()) -> str:
    """Return the error in one line; of a nested list of the parser's errors, the cause.

    Args:
        error: What was raised.
        options: The options that exist, from which the most similar one is suggested for an unknown one.
    """
    if isinstance(error, OSError) and error.errno in WRITE_ERRORS:
        return f"cannot write to the run's folder: {error.strerror}; {WRITE_ADVICE}"
    text = str(error).strip() or type(error).__name__
    if isinstance(error, UsageError):
        return " ".join(text.split())
    option = "--" + ".".join(dict.fromkeys(re.findall(r'Parser key "([^"]+)"', text)))
    if option in EXPECTED_VALUES and (given := re.search(r"Given value: (.*)", text)):
        return f"{option} must be {EXPECTED_VALUES[option]}, got {given[1]}"
    for pattern, explain in (
        (r"unrecognized arguments: ([^\s=]+)", lambda m: _unknown_option(m[1], options)),
        (r"does not accept option '([^']+)'", lambda m: _unknown_option(f"--{m[1]}", options)),
        (r"invalid choice: '?([^' ]+)'? \(choose from (.*)\)", _unknown_choice),
        (r"arguments are required: (.*)", lambda m: _missing(option, m[1])),
        (r"class_path '([^']+)':\s+Option '([^']+)' is not accepted", lambda m: _unaccepted(option, m[1], m[2])),
        (r"Expected a (?:<class '(?!NoneType)|typing)", lambda _: _wrong_type(option, text)),
        (r"(?:import path string: |module '[\w.]+' has no attribute ')(\w+)", lambda m: _unknown_class(option, m[1])),
        (r"does not correspond to a subclass of (\w+)", lambda m: f"{option}: {_value(text)} is no {m[1]}"),
        (r"File does not exist: '(.*)'", lambda m: f"{option}: file not found: {m[1]}"),
        (r"\n\s+- (?!Expected a (?:<class 'NoneType'>|path)|Does not validate)([^\n]+)", lambda m: m[1]),
    ):
        match = re.search(pattern, text)
        if match:
            return explain(match)
    return " ".join(text.split())


def _unknown_option(name: str, options: Iterable[str]) -> str:
    if not name.startswith("-"):
        return f"expected an option, got {name}: a file to read stands right after the command, as in fit {name}"
    return f"unknown option {name}{_suggest(name, options)}"


def _suggest(word: str, known: Iterable[str]) -> str:
    return did_you_mean(word, known, "; --help lists what there is")


def _unknown_choice(match: re.Match[str]) -> str:
    choices = [*re.findall(r"[\w-]+", match[2]), "plot", "export"]  # the two that are not in Lightning's parser
    return f"unknown command {match[1]!r}, expected one of {', '.join(choices)}{_suggest(match[1], choices)}"


def _missing(option: str, arguments: str) -> str:
    if option != "--":  # of a class
        return f"{option}.{arguments} is missing"
    names = ", ".join("--" + name.split(".", 1)[-1] for name in arguments.split(", "))
    hint = "start from a config, as in: -c configs/line.yaml" if "--model" in names else "--help lists what there is"
    return f"{names} is missing; {hint}"


def _unaccepted(option: str, class_path: str, name: str) -> str:
    module, _, attribute = class_path.rpartition(".")
    package = sys.modules[module]
    cls = getattr(package, attribute, object)
    known = {name for base in cls.__mro__[:-1] for name in inspect.signature(base).parameters}
    siblings = [one for one in vars(package).values() if inspect.isclass(one) and one.__bases__ == cls.__bases__]
    siblings += cls.__subclasses__()  # the models, where the class is the base of all models
    owners = [other.__name__ for other in siblings if name in inspect.signature(other).parameters]
    hint = f"; {option} {owners[0]} has it" if len(owners) == 1 else _suggest(name, known)
    return f"{option}.{name} is not an option of {class_path}{hint}"


def _unknown_class(option: str, name: str) -> str:
    known = {"--optimizer": dir(torch.optim), "--lr_scheduler": dir(torch.optim.lr_scheduler)}
    return f"{option}: there is no class {name!r}{_suggest(name, known.get(option, MODULES))}"


def _wrong_type(option: str, text: str) -> str:
    kinds = re.findall(r"Expected a (?:<class '(\w+)'>|typing\.Literal\[(.*?)\])", text)
    names = [TYPE_NAMES.get(kind, kind) or f"one of {literals}" for kind, literals in kinds if kind != "NoneType"]
    return f"{option} must be {' or '.join(dict.fromkeys(names))}, got {_value(text)}"


def _value(text: str) -> str:
    match = re.search(r"(?:Got|Given) value: (.*)", text)
    return match[1] if match else "something else"
