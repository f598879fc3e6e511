"""The words that lines on the terminal are made of."""

import os
from pathlib import Path

__all__ = ["counted", "left_out", "printable", "shown_path"]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as ``1 row`` or ``2,000 rows``.

    Args:
        number: How many there are.
        noun: What there is one of.
        plural: What there are several of, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Return a text with its control characters spelt out: a terminal shows them and does not obey them.

    Args:
        text: Any text, such as a name that stands in somebody else's file.
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def left_out(omitted: int) -> str:
    """Say how many rows were left out."""
    return f"{counted(omitted, 'row')} with a missing or infinite number {'was' if omitted == 1 else 'were'} left out"


def shown_path(path: str | Path) -> str:
    """Return a path as a user would type it: relative to the working folder where that is shorter."""
    return printable(min(str(path), os.path.relpath(path), key=len))
