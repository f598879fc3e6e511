"""The words that lines on the terminal are made of."""

import codecs
import difflib
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["counted", "did_you_mean", "harmless_cell", "left_out", "printable", "shown_path", "spell_out_signs"]

SPELT = {"σ": "sigma", "χ": "chi", "²": "^2", "³": "^3", "±": "+-", "−": "-", "…": "...", "←": "<-"}
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "'")  # what spreadsheets run, and the mark against it
HIDDEN = ("Cc", "Zl", "Zp")  # categories of Unicode: control characters, and ends of lines
STOPPING = ("strict", "surrogateescape", "backslashreplace")  # what Python does by itself with a sign it cannot encode


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as ``1 row`` or ``2,000 rows``.

    Args:
        number: How many there are.
        noun: What there is one of.
        plural: What there are several of, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def did_you_mean(
    word: str, known: Iterable[str], otherwise: str = "", shown: Callable[[str], str] = str, cutoff: float = 0.6
) -> str:
    """Return the end of a refusal, such as ``; did you mean fit?``.

    Args:
        word: What was given.
        known: The words there are; blanks around them and capitals do not count.
        otherwise: What to say if none of them is near.
        shown: How a word is written.
        cutoff: Share of equal letters from which on a word is near.
    """
    folded = {name.strip().casefold(): name for name in known}
    near = difflib.get_close_matches(word.strip().casefold(), folded, n=1, cutoff=cutoff)
    return f"; did you mean {shown(folded[near[0]])}?" if near else otherwise


def printable(text: str) -> str:
    """Return a text with its control characters spelt out: a terminal shows them and does not obey them.

    Args:
        text: Any text, such as a name that stands in somebody else's file.
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def harmless_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula, and whose characters no terminal obeys.

    An apostrophe, spreadsheets' mark of a text, goes before what begins like a formula, or with an apostrophe; control
    characters are spelt out.

    Args:
        text: A name from somebody else's file.
    """
    shown = "".join(ascii(sign)[1:-1] if unicodedata.category(sign) in HIDDEN else sign for sign in text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown


def spell_out_signs() -> None:
    """Let the terminal's streams spell out the signs that their encoding lacks, such as ``sigma`` for σ."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in STOPPING and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="regression.spelt")


def _spelt(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(SPELT.get(sign, ascii(sign)[1:-1]) for sign in signs), error.end


codecs.register_error("regression.spelt", _spelt)


def left_out(omitted: int) -> str:
    """Say how many rows were left out."""
    return f"{counted(omitted, 'row')} with a missing or infinite number {'was' if omitted == 1 else 'were'} left out"


def shown_path(path: str | Path) -> str:
    """Return a path as a user would type it: relative to the working folder where that is shorter."""
    return printable(min(str(path), os.path.relpath(path), key=len))
