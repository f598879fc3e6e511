"""Passes over all points of a fit, and exact sums of numbers that are computed from them."""

import operator
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from regression.common.collectives import all_gather_objects
from regression.common.points import Points
from regression.kernels.exact_sums import UNIT, exact_sum

__all__ = ["ExactSums", "Passes", "Scan"]

Scan = Callable[[Callable[[Points], None]], None]

ROWS_PER_PIECE = 1 << 16


class Passes(NamedTuple):
    """How the points of a fit are read once more; each process reads its own share, and all make the same passes.

    Attributes:
        scan: Calls a function with parts of the points of this process, from several threads, in any order.
        in_order: Yields the points of this process in their order, in pieces, each with up to so many rows that come
            before it, and how many these are.
        device: Where the processes exchange tensors.
    """

    scan: Scan
    in_order: Callable[[int], Iterator[tuple[Points, int]]]
    device: torch.device

    @classmethod
    def of(cls, points: Points, scan: Scan | None = None) -> "Passes":
        """Return the passes over points in memory.

        Args:
            points: The points, in order.
            scan: Calls a function with parts of all observations, where these are more than the points.
        """

        def in_order(before: int) -> Iterator[tuple[Points, int]]:
            for start in range(0, len(points.x), ROWS_PER_PIECE):
                first = max(0, start - before)
                yield points.chosen(slice(first, start + ROWS_PER_PIECE)), start - first

        return cls(scan or points.scan, in_order, points.x.device)


class ExactSums:
    """Sums of float64 numbers as whole numbers: the same bits for any order and division of the rows.

    Args:
        count: Number of sums.
    """

    def __init__(self, count: int) -> None:
        self._totals = [0] * count
        self._lock = threading.Lock()

    def add(self, terms: Tensor) -> None:
        """Add terms on the CPU, shape (n, count)."""
        sums = [exact_sum(column) for column in terms.double().numpy().T]
        with self._lock:
            self._totals = list(map(operator.add, self._totals, sums))

    def values(self) -> list[float]:
        """Return the sums over the terms of all processes, each rounded to float64."""
        return [sum(totals) / UNIT for totals in zip(*all_gather_objects(self._totals), strict=True)]
