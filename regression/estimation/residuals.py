"""Residuals of a curve, and the median of their sizes over points that are not kept in memory."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regression.common.collectives import all_gather_rows, all_max, all_sum
from regression.common.points import Points
from regression.curves.decimals import Matrix, Vector, pairs, precise
from regression.estimation.bands import curve_of
from regression.moments.passes import Passes
from regression.solutions.solution import Solution

__all__ = ["LEAST_LEFT", "Residuals", "exponent_of", "median_of_sizes", "symmetric"]

LEAST_LEFT = 2.0**-30  # smallest 1 - h for a leverage h that counts as below 1: the other points determine the curve
CELL_BITS = 16  # a pass counts the numbers in 2^16 cells
MOST_KEPT = 1 << 20  # numbers that each process keeps to sort them
INFINITY = 0x7FF << 52  # its bit pattern


def exponent_of(square: Decimal) -> int:
    """Return the exponent of a power of two near the root of a number, whose square may be beyond float64's range."""
    with precise():
        return int(square.log10() / Decimal(4).log10()) if square > 0 else 0


def symmetric(lower: Sequence[float], size: int) -> NDArray[np.float64]:
    """Return the symmetric matrix, shape (size, size), of the sums in its lower triangle, row by row."""
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = lower
    return matrix + np.tril(matrix, -1).T


class Residuals:
    """Residuals of a curve, with the same bits however the points are divided.

    Args:
        solution: An optimum, for its coordinates.
        coefficients: The curve in T_k(u), shape (d + 1,).
        exponent: Residuals are in units of ``2^exponent``.
    """

    def __init__(self, solution: Solution, coefficients: Vector, exponent: int = 0) -> None:
        self._middle = solution.frame.y_center  # differences from it lose fewer digits than those from 0
        self._exponent = exponent
        with precise():
            first, *others = coefficients
            self._curve = curve_of(solution, [first - Decimal(self._middle), *others], None)

    def at(self, points: Points) -> Tensor:
        """Return ``y - f(x)``, over sigma where there is one, of points on the CPU, float64 of shape (n,)."""
        left = (points.y.double() - self._middle) - self._curve.at(points.x.double())[0]
        left = left if points.sigma is None else left / points.sigma.double()
        return torch.from_numpy(np.ldexp(left.numpy(), -self._exponent)) if self._exponent else left

    def columns(self, functions: Matrix, points: Points) -> Tensor:
        """Return functions in T_k(u), over sigma where there is one, at points on the CPU, float64 of shape (n, K)."""
        own = [replace(self._curve, y_exponent=0, coefficients=pairs(row)) for row in functions]
        columns = torch.stack([function.at(points.x.double())[0] for function in own], dim=1)
        return columns if points.sigma is None else columns / points.sigma[:, None].double()


def median_of_sizes(residuals: Residuals, nobs: int, passes: Passes, most_kept: int = MOST_KEPT) -> tuple[float, float]:
    """Return the exact median of the residuals' sizes, and the largest size.

    Numbers that are not negative are ordered as their bit patterns. While too many lie between the known bounds of the
    median, a pass counts the numbers in each of 65,536 cells between the bounds; the cell with the median gives the
    next bounds. One more pass keeps the numbers between the last bounds; for up to a million points it is the only one.

    Args:
        residuals: The residuals.
        nobs: Number of points of all processes.
        passes: The passes over them.
        most_kept: Largest number of points that are kept.
    """
    lower, upper, wanted = 0, INFINITY + 1, ((nobs - 1) // 2, nobs // 2)
    below, inside = 0, nobs
    while inside > most_kept and upper - lower > 1:
        shift = max(0, (upper - lower - 1).bit_length() - CELL_BITS)
        counts = _count(residuals, passes, lower, upper, shift)
        ends = below + np.cumsum(counts)
        cell = int(np.searchsorted(ends, wanted[0], side="right"))
        below, inside = int(ends[cell] - counts[cell]), int(counts[cell])
        lower, upper = lower + (cell << shift), min(upper, lower + (cell + 1 << shift))
    kept, above, largest = _keep(residuals, passes, lower, upper)
    found = [_chosen(kept, place - below, inside, lower, above) for place in wanted]
    return sum(found) / 2, largest


def _count(residuals: Residuals, passes: Passes, lower: int, upper: int, shift: int) -> NDArray[np.int64]:
    """Return the number of sizes in each cell of 2^shift bit patterns, from lower to before upper."""
    cells = (upper - lower - 1 >> shift) + 1
    counts, lock = np.zeros(cells, np.int64), threading.Lock()

    def add(points: Points) -> None:
        patterns = _patterns(residuals, points)
        own = np.bincount((patterns[(patterns >= lower) & (patterns < upper)] - lower) >> shift, minlength=cells)
        with lock:
            np.add(counts, own, out=counts)

    passes.scan(add)
    return np.asarray(all_sum(torch.from_numpy(counts).to(passes.device)).cpu().numpy(), np.int64)


def _keep(residuals: Residuals, passes: Passes, lower: int, upper: int) -> tuple[NDArray[np.float64], float, float]:
    """Return the sorted sizes between the bounds, none if these leave one number; the next; and the largest."""
    parts, ends, lock = [np.empty(0)], [np.inf, 0.0], threading.Lock()

    def add(points: Points) -> None:
        patterns = _patterns(residuals, points)
        sizes = patterns.view(np.float64)
        above = float(sizes[patterns >= upper].min(initial=np.inf))
        with lock:
            if upper - lower > 1:
                parts.append(sizes[(patterns >= lower) & (patterns < upper)])
            ends[:] = min(ends[0], above), max(ends[1], float(sizes.max(initial=0.0)))

    passes.scan(add)
    own = torch.from_numpy(np.concatenate(parts))[:, None].to(passes.device)
    negative, largest = all_max(torch.tensor([-ends[0], ends[1]], dtype=torch.float64, device=passes.device)).tolist()
    return np.sort(all_gather_rows(own).cpu().numpy()[:, 0]), -negative, largest


def _patterns(residuals: Residuals, points: Points) -> NDArray[np.int64]:
    return residuals.at(points.to_cpu()).abs().numpy().view(np.int64)


def _chosen(kept: NDArray[np.float64], place: int, inside: int, lower: int, above: float) -> float:
    """Return the number at a place among those between the bounds, or the next one above them."""
    if place >= inside:
        return above
    return float(kept[place]) if len(kept) else float(np.array(lower, np.int64).view(np.float64))
