"""Sums and gathers over the processes of a run; with a single process each function returns its argument."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["all_gather_objects", "all_gather_rows", "all_max", "all_sum", "global_sum", "rank_and_size"]


def rank_and_size() -> tuple[int, int]:
    """Return the rank of this process, from 0, and the number of processes."""
    return (dist.get_rank(), dist.get_world_size()) if _is_shared() else (0, 1)


def all_sum(value: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place, and return it."""
    if _is_shared():
        dist.all_reduce(value)
    return value


def all_max(value: Tensor) -> Tensor:
    """Replace each element of a tensor by its maximum over all processes, in place, and return it."""
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


def all_gather_objects(value: Any) -> list[Any]:
    """Return the values of all processes, in rank order; for small values, because they are pickled."""
    if not _is_shared():
        return [value]
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def _is_shared() -> bool:
    return dist.is_available() and dist.is_initialized()


class _GlobalSum(torch.autograd.Function):
    """Sum over processes, with the gradient of the global sum under ``DistributedDataParallel``.

    DDP averages the gradients of the W processes. The backward pass multiplies by W, so that the average is the
    gradient of the global sum.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return all_sum(value.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * dist.get_world_size()


def global_sum(value: Tensor) -> Tensor:
    """Return the sum over all processes as a differentiable tensor, for use under DDP."""
    if not _is_shared():
        return value
    total: Tensor = _GlobalSum.apply(value)  # type: ignore[no-untyped-call]
    return total
