"""Cells of text: which are missing, which are names, and the advice for those that are no numbers."""

from pathlib import Path

import numpy as np
import pytest

import regression
from regression import TableDataModule, UsageError
from regression.data.table import Table
from tests.support.command import Command

POINT = "write numbers with a decimal point and nothing else between digits"
EXPONENT = "write exponents with an E, as in 1.5E-10"
DATE = "write dates in the column of x such as 2024-01-31, and elsewhere as numbers"
TIME = "write times as numbers, such as seconds"
ALONE = "write the number alone, without a unit or a sign before it"
EMPTY = "leave the cell empty and the row out with --data.nan_policy omit"
ADVICE = {
    "1 000": POINT,
    "1\u2009000": POINT,  # thin space
    "1\u00a0000.5": POINT,  # no-break space
    "1\u202f000": POINT,  # narrow no-break space
    "1'000": POINT,
    "1_000": POINT,
    "1.234.567": POINT,
    "3.1-101": EXPONENT,
    "2d0": EXPONENT,
    "31.01.2024": DATE,
    "2024/1/31": DATE,
    "5 Jan 2024": DATE,
    "12:30": TIME,
    "9:05:01.5": TIME,
    "4 PM": ALONE,
    "12 °C": ALONE,
    "5%": ALONE,
    "< 0.1": ALONE,
    "$3": ALONE,
    "True": "write 1 or 0",
    "=A1+1": "save the value, not the formula",
    "−3.5": "write the sign of negative numbers as a hyphen, -",
    "0x1F": "write it in decimal",
    "-": EMPTY,
    "#DIV/0!": EMPTY,
    "none": EMPTY,
    "n.a.": EMPTY,
    "three": f"correct it, or {EMPTY}",
}


@pytest.mark.parametrize("cell", ADVICE)
def test_advice_fits_the_cell(tmp_path: Path, cell: str) -> None:
    """A cell that is no number is shown with its row and column, and with advice for its form."""
    (tmp_path / "a.csv").write_text(f"x\ty\n0\t1\n2\t{cell}\n", encoding="utf-8")
    with pytest.raises(UsageError) as refusal:
        TableDataModule(str(tmp_path / "a.csv")).setup("fit")
    words = str(refusal.value)
    assert "data row 2, column 'y', holds " in words
    assert f"where a number is expected: {ADVICE[cell]}" in words
    assert "\n" not in words


MARKS = ["", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "NaN", "nan"]


@pytest.mark.parametrize("blanks", ["{}", " {}", "{} ", "\t{}  ", '" {} "'])
@pytest.mark.parametrize("mark", MARKS)
def test_missing_marks_may_have_the_blanks_that_numbers_may_have(tmp_path: Path, mark: str, blanks: str) -> None:
    """A missing mark may have the same blanks around it as a number."""
    (tmp_path / "a.csv").write_text("x,y\n 0 ,1\n1," + blanks.format(mark) + "\n2,\t5\n")
    table = Table(str(tmp_path / "a.csv"), ["x", "y"])
    with pytest.raises(UsageError, match="column 'y' must be finite, got a missing number in data row 2, and 1 such"):
        table.read(0, 3)
    kept = Table(str(tmp_path / "a.csv"), ["x", "y"], nan_policy="omit").read(0, 3)
    assert np.array_equal(kept, [[0, 2], [1, 5]])


NAMES = ["N/A", "NA", "NULL", "NaN", "inf", "nan", "none", "null"]


def test_a_name_that_looks_like_a_missing_mark_is_a_name(command: Command) -> None:
    """Series whose names equal missing marks are fitted, from text as from arrays; a blank name is missing."""
    rows = "".join(f"{name},{x},{k + 2 * x}\n" for k, name in enumerate(NAMES) for x in range(3))
    Path("a.csv").write_text("id,x,y\n" + rows)
    done = command("fit", "--model", "LineRegression", "--model.solver", "exact", "--data", "TableDataModule",
                   "--data.path", "a.csv", "--data.series", "id", "--series.file", "s.csv")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    lines = (done.folder / "s.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0].strip('"') for line in lines] == NAMES
    assert [round(float(line.split(",")[3])) for line in lines] == list(range(len(NAMES)))
    fit = regression.fit_series([0.0, 1] * 2, [1.0, 3, 2, 4], ["NA", "NA", "nan", "nan"])
    assert list(fit.series) == ["NA", "nan"]
    Path("b.csv").write_text("id,x,y\na,0,1\n  ,1,2\n")
    with pytest.raises(UsageError, match="column 'id' must be finite, got a missing number in data row 2"):
        TableDataModule("b.csv", series="id").setup("fit")
