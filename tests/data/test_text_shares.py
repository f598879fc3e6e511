"""Large text is parsed by ranges of bytes, each process its own, and refused or left to the strict parser by all."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regression.common.errors import DataError
from regression.common.row_ranges import merged_cuts
from regression.data import table as tables
from regression.data.batches import Shares
from regression.data.rows import TableRows, table_rows
from regression.data.table import Table
from regression.readers.columns import BLOCK
from regression.readers.source import Source
from regression.text import csv_text, large_csv
from regression.text.large_csv import PlainText, open_plain

PROCESSES, ROWS = 3, 5000


class Group:
    """Threads that stand for processes and exchange values.

    Attributes:
        parsed: For each process the texts that it parsed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
        self.own, self.processes = threading.local(), processes
        self.all_here = threading.Barrier(processes, timeout=300)
        self.sent: list[Any] = [None] * processes
        self.parsed: list[list[tuple[int, int]]] = [[] for _ in range(processes)]
        share_out, parse = large_csv.share_out, large_csv._parse

        def parsed(source: Any, start: int, stop: int, *form: Any) -> Any:
            self.parsed[self.own.rank].append((start, stop))
            return parse(source, start, stop, *form)

        monkeypatch.setattr(tables, "rank_and_size", lambda: (self.own.rank, processes))
        monkeypatch.setattr(large_csv, "rank_and_size", lambda: (self.own.rank, processes))
        monkeypatch.setattr(large_csv, "all_gather_objects", self.gather)
        monkeypatch.setattr(large_csv, "_parse", parsed)
        monkeypatch.setattr(large_csv, "share_out", lambda work, streams, _: share_out(work, streams, 1))
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        monkeypatch.setattr(csv_text, "open_plain", partial(open_plain, large_bytes=1000, piece_bytes=5000))

    def gather(self, value: Any) -> list[Any]:
        self.sent[self.own.rank] = value
        self.all_here.wait()
        gathered = list(self.sent)
        self.all_here.wait()
        return gathered

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        """Return the result of ``work`` for the rank of each process."""

        def play(rank: int) -> Any:
            self.own.rank = rank
            return work(rank)

        with ThreadPoolExecutor(self.processes) as pool:
            return list(pool.map(play, range(self.processes)))


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    return Group(monkeypatch, PROCESSES)


def write(path: Path, first: int = 0, rows: int = ROWS, odd: str = "") -> None:
    lines = [f"{k},{-k}" for k in range(first, first + rows)]
    path.write_text("\n".join(["x,y", *lines]) + "\n" + odd)


def own_rows(table: Table, rank: int) -> list[float]:
    """Return the x of the rows of a process's share."""
    found: list[torch.Tensor] = []
    for share in Shares(table_rows(table, True, 10**7), None, rank, PROCESSES):
        share.scan(lambda points: found.append(points.x.clone()))
    return torch.cat(found).tolist() if found else []


@pytest.mark.parametrize("files", [1, 4])
def test_each_process_parses_and_scans_its_own_bytes(tmp_path: Path, group: Group, files: int) -> None:
    """All processes together parse each byte once, and each scans just what it has parsed; all know the range."""
    for k in range(files):
        write(tmp_path / f"{k}.csv", k * ROWS)

    def work(rank: int) -> list[float]:
        table = Table(str(tmp_path), ["x", "y"])
        assert table.rows == files * ROWS
        ends = table.extremes()
        assert ends is not None
        assert ends.tolist() == [[0, files * ROWS - 1], [1 - files * ROWS, 0]]
        return own_rows(table, rank)

    found = group.run(work)
    assert [x for own in found for x in own] == list(range(files * ROWS))
    sizes = [sum(stop - start for start, stop in own) for own in group.parsed]
    assert sum(sizes) == sum(path.stat().st_size - len("x,y\n") for path in tmp_path.iterdir())
    assert max(sizes) < 1.3 * sum(sizes) / PROCESSES


def test_rows_of_other_processes_can_be_read(tmp_path: Path, group: Group) -> None:
    """Rows that another process has parsed can be read, as for validation or batches in another order."""
    write(tmp_path / "a.csv")

    def work(_: int) -> bool:
        table = Table(str(tmp_path / "a.csv"), ["x", "y"])
        rows = table_rows(table, True, 10**7)
        assert isinstance(rows, TableRows)
        return bool(np.array_equal(rows.block(0).x.numpy(), np.arange(ROWS)))

    assert group.run(work) == [True] * PROCESSES


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("1,2,3\n", "data row 5001 has 3 cells, the header has 2"),
        ("1,two\n", "data row 5001, column 'y', holds 'two' where a number is expected"),
        ("1,\n", "column 'y' must be finite, got a missing number in data row 5001, and 1 such row in all"),
        ("1,inf\n", "column 'y' must be finite, got inf in data row 5001, and 1 such row in all"),
    ],
)
def test_what_one_process_finds_is_refused_by_all(tmp_path: Path, group: Group, odd: str, words: str) -> None:
    """A row that is no plain text, in the range of one process, is refused by all in the strict parser's words."""
    write(tmp_path / "a.csv", odd=odd)

    def work(_: int) -> str:
        with pytest.raises(DataError, match=r"a\.csv: ") as refusal:
            table_rows(Table(str(tmp_path / "a.csv"), ["x", "y"]), True, 10**7)
        return str(refusal.value)

    assert all(words in said for said in group.run(work))


def test_quoted_cells_are_left_to_the_strict_parser_by_all(tmp_path: Path, group: Group) -> None:
    """If one process finds a quotation mark, all read the file strictly, and share it out by rows."""
    write(tmp_path / "a.csv", odd='5000,"-5000"\n')
    found = group.run(lambda rank: own_rows(Table(str(tmp_path / "a.csv"), ["x", "y"]), rank))
    assert [x for own in found for x in own] == list(range(ROWS + 1))
    assert all(found)


def test_blocks_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    """Rows are shuffled and held out by blocks, which are those of one process however many parse the text."""
    rows = 1_100_000
    (tmp_path / "a.csv").write_text("x,y\n" + "1,2\n" * rows)
    own, source = range(1 << 40), Source(tmp_path / "a.csv")
    found = [open_plain(source, 4, ",", 2, [0, 1], own, 1000, size) for size in (20_000, 1 << 20)]
    assert [merged_cuts(columns.sizes, BLOCK) for columns in found if columns] == [[0, rows // 2, rows]] * 2


def test_a_file_that_is_changed_while_it_is_read_is_refused(tmp_path: Path, group: Group) -> None:
    """A file that lost the rows of another process is refused by name."""
    write(tmp_path / "a.csv")

    def work(rank: int) -> bool:
        table = Table(str(tmp_path / "a.csv"), ["x", "y"])
        group.all_here.wait()
        if rank == 0:
            write(tmp_path / "a.csv", rows=ROWS - 2000)
            with pytest.raises(DataError, match=r"a\.csv was changed while it was read"):
                table.read(0, ROWS)
        return isinstance(table._files[0], PlainText)

    assert group.run(work) == [True] * PROCESSES
