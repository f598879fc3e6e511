"""Weights in other words than sigma: as reciprocal variances, and as numbers of observations."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch

import regression
from regression.common.points import Points
from regression.common.weights import OBSERVATIONS_PER_PART, scan_repeated
from tests.fits.test_result import drawn


@pytest.mark.parametrize("absolute_sigma", [False, True])
def test_weights_are_reciprocal_variances(absolute_sigma: bool) -> None:
    """``weights=1/sigma²`` gives the fit of sigma, which is that of statsmodels' weighted least squares."""
    x, y, sigma = drawn()
    fit = regression.fit(x, y, 2, weights=1 / sigma**2, absolute_sigma=absolute_sigma)
    same = regression.fit(x, y, 2, sigma=sigma, absolute_sigma=absolute_sigma)
    right = sm.WLS(y, np.vander(x, 3, increasing=True), weights=1 / sigma**2).fit(
        cov_type="fixed scale" if absolute_sigma else "nonrobust"
    )
    for name in ("params", "bse", "ssr", "rsquared"):
        np.testing.assert_allclose(getattr(fit, name), getattr(same, name), rtol=1e-13)
        np.testing.assert_allclose(getattr(fit, name), getattr(right, name), rtol=1e-10)
    assert (fit.weighted, fit.df_resid) == (True, 37)


@pytest.mark.parametrize("options", [{}, {"degree": "auto", "criterion": "cv", "max_degree": 4}, {"degree": 20}])
def test_counts_are_rows_that_are_there_so_often(options: dict[str, Any]) -> None:
    """A row with a count is, to the bit, as many rows: in sums, degrees of freedom, folds and a second pass."""
    x, y, sigma = drawn()
    counts = np.random.default_rng(4).integers(0, 9, len(x))
    fit = regression.fit(x, y, sigma=sigma, counts=counts, **options)
    rows = np.repeat(np.arange(len(x)), counts)
    right = regression.fit(x[rows], y[rows], sigma=sigma[rows], **options)
    assert fit.to_json() == right.to_json()
    assert fit.nobs == counts.sum()
    weights = regression.fit(x, y, weights=np.maximum(counts, 1), degree=1)  # which are no observations of their own
    assert weights.df_resid == len(x) - 2


def test_many_observations_are_summed_part_by_part() -> None:
    """Counts of millions take no memory of their size, and no observation is lost or taken twice."""
    points = Points(torch.tensor([1.0, 2, 3]), torch.tensor([0.0, 1, 2]))
    counts = torch.tensor([OBSERVATIONS_PER_PART + 5, 0, OBSERVATIONS_PER_PART * 2])
    seen = torch.zeros(4, dtype=torch.int64)
    scan_repeated(points, counts, lambda part: seen.add_(torch.bincount(part.x.long(), minlength=4)))
    assert seen.tolist() == [0, *counts.tolist()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": [1, 1, 1], "sigma": 1}, "sigma and weights = 1 / sigma² say the same: give one of them"),
        ({"weights": [1, 0, 1]}, r"weights must be positive \(leave rows without weight out\), got 0.0 at row 1"),
        ({"weights": [1, np.inf, 1]}, "weights must be finite, got inf at row 1"),
        ({"weights": [1, 2]}, "x, y and weights must be of one length"),
        ({"counts": [1, 1.5, 1]}, "counts must be a whole number of at least 0, got 1.5 at row 1"),
        ({"counts": [1, -1, 1]}, "counts must be a whole number of at least 0, got -1.0 at row 1"),
        ({"counts": [0, 0, 0]}, r"counts must add up to 1 to 10\^11 observations, got 0"),
        ({"counts": [1, np.nan, 1]}, "counts must be finite, got nan at row 1"),
        ({"absolute_sigma": True, "counts": [1, 1, 1]}, "absolute_sigma needs the sigma of the points"),
    ],
)
def test_bad_weights_are_refused(options: dict[str, Any], said: str) -> None:
    """Weights that are not positive, and counts that count nothing, are refused with their row."""
    with pytest.raises(regression.UsageError, match=said):
        regression.fit([1.0, 2, 3], [1.0, 2, 4], **options)


def test_rows_without_a_weight_can_be_left_out() -> None:
    """A missing weight or count leaves the row out where that is asked for."""
    x, y, _ = drawn()
    counts = np.full(len(x), 2.0)
    counts[3] = np.nan
    fit = regression.fit(x, y, counts=counts, nan_policy="omit")
    assert (fit.nobs, fit.omitted) == (2 * (len(x) - 1), 1)
