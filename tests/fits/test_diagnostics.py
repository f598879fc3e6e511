"""Rows one by one, and tests of the residuals: the numbers of R and statsmodels."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.diagnostic import het_breuschpagan
from statsmodels.stats.stattools import durbin_watson

import regression
from tests.fits.test_result import drawn
from tests.support.r_data import CARS, DATA

R_ROWS = {  # of the first, the 23rd and the 49th of cars: hatvalues, cooks.distance and rstudent of R
    0: (0.11486131386861356, 0.0045923121064352194, 0.26345000253318684),
    22: (0.021430656934306569, 0.085551808092789908, 3.0228287641208627),
    48: (0.073985401459853994, 0.34039593360643816, 3.1849928400754455),
}
R_TESTS = [  # PRESS, its mean, Durbin-Watson, and studentized Breusch-Pagan with its p, of R
    ("cars", 1, 12320.270797635858, 246.40541595271716, 1.6762253234350972, 3.2148799271746502, 0.072971545054077588),
    ("cars", 2, 12151.458730007442, 243.02917460014885, 1.7623586601804486, 2.7393515066687559, 0.25418936624647248),
    ("women", 2, 3.2975081405839379, 0.21983387603892918, 1.1440431053183773, 3.0122340999841763, 0.22176942788073437),
]


def test_rows_are_those_of_r() -> None:
    """Leverage, Cook's distance and studentized residual of a row have the digits of R."""
    rows = regression.fit(*CARS).diagnostics(*CARS)
    for row, (leverage, cook, studentized) in R_ROWS.items():
        assert float(rows.leverage[row]) == pytest.approx(leverage, rel=1e-9)
        assert float(rows.cook[row]) == pytest.approx(cook, rel=1e-9)
        assert float(rows.studentized[row]) == pytest.approx(studentized, rel=1e-9)
    assert rows.outside.nonzero().flatten().tolist() == [22, 48]


@pytest.mark.parametrize(("data", "degree", "press", "loo", "watson", "statistic", "pvalue"), R_TESTS)
def test_tests_of_residuals_are_those_of_r(
    data: str, degree: int, press: float, loo: float, watson: float, statistic: float, pvalue: float
) -> None:
    """PRESS, Durbin–Watson and Koenker's test have the digits of R."""
    rows = regression.fit(*DATA[data], degree).diagnostics(*DATA[data])
    assert (rows.press, rows.loo, rows.durbin_watson) == pytest.approx((press, loo, watson), rel=1e-9)
    assert rows.breusch_pagan is not None
    assert rows.breusch_pagan == (pytest.approx(statistic, rel=1e-9), pytest.approx(pvalue, rel=1e-9), (degree,))


def test_lack_of_fit_is_that_of_r() -> None:
    """Where x repeats, the curve is tested against the means of equal x as R's ``anova`` against ``factor(x)``."""
    found = regression.fit(*CARS).diagnostics(*CARS).lack_of_fit
    assert found is not None
    assert found[:2] == pytest.approx((1.2369499182598473, 0.29483739679704613), rel=1e-9)
    assert found.df == (17, 31)
    x, y, _ = drawn()
    assert regression.fit(x, y).diagnostics(x, y).lack_of_fit is None


@pytest.mark.parametrize("absolute_sigma", [False, True])
def test_weighted_rows_are_those_of_scaled_columns(absolute_sigma: bool) -> None:
    """With sigma the diagnostics are those of statsmodels for rows divided by it."""
    x, y, sigma = drawn()
    fit = regression.fit(x, y, 3, sigma, absolute_sigma)
    rows = fit.diagnostics(x, y, sigma)
    right = sm.OLS(y / sigma, np.vander(x, 4, increasing=True) / sigma[:, None]).fit()
    influence = right.get_influence()
    np.testing.assert_allclose(rows.leverage, influence.hat_matrix_diag, rtol=1e-8)
    np.testing.assert_allclose(rows.studentized, influence.resid_studentized_external, rtol=1e-8)
    own = influence.resid_studentized_internal * (np.sqrt(right.scale) if absolute_sigma else 1)
    np.testing.assert_allclose(rows.standardized, own, rtol=1e-8)
    assert rows.press == pytest.approx((influence.resid_press**2).sum(), rel=1e-9)
    assert rows.durbin_watson == pytest.approx(durbin_watson(right.resid), rel=1e-9)
    assert rows.breusch_pagan is not None
    design = np.vander(x, 4, increasing=True)
    assert rows.breusch_pagan[:2] == pytest.approx(het_breuschpagan(right.resid, design)[:2], rel=1e-8)
    if not absolute_sigma:
        np.testing.assert_allclose(rows.cook, influence.cooks_distance[0], rtol=1e-8)


def test_weighted_lack_of_fit_is_that_of_statsmodels() -> None:
    """With sigma and repeated x the test compares two weighted fits."""
    x, y, sigma = drawn()
    x = np.round(x)
    found = regression.fit(x, y, 1, sigma).diagnostics(x, y, sigma).lack_of_fit
    levels = (x[:, None] == np.unique(x)).astype(float)
    small, large = (sm.WLS(y, c, weights=1 / sigma**2).fit() for c in (np.vander(x, 2), levels))
    assert found is not None
    assert found[:2] == pytest.approx(large.compare_f_test(small)[:2], rel=1e-8)


def test_leaving_a_row_out_is_fitting_the_others() -> None:
    """PRESS is the sum over rows of the squared distance from the curve that was fitted to all others."""
    x, y, _ = drawn(rows=12)
    kept = [np.delete(np.arange(12), k) for k in range(12)]
    misses = [y[k] - float(regression.fit(x[rows], y[rows], 2).predict(x[k]).mean) for k, rows in enumerate(kept)]
    assert regression.fit(x, y, 2).diagnostics(x, y).press == pytest.approx(np.square(misses).sum(), rel=1e-9)


def test_rows_go_into_a_frame() -> None:
    """The rows are columns of numpy, and of pandas."""
    rows = regression.fit(*CARS).diagnostics(*CARS)
    assert list(rows.to_dict()) == list(rows.to_frame().columns)
    assert rows.to_frame()["cook"].idxmax() == 48


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            lambda fit: fit.diagnostics(CARS[0], CARS[1] + 1),
            "need the rows that were fitted: 50 rows, residual σ 15",
        ),
        (lambda fit: fit.diagnostics(CARS[0][:9], CARS[1][:9]), "got 9 and"),
        (lambda fit: fit.diagnostics(CARS[0], CARS[1][:9]), "must be of one length"),
        (lambda fit: fit.diagnostics([np.nan] * 50, CARS[1]), "x must be finite, got nan at row 0"),
        (lambda _: regression.fit(*CARS, cov_type="HC0").diagnostics(*CARS), "errors by residual σ, not those of HC0"),
        (lambda _: regression.fit([1, 2], [1, 2]).diagnostics([1, 2], [1, 2]), "which are unknown or 0"),
    ],
)
def test_other_rows_are_refused(asked: Any, said: str) -> None:
    """Rows that were not fitted, and fits without errors by σ, have no diagnostics."""
    with pytest.raises(regression.UsageError, match=said):
        asked(regression.fit(*CARS))
