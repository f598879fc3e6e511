"""The criterion ``loo``: every point left out once, against R, cross-validation and brute force."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import regression
from tests.estimation.test_degree_choice import noisy
from tests.fits.test_result import drawn
from tests.support.command import Command, run_process
from tests.support.r_data import CARS, DATA

R_MEAN_SQUARES = [  # R: mean((resid / (1 - hatvalues))^2)
    ("cars", 1, 246.40541595271716),
    ("cars", 2, 243.02917460014885),
    ("women", 2, 0.21983387603892918),
]


def table(*points: np.ndarray, **options: object) -> list[float]:
    fit = regression.fit(points[0], points[1], "auto", *points[2:], criterion="loo", **options)  # type: ignore[arg-type]
    assert fit.criterion == "loo"
    assert min(fit.degree_table, key=lambda row: row["loo"] or 0)["degree"] == fit.degree
    return [float(row["loo"] or 0) for row in fit.degree_table]


@pytest.mark.parametrize(("data", "degree", "right"), R_MEAN_SQUARES)
def test_mean_squares_are_those_of_r(data: str, degree: int, right: float) -> None:
    """The mean square of the points left out has the digits of R, and those of the fit's diagnostics."""
    found = table(*DATA[data], max_degree=4)[degree]
    assert found == pytest.approx(right, rel=1e-9)
    assert found == pytest.approx(regression.fit(*DATA[data], degree).diagnostics(*DATA[data]).loo, rel=1e-12)


def test_as_many_folds_as_points_give_the_same() -> None:
    """Leverages give what exact sums without each point give, for all degrees, with sigma too."""
    x, y, sigma = drawn(rows=30)
    fit = regression.fit(x, y + 1e6, "auto", sigma, criterion="cv", folds=30, max_degree=5)
    assert table(x, y + 1e6, sigma, max_degree=5) == pytest.approx([row["cv"] for row in fit.degree_table], rel=1e-9)


def test_the_command_gives_the_bits_of_python(command: Command, tmp_path: Path) -> None:
    """``--model.criterion loo``, on one process and two, and rows in another order, give the same bits."""
    x, y = noisy(40)
    order = np.random.default_rng(0).permutation(40)
    pd.DataFrame({"x": x[order], "y": y[order]}).to_csv("points.csv", index=False)
    options = ("fit", "points.csv", "--degree", "auto", "--model.criterion", "loo", "--model.max_degree", "5")
    one, two = command(*options), run_process(tmp_path, *options, "--trainer.devices", "2")
    assert (one.code, one.err, two.code, two.err) == (0, "", 0, "")
    right = table(x, y, max_degree=5)
    assert [row["loo"] for row in one.fit["degree_table"]] == right
    assert [row["loo"] for row in two.fit["degree_table"]] == right
    assert "← chosen by loo" in one.out


def test_degrees_that_depend_on_a_single_point_are_not_compared() -> None:
    """A degree that is undetermined without some point is left out with a note; if all are, the fit is refused."""
    x = np.array([0.0, 0, 0, 0, 0, 1])
    fit = regression.fit(x, np.arange(6.0), "auto", criterion="loo")
    assert fit.degree == 0
    assert "degrees above 0 were not compared: without some point the others do not determine them" in fit.notes
    sigma = np.array([1e9, 1e9, 1e9, 1e9, 1e9, 1e-9])
    with pytest.raises(regression.UsageError, match="criterion loo compares no degree: without some point the others"):
        regression.fit(CARS[0][:6], CARS[1][:6], "auto", sigma, criterion="loo")
