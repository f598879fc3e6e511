"""The statistics of a Parquet file are those of its rows, or the file is refused in one line."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from regression.common.errors import DataError
from regression.data.table import Table
from regression.readers.parquet_statistics import StatedEnds
from tests.support.command import Command

X = np.linspace(1.25, 100.25, 100)
Y = 3 + 2 * X


def write(path: Path, group_rows: int = 100, changes: dict[float, float] | None = None) -> str:
    """Write X and Y, then put other numbers into the statistics, and return the path."""
    parquet.write_table(pa.table({"x": X, "y": Y}), path, row_group_size=group_rows, use_dictionary=False)
    content = path.read_bytes()
    length = struct.unpack("<I", content[-8:-4])[0] + 8
    footer = content[-length:]
    for old, new in (changes or {}).items():
        assert struct.pack("<d", old) in footer
        footer = footer.replace(struct.pack("<d", old), struct.pack("<d", new))
    path.write_bytes(content[:-length] + footer)
    return str(path)


WRONG: dict[str, tuple[int, dict[float, float], str]] = {
    "an end that is too high": (100, {100.25: 200.0}, "'x' goes from 1.25 to 200.0 in rows 1 to 100, they hold 1.25"),
    "an end that is too low": (100, {1.25: -5.0}, "'x' goes from -5.0 to 100.25 in rows 1 to 100, they hold 1.25"),
    "an end that is not high enough": (
        100,
        {100.25: 99.0},
        "to 99.0 in rows 1 to 100, they hold 1.25 to 100.25: write",
    ),
    "y": (100, {203.5: 1e6}, "column 'y' goes from 5.5 to 1000000.0 in rows 1 to 100, they hold 5.5 to 203.5"),
    "swapped ends": (100, {1.25: 200.0, 100.25: 0.5}, "'x' goes from 200.0 to 0.5 in rows 1 to 100, which is no"),
    "one row group of many": (10, {30.25: 1000.0}, "'x' goes from 1.25 to 1000.0 in rows 1 to 100, they hold 1.25"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_ends_are_refused(command: Command, case: str) -> None:
    """A streamed fit of a file with wrong statistics is refused in one line with file, column and both ranges."""
    group_rows, changes, words = WRONG[case]
    write(Path("a.parquet"), group_rows, changes)
    done = command("fit", "--model", "LineRegression", "--model.solver", "exact", "--data", "TableDataModule",
                   "--data.path", "a.parquet", "--data.in_memory_rows", "10")  # fmt: skip
    assert (done.code, done.folder, done.err.count("\n")) == (2, None, 1)
    assert "a.parquet: the file states that column " in done.err
    assert words in done.err


def test_a_column_with_the_name_of_a_field_is_read_without_its_statistics(tmp_path: Path) -> None:
    """A column ``a.b`` beside a field b of a column a is itself: statistics name both alike, and are not used."""
    field = pa.StructArray.from_arrays([pa.array(100 * Y)], ["b"])
    parquet.write_table(pa.table({"x": X, "a": field, "a.b": Y}), tmp_path / "a.parquet")
    table = Table(str(tmp_path / "a.parquet"), ["x", "a.b"])
    assert table.extremes() is None
    found = list[list[float]]()
    table.scan(0, 100, lambda _, part: found.append(part[1].tolist()))
    assert [value for part in found for value in part] == Y.tolist()


def test_a_group_is_refused_where_its_last_row_is_decoded(tmp_path: Path) -> None:
    """A scan that begins within a row group decodes all of it and checks its ends; one that begins later does not."""
    table = Table(write(tmp_path / "a.parquet", 60, {60.25: 1000.0}), ["x", "y"])
    assert (ends := table.extremes()) is not None
    assert ends[0].tolist() == [1.25, 1000.0]
    table.scan(60, 100, lambda *_: None)
    with pytest.raises(DataError, match=r"goes from 1\.25 to 1000\.0 in rows 1 to .*, they hold 1\.25 to "):
        table.scan(50, 100, lambda *_: None)


@pytest.mark.parametrize("batch_rows", [1, 7, 30, 100])
def test_groups_are_checked_wherever_batches_end(batch_rows: int) -> None:
    """Right ends of groups of 0, 30 and 70 rows are accepted in batches of any length, and wrong ones refused."""
    starts, right = (
        [0, 0, 30, 30, 100],
        np.array([[np.inf, -np.inf], [1.25, 30.25], [np.inf, -np.inf], [31.25, 100.25]]),
    )

    def check(ends: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> int:
        batches = ([X[row : row + batch_rows]] for row in range(0, 100, batch_rows))
        stated = StatedEnds(Path("a"), ["x"], starts, ends[:, None])
        return sum(len(columns[0]) for columns in stated.check(batches, 0))

    assert check(right) == 100
    for group, end, wrong in ((1, 0, -1.0), (1, 0, 5.0), (3, 1, 101.0), (3, 1, 99.0)):
        changed = right.copy()
        changed[group, end] = wrong
        with pytest.raises(DataError, match="the file states"):
            check(changed)


RIGHT: dict[str, Callable[[], pa.Array]] = {
    "whole numbers": lambda: pa.array(np.arange(100)),
    "unsigned": lambda: pa.array(np.arange(100, dtype=np.uint8)),
    "float32": lambda: pa.array(X.astype(np.float32)),
    "zeros of both signs": lambda: pa.array([0.0, -0.0] * 50),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_right_statistics_are_accepted(tmp_path: Path, kind: str) -> None:
    """The ends that pyarrow states of numbers of all types are accepted."""
    column = RIGHT[kind]()
    parquet.write_table(pa.table({"x": column}), tmp_path / "a.parquet", row_group_size=30)
    table, found = Table(str(tmp_path / "a.parquet"), ["x"]), list[float]()
    ends = table.extremes()
    table.scan(0, 100, lambda _, part: found.extend(part[0].tolist()))
    assert ends is not None
    assert ends.tolist() == [[min(column.to_pylist()), max(column.to_pylist())]]
    assert sorted(found) == sorted(column.to_pylist())


def test_missing_numbers_keep_their_words(tmp_path: Path) -> None:
    """A missing number is refused as such, not as wrong statistics; if rows are left out, statistics are not used."""
    parquet.write_table(pa.table({"x": [1.0, np.nan, 3.0, None]}), tmp_path / "a.parquet")
    table = Table(str(tmp_path / "a.parquet"), ["x"])
    assert table.extremes() is not None
    with pytest.raises(DataError, match=re.escape("must be finite, got a missing number in data row 2, and 2 such")):
        table.scan(0, 4, lambda *_: None)
    assert Table(str(tmp_path / "a.parquet"), ["x"], nan_policy="omit").extremes() is None


def test_half_floats_are_read(tmp_path: Path) -> None:
    """Columns of float16, whose statistics are bytes, have no known range and are read."""
    parquet.write_table(pa.table({"x": np.arange(5, dtype=np.float16)}), tmp_path / "a.parquet")
    table = Table(str(tmp_path / "a.parquet"), ["x"])
    assert table.extremes() is None
    assert table.read(0, 5).tolist() == [[0, 1, 2, 3, 4]]
