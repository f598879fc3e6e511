"""Points to fit, and global batches of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from regression.common.collectives import all_gather_rows, rank_and_size
from regression.common.row_ranges import even_slices
from regression.common.threads import share_out, threads_for

__all__ = ["Batch", "Points", "gathered", "unknown_y"]


class Points(NamedTuple):
    """Points: x, y, the standard deviations of y, the codes of the series, and sigma_x, each of shape (N,).

    y is NaN where it is to be predicted; sigma, series and sigma_x, the standard deviations of x, may be ``None``.
    """

    x: Tensor
    y: Tensor
    sigma: Tensor | None = None
    series: Tensor | None = None
    sigma_x: Tensor | None = None

    def scan(self, work: Callable[["Points"], None]) -> None:
        """Call ``work`` with parts of these points from several threads; on a GPU, once with all of them."""
        if self.x.device.type != "cpu":
            work(self)
            return
        threads = threads_for(len(self.x))
        share_out(lambda rows: work(self.chosen(rows)), even_slices(len(self.x), threads), threads)

    def chosen(self, rows: Tensor | slice) -> "Points":
        """Return the chosen rows."""
        columns = (None if values is None else _chosen(values, rows) for values in self)
        return Points(*columns)  # type: ignore[arg-type]

    def to_cpu(self) -> "Points":
        """Return a copy on the CPU."""
        columns = (None if values is None else values.to("cpu", copy=True) for values in self)
        return Points(*columns)  # type: ignore[arg-type]

    def copied(self) -> "Points":
        """Return a copy in float64."""
        columns = (None if values is None else values.to(torch.float64, copy=True) for values in self)
        return Points(*columns)  # type: ignore[arg-type]

    @staticmethod
    def joined(parts: Sequence["Points"]) -> "Points":
        """Return all rows of the parts, in order."""
        if len(parts) == 1:
            return parts[0]
        columns = ([values for values in column if values is not None] for column in zip(*parts, strict=True))
        return Points(*(torch.cat(column) if column else None for column in columns))  # type: ignore[arg-type]


def unknown_y(x: Tensor) -> Tensor:
    """Return NaN for each x, in the memory of one number: the y of points whose y is to be predicted."""
    return x.new_full((1,), torch.nan).expand(len(x))


def _chosen(values: Tensor, rows: Tensor | slice) -> Tensor:
    # For a tensor of rows index_select takes half the time of values[rows].
    return values.index_select(0, rows) if isinstance(rows, Tensor) else values[rows]


@dataclass(eq=False)
class Batch:
    """One device's slice of a global batch; it unpacks as ``x, y = batch``, or ``x, y, sigma = batch`` with a sigma.

    Attributes:
        x: Points of this slice, shape (n,).
        y: Values of this slice, shape (n,).
        sigma: Standard deviations of y, shape (n,), or ``None``.
        rows: Number of rows of the whole global batch, over all devices.
        series: Codes of the series of this slice's points, shape (n,), or ``None``.
    """

    x: Tensor
    y: Tensor
    sigma: Tensor | None
    rows: int
    series: Tensor | None = None

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the columns as a batch of a ``DataLoader`` has them: x, y, and sigma if there is one."""
        yield from (self.x, self.y) if self.sigma is None else (self.x, self.y, self.sigma)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; Lightning calls it."""
        sigma, series = (None if values is None else values.to(device) for values in (self.sigma, self.series))
        return Batch(self.x.to(device), self.y.to(device), sigma, self.rows, series)

    @classmethod
    def of(cls, points: Points, rows: int) -> "Batch":
        """Return this device's points of a global batch that has ``rows`` rows over all devices."""
        return cls(points.x, points.y, points.sigma, rows, points.series)

    @property
    def points(self) -> Points:
        """The points of this slice."""
        return Points(self.x, self.y, self.sigma, self.series)

    def scan(self, work: Callable[[Points], None], is_checked_by_work: bool = False) -> None:
        """Call ``work`` with parts of the points from several threads; on a GPU, once with all of them."""
        self.points.scan(work)

    def split(self, size: int) -> list["Batch"]:
        """Return consecutive batches of ``size`` rows; this batch must be a whole global batch, not a slice of one."""
        assert len(self.x) == self.rows
        parts = (slice(start, min(start + size, self.rows)) for start in range(0, self.rows, size))
        sigma = self.sigma
        return [Batch(self.x[k], self.y[k], None if sigma is None else sigma[k], k.stop - k.start) for k in parts]


def gathered(batch: Batch) -> Batch:
    """Return the whole global batch, put together from the slices of all processes."""
    if rank_and_size()[1] == 1:
        return batch
    columns = [batch.x, batch.y, *([] if batch.sigma is None else [batch.sigma])]
    x, y, *sigma = all_gather_rows(torch.stack(columns, dim=1)).T.contiguous()  # in one message
    return Batch(x, y, sigma[0] if sigma else None, batch.rows)
