"""The options for text files: headers, delimiters, how numbers are written, and which cells are missing."""

import re
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

from regression.common.errors import UsageError
from regression.common.rules import BOOLEAN, TEXT, Rule, one_of, or_null, require_option, whole

__all__ = ["AUTO", "BLANKS", "BY_BLANKS", "BY_WIDTHS", "DELIMITERS", "MISSING_MARKS", "STANDARD", "Dialect", "Header"]

Header = Literal["auto", "row", "none"]
DELIMITERS = (",", ";", "\t", "|")
# Cells that stand for a missing number; the empty cell is one of them whatever --data.missing lists.
MISSING_MARKS = ["", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "NaN", "nan"]
BLANKS = " \t"  # allowed around numbers
THOUSANDS = ("", ",", ".", "'", "’", "_", " ")
BY_BLANKS = "blanks"  # cells are separated by any number of blanks
BY_WIDTHS = "widths "  # followed by the widths of the columns in characters
AUTO = "auto"  # found from the file if it is certain
WORDS = {"tab": "\t", "blanks": BY_BLANKS}  # delimiters that are given by a word
DELIMITER = Rule(
    "a character, tab, blanks or auto", lambda value: value in (*WORDS, AUTO) or (TEXT.holds(value) and len(value) == 1)
)
MARK = Rule(
    "auto, or a text without blanks such as #", lambda value: TEXT.holds(value) and not set(value) & set(" \t\r\n")
)
DECIMAL = Rule("a point or a comma", lambda value: value in (".", ","))
WIDTHS = Rule(
    "whole numbers above 0 with commas between them, such as 8,10,10",
    lambda value: TEXT.holds(value) and (not value or re.fullmatch(r"[1-9]\d{0,3}(,[1-9]\d{0,3})*", value) is not None),
)
SEPARATOR = Rule(f"one of{' '.join(THOUSANDS)} or a blank", lambda value: value in THOUSANDS)


@dataclass(frozen=True)
class Dialect:
    """How a text file is written; ``TableDataModule`` describes the options.

    Raises:
        UsageError: If an option has a wrong value, or two contradict each other.
    """

    comment: str = AUTO
    skip_rows: int = 0
    header: Header = "auto"
    units_row: bool | None = None
    delimiter: str = AUTO
    decimal: str = "."
    thousands: str = ""
    missing: str = ",".join(MISSING_MARKS[1:])
    widths: str = ""

    def __post_init__(self) -> None:
        require_option("comment", self.comment, MARK)
        require_option("skip_rows", self.skip_rows, whole())
        require_option("header", self.header, one_of(Header))
        require_option("units_row", self.units_row, or_null(BOOLEAN))
        require_option("delimiter", self.delimiter, DELIMITER)
        require_option("decimal", self.decimal, DECIMAL)
        require_option("thousands", self.thousands, SEPARATOR)
        require_option("missing", self.missing, TEXT)
        require_option("widths", self.widths, WIDTHS)
        if self.widths and self.delimiter != AUTO:
            raise UsageError(f"widths {self.widths} say where cells end: leave out delimiter {self.delimiter}")
        if self.units_row and self.header == "none":
            raise UsageError("units_row needs a header row above it: leave out header none")
        signs = {"decimal": self.decimal, "thousands": self.thousands, "delimiter": self.delimiter}
        for name, other in (("thousands", "decimal"), ("delimiter", "decimal"), ("delimiter", "thousands")):
            if signs[name] == signs[other]:
                raise UsageError(f"{name} and {other} must differ, got {signs[name]!r} for both")

    @cached_property
    def given(self) -> list[str]:
        """The names of the options that are not left at their defaults."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]

    @property
    def delimiters(self) -> tuple[str, ...]:
        """The possible separators of cells."""
        if self.widths:
            return (BY_WIDTHS + self.widths,)
        if self.delimiter != AUTO:
            return (WORDS.get(self.delimiter, self.delimiter),)
        return tuple(mark for mark in DELIMITERS if mark != self.decimal)

    @property
    def marks(self) -> list[str]:
        """The cells that stand for a missing number."""
        return ["", *filter(None, (mark.strip() for mark in self.missing.split(",")))]

    @property
    def missing_numbers(self) -> list[float]:
        """The numbers among ``marks``, which stand for a missing one however they are written, as -999 or -999.0."""
        found = []
        for mark in self.marks:
            try:
                found.append(float(mark))
            except ValueError:
                continue
        return [number for number in found if number == number]

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as the parser of large text expects."""
        return self.decimal == "." and not self.thousands and not self.missing_numbers


STANDARD = Dialect()
