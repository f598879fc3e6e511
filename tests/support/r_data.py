"""Data sets of R, with which results are compared with R's."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["CARS", "DATA", "ORANGE", "PEARSON_YORK", "STACKLOSS", "WOMEN"]

Array = NDArray[np.float64]


def _columns(count: int, text: str) -> tuple[Array, ...]:
    """Return the columns of a text in which one column follows the other."""
    return tuple(np.array(text.split(), dtype=np.float64).reshape(count, -1))


CARS = _columns(  # x, y
    2,
    """
    4 4 7 7 8 9 10 10 10 11 11 12 12 12 12 13 13 13 13 14 14 14 14 15 15 15 16 16 17 17 17 18 18 18 18 19 19 19 20
    20 20 20 20 22 23 24 24 24 24 25
    2 10 4 22 16 10 18 26 34 17 28 14 20 24 28 26 34 34 46 26 36 60 80 20 26 54 32 40 32 40 50 42 56 76 84 36 46 68
    32 48 52 56 64 66 54 70 92 93 120 85
    """,
)
WOMEN = _columns(  # x, y
    2,
    """
    58 59 60 61 62 63 64 65 66 67 68 69 70 71 72
    115 117 120 123 126 129 132 135 139 142 146 150 154 159 164
    """,
)
ORANGE = _columns(  # id, x, y
    3,
    """
    1 1 1 1 1 1 1 2 2 2 2 2 2 2 3 3 3 3 3 3 3 4 4 4 4 4 4 4 5 5 5 5 5 5 5
    118 484 664 1004 1231 1372 1582 118 484 664 1004 1231 1372 1582 118 484 664 1004 1231 1372 1582 118 484 664 1004
    1231 1372 1582 118 484 664 1004 1231 1372 1582
    30 58 87 115 120 142 145 33 69 111 156 172 203 203 30 51 75 108 115 139 140 32 62 112 167 179 209 214 30 49 81
    125 142 174 177
    """,
)
STACKLOSS = _columns(  # x, y
    2,
    """
    80 80 75 62 62 62 62 62 58 58 58 58 58 58 50 50 50 50 50 56 70
    42 37 37 28 18 18 19 20 15 14 14 13 11 12 8 7 8 8 9 15 15
    """,
)
PEARSON_YORK = _columns(  # x, y, wx, wy
    4,
    """
    0 0.9 1.8 2.6 3.3 4.4 5.2 6.1 6.5 7.4
    5.9 5.4 4.4 4.6 3.5 3.7 2.8 2.8 2.4 1.5
    1000 1000 500 800 200 80 60 20 1.8 1
    1 1.8 4 8 20 20 70 70 100 500
    """,
)
DATA = {"cars": CARS, "women": WOMEN, "orange": ORANGE, "stackloss": STACKLOSS, "pearson_york": PEARSON_YORK}
