"""Cells of text as numbers in all notations that are accepted, and the messages for cells that are no numbers."""

import re
from decimal import Decimal
from typing import Any

import numpy as np

from regression.common.arrays import MAX_EXACT
from regression.common.text import counted
from regression.common.time_scale import UTC
from regression.readers.columns import Array
from regression.readers.dialect import BLANKS, Dialect
from regression.text.large_csv import LONG_WHOLE
from regression.text.lines import TOO_LONG

__all__ = ["NoNumber", "as_numbers", "explain", "has_large", "marks_to_nan", "refusal"]

ONE_EACH = "give every row one cell for each column, and numbers a decimal point"
WIDER = "give --data.widths of all columns, or correct the row"
LEAVE_OUT = "leave the cell empty and the row out with --data.nan_policy omit"
PLAIN = (
    "write numbers with a decimal point and nothing else between digits, as in 1000.5, or say what stands there with "
    "--data.decimal and --data.thousands"
)
ADVICE = {  # by the form of a cell; \s also matches narrow and non-breaking spaces
    r"[-+]?\d[\d.,'’_\s]*[,'’_\s][\d.,'’_\s]*(?:[eE][-+]?\d+)?|[-+]?\d+(?:\.\d{3}){2,}|[-+]?,\d+": PLAIN,
    r"[-+]?\d*\.?\d*[dDqQ][-+]?\d+|[-+]?\d*\.\d*[-+]\d{2,3}": "write exponents with an E, as in 1.5E-10",
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}.*|\d{4}[-/]\d{1,2}"
    r"|.*\d{1,2}[-\s]?(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?![a-zA-Z]).*":
        "write dates in the column of x such as 2024-01-31, and elsewhere as numbers",
    r"\d+:\d{2}(?::\d{2})?(?:[.,]\d+)?(?:\s*[aApP][mM])?": "write times as numbers, such as seconds",
    r"(?i:true|false)": "write 1 or 0",
    r"=.*": "save the value, not the formula",
    r"#(?![\w/]+[!?]).+": "if the line is a comment, give --data.comment '#'",
    r"[−–—]\s*[\d.].*": "write the sign of negative numbers as a hyphen, -",
    r"[-+]?0[xX][\da-fA-F]+": "write it in decimal",
    r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*[a-zA-Zµμ°Ω%‰][^\d,]*|[<>≤≥~≈±$€£¥]\s*[\d.]+":
        "write the number alone, without a unit or a sign before it",
    r"(?i:[-.?*#]+|none|missing|empty|nil|n\.a\.|#[\w/]+[!?])": LEAVE_OUT,
    r".*": f"correct it, or {LEAVE_OUT}",
}  # fmt: skip
NUMBER = r"^[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|(?i:nan|inf|infinity))$"
# Double precision as Fortran writes it, with a decimal point or a sign after the letter: 1D5 may be a name.
FORTRAN = r"^([-+]?(?:\d+\.\d*|\.\d+))[dDqQ]([-+]?\d{1,4})$|^([-+]?\d+)[dDqQ]([-+]\d{1,4})$"
LONG_CELL = rf"^[-+]?{LONG_WHOLE}$"
FORTRAN_E = r"\1\3E\2\4"
BLANK_SIGNS = r" \x{a0}\x{2009}\x{202f}"  # space, no-break space, thin space, narrow no-break space


class NoNumber(Exception):  # noqa: N818  # internal: always caught in this wing
    """A cell is neither a number nor missing.

    Args:
        row: Its row among the given cells, from 0.
        cell: Its text.
        reason: What is wrong with a whole number, or with a text in the form of an instant.
    """

    def __init__(self, row: int, cell: str, reason: str = "") -> None:
        super().__init__(row, cell, reason)
        self.row, self.cell, self.reason = row, cell, reason


def as_numbers(cells: Any, dialect: Dialect) -> Array:
    """Return cells as float64, each decimal rounded to the nearest, NaN for missing ones.

    Args:
        cells: A pyarrow array of texts.
        dialect: How they write numbers.

    Raises:
        NoNumber: If a cell is neither a number nor missing, or a whole number whose digits float64 does not keep.
    """
    import pyarrow as pa
    from pyarrow import compute

    texts = compute.utf8_trim(cells, BLANKS)
    texts = compute.if_else(compute.is_in(texts, pa.array(dialect.marks, texts.type)), None, texts)
    plain = _to_plain(texts, dialect)
    wrong = compute.invert(compute.match_substring_regex(plain, NUMBER))
    if compute.any(wrong).as_py():
        row = compute.index(wrong, True).as_py()
        raise NoNumber(row, cells[row].as_py())
    numbers = marks_to_nan(plain.cast(pa.float64()).to_numpy(zero_copy_only=False), dialect)
    if has_large(numbers):
        for row in np.flatnonzero(compute.match_substring_regex(plain, LONG_CELL).fill_null(False)).tolist():
            nearest = repr(float(numbers[row]))
            if np.isfinite(numbers[row]) and Decimal(nearest) != Decimal(plain[row].as_py()):
                raise NoNumber(row, cells[row].as_py(), f"which float64 rounds to {nearest}: subtract an offset first")
    return numbers


def has_large(numbers: Array) -> bool:
    """Tell whether some are at least 2^53, to which float64 may have rounded a whole number; NaN is not."""
    return bool(np.fmax.reduce(abs(numbers), initial=0) >= MAX_EXACT)


def _to_plain(texts: Any, dialect: Dialect) -> Any:
    """Return cells with a decimal point, without thousands separators, and with an E before exponents."""
    from pyarrow import compute

    point = re.escape(dialect.decimal)
    if dialect.thousands:
        mark = f"[{BLANK_SIGNS if dialect.thousands == ' ' else re.escape(dialect.thousands)}]"
        groups = rf"^[-+]?\d{{1,3}}(?:{mark}\d{{3}})+(?:{point}\d*)?(?:[eE][-+]?\d+)?$"
        joined = compute.replace_substring_regex(texts, mark, "")
        texts = compute.if_else(compute.match_substring_regex(texts, groups), joined, texts)
    if dialect.decimal != ".":
        has_point = compute.match_substring(texts, ".")  # not the decimal sign here, so the cell is wrong
        pointed = compute.replace_substring(texts, dialect.decimal, ".", max_replacements=1)
        texts = compute.if_else(has_point, "wrong", pointed)
    return compute.replace_substring_regex(texts, FORTRAN, FORTRAN_E)


def marks_to_nan(numbers: Array, dialect: Dialect) -> Array:
    """Return numbers with NaN in place of those that mark missing ones."""
    marks = dialect.missing_numbers
    return np.where(np.isin(numbers, marks), np.nan, numbers) if marks else numbers


def refusal(row: int, wrong: NoNumber, column: str, dialect: Dialect, kind: str | None = None) -> str:
    """Return the message for a wrong cell, with advice.

    Args:
        row: Number of its row in the file, from 1.
        wrong: The cell.
        column: Name of its column.
        dialect: How numbers are written.
        kind: Kind of instants in the column, ``None`` for numbers.
    """
    cell = wrong.cell
    if wrong.reason:
        return f"data row {row}, column {column!r}, holds {cell[:60]!r}, {wrong.reason}"
    if kind is not None:
        example = "2024-01-31T12:00:00Z" if kind == UTC else "2024-01-31T12:00:00"
        expected = f"where one of {kind} is expected, as in the rows before"
        return f"data row {row}, column {column!r}, holds {cell[:60]!r} {expected}: write it such as {example}"
    where = f"data row {row}, column {column!r}, holds {cell[:60]!r} where a number is expected"
    if dialect.decimal != "." and re.fullmatch(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?", cell.strip(BLANKS)):
        return f"{where} with the decimal sign {dialect.decimal!r}, as --data.decimal says"
    advice = next(advice for form, advice in ADVICE.items() if re.fullmatch(form, cell.strip(BLANKS), flags=re.DOTALL))
    may_be_unit = row == 1 and dialect.units_row is None and advice.startswith("correct it")
    return f"{where}: {advice}{'; a row of units needs --data.units_row true' if may_be_unit else ''}"


def explain(message: str, dialect: Dialect) -> str:
    """Return the message of this program for a message of Arrow's parser about a row."""
    row = re.search(r"Row #(\d+):", message)
    where = f"data row {row[1]}" if row else "some row"
    if width := re.search(r"Expected (\d+) columns, got (\d+)(?:: *(\S{1,2}))?", message):
        mark = re.match(r"[#%!;*]|//|--", width[3] or "")
        advice = f"; if it is a comment, give --data.comment '{mark[0]}'" if mark else ""
        each = f"something stands behind the last of {dialect.widths}: {WIDER}" if dialect.widths else ONE_EACH
        return f"{where} has {counted(int(width[2]), 'cell')}, the header has {width[1]}: {each}{advice}"
    if "straddling" in message:
        return TOO_LONG
    return f"not a readable CSV file ({' '.join(message.split())[:200]})"
