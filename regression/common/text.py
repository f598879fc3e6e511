"""Text for the terminal and for tables: counted nouns, suggestions for misspelt words, and text made safe to show."""

import codecs
import difflib
import os
import re
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
    "shortest",
    "shown_path",
    "spell_out_characters",
    "without_secret",
]

NOT_CONVERGED = "not converged"  # first words of the note on how far from the optimum gradient descent ended
UNDETERMINED = "undetermined: "  # first word of the note on why coefficients are unknown

SPELLINGS = {"σ": "sigma", "χ": "chi", "²": "^2", "³": "^3", "±": "+-", "−": "-", "…": "...", "←": "<-"}
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "'")  # what begins a formula, and the apostrophe that marks text
HIDDEN = ("Cc", "Zl", "Zp")  # Unicode categories: control characters, line and paragraph separators
REPLACED_HANDLERS = ("strict", "surrogateescape", "backslashreplace")  # Python's defaults for what cannot be encoded


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as ``1 row`` or ``2,000 rows``.

    Args:
        number: The number.
        noun: The noun in the singular.
        plural: Its plural, if that is not the singular with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def shortest(number: float) -> str:
    """Return a number with as few digits as distinguish it from all other float64 numbers, such as ``2`` or ``0.1``."""
    return repr(float(number)).removesuffix(".0")


def did_you_mean(
    word: str, known: Iterable[str], otherwise: str = "", shown: Callable[[str], str] = str, cutoff: float = 0.6
) -> str:
    """Return the end of an error message, such as ``; did you mean fit?``.

    Args:
        word: The misspelt word.
        known: The words that exist; case and blanks around them are ignored.
        otherwise: The text to return if none of them is similar.
        shown: Formats the suggested word.
        cutoff: Smallest similarity, from 0 to 1, of a word that is suggested (``difflib.get_close_matches``).
    """
    folded = {name.strip().casefold(): name for name in known}
    near = difflib.get_close_matches(word.strip().casefold(), folded, n=1, cutoff=cutoff)
    return f"; did you mean {shown(folded[near[0]])}?" if near else otherwise


def printable(text: str) -> str:
    """Return a text with its control characters spelt out, so that a terminal does not execute them.

    Args:
        text: Any text, such as a name from another person's file.
    """
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def harmless_cell(text: str) -> str:
    """Return a text as a table cell that no spreadsheet runs as a formula, with control characters spelt out.

    A text that begins like a formula or with an apostrophe gets an apostrophe in front, which marks text in
    spreadsheets.

    Args:
        text: A name from another person's file.
    """
    shown = "".join(_escaped(c) if unicodedata.category(c) in HIDDEN else c for c in text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown


def _escaped(character: str) -> str:
    return ascii(character)[1:-1]


def spell_out_characters() -> None:
    """Make standard output and error spell out characters that their encoding lacks, such as ``sigma`` for σ."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in REPLACED_HANDLERS and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="regression.spell_out")


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(SPELLINGS.get(character, _escaped(character)) for character in characters), error.end


codecs.register_error("regression.spell_out", _spell_out)


def left_out(omitted: int) -> str:
    """Return a sentence that says how many rows were left out."""
    return f"{counted(omitted, 'row')} with a missing or infinite number {'was' if omitted == 1 else 'were'} left out"


def without_secret(address: str) -> str:
    """Return an address that is refused without what may be a password or a signature."""
    return re.sub(r"\?.*", "?…", re.sub(r"//.*@", "//…@", address))


def shown_path(path: str | Path) -> str:
    """Return a path as a user would type it: relative to the working folder where that is shorter."""
    return printable(min(str(path), os.path.relpath(path), key=len))
