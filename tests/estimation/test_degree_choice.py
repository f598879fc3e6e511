"""Choosing the degree, against statsmodels and brute force."""

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

import regression
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
    assert fit.params.tolist() == chosen.params.tolist()
    assert fit.aicc == pytest.approx(fit.degree_table[3]["aicc"], rel=1e-12)


def test_degrees_without_degrees_of_freedom_are_not_compared() -> None:
    """Only degrees that leave two degrees of freedom are compared; for two points there is none."""
    fit = regression.fit([0.0, 1, 2, 3, 4], [1.0, 0, 1, 0, 1], "auto")
    assert [row["degree"] for row in fit.degree_table] == [0, 1, 2]
    assert regression.fit([0.0, 1, 2], [1.0, 0, 1], "auto").degree == 0
    with pytest.raises(regression.UsageError, match="at least 3 points, got 2"):
        regression.fit([0.0, 1], [1.0, 0], "auto")


@pytest.mark.parametrize("criterion", ["aicc", "gcv", "cv", "loo"])
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


PARABOLAS = {
    "whole numbers": lambda x: (x - 4) ** 2,
    "decimals": lambda x: 0.1 + 0.2 * x - 0.3 * x**2,
    "far from 0": lambda x: 1e4 + 0.7 * (x - 3) ** 2,
    "large": lambda x: 1e160 * (x - 2) ** 2,
    "small": lambda x: 3e-170 * (x + 2) ** 2,
}


@pytest.mark.parametrize("name", list(PARABOLAS))
@pytest.mark.parametrize("criterion", ["aicc", "gcv", "cv", "loo"])
@pytest.mark.parametrize("rows", [7, 12, 40])
def test_an_exact_parabola_has_degree_2(name: str, criterion: Any, rows: int) -> None:
    """Of points on a parabola, to rounding, each criterion chooses degree 2, not a higher one that fits as well."""
    for x in (np.arange(float(rows)), np.linspace(-1, 1, rows), np.random.default_rng(rows).uniform(-3, 8, rows)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert regression.fit(x, PARABOLAS[name](x), "auto", criterion=criterion).degree == 2


@pytest.mark.parametrize("factor", [1e-160, 1e-9, 1024.0, 1e160])
@pytest.mark.parametrize("criterion", ["aicc", "gcv", "cv", "loo"])
def test_the_unit_of_y_does_not_matter(factor: float, criterion: Any) -> None:
    """The degree is that of y in any unit, also where squares are beyond float64, and the report can be printed."""
    x, y = noisy(25)
    plain, scaled = (regression.fit(x, f * y, "auto", criterion=criterion) for f in (1.0, factor))
    assert plain.degree == scaled.degree
    assert "← chosen" in str(scaled)
    for before, after in zip(plain.degree_table, scaled.degree_table, strict=True):
        for name in ("ssr", "gcv", "cv", "loo"):
            right = (before[name] or 0) * factor * factor
            is_shown = before[name] is not None and 0 < right < math.inf
            assert after[name] == (pytest.approx(right, rel=1e-9, abs=0) if is_shown else after[name])
            assert after[name] is None or after[name] < math.inf
    assert regression.Fit.from_json(scaled.to_json()) == scaled


def test_equal_y_have_degree_0() -> None:
    """Where y does not vary, the constant is chosen, also where it is 0."""
    for value in (0.0, 7.3):
        for criterion in ("aicc", "gcv", "cv"):
            fit = regression.fit(np.arange(9.0), np.full(9, value), "auto", criterion=criterion)  # type: ignore[arg-type]
            assert fit.degree == 0


def test_known_errors_take_part_in_the_choice() -> None:
    """With absolute sigma AICc is scipy's -2 log L of these very sigma and 2 K."""
    x, y = noisy(40)
    sigma = np.linspace(1, 2, 40)
    fit = regression.fit(x, y, "auto", sigma, absolute_sigma=True, max_degree=6)
    for row in fit.degree_table:
        degree = int(row["degree"] or 0)
        values = np.polynomial.chebyshev.Chebyshev.fit(x, y, degree, w=1 / sigma)(x)
        right = -2 * stats.norm(values, sigma).logpdf(y).sum() + 2 * (degree + 1)
        assert row["aicc"] == pytest.approx(right, rel=1e-11)
    chosen = fit.degree_table[fit.degree]["aicc"]
    assert (fit.aic, fit.aicc) == (pytest.approx(chosen, rel=1e-14), pytest.approx(chosen, rel=1e-14))
    assert fit.bic == pytest.approx((chosen or 0) + (fit.degree + 1) * (math.log(40) - 2), rel=1e-14)
    # A small term is significant if sigma is known to be small, and not if it is known to be large.
    quadratic = 1 + x + 0.05 * x**2
    small = regression.fit(x, quadratic, "auto", np.full(40, 0.01), absolute_sigma=True)
    large = regression.fit(x, quadratic, "auto", np.full(40, 100.0), absolute_sigma=True)
    assert (small.degree, large.degree) == (2, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"criterion": "bic"}, "criterion must be one of aicc, gcv, cv, loo, got 'bic'"),
        ({"criterion": "cv", "folds": 1}, "folds must be a whole number of at least 2, got 1"),
        ({"criterion": "cv", "folds": -3}, "folds must be a whole number of at least 2, got -3"),
        ({"criterion": "cv", "folds": 10}, "folds must be at most the number of points, 9, got 10"),
    ],
)
def test_wrong_criteria_are_refused(options: dict[str, Any], words: str) -> None:
    """Unknown criteria, and too few or too many folds, are refused."""
    with pytest.raises(regression.UsageError, match=words):
        regression.fit(range(9), range(9), "auto", **options)
