"""A table of many files: few of them are open at once, each footer is read once, and a bad one is named."""

import os
import pickle
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from regression import TableDataModule, UsageError
from regression.data import footers
from regression.data.table import Table
from regression.readers.source import Source

FILES = 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the same rows 200 times."""
    parquet.write_table(pa.table({"x": [1.0, 2, 4], "y": [3.0, 5, 9]}), tmp_path / "000.parquet")
    for k in range(1, FILES):
        os.link(tmp_path / "000.parquet", tmp_path / f"{k:03}.parquet")
    return tmp_path


def test_more_files_than_descriptors(folder: Path) -> None:
    """A table is read whose files are more than the process may have open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = max(map(int, os.listdir("/proc/self/fd"))) + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        table = Table(str(folder), ["x", "y"])
        values = table.read(0, table.rows)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    np.testing.assert_array_equal(values, np.tile([[1.0, 2, 4], [3, 5, 9]], FILES))
    ends = table.extremes()
    assert ends is not None
    assert ends.tolist() == [[1, 4], [3, 9]]


@pytest.mark.parametrize("processes", [1, 3])
def test_a_footer_is_read_by_one_process(folder: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    """Each footer is read by one process and sent to all; one that cannot be read is ``None`` in all."""
    (folder / "007.parquet").unlink()
    (folder / "007.parquet").write_bytes(b"PAR1 and no more")
    own, sent, all_here = threading.local(), [[]] * processes, threading.Barrier(processes, timeout=60)
    read: list[str] = []
    plain = footers.read_footer

    def gathered(value: Any) -> list[Any]:
        sent[own.rank] = pickle.loads(pickle.dumps(value))
        all_here.wait()
        return list(sent)

    def noted(source: Source) -> Any:
        read.append(source.path.name)
        return plain(source)

    monkeypatch.setattr(footers, "rank_and_size", lambda: (own.rank, processes))
    monkeypatch.setattr(footers, "all_gather_objects", gathered)
    monkeypatch.setattr(footers, "read_footer", noted)

    def share(rank: int) -> list[Source]:
        own.rank = rank
        sources = [Source(path) for path in sorted(folder.iterdir())]
        footers.share_footers(sources)
        return sources

    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(share, range(processes)))
    assert sorted(read) == sorted(path.name for path in folder.iterdir())
    for sources in found:
        assert [source.footer is None for source in sources] == [k == 7 for k in range(FILES)]
        assert {source.footer.num_rows for source in sources if source.footer is not None} == {3}


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", r"042\.parquet is empty: expected a table, got 0 bytes"), (b"x,y\n1,2\n", "does not begin like a parquet")],
)
def test_a_bad_file_of_many_is_named(folder: Path, content: bytes, words: str) -> None:
    """Of many files the one that is empty, or no Parquet file, is named."""
    (folder / "042.parquet").unlink()
    (folder / "042.parquet").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        TableDataModule(str(folder)).setup("fit")


def test_options_of_text_are_refused_for_many_files(folder: Path) -> None:
    """An option for text is refused for many Parquet files as it is for one."""
    with pytest.raises(UsageError, match=r"000\.parquet is no text: leave out --data\.skip_rows"):
        TableDataModule(str(folder), skip_rows=1).setup("fit")
