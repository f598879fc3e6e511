"""What is fitted to series, and the memory that a thread works in."""

from typing import Any, NamedTuple

import numpy as np

from regression.moments.loops import ROWS_PER_STEP

__all__ = ["Model", "Room", "make_room"]


class Model(NamedTuple):
    """What is fitted, to points with a sigma or not.

    The powers of x are those of the K coefficients, ascending; loops are compiled for each number of them.
    """

    powers: tuple[int, ...]
    has_sigma: bool
    absolute_sigma: bool

    @property
    def totals(self) -> tuple[int, int]:
        """How many sums ``add_moments`` and ``add_residuals`` take."""
        size = len(self.powers)
        return 3 * (self.powers[-1] + 1), (size + 1) * (size + 2) // 2


class Room(NamedTuple):
    """Memory for one series; a double-double number is a pair.

    Attributes:
        work: Rows of numbers of ``add_moments`` and ``add_residuals``, for as many points as these take at a time.
        totals: Their sums, as ``fixed_point`` has them.
        moments: Sums of w T_k, of w v T_k and of w v², pairs.
        matrix: A row for each function, and the last one for the values, pairs, shape (K + 1, K + 1, 2): its products
            with the values, and with the functions from the last one down to itself; then how often those before it
            were taken off.
        powers: The functions and the curve in powers of x, in units of a power of two, pairs, shape (K + 1, K, 2).
        basis: The same in T_0 … T_d, pairs, shape (K + 1, d + 1, 2).
        least: The squares that functions have at least if they do not depend on those before, shape (K,).
        parts: The curve in the orthogonal functions, shape (K,).
        norms: Bounds on the sums of these functions' coefficients in T_0 … T_d, shape (K,).
    """

    work: Any
    totals: Any
    moments: Any
    matrix: Any
    powers: Any
    basis: Any
    least: Any
    parts: Any
    norms: Any


def make_room(model: Model, rows: int, is_plain: bool) -> Room:
    """Return memory for series of at most so many rows: lists, which plain Python is quicker with, or arrays."""
    size, terms = len(model.powers), model.powers[-1] + 1
    work = max(terms, 2) + 4 + 2 * size, 2, min(rows, ROWS_PER_STEP)
    pairs = (3 * terms, 2), (size + 1, size + 1, 2), (size + 1, size, 2), (size + 1, terms, 2)
    totals = np.zeros((max(model.totals), 4), np.int64)
    arrays = np.zeros(work), totals, *map(np.zeros, pairs), *np.zeros((3, size))
    return Room(*(array.tolist() if is_plain else array for array in arrays))
