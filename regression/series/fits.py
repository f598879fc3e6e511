"""The fits of the series of a batch, and of those that several batches or processes share.

A series whose rows are in one batch has its ranges, sums and solution there, and its rows are read from the cache where
its residuals are needed. The others, ``cut``, have only their ranges then: their sums take a second pass over the
points, and a third one where residuals must certify the last digits.
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
from regression.series.room import Model, make_room

__all__ = ["Columns", "Found", "fit_all"]

SERIES_PER_CHUNK, SERIES_AT_ONCE = 1 << 12, 1 << 16  # of a thread's work, and whose sums are kept

Columns = tuple[Tensor, Tensor, Tensor, Tensor | None]  # codes, x, y and sigma, shape (N,)
Numbers = NDArray[Any]


def run(function: Callable[..., int], lengths: Numbers, model: Model, *arguments: Any) -> int:
    """Call a loop for all series, by threads of which each has room of its own, and return the sum of what it returns.

    Args:
        function: Takes the first series, the one after the last, the model, the room, and the arguments.
        lengths: Numbers of rows of the series that it reads.
        model: What is fitted.
        arguments: More for the function; columns of points as a tuple.
    """
    count, longest, size = len(lengths), int(lengths.max(initial=1)), len(model.powers)
    called = choose(function, (int(lengths.sum()) + count * size) * (size + 1) ** 2)
    given = [tuple(rows_for(called, column) for column in a) if isinstance(a, tuple) else a for a in arguments]

    def work(chunks: Iterator[slice]) -> int:
        room = make_room(model, longest, called is function)
        return sum(called(chunk.start, chunk.stop, model, room, *given) for chunk in chunks)

    threads = torch.get_num_threads()
    return sum(share_chunks(work, count, max(1, min(SERIES_PER_CHUNK, -(-count // threads))), threads))


def group_batch(columns: Columns) -> Groups:
    """Return a batch's rows by series."""
    codes, x, y, sigma = (None if column is None else column.numpy() for column in columns)
    points = tuple(np.zeros(0) if column is None else column.astype(np.float64, copy=False) for column in (x, y, sigma))
    assert codes is not None
    return group(codes.astype(np.int64, copy=False), points, torch.get_num_threads())


@dataclass(frozen=True)
class Found:
    """What one pass over points finds of their series, a row for each.

    Attributes:
        codes: The series, ascending, shape (S,).
        nobs: Numbers of points, shape (S,).
        times: Numbers of batches that they are in, shape (S,).
        ranges: Smallest x, −x, y, −y and sigma, shape (S, 5).
        numbers: K coefficients, K standard errors, ssr, sigma, R² and rank of those in one batch, shape (S, 2 K + 4).
    """

    codes: Numbers
    nobs: Numbers
    times: Numbers
    ranges: Numbers
    numbers: Numbers

    @classmethod
    def of(cls, columns: Columns, model: Model) -> "Found":
        """Return what one batch says.

        Raises:
            UsageError: If a number is not finite, a sigma not positive, or x and y more than scales can take.
        """
        groups = group_batch(columns)
        codes, first, length, points = groups
        count, one = len(codes), np.ones(len(codes), np.int64)
        found = cls(codes, length, one, np.empty((count, 5)), np.empty((count, 2 * len(model.powers) + 4)))
        doubts = np.empty(count, bool)
        if run(fit_whole, length, model, points, first, length, found.ranges, found.numbers, doubts):
            refuse(columns)
        open_ones = np.flatnonzero(doubts)
        for some in np.split(open_ones, range(SERIES_AT_ONCE, len(open_ones), SERIES_AT_ONCE)):
            fit_again(found, some, lambda: [groups], model, lambda sums: sums)
        return cls.merged([found])

    @classmethod
    def merged(cls, parts: list["Found"]) -> "Found":
        """Return what some parts of the points say together; each series may be in several of them."""
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

    def gathered(self, device: torch.device) -> "Found":
        """Return what the points of all processes say; the device is where they exchange tensors."""
        rows = (torch.from_numpy(values).to(device) for values in vars(self).values())
        return self.merged([Found(*(all_gather_rows(values).cpu().numpy() for values in rows))])


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
    found: Found, again: Callable[[], Iterable[Columns]], model: Model, device: torch.device | None = None
) -> Found:
    """Return what is found of series with the numbers of all of them.

    Args:
        found: What one pass over the points of all processes found.
        again: Yields this process's points once more, for series that are cut; not called where there are none.
        model: What is fitted.
        device: Where the processes exchange tensors.

    Raises:
        UsageError: If there is no point.
    """
    if not len(found.codes):
        raise UsageError("there are no rows to fit: expected at least one point")
    cut = np.flatnonzero(found.times > 1)
    fit_again(found, cut, lambda: map(group_batch, again()), model, lambda sums: all_sum(sums.to(device)).cpu())
    return found


def fit_again(
    found: Found, which: Numbers, again: Callable[[], Iterable[Groups]], model: Model, total: Callable[[Tensor], Tensor]
) -> None:
    """Write the numbers of some series by a second pass over their points, and a third one where it is needed.

    Args:
        found: What one pass found.
        which: Places of the series; the passes are left out where there are none.
        again: Yields the points once more.
        model: What is fitted.
        total: Adds up sums over the processes that share these points.
    """
    if not len(which):
        return
    which = which[np.argsort(found.codes[which])]
    codes, ranges, nobs, count = found.codes[which], found.ranges[which], found.nobs[which], len(which)
    totals = [np.zeros((count, own, 4), np.int64) for own in model.totals]  # of the points, of residuals
    numbers, doubts = np.empty((count, found.numbers.shape[1])), np.ones(count, bool)
    for is_again in (False, True):
        for groups in again():
            own = np.searchsorted(codes, groups.codes).clip(max=count - 1)
            those = np.flatnonzero((codes[own] == groups.codes) & doubts[own])
            first, length = groups.first[those], groups.length[those]
            run(add_sums, length, model, groups.points, first, length, own[those], ranges, nobs, is_again, *totals,
                numbers)  # fmt: skip
        totals[is_again] = total(torch.from_numpy(totals[is_again])).numpy()
        run(solve_sums, np.ones(count, np.int64), model, ranges, nobs, is_again, *totals, numbers, doubts)
        if not doubts.any():
            break
    found.numbers[which] = numbers
