"""Checks of values: of options given in Python, and of what the files of earlier runs hold."""

import math
import os
import reprlib
import sys
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, NamedTuple, get_args

import numpy as np

from regression.common.errors import UsageError

__all__ = [
    "BOOLEAN",
    "MAPPING",
    "NOT_NEGATIVE",
    "NUMBER",
    "PATH",
    "POSITIVE",
    "PROBABILITY",
    "RANGE",
    "TEXT",
    "Rule",
    "list_of",
    "one_of",
    "or_null",
    "require_option",
    "require_stored",
    "whole",
]


class Rule(NamedTuple):
    """A condition on a value: its words in error messages, and a function that returns whether a value meets it."""

    words: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    number = value.item() if isinstance(value, np.generic) else value
    return isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= sys.float_info.max


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_range(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]


NUMBER = Rule("a finite number", _is_number)
NOT_NEGATIVE = Rule("a finite number of at least 0", lambda value: _is_number(value) and value >= 0)
POSITIVE = Rule("a finite number above 0", lambda value: _is_number(value) and value > 0)
PROBABILITY = Rule("between 0 and 1", lambda value: _is_number(value) and 0 < value < 1)
RANGE = Rule("two finite numbers, the smaller one first", _is_range)
BOOLEAN = Rule("true or false", lambda value: isinstance(value, bool | np.bool_))
MAPPING = Rule("a mapping of names to values", lambda value: isinstance(value, Mapping))
PATH = Rule("a path", lambda value: isinstance(value, str | os.PathLike))
TEXT = Rule("a text", lambda value: isinstance(value, str))


def whole(low: int = 0, high: float = math.inf) -> Rule:
    """Return the rule for whole numbers from ``low`` to ``high``."""
    words = f"of at least {low}" if high == math.inf else f"from {low:,} to {high:,}"
    return Rule(f"a whole number {words}", lambda value: _is_whole(value) and low <= value <= high)


def one_of(literal: Any) -> Rule:
    """Return the rule for the words of a ``Literal``."""
    words = get_args(literal)
    return Rule(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


def or_null(rule: Rule) -> Rule:
    """Return the rule for values that meet another rule or are ``None``."""
    return Rule(f"{rule.words}, or null", lambda value: value is None or rule.holds(value))


def list_of(rule: Rule, length: int | None = None) -> Rule:
    """Return the rule for lists, of a given length if any, whose values all meet another rule."""

    def holds(value: Any) -> bool:
        is_list = isinstance(value, list | tuple) and length in (None, len(value))
        return is_list and all(map(rule.holds, value))

    count = "" if length is None else f" of {length}"
    return Rule(f"a list{count}, each {rule.words}", holds)


def require_option(name: str, value: Any, rule: Rule) -> None:
    """Refuse an option that breaks a rule.

    Raises:
        UsageError: If it does; the message names the option, the rule and the value.
    """
    if not rule.holds(value):
        raise UsageError(f"{name} must be {rule.words}, got {reprlib.repr(value)}")


def require_stored(values: Mapping[str, Any], rules: Mapping[str, Rule], prefix: str = "") -> None:
    """Refuse stored values if one is missing or breaks its rule.

    Args:
        values: The values, by their names.
        rules: The rule for each name.
        prefix: What stands before each name in messages, such as ``curve.``.

    Raises:
        ValueError: If one is missing or breaks its rule; the message names the first.
    """
    for name, rule in rules.items():
        if name not in values:
            raise ValueError(f"{prefix}{name} is missing")
        if not rule.holds(values[name]):
            raise ValueError(f"{prefix}{name} must be {rule.words}, got {reprlib.repr(values[name])}")
