"""Accumulates the range of points, their sums and those of residuals, part by part and from several threads."""

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regression.common.arrays import require_complete
from regression.common.collectives import all_max
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.text import counted
from regression.curves.frame import Frame
from regression.kernels.compiled import choose, compiled, rows_for
from regression.kernels.fixed_point import whole_total
from regression.moments import gpu
from regression.moments.loops import ROWS_PER_STEP, add_logarithms, add_moments, add_residuals
from regression.moments.moments import Moments, reduced
from regression.moments.second_pass import SecondPass

__all__ = ["Range", "ResidualSums", "Sums", "loop_workspace"]

LOOP_TYPES = (np.dtype(np.float32), np.dtype(np.float64))  # types of numbers that loops are compiled for


class Range:
    """The smallest and largest x, y and sigma of points, and the frame that follows from them."""

    def __init__(self) -> None:
        self._extremes, self._device = [-math.inf] * 5, torch.device("cpu")  # largest −x, x, −y, y and −sigma
        self._lock = threading.Lock()

    def add(self, points: Points) -> None:
        """Extend the range by points.

        Raises:
            UsageError: If a number is not finite, or a sigma not positive.
        """
        x, y, sigma = points[:3]
        if not len(x):
            return
        # One reading of each column finds NaN and infinities too: they show up in its minimum or maximum.
        (low, high), (y_low, y_high) = ([float(value) for value in column.aminmax()] for column in (x, y))
        smallest, largest = (1.0, 1.0) if sigma is None else [float(value) for value in sigma.aminmax()]
        if not all(map(math.isfinite, (low, high, y_low, y_high, smallest, largest))) or smallest <= 0:
            require_complete(("x", "y", "sigma"), [column for column in points[:3] if column is not None])
        extremes = [-low, high, -y_low, y_high, -math.inf if sigma is None else -smallest]
        with self._lock:
            self._extremes, self._device = list(map(max, self._extremes, extremes)), x.device

    def frame(self) -> Frame:
        """Return the coordinates of the points of all processes.

        Raises:
            UsageError: If there is no point.
        """
        extremes = torch.tensor(self._extremes, dtype=torch.float64, device=self._device)
        low, high, y_low, y_high, smallest = all_max(extremes).tolist()
        if -low > high:
            raise UsageError("there are no rows to fit: expected at least one point")
        return Frame.of((-low, high), (-y_low, y_high), None if smallest == -math.inf else -smallest)


class Accumulator:
    """Totals that several threads add to.

    Args:
        frame: Coordinates of the points.
        count: Number of totals.
    """

    def __init__(self, frame: Frame, count: int) -> None:
        self.frame, self.rows = frame, 0
        self._totals = np.zeros((count, 4), dtype=np.int64)
        self._lock = threading.Lock()

    def _add_totals(self, rows: int, totals: Any, outside: int) -> None:
        if outside:
            raise UsageError(
                f"numbers outside of the range that was found or stated before: {outside:,} in {counted(rows, 'row')}; "
                "the points changed while they were read, or a file states another range than it has"
            )
        with self._lock:
            self.rows += rows
            self._totals += np.asarray(totals, dtype=np.int64)

    def values(self) -> list[int]:
        """Return the totals of this process in units of 2^-100."""
        return [whole_total(total) for total in self._totals.tolist()]


class Sums(Accumulator):
    """The sums that determine the least-squares polynomials of points.

    Args:
        frame: Coordinates of the points.
        degree: Highest degree d.
    """

    def __init__(self, frame: Frame, degree: int) -> None:
        super().__init__(frame, 3 * degree + 4)  # the last one is that of the logarithms of sigma
        self.degree = degree

    def add(self, points: Points) -> None:
        """Add points.

        Raises:
            UsageError: If a number lies outside of the frame.
        """
        x, y, sigma = points[:3]
        if x.is_cuda:
            self._add_totals(len(x), *gpu.moments(x, y, sigma, self.frame, self.degree))
            return
        if not len(x):
            return
        run: Any = choose(add_moments, 4 * len(x) * (self.degree + 1))
        is_plain, totals = run is add_moments, loop_totals(run is add_moments, len(self._totals))
        columns = loop_columns(run, x, y, sigma)
        outside = run(
            *columns, self.frame.loop_numbers(), self.degree, loop_workspace(is_plain, max(self.degree, 1) + 5), totals
        )
        if sigma is not None and not outside:
            (add_logarithms if is_plain else compiled(add_logarithms))(
                columns[2], self.frame.loop_numbers()[-1], totals[-1]
            )
        self._add_totals(len(x), totals, outside)

    def moments(self) -> Moments:
        """Return the moments of the points of this process."""
        return Moments.of_totals(self.frame, self.degree, self.rows, self.values())


class ResidualSums(Accumulator):
    """The sums that refine a least-squares polynomial of points.

    Args:
        request: The curve whose residuals are taken, and the functions that they are multiplied by.
    """

    def __init__(self, request: SecondPass) -> None:
        super().__init__(request.frame, request.sum_count)
        self.request = request

    def add(self, points: Points) -> None:
        """Add points.

        Raises:
            UsageError: If a term is too large, which shows that the points are not those of the first pass.
        """
        request, (x, y, sigma) = self.request, points[:3]
        if x.is_cuda:
            self._add_totals(len(x), *gpu.residuals(x, y, sigma, request))
            return
        if not len(x):
            return
        count, degree = len(request.functions), request.degree
        run: Any = choose(add_residuals, len(x) * (count + 1) * (count + degree + 2))
        is_plain, totals = run is add_residuals, loop_totals(run is add_residuals, request.sum_count)
        outside = run(
            *loop_columns(run, x, y, sigma), self.frame.loop_numbers(), degree, *request.loop_functions(is_plain),
            request.power, loop_workspace(is_plain, max(degree, 1) + 4 + 2 * count), totals,
        )  # fmt: skip
        self._add_totals(len(x), totals, outside)

    def reduced(self, device: torch.device) -> list[int]:
        """Return the sums over the points of all processes in units of 2^-100."""
        return reduced(self.values(), device)


def loop_columns(run: Callable[..., Any], x: Tensor, y: Tensor, sigma: Tensor | None) -> list[Any]:
    """Return columns in the form that a loop reads, all of one type; an empty one in place of a missing sigma."""
    arrays = [column.numpy(force=True) for column in ((x, y) if sigma is None else (x, y, sigma))]
    if len({array.dtype for array in arrays}) > 1 or arrays[0].dtype not in LOOP_TYPES:
        arrays = [array.astype(np.float64) for array in arrays]
    if sigma is None:
        arrays.append(arrays[0][:0])
    return [rows_for(run, array) for array in arrays]


def loop_workspace(is_plain: bool, count: int) -> Any:
    """Return memory for rows of double-double numbers: lists for plain Python, else an array."""
    if is_plain:
        return [[[0.0] * ROWS_PER_STEP, [0.0] * ROWS_PER_STEP] for _ in range(count)]
    return np.empty((count, 2, ROWS_PER_STEP))


def loop_totals(is_plain: bool, count: int) -> Any:
    """Return totals of 0: lists for plain Python, else an array."""
    return [[0] * 4 for _ in range(count)] if is_plain else np.zeros((count, 4), dtype=np.int64)
