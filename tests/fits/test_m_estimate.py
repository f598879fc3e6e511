"""M-estimates with a scale of their own: the numbers of R's rlm, run to convergence."""

import json
from typing import Any

import numpy as np
import pytest

import regression
from tests.fits.test_result import drawn
from tests.support.r_data import STACKLOSS

R_RLM: list[tuple[Any, list[float], list[float], float]] = [
    ("huber", [-45.014763995501795, 1.0372072285595002], [3.9906566074878347, 0.06532703347059847], 1.9156177541692738),
    ("bisquare", [-47.272278951909577, 1.0771431205317197], [4.0921765748789998, 0.06698891495026596],
     2.2395767547175338),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "params", "errors", "scale"), R_RLM)
def test_estimates_are_those_of_rlm(kind: Any, params: list[float], errors: list[float], scale: float) -> None:
    """Coefficients, errors and scale have the digits of R's ``rlm`` and its summary."""
    fit = regression.fit(*STACKLOSS, robust=kind)
    np.testing.assert_allclose(fit.params, params, rtol=1e-9)
    np.testing.assert_allclose(fit.bse, errors, rtol=1e-9)
    assert fit.scale == pytest.approx(scale, rel=1e-9)
    assert (fit.robust, fit.sigma, fit.aic, fit.fvalue) == (kind, None, None, None)
    assert fit.converged
    assert f"M-estimate ({kind})" in str(fit)
    assert fit.notes[-1].startswith("2 points count for less than half: (70, 15) by 0")
    slope = fit.derivative(70)
    assert (float(slope.value), float(slope.se)) == pytest.approx((params[1], errors[1]), rel=1e-9)
    assert regression.Fit.from_json(fit.to_json()).scale == fit.scale


@pytest.mark.parametrize("kind", ["huber", "bisquare"])
def test_the_estimate_is_the_fit_with_its_own_weights(kind: Any) -> None:
    """Weighted least squares with the weights of the residuals gives the same curve, also with sigma."""
    x, y, sigma = drawn()
    y[[3, 17]] += [30, -50]
    fit = regression.fit(x, y, 3, sigma, robust=kind)
    assert fit.scale is not None
    residual = (y - fit.predict(x).mean.numpy()) / sigma
    assert fit.scale == pytest.approx(np.median(abs(residual)) / 0.6745, rel=1e-9)
    u = abs(residual) / fit.scale
    weight = np.minimum(1, 1.345 / u) if kind == "huber" else np.maximum(1 - (u / 4.685) ** 2, 0) ** 2
    kept = weight > 0
    again = regression.fit(x[kept], y[kept], 3, weights=weight[kept] / sigma[kept] ** 2)
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", ["huber", "bisquare"])
def test_estimates_follow_the_unit_and_not_the_order(kind: Any) -> None:
    """A unit of y scales all, x far from 0 changes no error, and no order of the rows changes a bit."""
    x, y, _ = drawn()
    x = np.round(x, 3)
    fit = regression.fit(x, y, 2, robust=kind)
    scaled = regression.fit(x, 1024 * y, 2, robust=kind)
    np.testing.assert_allclose(scaled.params, 1024 * fit.params, rtol=1e-12)
    np.testing.assert_allclose(scaled.bse, 1024 * fit.bse, rtol=1e-12)  # type: ignore[operator]
    far = regression.fit(x + 2000, y, 2, robust=kind).predict(2001).mean_se
    assert float(far) == pytest.approx(float(fit.predict(1).mean_se), rel=1e-9)
    order = np.random.default_rng(1).permutation(len(x))
    again = json.loads(regression.fit(x[order], y[order], 2, robust=kind).to_json())
    assert again == json.loads(fit.to_json())


def test_the_distance_of_an_outlier_does_not_change_the_bisquare_estimate() -> None:
    """An outlier at 1e3 and one at 1e6 give the same estimate, which is near that without the point."""
    x, y, _ = drawn()
    fits = []
    for far in (1e3, 1e6):
        moved = y.copy()
        moved[5] += far
        fits.append(regression.fit(x, moved, robust="bisquare"))
    np.testing.assert_allclose(fits[0].params, fits[1].params, rtol=1e-9)
    least = regression.fit(np.delete(x, 5), np.delete(y, 5), robust="bisquare")
    assert abs(fits[0].params - least.params).max() < 0.2


def test_counts_and_constraints_hold_here_too() -> None:
    """A row with a count n counts as n rows, and the curve goes through a given point."""
    x, y, _ = drawn()
    counts = 1 + np.arange(len(x)) % 3
    rows = np.repeat(np.arange(len(x)), counts)
    fit = regression.fit(x, y, 2, counts=counts, robust="huber")
    assert fit.to_json() == regression.fit(x[rows], y[rows], 2, robust="huber").to_json()
    kept = regression.fit(x, y, 2, through=[(1, 3)], robust="huber").predict(1)
    assert (float(kept.mean), float(kept.mean_se)) == (3, pytest.approx(0, abs=1e-30))


def test_points_on_a_curve_leave_no_scale() -> None:
    """Where more than half of the points lie on the curve there is no scale, and a note says so."""
    fit = regression.fit([0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 60.0], robust="huber")
    assert (fit.scale, fit.bse) == (None, None)
    assert "more than half of the points lie on the curve" in fit.notes[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"robust": "tukey"}, "robust must be one of huber, bisquare, or null, got 'tukey'"),
        ({"robust": "huber", "degree": "auto"}, "robust has a scale and errors of its own"),
        ({"robust": "huber", "cov_type": "HC0"}, "robust has a scale and errors of its own"),
        ({"robust": "huber", "sigma": 1, "absolute_sigma": True}, "robust has a scale and errors of its own"),
    ],
)
def test_options_that_contradict_it_are_refused(options: dict[str, Any], said: str) -> None:
    """Unknown names, and options that contradict the estimated scale, are refused in one line."""
    with pytest.raises(regression.UsageError, match=said):
        regression.fit(*STACKLOSS, **options)


@pytest.mark.parametrize("sigma", [None, 1.0])
def test_an_m_estimate_has_no_scatter_for_new_observations(sigma: float | None) -> None:
    """Results that need that scatter are unknown, with a note or an error, whether the points have sigma or not."""
    x = np.arange(20.0)
    fit = regression.fit(x, 2 * x + np.random.default_rng(0).normal(size=20), sigma=sigma, robust="huber")
    why = "an M-estimate has no scatter for new observations, so leave replicates out"
    (place,) = found = fit.inverse(5, replicates=2, sigma=sigma)
    assert (place.se, found.notes) == (None, (f"errors are unknown: {why}",))
    assert fit.inverse(5)[0].se is not None
    with pytest.raises(regression.UsageError, match="detection limits need the scatter of an observation: an M-estim"):
        fit.detection_limits(sigma=sigma)
    assert "of an M-estimate" in fit.predict(5.0, sigma=sigma).notes[0]
