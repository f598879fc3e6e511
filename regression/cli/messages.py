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

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "dict": "key: value pairs",
}
WORDS = {  # for what the parser names by types of Python
    "--model.domain": "data, raw, or [low, high]",
    "--model.terms": "a list of powers, such as [0, 2]",
    "--model.fix": "names and values, such as {slope: 4}",
    "--model.through": "a list of points, such as [[4, 2]], with times as numbers of the time unit since the origin",
    "--figure.size": "two lengths in inches, such as [3.4, 2.8]",
}
UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
ROOM = "make room, or choose another folder with --trainer.default_root_dir; the checkpoints there are intact"


def one_line(error: BaseException, options: Iterable[str] = ()) -> str:
    """Return the error in one line; for the parser's nested lists of errors, their cause.

    Args:
        error: What was raised.
        options: The options that exist, from which the most similar one is suggested for an unknown one.
    """
    if isinstance(error, OSError) and error.errno in UNWRITTEN:
        return f"cannot write to the run's folder: {error.strerror}; {ROOM}"
    text = str(error).strip() or type(error).__name__
    if isinstance(error, UsageError):
        return " ".join(text.split())
    option = "--" + ".".join(dict.fromkeys(re.findall(r'Parser key "([^"]+)"', text)))
    if option in WORDS and (given := re.search(r"Given value: (.*)", text)):
        return f"{option} must be {WORDS[option]}, got {given[1]}"
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
    return f"unknown option {name}{_near(name, options)}"


def _near(word: str, known: Iterable[str]) -> str:
    return did_you_mean(word, known, "; --help lists what there is")


def _unknown_choice(match: re.Match[str]) -> str:
    choices = [*re.findall(r"[\w-]+", match[2]), "plot", "export"]  # the two that are not in Lightning's parser
    return f"unknown command {match[1]!r}, expected one of {', '.join(choices)}{_near(match[1], choices)}"


def _missing(option: str, arguments: str) -> str:
    if option != "--":  # of a class
        return f"{option}.{arguments} is missing"
    names = ", ".join("--" + name.split(".", 1)[-1] for name in arguments.split(", "))
    hint = "start from a config, as in: -c configs/line.yaml" if "--model" in names else "--help lists what there is"
    return f"{names} is missing; {hint}"


def _unaccepted(option: str, class_path: str, name: str) -> str:
    module, _, attribute = class_path.rpartition(".")
    room = sys.modules.get(module)
    cls = getattr(room, attribute, object)
    known = {name for base in cls.__mro__[:-1] for name in inspect.signature(base).parameters}
    kin = [other for other in vars(room).values() if inspect.isclass(other) and other.__bases__ == cls.__bases__]
    kin += cls.__subclasses__()  # of the class that stands for any model
    having = [other.__name__ for other in kin if name in inspect.signature(other).parameters]
    hint = f"; {option} {having[0]} has it" if len(having) == 1 else _near(name, known)
    return f"{option}.{name} is not an option of {class_path}{hint}"


def _unknown_class(option: str, name: str) -> str:
    known = {"--optimizer": dir(torch.optim), "--lr_scheduler": dir(torch.optim.lr_scheduler)}
    return f"{option}: there is no class {name!r}{_near(name, known.get(option, MODULES))}"


def _wrong_type(option: str, text: str) -> str:
    kinds = re.findall(r"Expected a (?:<class '(\w+)'>|typing\.Literal\[(.*?)\])", text)
    names = [KINDS.get(kind, kind) or f"one of {literals}" for kind, literals in kinds if kind != "NoneType"]
    return f"{option} must be {' or '.join(dict.fromkeys(names))}, got {_value(text)}"


def _value(text: str) -> str:
    match = re.search(r"(?:Got|Given) value: (.*)", text)
    return match[1] if match else "something else"
