"""Lines through points with errors in x: Pearson's points with York's weights, and closed forms."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import regression
from regression.estimation.errors_in_x import LineWithErrors
from tests.fits.test_result import drawn
from tests.support.r_data import PEARSON_YORK

X, Y, WX, WY = PEARSON_YORK
SIGMA_X, SIGMA = 1 / np.sqrt(WX), 1 / np.sqrt(WY)


def test_the_line_is_that_of_york() -> None:
    """Pearson's points with York's weights have the line, the errors and χ² that York et al. (2004) give."""
    fit = regression.fit(X, Y, sigma=SIGMA, sigma_x=SIGMA_X, absolute_sigma=True)
    np.testing.assert_allclose(fit.params, [5.4799102240328654, -0.48053340744620199], rtol=1e-9)
    np.testing.assert_allclose(fit.bse, [0.29497073549310859, 0.057985009000774447], rtol=1e-9)
    assert fit.chi2 == pytest.approx(11.866353194061441, rel=1e-9)
    assert fit.chi2 / fit.df_resid == pytest.approx(1.4832941493, rel=1e-9)
    relative = regression.fit(X, Y, sigma=SIGMA, sigma_x=SIGMA_X)
    np.testing.assert_allclose(relative.bse, fit.bse * np.sqrt(fit.chi2 / 8), rtol=1e-12)  # type: ignore[operator]
    np.testing.assert_allclose(relative.params, fit.params, rtol=1e-12)


def test_bands_and_slopes_are_those_of_this_line() -> None:
    """Bands, slopes and intervals of the line are those of its covariance, and its file contains them."""
    fit = regression.fit(X, Y, sigma=SIGMA, sigma_x=SIGMA_X, absolute_sigma=True)
    at = np.array([-2.0, 3.3, 40])
    band = fit.predict(at)
    np.testing.assert_allclose(band.mean, fit.params[0] + fit.params[1] * at, rtol=1e-12)
    rows = np.stack([np.ones(3), at], axis=1)
    errors = np.sqrt(np.einsum("ni,ij,nj->n", rows, fit.cov_params, rows))
    np.testing.assert_allclose(band.mean_se, errors, rtol=1e-9)
    assert float(fit.derivative(0).se) == pytest.approx(0.057985009000774447, rel=1e-9)
    assert (fit.aic, fit.rsquared, fit.fvalue) == (None, None, None)
    assert "x has errors too (York et al. 2004)" in str(fit)
    assert "Polynomial, degree 1, line with errors in x and y (York)\n" in str(fit)
    assert "least squares" not in str(fit) + repr(fit) + fit._repr_html_()
    assert str(regression.Fit.from_json(fit.to_json())) == str(fit)
    read = regression.Fit.from_json(fit.to_json())
    assert read.roots(2) == fit.roots(2)


def test_equal_errors_give_the_line_of_deming() -> None:
    """With one sigma for all x and all y the line is Deming's: Pearson printed 5.784 and -0.546."""
    fit = regression.fit(X, Y, sigma=1.0, sigma_x=1.0)
    np.testing.assert_allclose(fit.params, [5.784043774530085, -0.54556119752096477], rtol=1e-9)
    again = regression.fit(X, Y, sigma=1e-3, sigma_x=1e-3)
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-12)


def test_the_line_has_the_least_chi2() -> None:
    """No other line has a smaller ``Σ (y - f(x))² / (sigma² + slope² sigma_x²)``, as a search over lines finds too."""
    x, y, sigma = drawn()
    sigma_x = 0.05 + 0.1 * np.random.default_rng(2).uniform(size=len(x))
    fit = regression.fit(x, y, sigma=sigma, sigma_x=sigma_x, absolute_sigma=True)

    def chi2(line: Any) -> float:
        return float((((y - line[0] - line[1] * x) ** 2) / (sigma**2 + line[1] ** 2 * sigma_x**2)).sum())

    found = optimize.minimize(chi2, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13})
    np.testing.assert_allclose(fit.params, found.x, rtol=1e-6)
    assert fit.chi2 == pytest.approx(found.fun, rel=1e-12)


def test_tiny_errors_of_x_give_least_squares() -> None:
    """With negligible errors of x the line is that of weighted least squares, with its errors."""
    fit = regression.fit(X, Y, sigma=SIGMA, sigma_x=1e-9)
    right = regression.fit(X, Y, sigma=SIGMA)
    np.testing.assert_allclose(fit.params, right.params, rtol=1e-9)
    np.testing.assert_allclose(fit.bse, right.bse, rtol=1e-9)


def test_the_line_follows_its_axes() -> None:
    """The line of x against y is the same line, and x far from 0 and the order of rows change nothing."""
    fit = regression.fit(X, Y, sigma=SIGMA, sigma_x=SIGMA_X)
    turned = regression.fit(Y, X, sigma=SIGMA_X, sigma_x=SIGMA)
    assert turned.params[1] == pytest.approx(1 / fit.params[1], rel=1e-9)
    order = np.random.default_rng(1).permutation(len(X))
    again = regression.fit(X[order], Y[order], sigma=SIGMA[order], sigma_x=SIGMA_X[order])
    assert (again.params.tolist(), again.cov_params.tolist()) == (fit.params.tolist(), fit.cov_params.tolist())
    far = regression.fit(X * 1024 + 2.0**31, Y, sigma=SIGMA, sigma_x=1024 * SIGMA_X).predict(2.0**31)
    assert float(far.mean_se) == pytest.approx(float(fit.predict(0).mean_se), rel=1e-9)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([0, 0, 1, 1], [0, 1, 0, 1]),
        ([1000, 1000, 1001, 1001], [5, 6, 5, 6]),
        (np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)),
        ([0, 0, 1, 1], [0, 5, 0, 5]),
    ],
)
def test_points_without_a_direction_have_no_line(x: Any, y: Any) -> None:
    """If all directions are equally good, or the best one is vertical, the fit is refused."""
    with pytest.raises(regression.UsageError, match="the points have no direction, or the line would be vertical"):
        regression.fit(x, y, sigma=1, sigma_x=1)
    assert regression.fit(x, y, sigma=1, sigma_x=0.01).params[1] == pytest.approx(0, abs=1e-12)  # x is more precise


def test_a_level_line_has_a_direction() -> None:
    """Points of equal y, or symmetric ones that spread more in x than in y, have a level line."""
    for y in ([2, 2, 2, 2], [0, 1, 0, 1]):
        assert regression.fit([0, 0, 3, 3], y, sigma=1, sigma_x=1).params[1] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sigma_x": 1.0}, "^sigma_x needs the sigma of y, got none$"),
        ({"sigma_x": 1.0, "sigma": 1, "degree": 2}, "needs a line through at least 3 points"),
        ({"sigma_x": 1.0, "sigma": 1, "fit_intercept": False}, "needs a line through at least 3 points"),
        ({"sigma_x": 0.0, "sigma": 1}, "sigma_x must be positive, got 0.0 at row 0"),
        ({"sigma_x": np.full(10, np.nan), "sigma": 1}, "sigma_x must be finite, got nan at row 0"),
        ({"sigma_x": 1.0, "sigma": 1, "through": [(0, 0)]}, "sigma_x is for a line: leave out"),
        ({"sigma_x": 1.0, "sigma": 1, "cov_type": "HC0"}, "sigma_x is for a line: leave out"),
        ({"sigma_x": 1.0, "sigma": 1, "robust": "huber"}, "robust has a scale and errors of its own"),
    ],
)
def test_what_does_not_go_with_errors_in_x_is_refused(options: dict[str, Any], said: str) -> None:
    """Errors in x are for a line and positive, and need those of y."""
    with pytest.raises(regression.UsageError, match=said):
        regression.fit(X, Y, **options)


@pytest.mark.parametrize("name", ["value_variance", "slope_variance", "chi2"])
def test_a_stored_line_with_an_impossible_number_is_refused(name: str) -> None:
    """A negative variance or χ² in a checkpoint, or one that is not finite, is refused; 0 is possible."""
    state = LineWithErrors([Decimal(1), Decimal(2)], *map(Decimal, (3, 4, 5, 6))).state()
    assert LineWithErrors.from_state(state | {name: "0"}).state() == state | {name: "0"}
    for value in ("-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="variances and chi2 of at least 0"):
            LineWithErrors.from_state(state | {name: value})
