"""Global batches: every row once, whatever the number of devices."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from regression.batches import GlobalBatches, all_gather_rows, all_sum, global_sum


@given(rows=st.integers(1, 30), size=st.none() | st.integers(1, 31), world=st.integers(1, 5), shuffled=st.booleans())
def test_devices_share_each_batch_without_padding(rows: int, size: int | None, world: int, shuffled: bool) -> None:
    """Put together in rank order, the slices of each batch are the batch that one device sees."""

    def order() -> torch.Tensor:
        return torch.randperm(rows, generator=torch.Generator().manual_seed(7))

    x = torch.arange(rows)
    loaders = [GlobalBatches(x, -x, x + 0.5, size, rank, world, order if shuffled else None) for rank in range(world)]
    (alone,) = [GlobalBatches(x, -x, x + 0.5, size, order=order if shuffled else None)]
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
    if not shuffled or size is None or size >= rows:
        assert seen == list(range(rows))


def test_alone_a_sum_is_the_value_itself() -> None:
    """Without other processes the collective functions change nothing."""
    value = torch.ones(3, requires_grad=True)
    assert global_sum(value) is value
    assert all_gather_rows(value) is value
    assert all_sum(value) is value
