"""Tables of other libraries, and damaged files: the right rows, or a refusal in one line."""

import gzip
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from regression import TableDataModule
from regression.common.errors import DataError
from regression.data.table import Table
from regression.text import csv_text
from regression.text.large_csv import open_plain
from tests.support.command import Command, config

LAKES = {
    "_delta_log/00000000000000000000.json": "is a Delta table(, and may hold removed rows: .* delta| whose log cannot)",
    ".hoodie/hoodie.properties": r"is a Hudi table, and may hold removed rows: .* spark\.read",
    "metadata/v1.metadata.json": r"is an Iceberg table, and may hold removed rows: .* table\.scan\(\)",
}


@pytest.mark.parametrize("pattern", ["", "data", "*.parquet"])
@pytest.mark.parametrize("mark", LAKES)
def test_a_folder_of_another_librarys_table_is_refused_by_its_name(tmp_path: Path, mark: str, pattern: str) -> None:
    """Files that may hold removed rows are refused, given as the folder, a part of it, or a pattern in it."""
    for place in (tmp_path / mark, tmp_path / "data" / "b.parquet"):
        place.parent.mkdir(exist_ok=True)
    (tmp_path / mark).write_text("{}")
    for place in (tmp_path / "a.parquet", tmp_path / "data" / "b.parquet"):
        parquet.write_table(pa.table({"x": [0.0, 1], "y": [1.0, 2]}), place)
    with pytest.raises(DataError, match=LAKES[mark]):
        Table(str(tmp_path / pattern), ["x", "y"])
    assert Table(str(tmp_path / "a.parquet"), ["x", "y"]).rows == 2


def test_such_a_table_is_seen_from_three_keys_below_it(tmp_path: Path) -> None:
    """A part of it that is given is refused by the name of the whole; a mark further above is of something else."""
    (tmp_path / ".hoodie").mkdir()
    (tmp_path / ".hoodie" / "hoodie.properties").write_text("")
    for keys, is_seen in (("a=1", True), ("a=1/b=2", True), ("a=1/b=2/c=3", True), ("a=1/b=2/c=3/d=4", False)):
        place = tmp_path / keys
        place.mkdir()
        parquet.write_table(pa.table({"x": [0.0, 1], "y": [1.0, 2]}), place / "t.parquet")
        if is_seen:
            with pytest.raises(DataError, match=rf"is in {re.escape(str(tmp_path))}, which is a Hudi table"):
                Table(str(place), ["x", "y"])
        else:
            assert Table(str(place), ["x", "y"]).rows == 2


def arrow(path: Path, table: pa.Table) -> bytes:
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("at", "value"), [(-1, 1 << 30), (10, -(1 << 28)), (-1, 68), (5, 9)], ids=["outside", "negative", "behind", "back"]
)
def test_texts_whose_offsets_lead_astray_are_refused(tmp_path: Path, at: int, value: int) -> None:
    """Offsets of an Arrow file out of their buffer, or backwards, are refused in one line, without a crash."""
    numbers, offsets = np.arange(64.0), np.arange(65, dtype=np.int32)
    content = arrow(tmp_path / "a.arrow", pa.table({"x": numbers, "y": numbers, "id": ["a"] * 64}))
    written = offsets.tobytes()
    assert content.count(written) == 1
    offsets[at] = value
    (tmp_path / "a.arrow").write_bytes(content.replace(written, offsets.tobytes()))
    with pytest.raises(DataError, match=r"a\.arrow is damaged, or not what its name says: "):
        Table(str(tmp_path / "a.arrow"), ["x", "y", "id"], has_series=True).read(0, 64)


@pytest.mark.parametrize("index", [-1, 2, 1 << 20])
def test_names_whose_index_is_none_are_refused(tmp_path: Path, index: int) -> None:
    """An index into a dictionary of names without such an entry is refused in one line, without a crash."""
    numbers, places = np.arange(64.0), np.tile(np.array([0, 1], np.int32), 32)
    ids = pa.DictionaryArray.from_arrays(pa.array(places), ["a", "b"])
    content = arrow(tmp_path / "a.arrow", pa.table({"x": numbers, "y": numbers, "id": ids}))
    written = places.tobytes()
    assert content.count(written) == 1
    places[7] = index
    (tmp_path / "a.arrow").write_bytes(content.replace(written, places.tobytes()))
    with pytest.raises(DataError, match=r"a\.arrow is damaged, or not what its name says: "):
        Table(str(tmp_path / "a.arrow"), ["x", "y", "id"], has_series=True).read(0, 64)


def test_a_folder_of_packed_text_is_fitted(command: Command) -> None:
    """Two .csv.gz of a folder are one table."""
    Path("parts").mkdir()
    for k in range(2):
        rows = "".join(f"{x},{1 + 2 * x}\n" for x in range(3 * k, 3 * k + 3))
        Path(f"parts/{k}.csv.gz").write_bytes(gzip.compress(f"x,y\n{rows}".encode()))
    done = command("fit", "-c", config("own_file"), "--data.path", "parts")
    assert (done.fit["nobs"], done.fit["params"]) == (6, [1.0, 2.0])


def test_columns_of_arrays_are_counted_from_1(tmp_path: Path) -> None:
    """The last column of an array has the number of columns as its name, and the next number is refused."""
    array = np.arange(200.0).reshape(50, 4)
    np.save(tmp_path / "a.npy", array)
    data = TableDataModule(str(tmp_path / "a.npy"), x="3", y=4)
    data.setup("fit")
    assert data.all.block(0).y.tolist() == array[:, 3].tolist()
    assert data.all.block(0).x.tolist() == array[:, 2].tolist()
    with pytest.raises(DataError, match=re.escape("there is no column '5' among 'x', 'y', 'sigma', '4'")):
        Table(str(tmp_path / "a.npy"), [5])


def test_one_missing_number_in_one_of_several_files_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all other files are known to be finite, the one row with a missing number is still left out."""
    monkeypatch.setattr(csv_text, "open_plain", lambda *args: open_plain(*args, large_bytes=1 << 10))
    for k in range(3):
        rows = "".join(f"{x},{'nan' if (k, x) == (1, 500) else x}\n" for x in range(1000))
        (tmp_path / f"{k}.csv").write_text("x,y\n" + rows)
    data = TableDataModule(str(tmp_path), nan_policy="omit")
    data.setup("fit")
    assert (len(data.all), data.all.omitted) == (2999, 1)
