"""Global batches: how rows are shared out over the devices, and how sums over them come together again.

A batch is counted in rows of the whole run. Each device holds its own slice of each global batch: no row twice, none
left out, a slice may be empty, and every device sees the same number of batches.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["Batch", "GlobalBatches", "all_gather_rows", "all_max", "all_sum", "gathered", "global_sum"]


class Batch(NamedTuple):
    """One device's slice of a global batch.

    Attributes:
        x: Points of this slice, shape (n,).
        y: Values of this slice, shape (n,).
        sigma: Standard deviations of y, shape (n,), or ``None``.
        rows: Number of rows of the whole global batch, over all devices.
    """

    x: Tensor
    y: Tensor
    sigma: Tensor | None
    rows: int


class GlobalBatches:
    """An iterable over one device's slices of the global batches of (x, y).

    Slicing whole tensors replaces a per-sample ``DataLoader``, and a contiguous share per device replaces a sampler
    that pads with duplicates.

    Args:
        x: All points, shape (N,).
        y: All values, shape (N,).
        sigma: All standard deviations of y, shape (N,), or ``None``.
        batch_size: Rows per global batch; ``None`` puts all rows in one batch.
        rank: Which device this is, from 0.
        world_size: Number of devices.
        order: Called at the start of each epoch for the row order, shape (N,), the same on every device; ``None``
            keeps the order of the data.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        sigma: Tensor | None = None,
        batch_size: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        order: Callable[[], Tensor] | None = None,
    ) -> None:
        self.x, self.y, self.sigma = x, y, sigma
        self.batch_size = batch_size or max(1, len(x))
        self.rank, self.world_size = rank, world_size
        self.order = order

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.order() if self.order and len(self) > 1 else None
        for start in range(0, len(self.x), self.batch_size):
            rows = min(self.batch_size, len(self.x) - start)
            mine = slice(start + rows * self.rank // self.world_size, start + rows * (self.rank + 1) // self.world_size)
            chosen = mine if order is None else order[mine]
            sigma = None if self.sigma is None else self.sigma[chosen]
            yield Batch(self.x[chosen], self.y[chosen], sigma, rows)


def all_sum(value: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place, and return it; alone, return it as it is."""
    if _is_shared():
        dist.all_reduce(value)
    return value


def all_max(value: Tensor) -> Tensor:
    """Take the largest of a tensor's elements over all processes, in place, and return it."""
    if _is_shared():
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return value


def all_gather_rows(value: Tensor) -> Tensor:
    """Return the rows of all processes, in rank order; the processes may hold different numbers of rows."""
    if not _is_shared():
        return value
    counts = [torch.zeros(1, dtype=torch.long, device=value.device) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(value)], device=value.device))
    longest = max(int(count) for count in counts)
    padded = torch.cat([value, value.new_zeros(longest - len(value), *value.shape[1:])])
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])


def gathered(batch: Batch) -> Batch:
    """Return the whole global batch, put together from the slices of all processes."""
    sigma = None if batch.sigma is None else all_gather_rows(batch.sigma)
    return Batch(all_gather_rows(batch.x), all_gather_rows(batch.y), sigma, batch.rows)


def _is_shared() -> bool:
    return dist.is_available() and dist.is_initialized()


class _GlobalSum(torch.autograd.Function):
    """Sum over processes whose gradient survives the averaging of ``DistributedDataParallel``.

    DDP divides the sum of the processes' gradients by their number W. The backward pass multiplies by W beforehand, so
    that the averaged gradient is that of the global sum.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return all_sum(value.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * dist.get_world_size()


def global_sum(value: Tensor) -> Tensor:
    """Return the sum over all processes as a differentiable tensor, for use under DDP; alone, the value itself."""
    if not _is_shared():
        return value
    total: Tensor = _GlobalSum.apply(value)  # type: ignore[no-untyped-call]
    return total
