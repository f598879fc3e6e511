"""Series are fitted to the last digit that float64 shows."""

import json
import math
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
import torch

import regression
from tests.series.points import Array, Shape, mixed, rational

CERTIFIED = Path(__file__).parents[1] / "certified"


def assert_right(
    fit: regression.SeriesFit, points: Shape, degree: int, sigma: Array | None = None, absolute_sigma: bool = False,
    fit_intercept: bool = True,
) -> int:  # fmt: skip
    """Compare all numbers with rational arithmetic to 15 digits, and return how many series have all coefficients."""
    codes, x, y = points
    count = 0
    for k, code in enumerate(fit.series):
        own = codes == code
        if fit.rank[k] < len(fit.names):
            continue
        count += 1
        weights = None if sigma is None else sigma[own]
        params, variances, ssr, tss = rational(x[own], y[own], degree, weights, fit_intercept)
        assert fit.params[k].tolist() == pytest.approx(list(map(float, params)), rel=5e-16, abs=0)
        assert fit.ssr[k].item() == pytest.approx(float(ssr), rel=5e-16, abs=0)
        if tss:
            assert fit.rsquared[k].item() == pytest.approx(float(1 - ssr / tss), rel=5e-16, abs=0)
        if (free := int(own.sum()) - len(params)) > 0:
            scale = Fraction(1) if absolute_sigma else ssr / free
            errors = [root(v * scale) for v in variances]
            assert fit.bse[k].tolist() == pytest.approx(errors, rel=1e-15, abs=0)
            assert fit.sigma[k].item() == pytest.approx(root(ssr / free), rel=1e-15, abs=0)
    return count


def root(value: Fraction) -> float:
    """Return a square root, right to the last digit, also of what is no float64 number."""
    shift = 1 << 400
    return float(Fraction(math.isqrt(value.numerator * shift**2 // value.denominator), shift))


@pytest.mark.parametrize(("degree", "integer"), [(0, False), (1, True), (1, False), (2, True), (3, True)])
def test_series_equal_exact_rational_fits(degree: int, integer: bool) -> None:
    """Coefficients, errors, ssr, σ and R² are those of rational arithmetic to 15 digits, also far from 0."""
    points = mixed(40, integer=integer)
    fit = regression.fit_series(points[1], points[2], points[0], degree)
    assert list(fit.series) == sorted(set(points[0].tolist()))
    assert assert_right(fit, points, degree) >= 25


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 60))])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", ["equal", "relative", "absolute"])
def test_hard_series_are_right_to_the_last_digit(seed: int, fit_intercept: bool, weighted: str) -> None:
    """So they are with y 1e9 times the noise, x 1e6 times its width, and sigmas over six decades."""
    random = np.random.default_rng(seed)
    degree, lengths = int(random.integers(0 if fit_intercept else 1, 5)), random.integers(6, 14, 6)
    codes, rows = np.repeat(np.arange(6), lengths), int(lengths.sum())
    t, width = random.uniform(-0.5, 0.5, rows), np.repeat(10.0 ** random.integers(-3, 4, 6), lengths)
    far, noise = (
        np.repeat(random.choice([0.0, 1.0, -1e3, 1e6], 6), lengths) * fit_intercept,
        10.0 ** -random.integers(10),
    )
    x = (far + t) * width
    y = np.repeat(random.choice([0.0, 1.0, -1e5, 1e9], 6), lengths) * noise + t**2 + noise * random.normal(size=rows)
    sigma = None if weighted == "equal" else 10.0 ** random.uniform(-3, 3, rows)
    with warnings.catch_warnings(action="ignore", category=regression.UndeterminedWarning):
        fit = regression.fit_series(x, y, codes, degree, sigma, weighted == "absolute", fit_intercept)
    assert assert_right(fit, (codes, x, y), degree, sigma, weighted == "absolute", fit_intercept) >= 5


@pytest.mark.parametrize("degree", [20, 60])
def test_high_degrees_equal_fit(degree: int) -> None:
    """Up to degree 60 coefficients and errors are those of ``regression.fit``."""
    random = np.random.default_rng(degree)
    x = np.cos(np.linspace(0, 3.1, 2 * degree))
    y = np.sin(5 * x) + random.normal(size=len(x))
    fit, right = regression.fit_series(x, y, np.zeros(len(x), int), degree), regression.fit(x, y, degree)
    assert fit.params[0].tolist() == pytest.approx(list(right.params), rel=1e-13)
    assert fit.bse[0].tolist() == pytest.approx(list(right.bse), rel=1e-13)


def test_exact_curves_leave_nothing() -> None:
    """Points on a curve have its coefficients, zeros too, no errors, and R² of 1."""
    x = np.tile(np.arange(12.0), 3)
    y = np.concatenate([5 * np.arange(12.0) ** 2, 1e6 - 7 * np.arange(12.0), np.full(12, 0.1)])
    fit = regression.fit_series(x, y, np.repeat([0, 1, 2], 12), 2)
    assert fit.params.tolist() == [[0, 0, 5], [1e6, -7, 0], [0.1, 0, 0]]
    assert (fit.bse == 0).all()
    assert (fit.ssr == 0).all()
    assert fit.rsquared[:2].tolist() == [1, 1]


def test_scaled_sigmas_change_what_they_should() -> None:
    """Sigmas of a thousandth leave relative errors and divide absolute ones; sigmas of 1 leave all as it is."""
    codes, x, y = mixed(10, seed=6)
    sigma = np.random.default_rng(6).uniform(1, 9, len(x))
    for absolute in (False, True):
        one, small = (regression.fit_series(x, y, codes, 1, sigma * s, absolute) for s in (1, 2.0**-10))
        assert (small.params == one.params).all()
        torch.testing.assert_close(small.bse * (2.0**10 if absolute else 1), one.bse, rtol=0, atol=0)
        torch.testing.assert_close(small.ssr * 2.0**-20, one.ssr, rtol=0, atol=0)
    plain, ones = regression.fit_series(x, y, codes), regression.fit_series(x, y, codes, 1, np.ones(len(x)))
    torch.testing.assert_close(ones.bse, plain.bse, rtol=0, atol=0, equal_nan=True)


def test_series_equal_numpy_and_statsmodels() -> None:
    """Near x = 0 the fits are those of numpy.polyfit and statsmodels to ten digits."""
    codes, x, y = mixed(20, seed=3)
    x = x - np.round(x / 1000) * 1000
    fit = regression.fit_series(x, y, codes, 2)
    for k, code in enumerate(fit.series):
        mine = codes == code
        result = sm.OLS(y[mine], np.vander(x[mine], 3, increasing=True)).fit()
        expected = np.polyfit(x[mine], y[mine], 2)[::-1].tolist()
        assert fit.params[k].tolist() == pytest.approx(expected, rel=1e-8, abs=1e-9)
        if result.df_resid > 0:
            assert fit.bse[k].tolist() == pytest.approx(result.bse.tolist(), rel=1e-8)
            assert fit.rsquared[k].item() == pytest.approx(result.rsquared, rel=1e-10)


@pytest.mark.parametrize(("degree", "names"), [(1, ["Norris"]), (2, ["Pontius"]), (5, ["Wampler3", "Wampler4"])])
def test_certified_sets_as_series(degree: int, names: list[str]) -> None:
    """NIST's sets, rows mixed among each other, have all of 40 certified digits that float64 shows."""
    certified = json.loads((CERTIFIED / "certified.json").read_text())
    tables = [np.loadtxt(CERTIFIED / f"{name}.csv", delimiter=",", skiprows=1) for name in names]
    rows = np.concatenate(tables)
    ids = np.repeat(names, [len(table) for table in tables])
    order = np.random.default_rng(4).permutation(len(rows))
    fit = regression.fit_series(rows[order, 0], rows[order, 1], ids[order], degree)
    for k, name in enumerate(fit.series):
        right = certified[name]
        assert fit.params[k].tolist() == pytest.approx(list(map(float, right["digits_40"]["estimates"])), rel=3e-16)
        assert fit.bse[k].tolist() == pytest.approx(list(map(float, right["digits_40"]["std_errors"])), rel=6e-16)


def test_what_points_leave_open_is_nan() -> None:
    """One point, constant x, too few distinct x, no point to spare and constant y leave open what they must."""
    x = [5.0, 2, 2, 2, 1, 1, 4, 0, 1, 0, 1, 2, 3, 0, 1, 2]
    y = [7.0, 1, 2, 6, 1, 3, 5, 4, 6, 3, 3, 3, 3, 1, 3, 5]
    ids = list("abbbccc") + list("ddeeee") + list("fff")
    with pytest.warns(regression.UndeterminedWarning, match=r"^undetermined: 2 of 6 series have fewer distinct x"):
        fit = regression.fit_series(x, y, ids)
    rows = dict(zip(fit.series, range(6), strict=True))
    assert fit.rank.tolist() == [1, 1, 2, 2, 2, 2]
    assert fit.params[: rows["c"]].isnan().all()
    assert fit.bse[: rows["c"]].isnan().all()
    assert fit.sigma[0].isnan()
    assert (fit.ssr[rows["b"]].item(), fit.rsquared[rows["b"]].item()) == pytest.approx((14, 0))
    assert fit.params[rows["c"]].tolist() == pytest.approx([1, 1])
    assert fit.params[rows["d"]].tolist() == [4, 2]
    assert fit.bse[rows["d"]].isnan().all()
    assert (fit.ssr[rows["d"]].item(), fit.rsquared[rows["d"]].item()) == (0, 1)
    assert fit.params[rows["e"]].tolist() == [3, 0]
    assert fit.rsquared[[rows["a"], rows["e"]]].isnan().all()
    assert (*fit.params[rows["f"]].tolist(), *fit.bse[rows["f"]].tolist(), fit.rsquared[rows["f"]].item()) == (
        1, 2, 0, 0, 1,
    )  # fmt: skip
    assert "errors are unknown for 1 series" in str(fit)
    assert "NaN" not in fit.to_json()
