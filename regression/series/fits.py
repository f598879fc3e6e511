"""The fits of the series of a batch, and of those that several batches or processes share.

A series whose rows are all in one batch is fitted there, while its rows are in the cache. Of a *cut* series, whose rows
are in several batches, the first pass finds only the range; its sums take a second pass over the points, and a third
one where residuals must certify the last digits.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regression.common.collectives import all_gather_rows, all_sum
from regression.common.errors import UsageError
from regression.common.threads import share_chunks
from regression.kernels.compiled import choose, rows_for
from regression.series.grouping import Groups, group
from regression.series.loops import LARGEST, add_sums, fit_whole, solve_sums
from regression.series.workspace import Model, make_workspace

__all__ = ["Columns", "SeriesTable", "fit_all"]

SERIES_PER_CHUNK = 1 << 12  # series that a thread takes at a time
MAX_KEPT_SERIES = 1 << 16  # series whose sums are in memory at a time

Columns = tuple[Tensor, Tensor, Tensor, Tensor | None]  # codes, x, y and sigma, shape (N,)
Numbers = NDArray[Any]


def run(function: Callable[..., int], lengths: Numbers, model: Model, *arguments: Any) -> int:
    """Call a loop for all series, from threads with a workspace each, and return the sum of its results.

    Args:
        function: Takes the first series, the one after the last, the model, the workspace, and the arguments.
        lengths: Numbers of rows of the series.
        model: The model.
        arguments: Further arguments of the function; columns of points as a tuple.
    """
    count, longest, size = len(lengths), int(lengths.max(initial=1)), len(model.powers)
    chosen = choose(function, (int(lengths.sum()) + count * size) * (size + 1) ** 2)
    converted = [tuple(rows_for(chosen, column) for column in a) if isinstance(a, tuple) else a for a in arguments]

    def work(chunks: Iterator[slice]) -> int:
        workspace = make_workspace(model, longest, chosen is function)
        return sum(chosen(chunk.start, chunk.stop, model, workspace, *converted) for chunk in chunks)

    threads = torch.get_num_threads()
    return sum(share_chunks(work, count, max(1, min(SERIES_PER_CHUNK, -(-count // threads))), threads))


def group_batch(columns: Columns) -> Groups:
    """Return a batch's rows by series."""
    codes, x, y, sigma = (None if column is None else column.numpy() for column in columns)
    points = tuple(np.zeros(0) if column is None else column.astype(np.float64, copy=False) for column in (x, y, sigma))
    assert codes is not None
    return group(codes.astype(np.int64, copy=False), points, torch.get_num_threads())


@dataclass(frozen=True)
class SeriesTable:
    """A table of series, with the results of one pass over their points.

    Attributes:
        codes: Codes of the series, ascending, shape (S,).
        nobs: Numbers of points, shape (S,).
        times: Numbers of batches that have points of the series, shape (S,).
        ranges: Smallest x, −x, y, −y and sigma, shape (S, 5).
        numbers: K coefficients, K standard errors, ssr, sigma, R² and rank, shape (S, 2 K + 4), of series in one batch.
    """

    codes: Numbers
    nobs: Numbers
    times: Numbers
    ranges: Numbers
    numbers: Numbers

    @classmethod
    def of(cls, columns: Columns, model: Model) -> "SeriesTable":
        """Return the table of the series of one batch.

        Raises:
            UsageError: If a number is not finite, a sigma not positive, or x or y too large for its scale.
        """
        groups = group_batch(columns)
        codes, first, length, points = groups
        count, times = len(codes), np.ones(len(codes), np.int64)
        table = cls(codes, length, times, np.empty((count, 5)), np.empty((count, 2 * len(model.powers) + 4)))
        needs_residuals = np.empty(count, bool)
        if run(fit_whole, length, model, points, first, length, table.ranges, table.numbers, needs_residuals):
            refuse(columns)
        uncertain = np.flatnonzero(needs_residuals)
        for indices in np.split(uncertain, range(MAX_KEPT_SERIES, len(uncertain), MAX_KEPT_SERIES)):
            fit_by_passes(table, indices, lambda: [groups], model, lambda sums: sums)
        return cls.merged([table])

    @classmethod
    def merged(cls, parts: list["SeriesTable"]) -> "SeriesTable":
        """Return one table for several parts of the points; a series may be in several parts."""
        codes, nobs, times, ranges, numbers = (
            np.concatenate([getattr(part, name) for part in parts]) if len(parts) > 1 else getattr(parts[0], name)
            for name in cls.__annotations__
        )
        if (codes[1:] > codes[:-1]).all():
            return cls(codes, nobs, times, ranges, numbers)
        order = np.argsort(codes, kind="stable")
        first = np.flatnonzero(np.diff(codes[order], prepend=codes[order[0]] - 1))
        return cls(
            codes[order[first]], np.add.reduceat(nobs[order], first), np.add.reduceat(times[order], first),
            np.minimum.reduceat(ranges[order], first), numbers[order[first]],
        )  # fmt: skip

    def gathered(self, device: torch.device) -> "SeriesTable":
        """Return one table for the points of all processes, which exchange tensors on a device."""
        rows = (torch.from_numpy(values).to(device) for values in vars(self).values())
        return self.merged([SeriesTable(*(all_gather_rows(values).cpu().numpy() for values in rows))])


def refuse(columns: Columns) -> None:
    """Refuse numbers that are not finite or too large, and sigmas that are not positive."""
    for name, values in zip(("x", "y", "sigma"), columns[1:], strict=True):
        wrong = None if values is None else ~values.isfinite() | ((values <= 0) & (name == "sigma"))
        if values is not None and wrong is not None and wrong.any():
            row = int(wrong.int().argmax())
            expected = "finite" if not math.isfinite(values[row]) else "positive"
            raise UsageError(
                f"{name} must be {expected}, got {values[row].item()} at row {row} of a batch: leave it out"
            )
    largest = max(float(values.abs().max()) for values in columns[1:3])
    raise UsageError(f"x and y of series must be below {LARGEST:.2g}, got {largest:g}")


def fit_all(
    table: SeriesTable, again: Callable[[], Iterable[Columns]], model: Model, device: torch.device | None = None
) -> SeriesTable:
    """Return a table with the numbers of all its series.

    Args:
        table: The results of one pass over the points of all processes.
        again: Yields this process's points once more, for cut series; not called if there are none.
        model: The model.
        device: Where the processes exchange tensors.

    Raises:
        UsageError: If there is no point.
    """
    if not len(table.codes):
        raise UsageError("there are no rows to fit: expected at least one point")
    cut = np.flatnonzero(table.times > 1)
    fit_by_passes(table, cut, lambda: map(group_batch, again()), model, lambda sums: all_sum(sums.to(device)).cpu())
    return table


def fit_by_passes(
    table: SeriesTable, indices: Numbers, again: Callable[[], Iterable[Groups]], model: Model,
    total: Callable[[Tensor], Tensor],
) -> None:  # fmt: skip
    """Write the numbers of some series by a second pass over their points, and a third one where it is needed.

    Args:
        table: The results of the first pass.
        indices: Rows of the series in the table; without any there is no pass.
        again: Yields the points once more.
        model: The model.
        total: Adds up sums over the processes that share these points.
    """
    if not len(indices):
        return
    indices = indices[np.argsort(table.codes[indices])]
    codes, ranges, nobs, count = table.codes[indices], table.ranges[indices], table.nobs[indices], len(indices)
    totals = [np.zeros((count, sums, 4), np.int64) for sums in model.totals]  # of the points, of residuals
    numbers, needs_residuals = np.empty((count, table.numbers.shape[1])), np.ones(count, bool)
    for takes_residuals in (False, True):
        for groups in again():
            index = np.searchsorted(codes, groups.codes).clip(max=count - 1)
            chosen = np.flatnonzero((codes[index] == groups.codes) & needs_residuals[index])
            first, length = groups.first[chosen], groups.length[chosen]
            run(add_sums, length, model, groups.points, first, length, index[chosen], ranges, nobs, takes_residuals,
                *totals, numbers)  # fmt: skip
        totals[takes_residuals] = total(torch.from_numpy(totals[takes_residuals])).numpy()
        run(solve_sums, np.ones(count, np.int64), model, ranges, nobs, takes_residuals, *totals, numbers,
            needs_residuals)  # fmt: skip
        if not needs_residuals.any():
            break
    table.numbers[indices] = numbers
