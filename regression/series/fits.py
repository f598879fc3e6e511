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
from regression.common.compiled import choose, rows_for
from regression.common.errors import UsageError
from regression.common.threads import share_chunks
from regression.series.grouping import Groups, group
from regression.series.lane_rows import LARGEST
from regression.series.passes import add_cut, fit_whole, solve_cut
from regression.series.room import ROWS_PER_BLOCK, Model, make_room

__all__ = ["Columns", "Found", "fit_all"]

SERIES_PER_CHUNK = 1 << 12
MOST_LANES, NUMBERS = 128, 1 << 11  # series side by side, and of each kind of a matrix's numbers, that the cache holds
STEPS_PER_PRODUCT = 40  # of plain Python: 50 µs for each product of two functions at a point, with all else

Columns = tuple[Tensor, Tensor, Tensor, Tensor | None]  # codes, x, y and sigma, shape (N,)
Numbers = NDArray[Any]


def run(function: Callable[..., None], count: int, rows: int, model: Model, *arguments: Any) -> None:
    """Call a loop for all series, by threads of which each has room of its own.

    Args:
        function: Takes the first series, the one after the last, the model, the room, and the arguments.
        count: Number of series.
        rows: Number of their rows.
        model: What is fitted.
        arguments: More for the function; columns of points as a tuple.
    """
    products = rows * (model.size + 1) ** 2 // 2 + count * model.size**3
    called = choose(function, STEPS_PER_PRODUCT * products)
    is_plain = called is function
    lanes = max(8, min(MOST_LANES, NUMBERS // model.size**2))
    if is_plain:
        lanes = min(lanes, max(count, -(-rows // ROWS_PER_BLOCK)))
    given = [tuple(rows_for(called, column) for column in a) if isinstance(a, tuple) else a for a in arguments]

    def work(chunks: Iterator[slice]) -> None:
        room = make_room(model, lanes, is_plain)
        for chunk in chunks:
            called(chunk.start, chunk.stop, model, room, *given)

    threads = torch.get_num_threads()
    share_chunks(work, count, max(1, min(SERIES_PER_CHUNK, -(-count // threads))), threads)


def group_batch(columns: Columns) -> Groups:
    """Return a batch's rows by series."""
    codes, x, y, sigma = (None if column is None else column.numpy() for column in columns)
    points = tuple(np.zeros(0) if column is None else column.astype(np.float64, copy=False) for column in (x, y, sigma))
    assert codes is not None
    return group(codes.astype(np.int64, copy=False), points, torch.get_num_threads())


@dataclass(frozen=True)
class Found:
    """What one pass over points finds of their series.

    Attributes:
        codes: The series, ascending, shape (S,).
        nobs: Numbers of points, shape (S,).
        times: Numbers of batches that they are in, shape (S,).
        ranges: Smallest and largest x, y and sigma, shape (6, S).
        numbers: K coefficients, K standard errors, ssr, sigma, R² and rank of those in one batch, shape (2 K + 4, S).
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
        count = len(groups.codes)
        ranges, numbers = np.empty((6, count)), np.empty((2 * model.size + 4, count))
        run(fit_whole, count, len(columns[0]), model, groups.points, groups.first, groups.length, ranges, numbers)
        require_numbers(columns, ranges, model)
        return cls.merged([cls(groups.codes, groups.length, np.ones(count, np.int64), ranges, numbers)])

    @classmethod
    def merged(cls, parts: list["Found"]) -> "Found":
        """Return what some parts of the points say together; each series may be in several of them."""
        joined = (np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in cls.__annotations__)
        codes, nobs, times, ranges, numbers = joined if len(parts) > 1 else vars(parts[0]).values()
        if (codes[1:] > codes[:-1]).all():
            return cls(codes, nobs, times, ranges, numbers)
        order = np.argsort(codes, kind="stable")
        first = np.flatnonzero(np.diff(codes[order], prepend=codes[order[0]] - 1))
        ends = [np.minimum, np.maximum]
        return cls(
            codes[order[first]], np.add.reduceat(nobs[order], first), np.add.reduceat(times[order], first),
            np.stack([ends[k % 2].reduceat(ranges[k][order], first) for k in range(6)]), numbers[:, order[first]],
        )  # fmt: skip

    def gathered(self, device: torch.device) -> "Found":
        """Return what the points of all processes say; the device is where they exchange tensors."""
        rows = (torch.from_numpy(np.ascontiguousarray(value.T)).to(device) for value in vars(self).values())
        parts = (all_gather_rows(value).cpu().numpy() for value in rows)
        return self.merged([Found(*(np.ascontiguousarray(part.T) for part in parts))])


def require_numbers(columns: Columns, ranges: Numbers, model: Model) -> None:
    """Refuse numbers that are not finite or too large, and sigmas that are not positive."""
    largest = np.abs(ranges[: 6 if model.has_sigma else 4]).max(initial=0)
    if largest < LARGEST and (not model.has_sigma or ranges[4].min(initial=1) > 0):
        return
    for name, values in zip(("x", "y", "sigma"), columns[1:], strict=True):
        wrong = None if values is None else ~values.isfinite() | ((values <= 0) & (name == "sigma"))
        if values is not None and wrong is not None and wrong.any():
            row = int(wrong.int().argmax())
            expected = "finite" if not math.isfinite(values[row]) else "positive"
            raise UsageError(
                f"{name} must be {expected}, got {values[row].item()} at row {row} of a batch: leave it out"
            )
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
    if len(cut):
        found.numbers[:, cut] = fit_cut(found, cut, again, model, device)
    return found


def fit_cut(
    found: Found, cut: Numbers, again: Callable[[], Iterable[Columns]], model: Model, device: torch.device | None
) -> Numbers:
    """Return the numbers of series from a second pass over the points, and a third one where it is needed."""
    codes, count, rows = found.codes[cut], len(cut), int(found.nobs[cut].sum())
    ranges, nobs, places = np.ascontiguousarray(found.ranges[:, cut]), found.nobs[cut], np.arange(count)
    totals = np.zeros((2, (model.size + 1) * (model.size + 2) // 2, 4, count), np.int64)  # of values, of residuals
    numbers, doubts = np.empty((2 * model.size + 4, count)), np.ones(count, bool)
    for is_again in (False, True):
        for columns in again():
            groups = group_batch(columns)
            own = np.searchsorted(codes, groups.codes).clip(max=count - 1)
            those = np.flatnonzero((codes[own] == groups.codes) & doubts[own])
            first, length = groups.first[those], groups.length[those]
            run(add_cut, len(those), int(length.sum()), model, groups.points, first, length, own[those], ranges,
                nobs, is_again, *totals)  # fmt: skip
        sums = totals[int(is_again)]
        sums[...] = all_sum(torch.from_numpy(sums).to(device)).cpu().numpy()
        run(solve_cut, count, rows, model, places, ranges, nobs, is_again, *totals, numbers, doubts)
        if not doubts.any():
            break
    return numbers
