"""Values that a file of an earlier run holds: what each must be, before anything is computed from it."""

import math
import reprlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = [
    "BOOLEAN",
    "NOT_NEGATIVE",
    "NUMBER",
    "POSITIVE",
    "PROBABILITY",
    "RANGE",
    "TEXT",
    "Rule",
    "list_of",
    "or_null",
    "require_stored",
    "whole",
]


class Rule(NamedTuple):
    """What a value must be: in words, and whether one is."""

    words: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_range(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]


NUMBER = Rule("a finite number", _is_number)
NOT_NEGATIVE = Rule("a finite number of at least 0", lambda value: _is_number(value) and value >= 0)
POSITIVE = Rule("a finite number above 0", lambda value: _is_number(value) and value > 0)
PROBABILITY = Rule("a number between 0 and 1", lambda value: _is_number(value) and 0 < value < 1)
RANGE = Rule("two finite numbers, the smaller one first", _is_range)
BOOLEAN = Rule("true or false", lambda value: isinstance(value, bool))
TEXT = Rule("a text", lambda value: isinstance(value, str))


def whole(low: int = 0, high: float = math.inf) -> Rule:
    """Return the rule of whole numbers from ``low`` to ``high``."""
    words = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
    return Rule(f"a whole number {words}", lambda value: type(value) is int and low <= value <= high)


def or_null(rule: Rule) -> Rule:
    """Return the rule of values that may be unknown."""
    return Rule(f"{rule.words}, or null", lambda value: value is None or rule.holds(value))


def list_of(rule: Rule, length: int | None = None) -> Rule:
    """Return the rule of lists, of so many values."""

    def holds(value: Any) -> bool:
        is_list = isinstance(value, list | tuple) and length in (None, len(value))
        return is_list and all(map(rule.holds, value))

    count = "" if length is None else f" of {length}"
    return Rule(f"a list{count}, each {rule.words}", holds)


def require_stored(values: Mapping[str, Any], rules: Mapping[str, Rule], of: str = "") -> None:
    """Refuse values that are not what they must be.

    Args:
        values: The values, by their names.
        rules: What each must be.
        of: What to put before a name, such as ``curve.``.

    Raises:
        ValueError: If one is not there, or is something else; it names the first such.
    """
    for name, rule in rules.items():
        if name not in values:
            raise ValueError(f"{of}{name} is missing")
        if not rule.holds(values[name]):
            raise ValueError(f"{of}{name} must be {rule.words}, got {reprlib.repr(values[name])}")
