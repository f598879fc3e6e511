"""Tests of what was fitted: the numbers of R and statsmodels."""

import json
import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

import regression
from tests.fits.test_result import drawn, ours, statsmodels
from tests.support.r_data import CARS, DATA

R_SUMMARIES: list[tuple[str, int, dict[str, Any]]] = [  # summary.lm, logLik and cov2cor(vcov) of R
    ("cars", 1, {
        "tvalues": (-2.6010580030222483, 9.4639899902983675),
        "pvalues": (0.012318816153809031, 1.4898364962950928e-12),
        "rsquared_adj": 0.64381020119071453,
        "fvalue": 89.567106536467719,
        "f_pvalue": 1.4898364962950928e-12,
        "llf": -206.57843151367663,
        "corr_params": ((1, -0.94680082979967006), (-0.94680082979967006, 1)),
    }),
    ("cars", 2, {
        "tvalues": (0.1667078574684846, 0.44896196854880166, 1.5152647166858013),
        "pvalues": (0.86831507584857814, 0.65552244940281446, 0.13640243280373793),
        "rsquared_adj": 0.6531746810592397,
        "fvalue": 47.140748128843327,
        "f_pvalue": 5.8518804806743307e-12,
        "llf": -205.38603423530893,
    }),
    ("women", 2, {
        "tvalues": (10.393323233982532, -9.4488778055989169, 13.891130893877921),
        "pvalues": (2.3568787850194844e-07, 6.5844758895299228e-07, 9.3224393301070517e-09),
        "rsquared_adj": 0.99938592807184412,
        "fvalue": 11393.316072014448,
        "f_pvalue": 2.126349887450999e-20,
        "llf": -5.2563493770659608,
        "corr_params": (
            (1, -0.9995504323445068, 0.99823779772537347),
            (-0.9995504323445068, 1, -0.99956438736706377),
            (0.99823779772537347, -0.99956438736706377, 1),
        ),
    }),
]  # fmt: skip


@pytest.mark.parametrize(("data", "degree", "right"), R_SUMMARIES)
def test_summaries_are_those_of_r(data: str, degree: int, right: dict[str, Any]) -> None:
    """t, p, F, adjusted R², likelihood and correlations have the digits of R, in ``fit.json`` too."""
    fit = regression.fit(*DATA[data], degree)
    content = json.loads(fit.to_json())
    for name, value in right.items():
        np.testing.assert_allclose(getattr(fit, name), value, rtol=1e-9, err_msg=name)
        if name != "corr_params":
            assert content[name] == np.asarray(getattr(fit, name)).tolist()
    assert (fit.chi2, fit.chi2_pvalue) == (None, None)


@pytest.mark.parametrize(("fit_intercept", "weighted"), [(True, True), (False, True), (False, False)])
def test_summaries_are_those_of_statsmodels(fit_intercept: bool, weighted: bool) -> None:
    """Without an intercept and with weights the tests are those of statsmodels."""
    fit, right = ours(3, fit_intercept, weighted), statsmodels(3, fit_intercept, weighted)
    for name in ("tvalues", "pvalues", "rsquared_adj", "fvalue", "f_pvalue", "llf", "df_model"):
        np.testing.assert_allclose(getattr(fit, name), getattr(right, name), rtol=1e-9, err_msg=name)


def test_known_sigma_gives_normal_and_chi2_tests() -> None:
    """With absolute sigma p values are normal, F has the known variance, and χ² tells whether the curve is right."""
    fit, right = ours(3, True, True, absolute_sigma=True), statsmodels(3, True, True, cov_type="fixed scale")
    assert fit.pvalues == pytest.approx(2 * stats.norm.sf(np.abs(right.tvalues)), rel=1e-9)
    assert fit.fvalue == pytest.approx(right.ess / 3, rel=1e-9)
    assert fit.f_pvalue == pytest.approx(stats.chi2.sf(right.ess, 3), rel=1e-9, abs=0)
    assert (fit.chi2, fit.chi2_pvalue) == (fit.ssr, pytest.approx(stats.chi2.sf(right.ssr, 36), rel=1e-9))
    test = fit.wald_test(np.eye(4)[1:])
    assert (test.df_denom, test.fvalue) == (None, pytest.approx(fit.fvalue, rel=1e-9))
    assert test.pvalue == pytest.approx(fit.f_pvalue, rel=1e-9)


def test_degrees_are_tested_one_after_the_other() -> None:
    """The table of degrees has the F tests of R's ``anova``, against the variance of its highest degree."""
    fit = regression.fit(*CARS, "auto", max_degree=3)
    found = [(row["fvalue"], row["f_pvalue"]) for row in fit.degree_table]
    assert found[0] == (None, None)
    right = [(2.287399734534175, 0.13726875372675726), (0.82339534983918805, 0.36891857730179467)]
    np.testing.assert_allclose(found[2:], right, rtol=1e-9)
    known = regression.fit(*CARS, "auto", sigma=15.0, absolute_sigma=True, max_degree=2).degree_table[2]
    gain = (regression.fit(*CARS, 1).ssr or 0) / 225 - (regression.fit(*CARS, 2).ssr or 0) / 225
    assert known["fvalue"] == pytest.approx(gain, rel=1e-9)
    assert known["f_pvalue"] == pytest.approx(stats.chi2.sf(gain, 1), rel=1e-9)


def test_linear_hypotheses_are_tested_together() -> None:
    """A Wald test is that of R's ``linearHypothesis``, and of statsmodels for any linear combinations."""
    test = regression.fit(*CARS).wald_test([[1, 0], [0, 1]], [0, 4])
    assert test[:2] == pytest.approx((36.657834419885567, 2.1666270999433795e-10), rel=1e-9, abs=0)
    assert test[2:] == (2, 48)
    fit, right = ours(3, False, True), statsmodels(3, False, True)
    rows = np.array([[1.0, 2, 0], [0, 1, -1]])
    wanted = right.f_test((rows, np.array([0.5, 1])))
    found = fit.wald_test(rows, [0.5, 1])
    assert found[:2] == pytest.approx((float(wanted.fvalue), float(wanted.pvalue)), rel=1e-9, abs=0)


def test_years_do_not_cancel_in_a_wald_test() -> None:
    """A hypothesis has the same F wherever x begins, though the covariance of powers of calendar years cancels."""
    x, y, _ = drawn()
    moved = 2010 + np.round(x, 3)  # the same numbers to the bit
    near, far = regression.fit(moved - 2010, y, 3), regression.fit(moved, y, 3)
    row = [2010.0**k for k in range(4)]
    assert far.wald_test(row, 1.0).fvalue == pytest.approx(near.wald_test([1, 0, 0, 0], 1.0).fvalue, rel=1e-9)


def test_what_is_unknown_is_not_tested() -> None:
    """Where errors are unknown tests are too, and a curve through every point has no finite t."""
    few = regression.fit([1.0, 2], [1.0, 3])
    assert (few.tvalues, few.pvalues, few.fvalue, few.rsquared_adj) == (None, None, None, None)
    with pytest.raises(regression.UsageError, match="needs the errors of the coefficients, which are unknown"):
        few.wald_test([1, 0])
    exact = regression.fit([1.0, 2, 3], [1.0, 2, 3])
    assert exact.tvalues is not None
    assert exact.tvalues[1] == math.inf
    assert json.loads(exact.to_json())["tvalues"] == [None, None]


@pytest.mark.parametrize(
    ("weights", "goals", "said"),
    [
        ([1, 0, 0], None, r"a row of 2 numbers for each of the goals, got shapes \(1, 3\) and \(1,\)"),
        ([[1, 0], [0, 1]], [1, 2, 3], r"got shapes \(2, 2\) and \(3,\)"),
        ([[1, 0], [2, 0]], None, "independent of each other"),
        ([math.nan, 0], None, "must be finite"),
    ],
)
def test_bad_hypotheses_are_refused(weights: Any, goals: Any, said: str) -> None:
    """Hypotheses of a wrong shape, that depend on each other or that hold no numbers are refused in a line."""
    with pytest.raises(regression.UsageError, match=said):
        regression.fit(*CARS).wald_test(weights, goals)


def test_a_file_without_these_numbers_loads() -> None:
    """A ``fit.json`` of the last release has no F, and all that follows from what it has."""
    content = json.loads(regression.fit(*CARS).to_json())
    for name in ("ess", "tvalues", "pvalues", "fvalue", "f_pvalue", "llf", "rsquared_adj", "chi2", "chi2_pvalue"):
        del content[name]
    old = regression.Fit.from_json(json.dumps(content))
    assert old.fvalue is None
    np.testing.assert_array_equal(old.pvalues, regression.fit(*CARS).pvalues)
    assert {field.name for field in fields(old)} - {"sample"} <= set(json.loads(old.to_json()))


def test_ess_is_what_the_curve_accounts_for() -> None:
    """``ess`` is that of statsmodels to the last digits, where 1 − R² has lost half of them."""
    x = np.linspace(0, 1, 30)
    y = 1e6 * x + np.sin(40 * x)
    right = sm.OLS(y, sm.add_constant(x)).fit()
    assert regression.fit(x, y).fvalue == pytest.approx(right.fvalue, rel=1e-8)
