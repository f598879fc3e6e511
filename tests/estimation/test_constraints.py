"""Chosen powers, given coefficients and points to go through give the numbers of R, and of substitution by hand."""

import datetime
import json
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch

import regression
from tests.fits.test_result import drawn
from tests.support.r_data import CARS


def test_constrained_fits_are_those_of_r() -> None:
    """A fixed slope, a point to go through and chosen powers give coefficients and errors of R."""
    fixed = regression.fit(*CARS, fix={"slope": 4})
    assert fixed.params[:2] == pytest.approx((-18.620000000000001, 4), rel=1e-12)
    assert np.isnan(fixed.tvalues[1])  # it was not tested
    assert fixed.bse == pytest.approx((2.1532869985116205, 0), rel=1e-9)
    assert (fixed.df_resid, fixed.rank, fixed.fixed, fixed.through) == (49, 1, {"c1": 4.0}, ())
    through = regression.fit(*CARS, degree=2, through=[(4, 2)])
    slope = through.derivative(4)  # the coefficient of (x - 4), and half that of (x - 4)²
    assert (slope.value, slope.se) == pytest.approx((2.6761616650071827, 0.6549860131104327), rel=1e-9)
    bend = through.derivative(4, 2)
    assert (bend.value / 2, bend.se / 2) == pytest.approx((0.064022179094222934, 0.04143089292745248), rel=1e-9)
    assert through.sigma == pytest.approx(15.095788031278422, rel=1e-9)
    terms = regression.fit(*CARS, terms=[0, 2])
    assert terms.names == ("c0", "c2")
    np.testing.assert_allclose(terms.params, (8.8600485487035066, 0.12896867043882859), rtol=1e-9)
    np.testing.assert_allclose(terms.bse, (4.0863289379559271, 0.013185400327496181), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "is_about_mean"),
    [
        ({}, True),
        ({"terms": [0, 2]}, True),
        ({"terms": [1, 2]}, False),
        ({"fit_intercept": False}, False),
        ({"terms": [1, 2], "fix": {"c1": 9}}, True),
        ({"fix": {"c0": 5}}, True),
        ({"through": [(0, 50)]}, True),
    ],
)
def test_r_squared_is_about_0_only_without_a_constant_where_nothing_is_kept(
    options: dict[str, Any], is_about_mean: bool
) -> None:
    """As docs/report.md says: with ``fix`` or ``through`` it is about the mean, and negative far from the points."""
    x, y = map(np.asarray, CARS)
    fit = regression.fit(x, y, 2, **options)
    squares = ((y - fit.predict(x).mean.numpy()) ** 2).sum()
    total = ((y - y.mean() * is_about_mean) ** 2).sum()
    assert fit.rsquared == pytest.approx(1 - squares / total, rel=1e-9)
    assert fit.is_about_mean == is_about_mean
    assert ("about 0" in fit.report()) != is_about_mean


def substituted(columns: Any, y: Any, sigma: Any) -> Any:
    return sm.WLS(y, columns, weights=1 / sigma**2).fit()


def test_terms_are_those_of_statsmodels() -> None:
    """Any set of powers, weighted, with or without a constant, gives what statsmodels gives for these columns."""
    x, y, sigma = drawn()
    for terms in ([0, 3], [1, 2, 5], [2], [0, 1, 2, 3]):
        fit = regression.fit(x, y, terms=terms, sigma=sigma)
        right = substituted(np.stack([x**k for k in terms], axis=1), y, sigma)
        names = ["params", "bse", "tvalues", "ssr", "aic", "bic", "llf", "rsquared", "rsquared_adj", "df_resid"]
        for name in [*names, *(["fvalue"] if terms != [0] else [])]:
            np.testing.assert_allclose(getattr(fit, name), getattr(right, name), rtol=1e-9, err_msg=f"{terms} {name}")
        np.testing.assert_allclose(fit.cov_params, right.cov_params(), rtol=1e-9)


def test_constraints_are_those_of_substitution() -> None:
    """A fit with fixed values and points is that of the rest after substitution, with its degrees of freedom."""
    x, y, sigma = drawn()
    fit = regression.fit(x, y, 4, sigma, fix={"c3": 0.3}, through=[(1.0, 2.0), (-0.5, 0.25)])
    # f = 0.3 x³ + a line through what is left of both points + (x - 1) (x + 0.5) (a + b x + c x²), where b keeps c3
    left = np.array([2.0 - 0.3, 0.25 + 0.3 * 0.125])
    slope = (left[0] - left[1]) / 1.5
    line = left[1] + slope * (x + 0.5)
    both = np.polynomial.Polynomial([-0.5, -0.5, 1])  # its coefficients of x³, times 1, x and x², are 0, 1 and -0.5
    free = [both, both * np.polynomial.Polynomial([0, 0.5, 1])]
    right = substituted(np.stack([f(x) for f in free], axis=1), y - 0.3 * x**3 - line, sigma)
    params = right.params[0] * np.pad(free[0].coef, (0, 2)) + right.params[1] * free[1].coef
    params += [left[1] + slope * 0.5, slope, 0, 0.3, 0]
    np.testing.assert_allclose(fit.params, params, rtol=1e-9, atol=1e-12)
    assert (fit.df_resid, fit.rank) == (38, 2)
    assert fit.ssr == pytest.approx(right.ssr, rel=1e-9)
    at = torch.linspace(-3, 4, 9)
    matrix = np.stack([f(at.numpy()) for f in free], axis=1)
    errors = np.sqrt(np.einsum("ni,ij,nj->n", matrix, right.cov_params(), matrix))
    np.testing.assert_allclose(fit.predict(at).mean_se, errors, rtol=1e-9)
    assert fit.notes == ("kept and not fitted: c3 = 0.3, f(1) = 2, f(-0.5) = 0.25",)
    assert (fit.fvalue, fit.corr_params) == (None, None)


@pytest.mark.parametrize("shift", [0.0, 2000.0])
@pytest.mark.parametrize("lift", [0.0, 1e9])
def test_a_point_is_met_also_far_from_0(shift: float, lift: float) -> None:
    """The curve goes through its point to the last digit, without error, also at x and y far from 0."""
    x, y, _ = drawn()
    x, y = np.round(x, 3) + shift, y + lift
    fit = regression.fit(x, y, 3, through=[(shift + 1, lift + 2)])
    at = fit.predict(shift + 1)
    assert (float(at.mean), float(at.mean_se)) == (lift + 2, pytest.approx(0, abs=1e-20))
    right = sm.OLS(y - lift - 2, np.stack([(x - shift - 1) ** k for k in (1, 2, 3)], axis=1)).fit()
    slope = fit.derivative(shift + 1)
    assert (float(slope.value), float(slope.se)) == pytest.approx((right.params[0], right.bse[0]), rel=1e-6)


def test_a_curve_may_go_through_the_middle_of_the_points() -> None:
    """Through the middle of the points, where the curve then has no error, all numbers are those of substitution."""
    x, y = np.linspace(-2, 2, 9), np.array([3.0, 1, 0, 0, 1, 2, 4, 7, 11])
    fit, right = regression.fit(x, y, 2, through=[(0, 1)]), sm.OLS(y - 1, np.stack([x, x**2], axis=1)).fit()
    np.testing.assert_allclose(fit.params, [1, *right.params], rtol=1e-12)
    np.testing.assert_allclose(fit.bse, [0, *right.bse], rtol=1e-12)
    years = regression.fit(x + 2000, y, 2, through=[(2000, 1)])
    assert years.notes[1].startswith("cov_params in powers of x lose 1")
    assert regression.fit(x, y, 3, through=[(-2, 3), (0, 1), (2, 11)]).notes[1:] == ()


def test_a_point_at_0_gives_the_intercept() -> None:
    """Through (0, y) the intercept is y, without error, and the rest is that of a fit of y - f(0) without one."""
    x, y, _ = drawn()
    fit, right = regression.fit(x, y, 2, through=[(0, 1.25)]), regression.fit(x, y - 1.25, 2, fit_intercept=False)
    assert (float(fit.params[0]), float(fit.bse[0] if fit.bse is not None else -1)) == (1.25, 0)
    np.testing.assert_allclose(fit.params[1:], right.params, rtol=1e-12)


def test_a_constraint_that_the_points_obey_changes_nothing() -> None:
    """Fixing a coefficient at the value of the free fit gives the same curve, with one more degree of freedom."""
    x, y, _ = drawn()
    free = regression.fit(x, y, 2)
    kept = regression.fit(x, y, 2, fix={"c2": float(free.params[2])})
    np.testing.assert_allclose(kept.params, free.params, rtol=1e-9)
    assert (kept.ssr, kept.df_resid) == (pytest.approx(free.ssr, rel=1e-12), free.df_resid + 1)
    all_terms = regression.fit(x, y, terms=[2, 1, 0])
    np.testing.assert_allclose(all_terms.params, free.params, rtol=1e-15)
    np.testing.assert_allclose(all_terms.bse, free.bse, rtol=1e-15)


def test_powers_that_the_points_cannot_tell_apart() -> None:
    """If one chosen power equals another at all points, the following ones are still fitted."""
    x = np.array([-1.0, 1, -1, 1, 1])
    with pytest.warns(regression.UndeterminedWarning, match="the points fix 2 of 3 coefficients"):
        fit = regression.fit(x, [1.0, 2, 3, 4, 5], terms=[0, 2, 3])
    assert fit.ssr == pytest.approx(2 + 14 / 3)
    with pytest.raises(regression.UsageError, match="leave nothing to fit"):
        regression.fit(x, [1.0, 2, 3, 4, 5], fix={"c0": 1, "c1": 1})


def test_the_same_bits_for_any_order_and_parts() -> None:
    """A constrained fit has the same bits for every order of the rows, and for sums that were merged."""
    x, y, sigma = drawn()
    order = np.random.default_rng(3).permutation(len(x))
    kept: dict[str, Any] = {"terms": [0, 2, 3], "through": [(1, 2)]}
    fits = [regression.fit(x[o], y[o], sigma=sigma[o], **kept) for o in (order, slice(None))]
    assert fits[0].to_json() == fits[1].to_json()
    read = regression.Fit.from_json(fits[0].to_json())
    assert (read.through, read.fixed) == (((1.0, 2.0),), {})
    assert json.loads(fits[0].to_json())["through"] == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"terms": []}, r"terms must be different whole numbers from 0 to 60, got \[\]"),
        ({"terms": [0, 0]}, r"terms must be different whole numbers .* got \[0, 0\]"),
        ({"terms": [0, 61]}, "terms must be different whole numbers from 0 to 60"),
        ({"terms": [0, 2], "degree": 4}, "leave out degree and fit_intercept"),
        ({"terms": [1], "fit_intercept": False}, "leave out degree and fit_intercept"),
        ({"fix": {"c3": 1}}, "fix must name coefficients of the powers 0, 1, got 'c3'"),
        ({"fix": {"intercept": 1, "c0": 2}, "degree": 2}, "fix names the coefficient c0 twice, got intercept, c0"),
        ({"through": [("2024-05-01", 2)]}, "got '2024-05-01': give a time as a number of the time unit since the orig"),
        ({"through": [(np.datetime64("2024-05-01"), 2)]}, "x of through must hold numbers, as the points of the fit"),
        ({"fix": {"height": 1}}, "fix must name coefficients of the powers 0, 1, got 'height'"),
        ({"fix": {"c0": float("nan")}}, "a fixed coefficient must be a finite number, got nan"),
        ({"fix": {"c0": "one"}}, "a fixed coefficient must be a finite number, got 'one'"),
        ({"through": [(1, 2, 3)]}, r"through must be points \(x, y\)"),
        ({"through": [(4, 2), (4, 3)], "degree": 3}, "contradict each other"),
        ({"through": [(0, 2)], "fix": {"c0": 1}, "degree": 3}, "contradict each other"),
        ({"through": [(4, 2), (5, 2)]}, "leave nothing to fit"),
        ({"through": [(4, 2)], "degree": "auto"}, "need a whole number for the degree, got 'auto'"),
    ],
)
def test_bad_constraints_are_refused(options: dict[str, Any], said: str) -> None:
    """Constraints that contradict each other, leave nothing to fit or name no coefficient are refused in one line."""
    with pytest.raises(regression.UsageError, match=said):
        regression.fit(*CARS, **options)


def test_points_to_go_through_are_times_too() -> None:
    """In a fit over instants or durations, points to go through are converted as the columns are."""
    t = np.datetime64("2024-05-01T00:00") + np.arange(5) * np.timedelta64(1, "h")
    y = np.array([3, 5, 6, 8, 11])
    for at in (t[1], t[1].astype(datetime.datetime), 60):
        fit = regression.fit(t, y, time_unit="min", through=[(at, 4)])
        assert fit.through == ((60.0, 4.0),)
        assert float(fit.predict(t[1]).mean) == pytest.approx(4, rel=1e-15)
    assert regression.fit(y, y.astype("m8[s]"), through=[(1, np.timedelta64(3, "m"))]).through == ((1.0, 180.0),)
    with pytest.raises(regression.UsageError, match="y of through must hold numbers, as the points of the fit do"):
        regression.fit(t, y, through=[(t[1], np.timedelta64(3, "s"))])
