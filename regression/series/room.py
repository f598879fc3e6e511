"""What is fitted to series, and the memory that is worked in."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["ROWS_PER_BLOCK", "Model", "Room", "make_room"]

ROWS_PER_BLOCK = 256  # of a lane, which are loaded at a time: they stay in the cache, and their sums in 64 bits

# The rows of ``Room.facts``. First the smallest and largest x, y and sigma of a series, and the number of its points.
X_LOW, X_HIGH, Y_LOW, Y_HIGH, SIGMA_LOW, SIGMA_HIGH, NOBS = range(7)
# u = (x - CENTER) POWER STRETCH, v = (y - Y_CENTER) Y_POWER; sigma and x are in units of 1 / SIGMA_POWER, 1 / X_POWER
CENTER, POWER, STRETCH, Y_CENTER, Y_POWER, SIGMA_POWER, X_POWER = range(7, 14)
# The number of coefficients that the points determine, the trace of the inverse matrix, the explained sum of squares,
# that of the residuals and what the sums may have left in it; 1 where sums of residuals are needed, and the power of
# two that brings these residuals to at most 1.
RANK, TRACE, EXPLAINED, SSR, ERROR, DOUBT, ZOOM = range(14, 21)
FACTS = 21


class Model(NamedTuple):
    """What is fitted: K coefficients, with a constant term or not, to points with a sigma or not."""

    size: int
    has_intercept: bool
    has_sigma: bool
    absolute_sigma: bool


class Room(NamedTuple):
    """Memory for B lanes side by side, for a model of K coefficients with T = (K + 1) (K + 2) / 2 sums.

    Attributes:
        rows: First row of each lane, number of its rows, and, in the first lane, which block is loaded, shape (3, B).
        columns: A block of the lanes' rows of x, y and sigma, shape (3, ROWS_PER_BLOCK, B).
        facts: A number of each lane in each row, shape (FACTS, B).
        pairs: Double-double numbers, as high and low parts, shape (K + 3, 2, B): at a row of points K functions, the
            value, and two weights; in the solution what each step needs.
        sums: Sums over a block in units of 2^-50 and 2^-100, shape (T, 2, B).
        totals: Sums over a series, as ``fixed_point`` has them, shape (T, 4, B).
        matrix: The normal equations, shape (K + 1, K + 1, 2, B), then their factors.
        basis: Polynomials, soon orthogonal ones, in T_0 … T_d and then in powers of x, and as the last row the curve
            in terms of them, shape (K + 1, 2 K, 2, B).
        squares: The columns' sums of squares, shape (K + 1, B).
        numbers: K coefficients, K standard errors, ssr, sigma, R² and rank, shape (2 K + 4, B).
    """

    rows: Any
    columns: Any
    facts: Any
    pairs: Any
    sums: Any
    totals: Any
    matrix: Any
    basis: Any
    squares: Any
    numbers: Any


def make_room(model: Model, lanes: int, is_plain: bool) -> Room:
    """Return memory for some lanes: lists, which plain Python is quicker with, or arrays."""
    size, sums = model.size, (model.size + 1) * (model.size + 2) // 2
    whole = [np.zeros((*shape, lanes), np.int64) for shape in [(3,), (sums, 2), (sums, 4)]]
    shapes = [
        (3, ROWS_PER_BLOCK), (FACTS,), (size + 3, 2), (size + 1, size + 1, 2), (size + 1, 2 * size, 2), (size + 1,),
        (2 * size + 4,),
    ]  # fmt: skip
    columns, facts, pairs, *others = (np.zeros((*shape, lanes)) for shape in shapes)
    arrays = [whole[0], columns, facts, pairs, *whole[1:], *others]
    return Room(*(array.tolist() if is_plain else array for array in arrays))
