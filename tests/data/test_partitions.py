"""Tables in many files: folders named by keys, patterns through all folders, and decimals as numbers."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import dataset, parquet

import regression
from regression import UsageError
from regression.data.files import find_files
from regression.data.table import Table
from tests.support.command import Command

POINTS: dict[str, list[Any]] = {
    "g": ["b b", "a", None, "a", "b b", "a", "a"], "k": [7, 10, 7, 9, 7, 10, 9], "x": [0.0, 1, 2, 3, 4, 5, 6],
    "y": [1.0, 3, 6, 2, 5, 9, 7],
}  # fmt: skip


@pytest.fixture(params=["parquet", "csv"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A table in folders by two keys, one of them missing somewhere, with what Spark leaves beside it."""
    flavor = dataset.partitioning(pa.schema([("g", pa.string()), ("k", pa.int64())]), flavor="hive")
    dataset.write_dataset(pa.table(POINTS), tmp_path / "lake", format=request.param, partitioning=flavor)
    (tmp_path / "lake" / "_SUCCESS").touch()
    (tmp_path / "lake" / "_temporary" / "0").mkdir(parents=True)
    (tmp_path / "lake" / "_temporary" / "0" / f"part.{request.param}").touch()
    (tmp_path / "lake" / f"part.{request.param}.crc").write_bytes(b"crc")
    return tmp_path / "lake"


def values(path: Path | str, columns: list[int | str], **options: Any) -> list[tuple[float, ...]]:
    """Return the rows of a table, in order."""
    table = Table(str(path), columns, nan_policy="omit", **options)
    return sorted(zip(*table.read(0, table.rows).tolist(), strict=True))


def test_keys_of_folders_are_columns(lake: Path) -> None:
    """A key is a column of numbers between those of the files, by a folder, by a pattern through all folders."""
    right = sorted(zip(POINTS["x"], POINTS["k"], POINTS["y"], strict=True))
    ending = next(lake.rglob("*0.*")).suffix
    for path in (lake, f"{lake}/**/*{ending}", f"{lake}/*/*/*", f"{lake}/**/*"):
        assert values(path, ["x", "k", "y"]) == right
    assert Table(str(lake), ["k", "y"]).headings == ["k", "y"]


def test_a_key_names_series(lake: Path, command: Command) -> None:
    """Series are named by a key as pyarrow's own reader of such folders gives it; a missing one is left out."""
    done = command("fit", str(lake), "--x=x", "--y=y", "--series=g", "--data.nan_policy=omit", "--series.file=s.csv")
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    written = arrow_csv.read_csv(done.folder / "s.csv")
    kind = "parquet" if next(lake.rglob("*0.*")).suffix == ".parquet" else "csv"
    other = dataset.dataset(str(lake), format=kind, partitioning="hive", exclude_invalid_files=True).to_table()
    assert written["series"].to_pylist() == sorted(set(other["g"].to_pylist()) - {None})
    assert written["nobs"].to_pylist() == [4, 2]


def test_numbers_name_series(lake: Path, command: Command) -> None:
    """Keys that are whole numbers are in their own order, 9 before 10."""
    done = command("fit", str(lake), "--x=x", "--y=y", "--series=k", "--series.file=s.csv")
    assert done.folder is not None
    assert arrow_csv.read_csv(done.folder / "s.csv")["series"].to_pylist() == [7, 9, 10]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["g", "y"], "key 'g' must be a number, got 'a'"),
        (["k"], "expected a column of the file, got the keys k alone"),
        (["x", "h"], "there is no column 'h' among 'x', 'y'"),
    ],
)
def test_a_key_that_cannot_be_read_is_refused(lake: Path, columns: list[int | str], words: str) -> None:
    """Text as a number, and keys without a column of the files, cost one line."""
    with pytest.raises(UsageError, match=words):
        values(lake, columns)


def test_wildcards_do_not_match_what_spark_leaves(tmp_path: Path) -> None:
    """Wildcards match no name that begins with _, and no checksum; such a name in the pattern itself is matched."""
    for name in ("a.csv", "_b.csv", "_m/c.csv", "n/d.csv", "d.csv.crc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n1\n")
    found = {
        pattern: [str(file.relative_to(tmp_path)) for file in find_files(f"{tmp_path}/{pattern}")]
        for pattern in ("*.csv*", "**/*.csv", "_m/*", "*/*.csv", "_b.csv")
    }
    assert found == {
        "*.csv*": ["a.csv"], "**/*.csv": ["a.csv", "n/d.csv"], "_m/*": ["_m/c.csv"], "*/*.csv": ["n/d.csv"],
        "_b.csv": ["_b.csv"],
    }  # fmt: skip


def test_decimals_of_a_program_are_numbers() -> None:
    """Decimals in a list or an Arrow array are converted, or refused, as those of files are."""
    x = [Decimal("0.1"), Decimal("0.2"), Decimal("0.4")]
    fit = regression.fit(x, pa.array([Decimal("1.1"), Decimal("1.2"), Decimal("1.4")]))
    assert fit.params.tolist() == regression.fit([0.1, 0.2, 0.4], [1.1, 1.2, 1.4]).params.tolist()
    with pytest.raises(UsageError, match="x holds decimals of more digits than float64 has: round them yourself"):
        regression.fit([*x[:2], Decimal("0.12345678901234567")], [1, 2, 3])


@pytest.mark.parametrize("kind", [pa.decimal128(12, 2), pa.decimal128(38, 18), pa.decimal256(60, 20)])
def test_decimals_are_the_nearest_numbers(tmp_path: Path, kind: pa.DataType) -> None:
    """A decimal is the float64 that its text is; one of more digits than float64 has is refused."""
    texts = ["0.1", "-12345.67", "1000", None, "9007199254.75"]
    parquet.write_table(
        pa.table({"x": pa.array([text and Decimal(text) for text in texts], kind)}), tmp_path / "a.parquet"
    )
    assert values(tmp_path / "a.parquet", ["x"]) == sorted((float(text),) for text in texts if text)
    if kind.scale > 2:
        long = pa.array([Decimal("0.12345678901234567")], kind)
        parquet.write_table(pa.table({"x": long}), tmp_path / "a.parquet")
        with pytest.raises(UsageError, match="column 'x' holds decimals of more digits than float64 has: round them"):
            values(tmp_path / "a.parquet", ["x"])
