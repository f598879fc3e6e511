"""Tables: every format gives the same columns, in any parts, or is refused with file, row and column."""

import gzip
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from pyarrow import csv, parquet

from regression.common.errors import DataError
from regression.common.row_ranges import merged_cuts
from regression.data.table import Table

Array = NDArray[np.float64]
NAMES = ["t", "größe", "err"]


@pytest.fixture
def numbers() -> Array:
    random = np.random.default_rng(5)
    return np.stack([random.normal(size=1000), random.normal(size=1000) * 1e300, random.uniform(1, 2, 1000)])


def as_table(numbers: Array) -> pa.Table:
    return pa.table(list(numbers), names=NAMES)


def write_text(delimiter: str, end: str, start: bytes = b"") -> Callable[[Path, Array], None]:
    def write(path: Path, numbers: Array) -> None:
        rows = [delimiter.join(NAMES), *(delimiter.join(map(repr, row)) for row in numbers.T.tolist())]
        content = start + end.join(rows).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)

    return write


def write_arrow(path: Path, numbers: Array) -> None:
    with pa.ipc.new_file(path, as_table(numbers).schema) as writer:
        writer.write_table(as_table(numbers), max_chunksize=130)


WRITERS: dict[str, Callable[[Path, Array], None]] = {
    "a.csv": write_text(",", "\n"),
    "bom.csv": write_text(",", "\r\n", b"\xef\xbb\xbf"),
    "blank.csv": lambda path, numbers: write_text(",", "\n\n", b"\n\n")(path, numbers),
    "semicolon.csv": write_text(";", "\n"),
    "mac.txt": write_text("|", "\r"),
    "tab.tsv": write_text("\t", "\n"),
    "packed.csv.gz": write_text(",", "\n"),
    "quoted.csv": lambda path, numbers: csv.write_csv(
        as_table(numbers), path, csv.WriteOptions(quoting_style="all_valid")
    ),
    "a.parquet": lambda path, numbers: parquet.write_table(as_table(numbers), path, row_group_size=170),
    "one_group.pq": lambda path, numbers: parquet.write_table(as_table(numbers), path),
    "a.arrow": write_arrow,
    "a.npy": lambda path, numbers: np.save(path, numbers.T),
    "fortran.npy": lambda path, numbers: np.save(path, np.asfortranarray(numbers.T)),
    "named.npy": lambda path, numbers: np.save(
        path, np.rec.fromarrays(list(numbers), names=",".join(NAMES)).view(np.ndarray)
    ),
    "a.npz": lambda path, numbers: np.savez(path, **dict(zip(NAMES, numbers, strict=True))),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_numbers(tmp_path: Path, numbers: Array, name: str) -> None:
    """Whole, and in parts that begin anywhere, a file gives back every bit that was written."""
    WRITERS[name](tmp_path / name, numbers)
    chosen = [1, 3, 2] if name in ("a.npy", "fortran.npy") else ["t", "err", "größe"]
    table = Table(str(tmp_path / name), chosen)  # type: ignore[arg-type]
    assert table.rows == 1000
    right = numbers[[0, 2, 1]]
    assert np.array_equal(table.read(0, 1000), right)
    for start, stop in ((0, 1), (169, 171), (500, 1000), (3, 3), (131, 400), (999, 1000), (0, 260)):
        assert np.array_equal(table.read(start, stop), right[:, start:stop])


@pytest.mark.parametrize("threads", [1, 3])
def test_groups_that_are_decoded_in_threads_keep_their_order(
    tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of threads reads every bit of ranges of a Parquet file, consecutive or not."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    numbers = np.random.default_rng(5).normal(size=(3, 400_000))
    parquet.write_table(as_table(numbers), tmp_path / "a.parquet", row_group_size=90_000)
    table = Table(str(tmp_path / "a.parquet"), ["t", "err", "t"])
    for start, stop in ((0, 140_000), (140_000, 280_000), (280_000, 400_000), (40_000, 360_000), (7, 8), (5, 5)):
        assert np.array_equal(table.read(start, stop), numbers[[0, 2, 0], start:stop])


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_blocks_begin_with_the_groups_of_the_file(tmp_path: Path, numbers: Array, name: str) -> None:
    """Blocks join small groups, divide large ones, and hold all rows."""
    WRITERS[name](tmp_path / name, numbers)
    cuts = Table(str(tmp_path / name), ["t"], block_rows=400).cuts
    group = {"a.parquet": 170, "a.arrow": 130}[name]
    assert cuts[-1] == 1000
    assert all(cut % group == 0 for cut in cuts[:-1])
    assert all(0 < end - start <= 400 for start, end in pairwise(cuts))
    assert merged_cuts([1000, 10, 900], 400) == [0, 333, 666, 1010, 1310, 1610, 1910]


@pytest.mark.parametrize("form", ["folder", "pattern"])
def test_many_files_are_one_table(tmp_path: Path, numbers: Array, form: str) -> None:
    """The tables of a folder, or those that a pattern names, follow each other in the order of their names."""
    for k in (2, 0, 1):
        parquet.write_table(as_table(numbers[:, k * 300 : (k + 1) * 300]), tmp_path / f"part{k}.parquet")
    (tmp_path / "README.md").write_text("not a table")
    (tmp_path / ".hidden.parquet").write_text("not a table")
    table = Table(str(tmp_path if form == "folder" else tmp_path / "part*"), ["größe", "t"])
    assert np.array_equal(table.read(0, 900), numbers[[1, 0], :900])
    assert np.array_equal(table.read(250, 700), numbers[[1, 0], 250:700])


def test_statistics_are_those_of_the_numbers(tmp_path: Path, numbers: Array) -> None:
    """The range of Parquet columns is known without reading rows; that of other formats is not."""
    for name in ("a.parquet", "a.arrow", "a.npz"):
        WRITERS[name](tmp_path / name, numbers)
    known = Table(str(tmp_path / "a.parquet"), ["t", "err"]).extremes()
    assert known is not None
    assert known.tolist() == [[numbers[k].min(), numbers[k].max()] for k in (0, 2)]
    for name in ("a.arrow", "a.npz"):
        assert Table(str(tmp_path / name), ["t"]).extremes() is None
    assert Table(str(tmp_path / "a.parquet"), ["t"], nan_policy="omit").extremes() is None
    bare = tmp_path / "bare.parquet"
    parquet.write_table(as_table(numbers), bare, write_statistics=False)
    assert Table(str(bare), ["t"]).extremes() is None


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.arrow", "a.npy", "a.npz"])
def test_missing_numbers_are_refused_or_left_out(tmp_path: Path, name: str) -> None:
    """A missing or infinite number is refused with file, column, row and count, or its row is left out."""
    numbers = np.array([[1, 2, np.nan, 4, 5], [1, np.inf, 3, 4, np.nan], [1, 1, 1, 1, 1.0]])
    WRITERS[name](tmp_path / name, numbers)
    x, y = (1, 2) if name == "a.npy" else ("t", "größe")
    words = re.escape(f"{name}: column '{y}' must be finite, got inf in data row 2, and 3 such rows in all")
    with pytest.raises(DataError, match=words):
        Table(str(tmp_path / name), [x, y]).read(0, 5)  # type: ignore[list-item]
    table = Table(str(tmp_path / name), [x, y], nan_policy="omit")  # type: ignore[list-item]
    assert table.read(0, 5).tolist() == [[1, 4], [1, 4]]
    assert table.read(1, 3).shape == (2, 0)


def test_nulls_of_parquet_are_missing_numbers(tmp_path: Path) -> None:
    """A null in a Parquet column is a missing number, and whole numbers are read exactly or refused."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"x": pa.array([1, None, 3]), "y": pa.array([0.5, 1, 2], pa.float32())}), path)
    assert Table(str(path), ["x", "y"], nan_policy="omit").read(0, 3).tolist() == [[1, 3], [0.5, 2]]
    with pytest.raises(DataError, match=r"column 'x' must be finite, got a missing number in data row 2"):
        Table(str(path), ["x"]).read(0, 3)
    parquet.write_table(pa.table({"x": [1, 2**53 + 1]}), path)
    with pytest.raises(DataError, match=r"whole numbers beyond 2\^53 lose digits"):
        Table(str(path), ["x"]).read(0, 2)


def test_sigma_must_be_positive(tmp_path: Path) -> None:
    """A sigma that is 0 or negative is refused with its row, also if other rows are left out."""
    path = tmp_path / "a.csv"
    path.write_text("x,s\n1,\n2,3\n3,0\n")
    with pytest.raises(
        DataError,
        match=r"column 's' must be positive, got 0 in data row 3, and 1 such row in all; a",
    ):
        Table(str(path), ["x", "s"], positive=1, nan_policy="omit").read(0, 3)


def test_a_file_of_another_schema_is_named(tmp_path: Path) -> None:
    """Of the files in a folder, the message names the one without the column, or with another type of it."""
    parquet.write_table(pa.table({"x": [1.0]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"x": ["1"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: column 'x' must hold numbers, got type string"):
        Table(str(tmp_path), ["x"])
    parquet.write_table(pa.table({"z": [1.0]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: there is no column 'x' among 'z'"):
        Table(str(tmp_path), ["x"])


@pytest.mark.parametrize(
    ("wanted", "found"), [("X", "did you mean 'x'"), ("x", None), ("2", None), (3, None), ("4", "no column '4'")]
)
def test_columns_go_by_name_or_number(tmp_path: Path, wanted: int | str, found: str | None) -> None:
    """A column is given by name, or by number from 1; a similar name is suggested."""
    path = tmp_path / "a.csv"
    path.write_text("x, 2,y\n1,2,3\n")
    if found:
        with pytest.raises(DataError, match=found):
            Table(str(path), [wanted])
    else:
        assert Table(str(path), [wanted]).read(0, 1).item() == {"x": 1, "2": 2, "3": 3}[str(wanted)]


def test_a_name_that_is_a_number_comes_first(tmp_path: Path) -> None:
    """A column called 1 is found by that name before the first column is."""
    path = tmp_path / "a.csv"
    path.write_text("x,1\n7,8\n")
    assert Table(str(path), ["1"]).read(0, 1).item() == 8


def test_a_table_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    """A compressed file that unpacks to a thousand times its size is refused before it fills the memory."""
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"x,y\n")
        for _ in range(80):
            file.write(b"1,2\n" * (1 << 18))
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        Table(str(path), ["x", "y"])
