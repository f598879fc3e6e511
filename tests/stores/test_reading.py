"""Tables in a store have the numbers of the same files on this machine, and are read once, by few requests."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import dataset, parquet

from regression import UsageError
from regression.data.files import column_names, find_files
from regression.data.table import Table
from tests.support.s3_server import Store

ROWS, GROUPS = 120_000, 8
X, Y, Z = np.random.default_rng(3).random((3, ROWS))
POINTS = pa.table({"x": X, "y": Y})


def write_parquet(path: Path, table: pa.Table = POINTS) -> None:
    parquet.write_table(table, path, row_group_size=ROWS // GROUPS, compression="none", use_dictionary=False)


def write_arrow(path: Path) -> None:
    new = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as file, new(file, POINTS.schema) as writer:
        writer.write_table(POINTS, max_chunksize=ROWS // GROUPS)


def write_packed(path: Path) -> None:
    with pa.CompressedOutputStream(str(path), {".gz": "gzip", ".zst": "zstd"}[path.suffix]) as file:
        arrow_csv.write_csv(POINTS, file)


# With how many times its size is read: an Arrow file does not state rows of batches, a stream does not list batches.
FORMATS: dict[str, tuple[Callable[[Path], object], float]] = {
    "a.parquet": (write_parquet, 1),
    "a.csv": (lambda path: arrow_csv.write_csv(POINTS, path), 1),
    "a.csv.gz": (write_packed, 1),
    "a.tsv.zst": (write_packed, 1),
    "a.npy": (lambda path: np.save(path, np.stack([X, Y], axis=1)), 1),
    "b.npy": (lambda path: np.save(path, np.stack([X, Y])[:, :].T), 1),
    "a.npz": (lambda path: np.savez(path, x=X, y=Y), 1.3),  # and a megabyte around its list of arrays
    "a.arrow": (write_arrow, 1.5),
    "a.arrows": (write_arrow, 4),
}


@pytest.mark.parametrize("name", FORMATS)
def test_numbers_are_those_of_the_file(store: Store, tmp_path: Path, name: str) -> None:
    """Of each format every bit is the same, and the store sends each byte once."""
    write, most = FORMATS[name]
    write(tmp_path / name)
    store.put(name, tmp_path / name)
    store.asked()
    here, there = Table(str(tmp_path / name), ["x", "y"]), Table(f"{store.url}/{name}", ["x", "y"])
    assert there.headings == here.headings
    assert there.read(0, ROWS).tobytes() == here.read(0, ROWS).tobytes()
    asked, size = store.asked(), (tmp_path / name).stat().st_size
    assert size <= sum(each.size for each in asked) < 1.2 * most * size
    assert len(asked) < 6 * GROUPS


def test_row_groups_are_asked_for_together(store: Store, tmp_path: Path) -> None:
    """Adjacent columns take one request for several row groups, and no byte of other columns is requested."""
    write_parquet(tmp_path / "a.parquet", pa.table({"a": Z, "x": X, "y": Y, "b": Z}))
    store.put("a.parquet", tmp_path / "a.parquet")
    table = Table(f"{store.url}/a.parquet", ["x", "y"])
    store.asked()
    table.read(0, ROWS)
    asked = [each.size for each in store.asked() if each.method == "GET"]
    assert len(asked) <= GROUPS
    assert 16 * ROWS <= sum(asked) < 1.2 * 16 * ROWS


def test_rows_are_read_where_they_are_wanted(store: Store, tmp_path: Path) -> None:
    """Reading some rows requests only the row groups that contain them."""
    write_parquet(tmp_path / "a.parquet")
    store.put("a.parquet", tmp_path / "a.parquet")
    table = Table(f"{store.url}/a.parquet", ["x", "y"])
    store.asked()
    assert table.read(ROWS // 2, ROWS // 2 + 10).tobytes() == np.stack([X, Y])[:, ROWS // 2 :][:, :10].tobytes()
    assert sum(each.size for each in store.asked()) < 1.2 * 16 * ROWS / GROUPS


@pytest.fixture
def lake(store: Store, tmp_path: Path) -> Path:
    """A table in folders by a key, with what Spark leaves beside it, here and in the store."""
    table = pa.table({"g": [1, 2, 1, 2], "x": [0.0, 1, 2, 3], "y": [1.0, 3, 6, 2]})
    flavor = dataset.partitioning(pa.schema([("g", pa.int64())]), flavor="hive")
    folder = tmp_path / "lake"
    dataset.write_dataset(table, folder, format="parquet", partitioning=flavor)
    for name in ("_SUCCESS", "part.parquet.crc", "_temporary/0/part.parquet", ".hidden.parquet", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"text")
    store.put_folder(tmp_path)
    return folder


def test_folders_and_patterns_find_the_same_files(store: Store, lake: Path) -> None:
    """A folder, its partitions, and patterns through folders find the same files in a store as on this machine."""
    for path in ("lake", "lake/**/*.parquet", "lake/*/*", "lake/g=1", "lake/g=[12]/*.parquet", "l?ke/g=2/*"):
        here = [str(file).removeprefix(f"{lake.parent}/") for file in find_files(f"{lake.parent}/{path}")]
        assert [str(file).removeprefix(f"{store.url}/") for file in find_files(f"{store.url}/{path}")] == here
    columns = ["x", "g", "y"]
    here, there = Table(str(lake), columns), Table(f"{store.url}/lake", columns)
    assert there.read(0, 4).tolist() == here.read(0, 4).tolist()
    assert column_names(f"{store.url}/lake") == ["x", "y"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("a.csv", r"/a.csv: there is no such object or bucket; expected a file, a folder or a pattern"),
        ("*.txt", r"no file matches s3://bucket-\S*/\*.txt: expected at least one"),
        ("lake/_temporary", r"/lake/_temporary is a folder without tables"),
        ("mixed", r"/mixed holds tables of different kinds \(.csv, .parquet\)"),
        ("delta", r"/delta is a Delta table, and may hold removed rows"),
        ("text.parquet", r"/text.parquet does not begin like a parquet file"),
        ("empty.csv", r"/empty.csv is empty"),
    ],
)
@pytest.mark.usefixtures("lake")
def test_what_is_no_table_is_refused(store: Store, key: str, words: str) -> None:
    """A missing object, other files, and tables that need another library are refused in one line."""
    for name in ("mixed/a.csv", "mixed/b.parquet", "delta/_delta_log/0.json", "delta/a.parquet", "text.parquet"):
        store.put(name, b"x,y\n1,2\n")
    store.put("empty.csv", b"")
    with pytest.raises(UsageError, match=words) as refusal:
        Table(f"{store.url}/{key}", ["x", "y"])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["a.parquet", "a.npy", "a.arrow"])
def test_a_changed_object_is_noticed(store: Store, tmp_path: Path, name: str) -> None:
    """An object that is replaced by one of the same size while it is read is refused."""
    FORMATS[name][0](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    store.put(name, content)
    table = Table(f"{store.url}/{name}", ["x", "y"])
    store.put(name, content[:100_000] + bytes(8) + content[100_008:])
    with pytest.raises(UsageError, match=rf"/{name} was changed while it was read: expected the same file to the end"):
        table.read(0, ROWS)


def test_a_busy_store_is_asked_again(store: Store, tmp_path: Path) -> None:
    """A request that fails because the store is busy or the answer is cut off is repeated, with the same numbers."""
    write_parquet(tmp_path / "a.parquet")
    store.put("a.parquet", tmp_path / "a.parquet")
    table = Table(f"{store.url}/a.parquet", ["x", "y"])
    for fault in ("busy", "cut"):
        store.plan(fault, times=1)
        assert table.read(0, ROWS).tobytes() == np.stack([X, Y]).tobytes()


def test_a_store_that_fails_halfway_costs_one_line(store: Store, tmp_path: Path) -> None:
    """If a store stays busy after the first parts, reading ends in bounded time with an error of one line."""
    write_parquet(tmp_path / "a.parquet")
    store.put("a.parquet", tmp_path / "a.parquet")
    table = Table(f"{store.url}/a.parquet", ["x", "y"])
    store.plan("busy", after=0)
    begun = time.monotonic()
    with pytest.raises(UsageError, match=r"/a.parquet: the store failed: .*503"):
        table.read(0, ROWS)
    assert time.monotonic() - begun < 30


def test_gaps_are_left_out_or_refused(store: Store) -> None:
    """A missing number in a store is left out, or refused with the number of its row, as on this machine."""
    rows = b"x,y\n" + b"".join(b"%d,%d\n" % (k, k * k) for k in range(50))
    store.put("gap.csv", rows.replace(b"7,49\n", b"7,NA\n"))
    kept = [k for k in range(50) if k != 7]
    table = Table(f"{store.url}/gap.csv", ["x", "y"], nan_policy="omit")
    assert table.read(0, 50).tolist() == [[float(k) for k in kept], [float(k * k) for k in kept]]
    with pytest.raises(UsageError, match=r"/gap.csv: column 'y' must be finite, got a missing number in data row 8"):
        Table(f"{store.url}/gap.csv", ["x", "y"]).read(0, 50)


def test_many_files_take_few_requests(store: Store, tmp_path: Path) -> None:
    """Each of many files takes a few requests, and their rows are in the order of their names."""
    for k in range(12):
        parquet.write_table(pa.table({"x": [float(k)], "y": [2.0 * k]}), tmp_path / f"{k:02}.parquet")
    store.put_folder(tmp_path)
    store.asked()
    table = Table(f"{store.url}/*.parquet", ["x", "y"])
    assert table.read(0, 12).tolist() == [[float(k) for k in range(12)], [2.0 * k for k in range(12)]]
    assert len(store.asked()) <= 1 + 12 * 4


def test_processes_read_a_table_into_memory_together(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two processes reads its half and takes the other half from the other process, in the order of rows."""
    write_parquet(tmp_path / "a.parquet")
    store.put("a.parquet", tmp_path / "a.parquet")
    table, halves = Table(f"{store.url}/a.parquet", ["x", "y"]), list[np.ndarray[Any, Any] | None]()

    def gather(own: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any] | None]:
        halves.append(own)
        return [*halves, None][:2]

    monkeypatch.setattr("regression.data.table.all_gather_objects", gather)
    for rank in (0, 1):  # the first one gets no other half, and reads all rows
        monkeypatch.setattr("regression.data.table.rank_and_size", lambda rank=rank: (rank, 2))
        store.asked()
        assert table.read_together().tobytes() == np.stack([X, Y]).tobytes()
    assert 8 * ROWS <= sum(each.size for each in store.asked()) < 1.2 * 8 * ROWS
