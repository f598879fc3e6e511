"""Choosing the degree, against statsmodels and brute force."""

import json
import warnings
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch

import regression
from regression.fits.degree_choice import fold_of
from tests.support.command import Command


def noisy(points: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.uniform(-3, 5, points)
    return x, 1 - 2 * x + 0.5 * x**3 + random.normal(0, 1.5, points)


def fitted(x: np.ndarray, y: np.ndarray, degree: int) -> sm.regression.linear_model.RegressionResults:
    return sm.OLS(y, np.polynomial.chebyshev.chebvander(x / 5, degree)).fit()


def test_the_table_is_that_of_separate_fits() -> None:
    """Each row of the table has the sum of squares, AICc and GCV of a fit of its own."""
    x, y = noisy(40)
    fit = regression.fit(x, y, "auto", max_degree=6)
    assert fit.degree == 3
    assert [row["degree"] for row in fit.degree_table] == list(range(7))
    for row in fit.degree_table:
        own = fitted(x, y, int(row["degree"]))
        size = row["degree"] + 1
        assert row["ssr"] == pytest.approx(own.ssr, rel=1e-10)
        assert row["aicc"] == pytest.approx(own.aic + 2 * size * (size + 1) / (40 - size - 1), rel=1e-10)
        assert row["gcv"] == pytest.approx(40 * own.ssr / (40 - size) ** 2, rel=1e-10)
    chosen = regression.fit(x, y, 3)
    assert fit.params == chosen.params
    assert fit.aicc == pytest.approx(fit.degree_table[3]["aicc"], rel=1e-12)


def test_cross_validation_is_that_of_separate_fits() -> None:
    """The error of points left out is that of fits made without each fold, one by one."""
    x, y = noisy(30)
    fit = regression.fit(x, y, "auto", max_degree=4, criterion="cv", folds=3)
    folds = fold_of(torch.tensor(x), torch.tensor(y), 3).numpy()
    assert set(folds) == {0, 1, 2}
    for row in fit.degree_table:
        error = 0.0
        for fold in range(3):
            kept, left = folds != fold, folds == fold
            own = fitted(x[kept], y[kept], int(row["degree"]))
            error += (
                (y[left] - own.predict(np.polynomial.chebyshev.chebvander(x[left] / 5, row["degree"]))) ** 2
            ).sum()
        assert row["cv"] == pytest.approx(error / 30, rel=1e-9)


def test_folds_do_not_depend_on_the_order() -> None:
    """A point's fold follows from its own numbers, and the folds have about the same size."""
    x, y = (torch.tensor(values) for values in noisy(3000))
    order = torch.randperm(3000, generator=torch.Generator().manual_seed(1))
    folds = fold_of(x, y, 5)
    assert torch.equal(folds[order], fold_of(x[order], y[order], 5))
    assert torch.bincount(folds, minlength=5).min() > 500


def test_degrees_that_leave_no_room_are_not_compared() -> None:
    """On few points only degrees with two degrees of freedom left are compared; on two there is nothing to compare."""
    fit = regression.fit([0.0, 1, 2, 3, 4], [1.0, 0, 1, 0, 1], "auto")
    assert [row["degree"] for row in fit.degree_table] == [0, 1, 2]
    with pytest.raises(regression.UsageError, match="at least 3 points, got 2"):
        regression.fit([0.0, 1], [1.0, 0], "auto")


@pytest.mark.parametrize("criterion", ["aicc", "gcv", "cv"])
def test_the_command_chooses_as_python_does(command: Command, criterion: str) -> None:
    """``--model.degree auto`` gives the degree, coefficients and table of ``regression.fit``, printed and stored."""
    options = ("fit", "--model", "PolynomialRegression", "--model.solver", "exact", "--model.degree", "auto",
               "--model.max_degree", "7", "--model.criterion", criterion,
               "--data.points", "50", "--data.noise", "0.1", "--data.batch_size", "7")  # fmt: skip
    done = command(*options)
    assert (done.code, done.err) == (0, "")
    data = regression.SineLineDataModule(points=50, noise=0.1).rows("fit").points
    fit = regression.fit(data.x, data.y, "auto", max_degree=7, criterion=criterion)  # type: ignore[arg-type]
    assert done.fit["degree"] == fit.degree
    assert done.fit["params"] == list(fit.params)
    assert done.fit["degree_table"] == json.loads(fit.to_json())["degree_table"]
    assert "← chosen" in done.out
    predicted = command("predict", "--ckpt_path", done.checkpoint)
    assert (predicted.code, predicted.err) == (0, "")


def test_the_gradient_cannot_choose(command: Command) -> None:
    """Without the exact solver ``degree auto`` is refused."""
    done = command("fit", "--model", "PolynomialRegression", "--model.degree", "auto")
    assert (done.code, done.folder) == (2, None)
    assert "degree auto needs --model.solver exact" in done.err


def test_a_perfect_polynomial_is_recognised() -> None:
    """Of points on a parabola the chosen degree is 2, not a higher one that fits as well."""
    x = np.arange(12.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert regression.fit(x, 1 + x - 3 * x**2, "auto").degree == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"criterion": "bic"}, "criterion must be one of aicc, gcv, cv"),
        ({"criterion": "cv", "folds": 1}, "folds must be a whole number of at least 2, got 1"),
        ({"criterion": "cv", "folds": -3}, "folds must be a whole number of at least 2, got -3"),
    ],
)
def test_wrong_criteria_are_refused(options: dict[str, Any], words: str) -> None:
    """A criterion that there is not, or too few folds, is refused."""
    with pytest.raises(regression.UsageError, match=words):
        regression.fit(range(9), range(9), "auto", **options)
