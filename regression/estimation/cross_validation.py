"""k-fold cross-validation of all degrees at once: divides the rows into folds, and sums the squared errors of each.

The sums without a fold are the sums of all points minus those of the fold, exactly. See docs/numerics.md.
"""

import math
from collections.abc import Callable, Iterator
from decimal import Decimal

import numpy as np
import torch
from torch import Tensor

from regression.common.collectives import all_gather_rows
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.curves.decimals import Vector, dot, precise, times
from regression.curves.frame import Frame
from regression.estimation.solver import solve, system
from regression.moments.moments import Moments
from regression.moments.scan import Sums
from regression.solutions.solution import Solution

__all__ = ["deal", "fold_of", "squares_left_out"]

Scan = Callable[[Callable[[Points], None]], None]
MAX_RANKED_ROWS = 1_000_000  # that are sorted and assigned by rank, which takes 24 bytes a row in each process
CELLS = 2.0**20  # in half the range of x, and in the root mean square of y; numbers within a cell count as equal
MAX_DEVIATION = 6.0  # of a fold's size from the mean, in standard deviations


def squares_left_out(
    moments: Moments, folds: int, device: torch.device, scan: Scan, most_ranked_rows: int = MAX_RANKED_ROWS
) -> Vector:
    """Return ``Σ w (y - f(x))²``, with f fitted without the point's fold, for each degree that all folds determine.

    Args:
        moments: Moments of all points, of the highest degree.
        folds: Number of folds.
        device: Where processes exchange tensors.
        scan: Calls a function with parts of all points of this process.
        most_ranked_rows: Largest number of rows that are assigned to folds by rank; more are assigned by a hash.

    Raises:
        UsageError: If there are more folds than points, or points cannot be divided evenly.
    """
    if folds > moments.nobs:
        raise UsageError(f"folds must be at most the number of points, {moments.nobs}, got {folds}")
    by_rank = moments.nobs <= most_ranked_rows
    found = _ranked_folds(moments, folds, device, scan) if by_rank else _hashed_folds(moments, folds, device, scan)
    total: Vector | None = None
    for fold in found:
        errors = _errors(solve(moments.without(fold), moments.degree), fold)
        with precise():
            total = errors if total is None else [a + b for a, b in zip(total, errors, strict=False)]
    return total or []


def _ranked_folds(moments: Moments, folds: int, device: torch.device, scan: Scan) -> Iterator[Moments]:
    """Yield the moments of folds of rows assigned by rank; each process gathers all rows."""
    parts = [torch.empty(0, 3, dtype=torch.float64)]

    def collect(points: Points) -> None:
        sigma = torch.ones_like(points.x) if points.sigma is None else points.sigma
        parts.append(torch.stack([column.double() for column in (points.x, points.y, sigma)], dim=1).cpu())

    scan(collect)
    for fold in deal(all_gather_rows(torch.cat(parts).to(device)).cpu(), folds):
        sums = Sums(moments.frame, moments.degree)
        sums.add(Points(*fold.T.contiguous()))
        yield sums.moments()


def deal(rows: Tensor, folds: int) -> Iterator[Tensor]:
    """Yield the rows of each fold, shape (n, C), of all rows, shape (N, C); sizes differ by at most one.

    Rows are sorted by their first column, equal ones by the next, and their ranks are assigned to folds in a fixed
    order. So the folds do not depend on the order of the rows, the units, or the number of devices.
    """
    ranked = torch.from_numpy(np.lexsort(rows.numpy().T[::-1]))  # lexsort sorts by the last key first
    dealt = rows[ranked[_hash(torch.arange(len(rows))).argsort()]]
    return (dealt[k::folds] for k in range(folds))


def _hashed_folds(moments: Moments, folds: int, device: torch.device, scan: Scan) -> list[Moments]:
    """Return the moments of folds of rows assigned by a hash of their numbers."""
    with precise():
        equations = system(moments, 0, moments.frame.y_center)
        size = float((equations.square / equations.matrix[0][0]).sqrt())
    sums_by_fold = [Sums(moments.frame, moments.degree) for _ in range(folds)]

    def add(points: Points) -> None:
        fold = fold_of(points, moments.frame, size, folds)
        for k, sums in enumerate(sums_by_fold):
            sums.add(points.chosen((fold == k).nonzero().flatten()))

    scan(add)
    moments_by_fold = [sums.moments().reduced(device) for sums in sums_by_fold]
    mean = moments.nobs / folds
    if any(abs(fold.nobs - mean) > MAX_DEVIATION * math.sqrt(mean) for fold in moments_by_fold):
        raise UsageError(
            f"criterion cv cannot deal {moments.nobs:,} rows out evenly, as many of them are equal: use criterion gcv"
        )
    return moments_by_fold


def fold_of(points: Points, frame: Frame, size: float, folds: int) -> Tensor:
    """Return the fold of each point, shape (n,), by a hash of its x and y in cells that do not depend on the unit.

    Args:
        points: The points.
        frame: Coordinates of all points.
        size: Root of the mean square of ``y - y_center``.
        folds: Number of folds.
    """
    x = (points.x.double() - frame.center) / float(frame.scale)
    y = (points.y.double() - frame.y_center) / (size or 1.0)
    cells = [(column * CELLS).round().to(torch.int64) for column in (x, y)]
    return _hash(_hash(cells[0]) + cells[1]).remainder(folds)


def _hash(numbers: Tensor) -> Tensor:
    """Return a hash of whole numbers, shape (n,); different numbers have different hashes."""
    numbers = (numbers + 1) * 0x1E3779B97F4A7C15
    numbers = (numbers ^ (numbers >> 29)) * 0x3F58476D1CE4E5B9
    return numbers ^ (numbers >> 32)


def _errors(rest: Solution, fold: Moments) -> Vector:
    """Return ``Σ w (y - f(x))²`` over the points of a fold, with f fitted to the other points, for each degree."""
    errors = []
    with precise():
        equations = system(fold, rest.degree, float(rest.offset))
        left = equations.square
        weights = [p / square for p, square in zip(rest.projections, rest.squares, strict=True)]
        images: list[Vector] = []
        for weight, function in zip(weights, rest.functions, strict=True):
            image = times(equations.matrix, function)
            cross = sum((w * dot(function, other) for w, other in zip(weights, images, strict=False)), Decimal(0))
            left += weight * (weight * dot(function, image) + 2 * cross - 2 * dot(function, equations.right))
            images.append(image)
            errors.append(max(left, Decimal(0)))
    return errors
