"""A scan yields every row once, in the thread that decoded it, or refuses what ``read`` refuses, in the same words."""

import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import feather, parquet

from regression.common.errors import DataError, UsageError
from regression.common.points import Batch, Points
from regression.data.files import open_file
from regression.data.rows import MemoryRows, Rows, SplitRows, TableRows, table_rows
from regression.data.table import Table
from regression.readers.columns import Part, Wanted
from regression.readers.source import Source
from regression.text import csv_text
from regression.text.large_csv import open_plain
from tests.benchmarks.scripts import load

ROWS = 200_000


def numbered() -> pa.Table:
    """Return rows whose x is their number, and whose y and sigma follow from it."""
    x = np.arange(ROWS, dtype=np.float64)
    return pa.table({"x": x, "y": -x, "s": x + 0.5})


WRITERS: dict[str, Callable[[Path, pa.Table], object]] = {
    "uneven.parquet": lambda path, table: parquet.write_table(table, path, row_group_size=60_001),
    "small.parquet": lambda path, table: parquet.write_table(table, path, row_group_size=1_000),
    "one.parquet": lambda path, table: parquet.write_table(table, path),
    "packed.arrow": lambda path, table: feather.write_feather(table, str(path), compression="lz4", chunksize=60_000),
    "plain.arrow": lambda path, table: feather.write_feather(table, str(path), compression="uncompressed"),
    "a.npy": lambda path, table: np.save(path, np.stack([column.to_numpy() for column in table.columns], axis=1)),
    "fortran.npy": lambda path, table: np.save(path, np.stack([column.to_numpy() for column in table.columns]).T),
    "a.csv": lambda path, table: table.to_pandas().to_csv(path, index=False),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan")
    for name, write in WRITERS.items():
        write(path / name, numbered())
    return path


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(torch, "get_num_threads", lambda: request.param)
    return int(request.param)


def scanned(rows: Rows, start: int, stop: int) -> list[float]:
    """Return the sorted x of all points of a scan, and check that their y and sigma belong to them."""
    parts = list[Points]()
    rows.scan(start, stop, lambda points: parts.append(points.copied()))
    for points in parts:
        assert 0 < len(points.x) <= 131_072
        assert points.sigma is not None
        assert torch.equal(points.y, -points.x)
        assert torch.equal(points.sigma, points.x + 0.5)
    return sorted(x for points in parts for x in points.x.tolist())


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_is_scanned(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan between any two rows yields each row once, in any number of threads."""
    monkeypatch.setattr(csv_text, "open_plain", lambda *args: open_plain(*args, large_bytes=1 << 20))
    columns = ["x", "y", "sigma" if name.endswith("npy") else "s"]
    rows = TableRows(Table(str(folder / name), columns, positive=2), has_y=True)
    for start, stop in ((0, ROWS), (0, 100_000), (100_000, 100_001), (90_000, 170_000), (5, 5)):
        assert scanned(rows, start, stop) == list(range(start, stop))
    assert rows.places[0] == 0
    assert rows.places[-1] == ROWS


@pytest.mark.parametrize("name", WRITERS)
def test_a_part_stays_while_another_thread_has_the_next_one(folder: Path, name: str) -> None:
    """A part stays valid while another thread takes the next part of the same iterator."""
    source = Source(folder / name)
    names = ["x", "sigma" if name.endswith("npy") else "s"]
    parts = open_file(source, Wanted(names)).parts(0, 150_000)
    first = next(parts)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(next, parts, None).result()
    assert [column[:3].tolist() for column in first] == [[0, 1, 2], [0.5, 1.5, 2.5]]


@pytest.mark.usefixtures("threads")
def test_rows_in_memory_are_scanned_in_slices() -> None:
    """Points in memory, also those of a batch, are scanned as views."""
    x = torch.arange(ROWS, dtype=torch.float64)
    assert scanned(MemoryRows(Points(x, -x, x + 0.5)), 7, ROWS - 7) == list(range(7, ROWS - 7))
    kept = list[Points]()
    Batch(x, -x, None, ROWS).scan(kept.append)
    assert all(points.x.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for points in kept)
    assert sum(len(points.x) for points in kept) == ROWS


@pytest.mark.usefixtures("threads")
def test_held_out_rows_are_scanned(folder: Path) -> None:
    """Each share of a split scans its own rows, in the order of its blocks."""
    rows = TableRows(Table(str(folder / "uneven.parquet"), ["x", "y", "s"]), has_y=True)
    shares = [SplitRows(rows, 0.25, 3, is_rest) for is_rest in (False, True)]
    assert sorted(scanned(shares[0], 0, len(shares[0])) + scanned(shares[1], 0, len(shares[1]))) == list(range(ROWS))
    middle = shares[1].block(0).x[1000:2000].tolist()
    assert scanned(shares[1], 1000, 2000) == middle


@pytest.mark.parametrize("kind", ["parquet", "arrow", "npy"])
def test_floats_keep_their_type_and_whole_numbers_are_converted(tmp_path: Path, kind: str) -> None:
    """Float32 numbers stay float32; whole numbers become float64."""
    narrow, whole = np.arange(1000, dtype=np.float32), np.arange(1000)
    path = tmp_path / f"a.{kind}"
    if kind == "npy":
        np.save(path, narrow)
        columns = ["x"]
    else:
        table = pa.table({"x": narrow, "y": whole})
        parquet.write_table(table, path) if kind == "parquet" else feather.write_feather(table, str(path))
        columns = ["x", "y"]
    found = list[Part]()
    Table(str(path), columns).scan(0, 1000, lambda _, part: found.append([column.copy() for column in part]))
    assert [column.dtype for column in found[0]] == [np.float32, np.float64][: len(columns)]
    assert all(column.tolist() == list(range(1000)) for column in found[0])


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", ["uneven.parquet", "packed.arrow", "a.npy"])
def test_a_missing_number_is_refused_as_by_reading(tmp_path: Path, name: str) -> None:
    """The message names file, column, first row and number of such rows, whichever part is scanned first."""
    table = numbered().to_pandas()
    table.loc[[123_456, 155_555, 190_000], "y"] = np.nan
    table.loc[155_555, "x"] = np.inf
    WRITERS[name](tmp_path / name, pa.Table.from_pandas(table))
    path = str(tmp_path / name)
    words = f"{name}: column 'y' must be finite, got a missing number in data row 123457, and 3 such rows in all"
    for act in (lambda t: t.scan(0, ROWS, lambda *_: None), lambda t: t.read(0, ROWS)):
        with pytest.raises(DataError, match=re.escape(words)):
            act(Table(path, ["x", "y"]))
    rows = TableRows(Table(path, ["x", "y", "s" if name != "a.npy" else "sigma"], nan_policy="omit"), has_y=True)
    assert rows.omitted == 3
    assert scanned(rows, 0, ROWS) == [x for x in range(ROWS) if x not in (123_456, 155_555, 190_000)]


def test_sigma_must_be_positive_in_a_scan(folder: Path) -> None:
    """A column of standard deviations is checked in a scan as by ``read``."""
    table = Table(str(folder / "uneven.parquet"), ["x", "s", "y"], positive=2)
    with pytest.raises(DataError, match=r"'y' must be positive, got -0 in data row 1, and 200,000 such rows in all"):
        table.scan(0, ROWS, lambda *_: None)


def test_huge_numbers_are_finite(tmp_path: Path) -> None:
    """Finite numbers whose sum is beyond float64's range are accepted."""
    parquet.write_table(pa.table({"x": [1e308, 1e308, -1e308]}), tmp_path / "a.parquet")
    found = list[Part]()
    Table(str(tmp_path / "a.parquet"), ["x"]).scan(0, 3, lambda _, part: found.append(part))
    assert [column.tolist() for part in found for column in part] == [[1e308, 1e308, -1e308]]


@pytest.mark.usefixtures("threads")
def test_work_that_checks_every_number_gives_the_same_message(tmp_path: Path) -> None:
    """If ``work`` itself refuses numbers that are not finite, the message is that of the table; rows are left out."""
    table = numbered().to_pandas()
    table.loc[150_000, "y"] = np.nan
    parquet.write_table(pa.Table.from_pandas(table), tmp_path / "a.parquet", row_group_size=60_001)
    kept: list[int] = []

    def work(points: Points) -> None:
        if not points.y.isfinite().all():
            raise UsageError("y must be finite")
        kept.append(len(points.x))

    rows = TableRows(Table(str(tmp_path / "a.parquet"), ["x", "y"]), has_y=True)
    with pytest.raises(DataError, match=r"'y' must be finite, got a missing number in data row 150001, and 1 such row"):
        rows.scan(0, ROWS, work, is_checked_by_work=True)
    kept.clear()
    rows = TableRows(Table(str(tmp_path / "a.parquet"), ["x", "y"], nan_policy="omit"), has_y=True)
    rows.scan(0, ROWS, work, is_checked_by_work=True)
    assert sum(kept) == ROWS - 1


@pytest.mark.usefixtures("threads")
def test_an_error_of_the_work_reaches_the_caller(folder: Path) -> None:
    """An exception of ``work`` ends the scan."""

    def work(_: Points) -> None:
        raise ZeroDivisionError("of the work")

    rows = TableRows(Table(str(folder / "small.parquet"), ["x", "y"]), has_y=True)
    with pytest.raises(ZeroDivisionError, match="of the work"):
        rows.scan(0, ROWS, work)


@pytest.mark.usefixtures("threads")
def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    """A file that is cut after it was opened is refused by name."""
    path = tmp_path / "a.parquet"
    parquet.write_table(numbered(), path, row_group_size=50_000)
    table = Table(str(path), ["x", "y"])
    os.truncate(path, 1 << 16)
    with pytest.raises(DataError, match=r"a\.parquet was changed while it was read"):
        table.scan(0, ROWS, lambda *_: None)


@pytest.mark.parametrize("name", ["a.npy", "fortran.npy", "plain.arrow", "packed.arrow", "uneven.parquet"])
def test_a_file_that_is_replaced_between_two_reads_is_refused(tmp_path: Path, name: str) -> None:
    """No rows of two files are mixed: another file of the same name and size in its place is refused by name."""
    table = numbered().slice(0, 1000)
    for path, written in ((tmp_path / name, table), (tmp_path / f"new-{name}", table.set_column(1, "y", table["x"]))):
        WRITERS[name](path, written)
    rows = Table(str(tmp_path / name), ["x", "y"])
    assert rows.read(0, 10)[1].tolist() == [-x for x in range(10)]
    (tmp_path / f"new-{name}").replace(tmp_path / name)
    with pytest.raises(DataError, match=re.escape(f"{name} was changed while it was read")):
        rows.read(500, 510)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", ["uneven.parquet", "small.parquet", "one.parquet"])
def test_scans_that_follow_each_other_decode_a_row_group_once(folder: Path, name: str) -> None:
    """Steps that end within row groups decode none of them twice."""
    table = Table(str(folder / name), ["x", "y"])
    with load("one_pass").decoding() as groups:
        for start in range(0, ROWS, 25_000):
            table.scan(start, start + 25_000, lambda *_: None)
    assert sorted(groups) == list(range(parquet.read_metadata(folder / name).num_row_groups))


def test_small_row_groups_are_opened_together(folder: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread opens a file once for all its row groups of a step."""
    opened, table = list[object](), Table(str(folder / "small.parquet"), ["x", "y"])
    plain = parquet.ParquetFile
    monkeypatch.setattr(parquet, "ParquetFile", lambda *args, **given: opened.append(args) or plain(*args, **given))
    table.scan(0, ROWS, lambda *_: None)
    assert len(opened) == threads


def test_several_threads_work_at_once(tmp_path: Path, threads: int) -> None:
    """As many threads as torch uses work on parts at the same time."""
    x = np.arange(3 * 131_072.0)
    parquet.write_table(pa.table({"x": x, "y": x}), tmp_path / "one.parquet")
    together = threading.Barrier(threads, timeout=20)
    rows = TableRows(Table(str(tmp_path / "one.parquet"), ["x", "y"]), has_y=True)
    rows.scan(0, len(x), lambda _: together.wait() and None)


def test_few_files_are_open_at_a_time(tmp_path: Path, threads: int) -> None:
    """A scan of many files keeps only those open that its threads are reading."""
    for k in range(200):
        parquet.write_table(pa.table({"x": np.arange(1000.0), "y": np.arange(1000.0)}), tmp_path / f"{k:03}.parquet")
    most, before = 0, len(os.listdir("/proc/self/fd"))
    rows = TableRows(Table(str(tmp_path), ["x", "y"]), has_y=True)

    def work(_: Points) -> None:
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")))

    rows.scan(0, len(rows), work)
    assert most <= before + threads + 2


def test_text_that_is_scanned_is_not_joined(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large text is scanned in the parsed chunks; they are joined only when a block is read."""
    monkeypatch.setattr(csv_text, "open_plain", lambda *args: open_plain(*args, large_bytes=1 << 20))
    table = Table(str(folder / "a.csv"), ["x", "y", "s"], positive=2)
    rows = table_rows(table, True, in_memory_rows=10**7)
    assert isinstance(rows, TableRows)
    assert rows.counts == [ROWS]
    monkeypatch.setattr(Table, "read", None)  # fails where it is called
    assert scanned(rows, 0, ROWS) == list(range(ROWS))
    assert rows.has_sigma
    monkeypatch.undo()
    assert rows.block(0).x.tolist() == list(range(ROWS))
    assert rows.block(0) is rows.block(0)


@pytest.mark.parametrize("scans", [True, False])
def test_a_figure_shows_rows_from_everywhere(folder: Path, scans: bool) -> None:
    """A sample is spread over the table, whether this process has scanned all of it or a share."""
    rows = TableRows(Table(str(folder / "uneven.parquet"), ["x", "y"]), has_y=True)
    rows.scan(0, ROWS if scans else ROWS // 3, lambda _: None)
    x = rows.sample(1000).x
    assert 250 <= len(x) <= 1000
    assert x.min() < 1000
    assert x.max() > (0.99 if scans else 0.2) * ROWS
    assert torch.equal(x, x.sort().values)
