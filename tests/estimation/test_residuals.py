"""The median of the residuals' sizes, by passes that keep few numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from regression.common.points import Points
from regression.curves.polynomial import Polynomial
from regression.estimation.residuals import Residuals, median_of_sizes
from regression.fits.least_squares import LeastSquares
from regression.moments.passes import Passes
from regression.moments.scan import Range

RANDOM = np.random.default_rng(11)
DRAWS = {
    "normal": RANDOM.normal(size=2000),
    "odd": RANDOM.normal(size=2001),
    "a few outliers": np.r_[RANDOM.normal(size=999), [1e9, -1e12, 3e200]],
    "two values": np.r_[np.ones(500), -2 * np.ones(500)],
    "one value": np.full(1000, 0.5),
    "mostly 0": np.r_[np.zeros(600), RANDOM.normal(size=400)],
    "tiny and large": 10.0 ** RANDOM.uniform(-290, 100, size=1500),
}


@pytest.mark.parametrize("most_kept", [4, 100, 1 << 20])
@pytest.mark.parametrize("name", DRAWS)
def test_the_median_is_exact(name: str, most_kept: int) -> None:
    """The median is numpy's of the same sizes, whether all are kept or only those of a cell of bit patterns."""
    y = DRAWS[name]
    points = Points(torch.linspace(0, 1, len(y), dtype=torch.float64), torch.from_numpy(y.copy()))
    squares, found = LeastSquares(Polynomial(1, "chebyshev")), Range()
    points.scan(found.add)
    squares.begin(found.frame(), omitted=0)
    points.scan(squares.add)
    squares.solve(Passes.of(points))
    residuals: Any = Residuals(squares.solution, squares.solution.coefficients)
    sizes = residuals.at(points).abs().numpy()
    middle, largest = median_of_sizes(residuals, len(y), Passes.of(points), most_kept)
    assert (middle, largest) == (np.median(sizes), sizes.max())


def test_the_median_of_equal_sizes_is_found_without_keeping_them() -> None:
    """The search ends when the bounds leave one number, also if the two numbers in the middle differ."""

    class Given:
        def at(self, points: Points) -> torch.Tensor:
            return points.y

    for y in ([1.0] * 50 + [2.0] * 50, [1.0] * 50 + [2.0] * 51, [0.0] * 60 + [3.0] * 40):
        points = Points(torch.zeros(len(y)), torch.tensor(y, dtype=torch.float64))
        given: Any = Given()
        assert median_of_sizes(given, len(y), Passes.of(points), 3) == (np.median(y), max(y))
