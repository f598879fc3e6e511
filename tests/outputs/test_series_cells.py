"""Names of series in CSV: they are no formulas for a spreadsheet, and have no control characters."""

import csv
from pathlib import Path

import pyarrow.csv as arrow_csv
import pytest
from pyarrow import parquet

import regression
from regression.common.text import harmless_cell
from regression.outputs.series_files import write_series

CELLS = {
    "=1+1": "'=1+1",
    "+1+1": "'+1+1",
    "-1+1": "'-1+1",
    "@SUM(A1)": "'@SUM(A1)",
    " =1": "' =1",
    "＝1": "'＝1",
    "'=1": "''=1",
    "\t=1": r"\t=1",
    "\r=1": r"\r=1",
    "\x1b[31mred": r"\x1b[31mred",
    "\x9b2J": r"\x9b2J",
    "a\nb": r"a\nb",
    "a\x7f": r"a\x7f",
    "O'Brien": "O'Brien",
    "tube 3 = b": "tube 3 = b",
    "NA": "NA",
    "Ωmega\u00a0é": "Ωmega\u00a0é",
    'say "hi", you': 'say "hi", you',
    "": "",
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_harmless(name: str) -> None:
    """Formulas are marked as text, control characters are escaped, and other names are unchanged."""
    assert harmless_cell(name) == CELLS[name]


def test_csv_has_harmless_names_and_parquet_the_names(tmp_path: Path) -> None:
    """A table of series has its names made safe in CSV, and unchanged in Parquet; numbers are unchanged."""
    names = sorted(CELLS)
    fit = regression.fit_series([0.0, 1, 2] * len(names), [1.0, 3, 4] * len(names), [n for n in names for _ in "abc"])
    for suffix in (".csv", ".parquet"):
        write_series(fit, tmp_path / f"s{suffix}")
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["series", *(CELLS[name] for name in names)]
    assert parquet.read_table(tmp_path / "s.parquet")["series"].to_pylist() == names
    numbers = regression.fit_series([0.0, 1] * 2, [1.0, 3] * 2, [-1, -1, 7, 7])
    write_series(numbers, tmp_path / "n.csv")
    assert arrow_csv.read_csv(tmp_path / "n.csv")["series"].to_pylist() == [-1, 7]
