"""A Delta table is read as it is now, without the files that were removed from it."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from regression import UsageError
from regression.data.table import Table

X, Y = [1.0, 2, 3, 4], [2.0, 4.5, 6, 8.25]


def rows(path: Path, columns: list[int | str]) -> list[tuple[float, ...]]:
    table = Table(str(path), columns)
    return sorted(zip(*table.read(0, table.rows).tolist(), strict=True))


def test_the_latest_version_is_read(tmp_path: Path) -> None:
    """Rows that were deleted, or written over, are not read; partitions and instants are columns as elsewhere."""
    deltalake = pytest.importorskip("deltalake")
    days = [dt.datetime(2024, 1, day) for day in (1, 2, 3, 4)]
    table = pa.table({"x": X, "y": Y, "t": days, "k": [1, 1, 2, 2]})
    deltalake.write_deltalake(str(tmp_path), table, partition_by=["k"])
    deltalake.write_deltalake(str(tmp_path), table, mode="append")
    assert rows(tmp_path, ["x", "y"]) == sorted(2 * list(zip(X, Y, strict=True)))
    deltalake.DeltaTable(str(tmp_path)).delete("x > 3.5")
    assert rows(tmp_path, ["x", "k"]) == 2 * [(1, 1)] + 2 * [(2, 1)] + 2 * [(3, 2)]
    assert rows(tmp_path, ["t", "y"])[-1] == (2 * 86400, 6)
    with pytest.raises(UsageError, match="which is a Delta table, and may hold removed rows"):
        Table(f"{tmp_path}/k=1/*.parquet", ["x", "y"])


class Log:
    """Stands for the library's table, with a given protocol."""

    features: list[str] | None = None
    version = 1

    def __init__(self, folder: str) -> None:
        if self.version == 0:
            raise ValueError("no log entry\nin it")

    def protocol(self) -> Any:
        return SimpleNamespace(reader_features=self.features, min_reader_version=self.version)

    def file_uris(self) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (
            None,
            "is a Delta table, and may hold removed rows: pip install deltalake, which lists its files",
        ),
        ({"version": 0}, "is a Delta table whose log cannot be read: no log entry in it"),
        (
            {"version": 3, "features": ["deletionVectors", "timestampNtz"]},
            "is a Delta table that needs deletionV",
        ),
        ({"version": 2}, "is a Delta table that needs columnMapping: give a file"),
        ({}, "is a Delta table without a row"),
    ],
)
def test_tables_that_need_more_than_their_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any] | None, words: str
) -> None:
    """Without the library, or if the log alone changes rows or names, a table is refused in one line."""
    (tmp_path / "_delta_log").mkdir()
    library = None if known is None else SimpleNamespace(DeltaTable=type("Table", (Log,), known))
    monkeypatch.setitem(__import__("sys").modules, "deltalake", library)
    with pytest.raises(UsageError) as refusal:
        Table(str(tmp_path), ["x"])
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
