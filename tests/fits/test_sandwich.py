"""Errors for unequal scatter and for autocorrelated residuals: the numbers of R and statsmodels."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch

import regression
from tests.fits.test_result import drawn
from tests.support.r_data import DATA

R_ERRORS: list[tuple[str, int, str, list[float]]] = [  # sandwich::vcovHC of R
    ("cars", 1, "HC0", [5.5418721772929693, 0.39868087560655585]),
    ("cars", 1, "HC1", [5.6561496058727379, 0.40690196476752971]),
    ("cars", 1, "HC3", [5.9318033190745911, 0.42753721917209758]),
    ("cars", 2, "HC0", [9.3803577963976341, 1.6172277425669441, 0.05912522059286781]),
    ("cars", 2, "HC1", [9.6751003287138122, 1.6680430537228088, 0.060983008709223754]),
    ("cars", 2, "HC3", [10.553660130607749, 1.7894472415456959, 0.065626021942361765]),
    ("women", 2, "HC0", [23.621385479342969, 0.73791093543298292, 0.0057449769446743428]),
    ("women", 2, "HC1", [26.409511827392919, 0.82500950651001292, 0.0064230794887648384]),
    ("women", 2, "HC3", [38.459853905790943, 1.2069694721769819, 0.009443461438032737]),
]


@pytest.mark.parametrize(("data", "degree", "cov_type", "right"), R_ERRORS)
def test_errors_are_those_of_r(data: str, degree: int, cov_type: Any, right: list[float]) -> None:
    """HC0, HC1 and HC3 have the digits of R's sandwich package."""
    fit = regression.fit(*DATA[data], degree, cov_type=cov_type)
    np.testing.assert_allclose(fit.bse, right, rtol=1e-9)
    assert fit.cov_type == cov_type
    assert f"errors are those of {cov_type}" in str(fit)


@pytest.mark.parametrize(
    ("cov_type", "options"), [("HC0", {}), ("HC1", {}), ("HC3", {}), ("HAC", {"maxlags": 3}), ("HAC", {"maxlags": 0})]
)
def test_all_numbers_that_need_errors_use_them(cov_type: Any, options: dict[str, int]) -> None:
    """Covariance, F, Wald tests, slopes and the band of a weighted fit are those of statsmodels with these errors."""
    x, y, sigma = drawn()
    design = np.vander(x, 4, increasing=True)
    right = sm.WLS(y, design, weights=1 / sigma**2).fit(cov_type=cov_type, cov_kwds=options, use_t=True)
    fit = regression.fit(x, y, 3, sigma, cov_type=cov_type, **options)
    np.testing.assert_allclose(fit.cov_params, right.cov_params(), rtol=1e-9)
    for name in ("bse", "tvalues", "pvalues", "fvalue", "f_pvalue"):
        np.testing.assert_allclose(getattr(fit, name), getattr(right, name), rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(fit.conf_int, right.conf_int(), rtol=1e-9)
    at = np.array([-1.0, 0.5, 4])
    frame = right.get_prediction(np.vander(at, 4, increasing=True)).summary_frame()
    np.testing.assert_allclose(fit.predict(at).mean_se, frame["mean_se"], rtol=1e-9)
    gradient = np.array([0, 1, 2 * 0.5, 3 * 0.25])
    assert float(fit.derivative(0.5).se) == pytest.approx(np.sqrt(gradient @ right.cov_params() @ gradient), rel=1e-9)
    read = regression.Fit.from_json(fit.to_json())
    assert (read.cov_type, read.fvalue) == (cov_type, fit.fvalue)


def test_the_default_number_of_lags_is_that_of_newey_and_west() -> None:
    """Without ``maxlags`` it is ``4 (N / 100)^(2/9)``."""
    x, y, _ = drawn()
    fits = [regression.fit(x, y, cov_type="HAC", maxlags=lags) for lags in (None, 3)]
    assert fits[0].to_json() == fits[1].to_json()


@pytest.mark.parametrize("cov_type", ["HC0", "HC3"])
def test_the_same_bits_for_any_order_and_number_of_threads(cov_type: Any) -> None:
    """Sums of products of residuals are exact: no order of the rows, and no division over threads, changes a bit."""
    random = np.random.default_rng(8)
    x = random.uniform(0, 1, 5000)
    y = np.exp(x) + x * random.normal(size=5000)
    order = random.permutation(5000)
    threads = torch.get_num_threads()
    try:
        fits = []
        for count, rows in ((1, slice(None)), (3, order)):
            torch.set_num_threads(count)
            fits.append(regression.fit(x[rows], y[rows], 3, cov_type=cov_type))
    finally:
        torch.set_num_threads(threads)
    assert fits[0].bse is not None
    assert fits[0].bse.tolist() == fits[1].bse.tolist()  # type: ignore[union-attr]
    assert fits[0].curve == fits[1].curve
    design = np.vander(x, 4, increasing=True)
    np.testing.assert_allclose(fits[0].bse, sm.OLS(y, design).fit(cov_type=cov_type).bse, rtol=1e-9)


def test_counts_are_rows_here_too() -> None:
    """A row with a count n has the errors of n rows."""
    x, y, _ = drawn()
    counts = np.arange(len(x)) % 4
    rows = np.repeat(np.arange(len(x)), counts)
    fit = regression.fit(x, y, 2, counts=counts, cov_type="HC1")
    assert fit.to_json() == regression.fit(x[rows], y[rows], 2, cov_type="HC1").to_json()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cov_type": "HC2"}, "cov_type must be .*nonrobust, HC0, HC1, HC3.* got 'HC2'"),
        ({"cov_type": "HC0", "maxlags": 2}, "maxlags is for cov_type HAC, got HC0"),
        ({"cov_type": "HAC", "maxlags": -1}, "maxlags must be"),
        ({"cov_type": "HAC", "maxlags": 5}, "maxlags must be"),
        ({"cov_type": "HAC", "counts": [1, 2, 1, 1, 1]}, "needs the rows in the order of time, got counts of them"),
        ({"cov_type": "HC3"}, "cov_type HC3 is unknown: a point alone decides the curve there"),
    ],
)
def test_wrong_kinds_of_errors_are_refused(options: dict[str, Any], said: str) -> None:
    """Unknown names, lags beyond the rows, and a point of leverage 1 are refused in one line."""
    with pytest.raises(regression.UsageError, match=said):
        regression.fit([0.0, 0, 0, 0, 1], [1.0, 2, 3, 5, 3], **options)
