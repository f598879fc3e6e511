"""Points to fit."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from regression.common.threads import even_slices, share_out, threads_for

__all__ = ["Points"]


class Points(NamedTuple):
    """Points to fit: x and y of shape (N,), the standard deviations of y, and the codes of series, or ``None``.

    Points to predict have no y: it is NaN.
    """

    x: Tensor
    y: Tensor
    sigma: Tensor | None = None
    series: Tensor | None = None

    def scan(self, work: Callable[["Points"], None]) -> None:
        """Call ``work`` with parts of these points from several threads; with all of them where they are on a GPU."""
        if self.x.device.type != "cpu":
            work(self)
            return
        threads = threads_for(len(self.x))
        share_out(lambda rows: work(self.chosen(rows)), even_slices(len(self.x), threads), threads)

    def chosen(self, rows: Tensor | slice) -> "Points":
        """Return the chosen rows."""
        columns = (None if values is None else _chosen(values, rows) for values in self)
        return Points(*columns)  # type: ignore[arg-type]

    def copied(self) -> "Points":
        """Return points in memory of their own, as float64."""
        columns = (None if values is None else values.to(torch.float64, copy=True) for values in self)
        return Points(*columns)  # type: ignore[arg-type]

    @staticmethod
    def joined(parts: Sequence["Points"]) -> "Points":
        """Return all rows of the parts, in order."""
        if len(parts) == 1:
            return parts[0]
        columns = ([values for values in column if values is not None] for column in zip(*parts, strict=True))
        return Points(*(torch.cat(column) if column else None for column in columns))  # type: ignore[arg-type]


def _chosen(values: Tensor, rows: Tensor | slice) -> Tensor:
    # What values[rows] does as well, in twice the time for a tensor of numbers.
    return values.index_select(0, rows) if isinstance(rows, Tensor) else values[rows]
