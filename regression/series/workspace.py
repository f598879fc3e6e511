"""The model that is fitted to series, and the memory that a thread works in."""

from typing import Any, NamedTuple

import numpy as np

from regression.moments.loops import ROWS_PER_STEP

__all__ = ["Model", "Workspace", "make_workspace"]


class Model(NamedTuple):
    """The polynomial that is fitted to each series.

    Attributes:
        powers: Powers of x of the K coefficients, ascending; loops are compiled for each K.
        has_sigma: Whether the points have a sigma.
        absolute_sigma: Whether it is in y's unit.
    """

    powers: tuple[int, ...]
    has_sigma: bool
    absolute_sigma: bool

    @property
    def totals(self) -> tuple[int, int]:
        """The numbers of sums of ``add_moments`` and of ``add_residuals``."""
        size = len(self.powers)
        return 3 * (self.powers[-1] + 1), (size + 1) * (size + 2) // 2


class Workspace(NamedTuple):
    """Memory for one series; a double-double number is a pair.

    Attributes:
        rows: Rows of numbers that ``add_moments`` and ``add_residuals`` work in.
        totals: Their sums, totals of ``fixed_point``.
        moments: Sums of w T_k, of w v T_k and of w v², pairs.
        matrix: A row for each function, and the last one for the values v, pairs, shape (K + 1, K + 1, 2). A row has
            the function's products with v, and with the functions from the last one down to itself; then, after
            elimination, the multiples of the functions before it that were subtracted from it.
        powers: The functions and the curve in powers of x, in units of a power of two, pairs, shape (K + 1, K, 2).
        basis: The same in T_0 … T_d, pairs, shape (K + 1, d + 1, 2).
        thresholds: Squares of functions up to which they count as dependent on those before, shape (K,).
        coefficients: Coefficients of the curve in the orthogonal functions, shape (K,).
        norms: Bounds on the sums of sizes of these functions' coefficients in T_0 … T_d, shape (K,).
    """

    rows: Any
    totals: Any
    moments: Any
    matrix: Any
    powers: Any
    basis: Any
    thresholds: Any
    coefficients: Any
    norms: Any


def make_workspace(model: Model, rows: int, is_plain: bool) -> Workspace:
    """Return memory for series of at most ``rows`` rows: lists, with which plain Python is faster, or arrays."""
    size, terms = len(model.powers), model.powers[-1] + 1
    shape = max(terms, 2) + 4 + 2 * size, 2, min(rows, ROWS_PER_STEP)
    pairs = (3 * terms, 2), (size + 1, size + 1, 2), (size + 1, size, 2), (size + 1, terms, 2)
    totals = np.zeros((max(model.totals), 4), np.int64)
    arrays = np.zeros(shape), totals, *map(np.zeros, pairs), *np.zeros((3, size))
    return Workspace(*(array.tolist() if is_plain else array for array in arrays))
