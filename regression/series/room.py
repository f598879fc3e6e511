"""What is fitted to series, and the memory that is worked in."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["LONGEST", "Model", "Room", "make_room"]

LONGEST = 256  # rows of a lane: it stays in the cache, and its sums in 64 bits


class Model(NamedTuple):
    """What is fitted: K coefficients, with a constant term or not, to points with a sigma or not."""

    size: int
    has_intercept: bool
    has_sigma: bool
    absolute_sigma: bool


class Room(NamedTuple):
    """Memory for some lanes, B of them, for a model of K coefficients with T = (K + 1) (K + 2) / 2 sums.

    Attributes:
        begin: First row of each lane, shape (B,).
        count: Numbers of rows of each lane, shape (B,).
        columns: The lanes' rows of x, y and sigma, shape (3, LONGEST, B).
        ranges: Smallest and largest x, y and sigma of each series, shape (6, B).
        frame: Center, power of two and stretch of u; center and power of v; powers for sigma and x; shape (7, B).
        u: Coordinates of a row, shape (2, B) of high and low parts, as all that follow.
        v: Values of a row.
        weight: The factors h of a row.
        functions: The functions at a row, shape (K + 1, 2, B).
        mixed: Polynomials that are nearly orthogonal on the points, at a row, shape (K, 2, B).
        basis: Their coefficients in T_0 … T_d, shape (K, K, 2, B).
        known: The present curve's coefficients in them, shape (K, 2, B).
        zoom: Powers of two that bring residuals to at most 1, shape (B,).
        coarse: Sums in units of 2^-50, shape (T, B).
        fine: Sums in units of 2^-100, shape (T, B).
        totals: Sums of whole series, as ``fixed_point`` has them, shape (T, 4, B).
        again: The same with residuals in place of values.
        matrix: The normal equations, shape (K + 1, K + 1, 2, B), then their factors.
        column: A column of the matrix, shape (K + 1, 2, B).
        squares: The columns' sums of squares, shape (K + 1, B).
        powers: T_0 … T_d in powers of x, shape (K, K, 2, B).
        inner: Orthogonal polynomials in T_0 … T_d, shape (K, K, 2, B).
        outer: The same in powers of x, shape (K, K, 2, B).
        numbers: K coefficients, K standard errors, ssr, sigma, R² and rank, shape (2 K + 4, B).
        nobs: Numbers of points, shape (B,); as those that follow.
        rank: Numbers of coefficients that the points determine.
        trace: Traces of the inverse matrices.
        explained: Explained sums of squares.
        ssr: Sums of squared residuals.
        error: What the sums may have left in those.
        doubt: 1 where sums of residuals are needed.
        left: Sums of squared residuals before the correction.
        spare: Anything.
    """

    begin: Any
    count: Any
    columns: Any
    ranges: Any
    frame: Any
    u: Any
    v: Any
    weight: Any
    functions: Any
    mixed: Any
    basis: Any
    known: Any
    zoom: Any
    coarse: Any
    fine: Any
    totals: Any
    again: Any
    matrix: Any
    column: Any
    squares: Any
    powers: Any
    inner: Any
    outer: Any
    numbers: Any
    nobs: Any
    rank: Any
    trace: Any
    explained: Any
    ssr: Any
    error: Any
    doubt: Any
    left: Any
    spare: Any


def make_room(model: Model, lanes: int, is_plain: bool) -> Room:
    """Return memory for some lanes: lists, which plain Python is quicker with, or arrays."""
    size, sums = model.size, (model.size + 1) * (model.size + 2) // 2
    pair, square, whole = (2, lanes), (size, size, 2, lanes), ("begin", "count", "coarse", "fine", "totals", "again")
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(Room._fields, (lanes,)) | {
        "columns": (3, LONGEST, lanes), "ranges": (6, lanes), "frame": (7, lanes), "u": pair, "v": pair, "weight": pair,
        "functions": (size + 1, *pair), "mixed": (size, *pair), "basis": square, "known": (size, *pair),
        "coarse": (sums, lanes), "fine": (sums, lanes), "totals": (sums, 4, lanes), "again": (sums, 4, lanes),
        "matrix": (size + 1, size + 1, *pair), "column": (size + 1, *pair), "squares": (size + 1, lanes),
        "powers": square, "inner": square, "outer": square, "numbers": (2 * size + 4, lanes),
    }  # fmt: skip
    arrays = [np.zeros(shape, np.int64 if name in whole else np.float64) for name, shape in shapes.items()]
    return Room(*(array.tolist() if is_plain else array for array in arrays))
