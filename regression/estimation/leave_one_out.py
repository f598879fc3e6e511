"""Exact leave-one-out of all degrees in one pass, by leverages: no curve is fitted again."""

import math
import threading
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import torch

from regression.common.collectives import all_gather_objects
from regression.common.points import Points
from regression.curves.decimals import Vector, pairs, precise
from regression.estimation.residuals import LEAST_LEFT, exponent_of
from regression.kernels.exact_sums import UNIT, exact_sum
from regression.moments.curve import Curve
from regression.solutions.optimum import orthonormal
from regression.solutions.solution import Solution

__all__ = ["squares_left_one_out"]

ROWS_AT_ONCE = 1 << 16


def squares_left_one_out(solution: Solution, scan: Callable[[Callable[[Points], None]], None]) -> Vector:
    """Return ``Σ w (y - f(x))²``, with f fitted without the point, for each degree that all other points determine.

    It is ``Σ w (r / (1 - h))²`` with the residuals r and the leverages h of the fit to all points (Allen 1974). With
    functions q that are orthonormal over the points, the next degree subtracts ``z q(x)`` from r and adds ``w q(x)²``
    to h, so that one pass serves all degrees. Sums are whole numbers: the same bits for any division of the points.

    Args:
        solution: The least-squares optimum of the highest degree; with an intercept.
        scan: Calls a function with parts of all points of this process, from several threads.
    """
    work = _LeftOut(solution)
    scan(work.add)
    parts = all_gather_objects((work.sums, work.least))
    sums = [sum(column) for column in zip(*(own for own, _ in parts), strict=True)]
    least = [min(column) for column in zip(*(own for _, own in parts), strict=True)]
    known = next((k for k, left in enumerate(least) if left <= LEAST_LEFT), len(least))
    with precise():
        return [Decimal(total) / UNIT * Decimal(4) ** work.exponent for total in sums[:known]]


class _LeftOut:
    """Sums of the squared residuals of points left out, and the smallest ``1 - h``, for each degree.

    Attributes:
        exponent: These residuals are in units of ``2^exponent``.
    """

    def __init__(self, solution: Solution) -> None:
        frame = (solution.frame.center, solution.frame.exponent, solution.frame.stretch)
        functions = orthonormal(solution)
        with precise():
            self.offset, self.exponent = float(solution.offset), exponent_of(solution.ssr_by_degree[0])
            unit = Decimal(2) ** self.exponent
            steps = zip(solution.projections, solution.squares, strict=True)
            self.steps = [float(projection / square.sqrt() / unit) for projection, square in steps]
        self.functions = [Curve(*frame, 0, pairs(row), None) for row in functions]
        self.sums, self.least = [0] * len(functions), [math.inf] * len(functions)
        self._lock = threading.Lock()

    def add(self, points: Points) -> None:
        """Add points."""
        for start in range(0, len(points.x), ROWS_AT_ONCE):
            self._add(points.chosen(slice(start, start + ROWS_AT_ONCE)).to_cpu())

    def _add(self, points: Points) -> None:
        x, above = points.x.double(), (points.y.double() - self.offset).numpy()
        residual = torch.from_numpy(np.ldexp(above, -self.exponent))  # torch.ldexp computes 2^k in float32
        root = torch.ones_like(x) if points.sigma is None else 1 / points.sigma.double()
        residual, left = residual * root, torch.ones_like(x)
        sums, least = [], []
        for function, step in zip(self.functions, self.steps, strict=True):
            column = function.at(x)[0] * root
            residual, left = residual - step * column, left - column * column
            least.append(float(left.min()))
            is_known = least[-1] > LEAST_LEFT
            sums.append(exact_sum(np.square((residual / left).numpy())) if is_known else 0)
        with self._lock:
            self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)]
            self.least = list(map(min, self.least, least))
