"""Text for the terminal and for tables: counted nouns, suggestions for misspelt words, and harmless spellings."""

import codecs
import difflib
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = [
    "NOT_CONVERGED",
    "UNDETERMINED",
    "counted",
    "did_you_mean",
    "harmless_cell",
    "left_out",
    "printable",
    "shown_path",
    "spell_out_signs",
]

NOT_CONVERGED = "not converged"  # how the note begins that says how far from the optimum a descent ended
UNDETERMINED = "undetermined: "  # how the note begins that says why coefficients are unknown

SPELT = {"σ": "sigma", "χ": "chi", "²": "^2", "³": "^3", "±": "+-", "−": "-", "…": "...", "←": "<-"}
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "'")  # signs that begin a formula, and the one that marks text
HIDDEN = ("Cc", "Zl", "Zp")  # categories of Unicode: control characters, and ends of lines
STOPPING = ("strict", "surrogateescape", "backslashreplace")  # Python's own handlers of signs that it cannot encode


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
    """Return the end of an error message, such as ``; did you mean fit?``.

    Args:
        word: The word that was given.
        known: The words that exist; blanks around them and capitals are ignored.
        otherwise: The text to return if none of them is similar.
        shown: Formats the suggested word.
        cutoff: Least share of equal letters of a similar word.
    """
    folded = {name.strip().casefold(): name for name in known}
    near = difflib.get_close_matches(word.strip().casefold(), folded, n=1, cutoff=cutoff)
    return f"; did you mean {shown(folded[near[0]])}?" if near else otherwise


def printable(text: str) -> str:
    """Return a text with its control characters spelt out, so that a terminal does not execute them.

    Args:
        text: Any text, such as a name from another person's file.
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def harmless_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs as a formula, with control characters spelt out.

    A text that begins like a formula, or with an apostrophe, gets an apostrophe in front: spreadsheets' mark of a text.

    Args:
        text: A name from another person's file.
    """
    shown = "".join(ascii(sign)[1:-1] if unicodedata.category(sign) in HIDDEN else sign for sign in text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown


def spell_out_signs() -> None:
    """Make standard output and error spell out the signs that their encoding lacks, such as ``sigma`` for σ."""
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
    """Return a sentence about the number of rows that were left out."""
    return f"{counted(omitted, 'row')} with a missing or infinite number {'was' if omitted == 1 else 'were'} left out"


def shown_path(path: str | Path) -> str:
    """Return a path as a user would type it: relative to the working folder where that is shorter."""
    return printable(min(str(path), os.path.relpath(path), key=len))
