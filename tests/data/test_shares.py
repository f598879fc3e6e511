"""Shares: each process reads one part of the rows, all together every row once, and hardly a byte twice."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from regression.common.points import Points
from regression.common.row_ranges import even_borders
from regression.data.batches import GlobalBatches, Shares
from regression.data.rows import MemoryRows, Rows, TableRows
from regression.data.table import Table
from tests.benchmarks.scripts import load
from tests.data.test_batches import Blocks

PROCESSES = [1, 2, 3, 16, 64]


def uneven(path: Path, sizes: list[int]) -> TableRows:
    """Return rows of a file with row groups of such sizes, x their number."""
    rows = sum(sizes)
    table = pa.table({"x": np.arange(rows, dtype=np.float64), "y": np.random.default_rng(0).normal(size=rows)})
    with parquet.ParquetWriter(path, table.schema) as writer:
        for start, size in zip(np.cumsum([0, *sizes]).tolist(), sizes, strict=False):
            writer.write_table(table.slice(start, size), row_group_size=max(size, 1))
    return TableRows(Table(str(path), ["x", "y"]), has_y=True)


def seen(shares: Shares) -> list[float]:
    """Return the x of all points of one process, sorted."""
    found = list[torch.Tensor]()
    for share in shares:
        share.scan(lambda points: found.append(points.x.double().clone()))
    return sorted(torch.cat(found).tolist()) if found else []


@given(
    places=st.lists(st.integers(0, 100), max_size=9).map(lambda inner: sorted({0, 100, *inner})),
    ends=st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted),
    count=st.integers(1, 9),
    reach=st.floats(0, 120),
)
def test_borders_are_even_but_for_their_moves(places: list[int], ends: list[int], count: int, reach: float) -> None:
    """Borders ascend from end to end, and each is that of equal shares, or the nearest place within reach of it."""
    start, stop = ends
    borders = even_borders(places, start, stop, count, min(reach, (stop - start) / count / 4))
    assert (borders[0], borders[-1], len(borders)) == (start, stop, count + 1)
    assert borders == sorted(borders)
    for k, border in enumerate(borders[1:-1], start=1):
        even = start + (stop - start) * k // count
        nearest = min(abs(place - even) for place in places)
        within = nearest <= min(reach, (stop - start) / count / 4)
        assert border == even or within
        assert abs(border - even) <= (nearest if within else 0)


@pytest.mark.parametrize("world", PROCESSES)
@pytest.mark.parametrize("batch_size", [None, 3, 7, 1000])
@pytest.mark.parametrize("kind", ["memory", "blocks"])
def test_shares_are_all_rows_once(world: int, batch_size: int | None, kind: str) -> None:
    """Put together in rank order, the shares are all rows; each process makes the same steps and knows their rows."""
    x = torch.arange(100)
    rows: Rows = MemoryRows(Points(x, -x, x + 0.5)) if kind == "memory" else Blocks([13, 0, 40, 2, 45])
    shares = [Shares(rows, batch_size, rank, world) for rank in range(world)]
    steps = [list(own) for own in shares]
    assert {len(own) for own in steps} == {len(shares[0])}
    assert len(shares[0]) == (1 if batch_size is None else -(-100 // batch_size))
    flat = [share for own in steps for share in own]
    assert [(share.start, share.stop) for share in flat] == list(
        zip([0, *(share.stop for share in flat[:-1])], [*(share.stop for share in flat[:-1]), 100], strict=True)
    )
    for own in zip(*steps, strict=True):
        assert {share.rows for share in own} == {sum(share.stop - share.start for share in own)}
    assert sum(share.rows for share in steps[0]) == 100
    assert [x for own in shares for x in seen(own)] == list(range(100))


@pytest.mark.parametrize("world", PROCESSES)
def test_shares_of_a_file_are_all_rows_once(tmp_path: Path, world: int) -> None:
    """Of a file with uneven row groups, all processes together read each row once, in several steps."""
    rows = uneven(tmp_path / "a.parquet", np.random.default_rng(1).integers(0, 3000, 40).tolist())
    shares = [Shares(rows, 9000, rank, world) for rank in range(world)]
    assert [x for own in shares for x in seen(own)] == list(range(len(rows)))
    assert len({len(own) for own in shares}) == 1


@pytest.mark.parametrize("batch_size", [None, 20_000])
def test_sixteen_processes_decode_hardly_more_than_the_file(tmp_path: Path, batch_size: int | None) -> None:
    """The bytes of all row groups that 16 processes begin to decode are at most 1.2 times those of the file."""
    sizes = np.random.default_rng(2).integers(100, 2000, 100).tolist()
    rows = uneven(tmp_path / "a.parquet", sizes)
    assert 1 <= load("one_pass").decoded_bytes(tmp_path / "a.parquet", 16, batch_size) <= 1.2
    lengths = [stop - start for start, stop in pairwise(rows.borders(16))]
    assert max(lengths) <= 1.5 * len(rows) / 16


def test_few_row_groups_are_divided(tmp_path: Path) -> None:
    """If there are fewer row groups than processes, every process still has rows."""
    borders = uneven(tmp_path / "a.parquet", [1000, 1000, 1000]).borders(16)
    assert all(start < stop for start, stop in pairwise(borders))


def test_a_pass_is_resumed_after_its_last_step() -> None:
    """A resumed pass needs only the number of steps that were yielded; the next pass starts from the beginning."""
    x = torch.arange(50)
    first, second = (Shares(MemoryRows(Points(x, x)), 8, 1, 2) for _ in range(2))
    steps, begun = list(first), iter(second)
    for _ in range(3):
        next(begun)
    state = second.state_dict()
    resumed = Shares(MemoryRows(Points(x, x)), 8, 1, 2)
    resumed.load_state_dict(state)
    assert state == {"batches": 3}
    assert [share[:3] for share in resumed] == [share[:3] for share in steps[3:]]
    assert [share[:3] for share in resumed] == [share[:3] for share in steps]
    assert resumed.division == (7, 8, -1)


def test_the_range_is_known_or_found_by_the_same_shares(tmp_path: Path) -> None:
    """Statistics of a file give two points; without them a pass over the shares does."""
    rows = uneven(tmp_path / "a.parquet", [100, 50])
    known = GlobalBatches(rows, 10).bounds()
    assert isinstance(known, list)
    assert known[0].x.tolist() == [0, 149]
    x = torch.arange(10)
    assert isinstance(found := Shares(MemoryRows(Points(x, x)), 3).bounds(), Shares)
    assert len(found) == 4
