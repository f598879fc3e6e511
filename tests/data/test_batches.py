"""Global batches: every row once, whatever the number of devices."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regression.common.collectives import all_gather_rows, all_sum, global_sum
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.data import shuffle
from regression.data.batches import GlobalBatches
from regression.data.rows import MemoryRows, Rows, SplitRows
from regression.data.shuffle import MOST_DRAWN_ROWS, Permutation, permute
from regression.kernels.compiled import compiled
from regression.training.checks import require_same_division
from regression.training.lightning_counters import Position


class Blocks(Rows):
    """Rows 0 … N − 1 in blocks of given sizes."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.counts = list(sizes)
        self.reads: list[int] = []

    def block(self, index: int) -> Points:
        self.reads.append(index)
        x = torch.arange(sum(self.counts[:index]), sum(self.counts[: index + 1]))
        return Points(x, -x, x + 0.5)


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any),
    size=st.none() | st.integers(1, 31),
    world=st.integers(1, 5),
    shuffle=st.booleans(),
)
def test_devices_share_each_batch_without_padding(
    sizes: list[int], size: int | None, world: int, shuffle: bool
) -> None:
    """Put together in rank order, the slices of each batch are the batch that one device sees, whatever the blocks."""
    rows, seed = sum(sizes), (lambda: 7) if shuffle else None
    loaders = [GlobalBatches(Blocks(sizes), size, rank, world, seed) for rank in range(world)]
    alone = GlobalBatches(Blocks(sizes), size, epoch_seed=seed)
    assert {len(loader) for loader in loaders} == {len(alone)}
    seen = []
    for whole, *parts in zip(alone, *loaders, strict=True):
        assert {part.rows for part in parts} == {whole.rows} == {len(whole.x)}
        assert torch.equal(torch.cat([part.x for part in parts]), whole.x)
        assert torch.equal(torch.cat([part.y for part in parts]), -whole.x)
        assert torch.equal(torch.cat([part.sigma for part in parts]), whole.x + 0.5)
        assert max(len(part.x) for part in parts) - min(len(part.x) for part in parts) <= 1
        seen += whole.x.tolist()
    assert sorted(seen) == list(range(rows))
    if not shuffle or size is None or size >= rows:
        assert seen == list(range(rows))
    assert torch.cat([batch.x for batch in alone.in_order()]).tolist() == list(range(rows))


def test_a_device_reads_its_own_blocks_once() -> None:
    """With batches of whole blocks, no block is read by two devices, and none twice."""
    reads = []
    for rank in range(2):
        rows = Blocks([5] * 8)
        list(GlobalBatches(rows, 20, rank, 2))
        reads += rows.reads
    assert sorted(reads) == list(range(8))


@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(any), fraction=st.floats(0, 0.95))
def test_a_split_of_blocks_is_a_split(sizes: list[int], fraction: float) -> None:
    """The held-out share and the rest have no row in common and together are all rows, in order."""
    share, rest = (SplitRows(Blocks(sizes), fraction, 3, is_rest) for is_rest in (False, True))
    parts = [torch.cat([rows.block(k).x for k in range(len(sizes))]).tolist() for rows in (share, rest)]
    assert sorted(parts[0] + parts[1]) == list(range(sum(sizes)))
    assert parts == [sorted(part) for part in parts]
    assert [len(share), len(rest)] == list(map(len, parts))
    assert abs(len(share) - fraction * sum(sizes)) <= len(sizes) / 2


def test_alone_a_sum_is_the_value_itself() -> None:
    """Without other processes the collective functions change nothing."""
    value = torch.ones(3, requires_grad=True)
    assert global_sum(value) is value
    assert all_gather_rows(value) is value
    assert all_sum(value) is value


@pytest.mark.parametrize("world", [1, 2, 3])
def test_each_device_computes_its_share_of_the_order(monkeypatch: pytest.MonkeyPatch, world: int) -> None:
    """Of a long order each device computes the positions of its rows and no others, and all together see each row."""
    count, computed, run = 2_000_003, [0] * world, compiled(permute)

    def counted(*given: Any) -> None:
        computed[rank] += len(given[-1])
        run(*given)

    monkeypatch.setattr(shuffle, "compiled", lambda _: counted)
    x = torch.arange(count)
    seen = []
    for rank in range(world):
        own = [batch.x for batch in GlobalBatches(MemoryRows(Points(x, x)), 262_144, rank, world, lambda: 7)]
        assert computed[rank] == sum(map(len, own))
        seen.append(own)
    together = torch.cat([part for parts in zip(*seen, strict=True) for part in parts])
    assert torch.equal(together, Permutation(count, 7).between(0, count))


def test_no_run_is_resumed_within_a_long_order_of_the_last_release() -> None:
    """A run that release 0.1 left within an epoch of long blocks is not resumed there: the order was another one."""
    for count, is_long in ((MOST_DRAWN_ROWS, False), (MOST_DRAWN_ROWS + 1, True)):
        x = torch.zeros(1).expand(count)
        loader = GlobalBatches(MemoryRows(Points(x, x)), 1000, epoch_seed=lambda: 7)
        old = Position(batches=3, division=(len(loader), 1000, 7))
        if is_long:
            with pytest.raises(UsageError, match=r"whose rows had another order: .* and its version of regression"):
                require_same_division(old, loader, is_plain=False)
        else:
            require_same_division(old, loader, is_plain=False)
        require_same_division(Position(batches=3, division=loader.division), loader, is_plain=False)
        require_same_division(Position(division=(1, 1, 7)), loader, is_plain=False)  # between epochs
