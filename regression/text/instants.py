"""Cells of text as instants, written as in ISO 8601."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regression.common.errors import UsageError
from regression.common.time_scale import INSTANTS, UTC
from regression.common.times import nanoseconds
from regression.readers.dialect import BLANKS, Dialect
from regression.text.cells import NoNumber

__all__ = ["as_instants", "kind_of_cells", "type_of"]

ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?"
# With a time zone the time of day is required: without its last character, ISO's optional group is required.
FORMS = {INSTANTS: ISO, UTC: rf"{ISO[:-1]}(?:Z|[+-]\d{{2}}(?::?\d{{2}})?)"}


def kind_of_cells(cells: Iterable[str], dialect: Dialect) -> str | None:
    """Return the kind of instants of a column by its first cell that is not missing, ``None`` for numbers."""
    known = (cell for cell in (each.strip(BLANKS) for each in cells) if cell not in dialect.marks)
    first = next(known, "")
    return next((kind for kind, form in FORMS.items() if re.fullmatch(form, first)), None)


def type_of(kind: str) -> Any:
    """Return pyarrow's type of instants of a kind."""
    import pyarrow as pa

    return pa.timestamp("ns", "UTC" if kind == UTC else None)


def as_instants(cells: Any, dialect: Dialect, kind: str) -> NDArray[np.int64]:
    """Return cells as nanoseconds since 1970, the most negative number for missing ones.

    Args:
        cells: A pyarrow array of texts.
        dialect: Which texts stand for missing ones.
        kind: Kind of the instants.

    Raises:
        NoNumber: If a cell is neither such an instant nor missing.
    """
    import pyarrow as pa
    from pyarrow import compute

    texts = compute.utf8_trim(cells, BLANKS)
    texts = compute.if_else(compute.is_in(texts, pa.array(dialect.marks, texts.type)), None, texts)
    wrong = compute.invert(compute.match_substring_regex(texts, f"^(?:{FORMS[kind]})$"))
    if compute.any(wrong).as_py():
        raise NoNumber(row := compute.index(wrong, True).as_py(), cells[row].as_py())
    try:
        return nanoseconds("x", texts.cast(type_of(kind)))
    except (pa.ArrowInvalid, UsageError):
        for row, text in enumerate(texts):  # finds the cell that is no date or time, or beyond nanoseconds
            try:
                text.cast(type_of(kind))
            except pa.ArrowInvalid:
                raise NoNumber(row, cells[row].as_py(), _reason(text, kind)) from None
        raise


def _reason(text: Any, kind: str) -> str:
    """Return what is wrong with a text in the form of an instant."""
    import pyarrow as pa

    try:
        text.cast(pa.timestamp("s", type_of(kind).tz))
    except pa.ArrowInvalid:
        return "a day or a time of day that does not exist: correct it"
    return "which is before 1677 or after 2262 and has no whole number of nanoseconds: leave it out"
