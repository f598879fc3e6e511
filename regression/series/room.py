"""What is fitted to series, and the memory that is worked in."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["ROWS_PER_BLOCK", "Model", "Room", "make_room"]

ROWS_PER_BLOCK = 256  # of a lane, which are loaded at a time: they stay in the cache, and their sums in 64 bits


class Model(NamedTuple):
    """What is fitted: K coefficients, with a constant term or not, to points with a sigma or not."""

    size: int
    has_intercept: bool
    has_sigma: bool
    absolute_sigma: bool


class Room(NamedTuple):
    """Memory for B lanes side by side, for a model of K coefficients with T = (K + 1) (K + 2) / 2 sums.

    Attributes:
        begin: First row of each lane, shape (B,).
        count: Number of its rows, shape (B,).
        loaded: Which block of rows is loaded, in the first place of (B,).
        columns: A block of the lanes' rows of x, y and sigma, shape (3, ROWS_PER_BLOCK, B).
        ranges: Smallest and largest x, y and sigma of each series, shape (6, B).
        pairs: Double-double numbers, as high and low parts, shape (K + 3, 2, B): at a row of points K functions, the
            value, and two weights; in the solution what each step needs.
        sums: Sums over a block in units of 2^-50 and 2^-100, shape (T, 2, B).
        totals: Sums over a series, as ``fixed_point`` has them, shape (T, 4, B).
        matrix: The normal equations, shape (K + 1, K + 1, 2, B), then their factors.
        basis: Polynomials, soon orthogonal ones, in T_0 … T_d and then in powers of x, and as the last row the curve
            in terms of them, shape (K + 1, 2 K, 2, B).
        squares: The columns' sums of squares, shape (K + 1, B).
        numbers: K coefficients, K standard errors, ssr, sigma, R² and rank, shape (2 K + 4, B).
        nobs: Numbers of points, shape (B,); as those that follow.
        center: Of x: ``u = (x - center) power stretch``.
        power: A power of two.
        stretch: What is left of the scale of u.
        x_power: Power of two for x itself.
        y_center: Of y: ``v = (y - y_center) y_power``.
        y_power: A power of two.
        sigma_power: Power of two for sigma.
        rank: Numbers of coefficients that the points determine.
        trace: Traces of the inverse matrices.
        explained: Explained sums of squares.
        ssr: Sums of squared residuals.
        error: What the sums may have left in those.
        doubt: 1 where sums of residuals are needed.
        zoom: Powers of two that bring these residuals to at most 1.
    """

    begin: Any
    count: Any
    loaded: Any
    columns: Any
    ranges: Any
    pairs: Any
    sums: Any
    totals: Any
    matrix: Any
    basis: Any
    squares: Any
    numbers: Any
    nobs: Any
    center: Any
    power: Any
    stretch: Any
    x_power: Any
    y_center: Any
    y_power: Any
    sigma_power: Any
    rank: Any
    trace: Any
    explained: Any
    ssr: Any
    error: Any
    doubt: Any
    zoom: Any


def make_room(model: Model, lanes: int, is_plain: bool) -> Room:
    """Return memory for some lanes: lists, which plain Python is quicker with, or arrays."""
    size, sums = model.size, (model.size + 1) * (model.size + 2) // 2
    whole: dict[str, tuple[int, ...]] = {"begin": (), "count": (), "loaded": (), "sums": (sums, 2), "totals": (sums, 4)}
    shapes: dict[str, tuple[int, ...]] = {
        "columns": (3, ROWS_PER_BLOCK), "ranges": (6,), "pairs": (size + 3, 2), "matrix": (size + 1, size + 1, 2),
        "basis": (size + 1, 2 * size, 2), "squares": (size + 1,), "numbers": (2 * size + 4,),
    }  # fmt: skip
    shapes = dict.fromkeys(Room._fields, ()) | shapes | whole
    arrays = [np.zeros((*shapes[name], lanes), np.int64 if name in whole else np.float64) for name in Room._fields]
    return Room(*(array.tolist() if is_plain else array for array in arrays))
