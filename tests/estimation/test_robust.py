"""Fits by Huber's loss: optimum, errors and what is unknown, against statsmodels and simulation."""

import math
import re

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy import integrate, stats

from regression.common.points import Points
from regression.curves.polynomial import Polynomial
from regression.fits.build import FitOptions
from regression.fits.least_squares import LeastSquares
from regression.moments.passes import Passes
from regression.moments.scan import Range
from regression.solutions.optimum import Optimum

RNG = np.random.default_rng(7)
X = np.linspace(-1, 2, 40)
Y = 3 - X + 0.5 * X**2 + 0.3 * RNG.standard_t(2, 40)
SIGMA = np.linspace(0.5, 2, 40)
HUBER = FitOptions("Polynomial", solver="gradient", loss_name="HuberLoss")


def searched(
    x: np.ndarray, y: np.ndarray, threshold: float | None, sigma: np.ndarray | None = None, degree: int = 2,
    loss: str = "HuberLoss", absolute: bool = False,
) -> LeastSquares:  # fmt: skip
    """Return the fit of points whose optimum by a loss has been found."""
    points, found = Points(*(None if c is None else torch.from_numpy(c) for c in (x, y, sigma))), Range()  # type: ignore[arg-type]
    found.add(points)
    squares = LeastSquares(Polynomial(degree).double())
    squares.begin(found.frame(), omitted=0)
    squares.add(points)
    squares.solve(Passes.of(points))
    squares.find_optimum(loss, threshold, absolute, lambda work: work(points))
    squares.prepare(absolute, torch.device("cpu"))
    return squares


def huber(x: np.ndarray, y: np.ndarray, threshold: float, sigma: np.ndarray | float = 1.0, degree: int = 2) -> sm.RLM:
    """Return statsmodels' fit, whose scale is that of its first step, so that δ is given in units of it."""
    design = np.vander(x, degree + 1, increasing=True) / np.reshape(sigma, (-1, 1))
    first = sm.OLS(y / sigma, design).fit()
    scale = sm.robust.mad(first.resid, center=0)
    model = sm.RLM(y / sigma, design, M=sm.robust.norms.HuberT(threshold / scale))
    return model.fit(update_scale=False, maxiter=5000, tol=1e-14, conv="coefs")


@pytest.mark.parametrize("threshold", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("sigma", [None, SIGMA])
def test_huber_is_that_of_statsmodels(threshold: float, sigma: np.ndarray | None) -> None:
    """Coefficients, standard errors and their covariance are those of RLM with a fixed scale."""
    right = huber(X, Y, threshold, 1.0 if sigma is None else sigma)
    squares = searched(X, Y, threshold, sigma)
    fit = squares.fit(torch.from_numpy(right.params), HUBER)
    assert fit.opt_error_se == pytest.approx(0, abs=1e-6)
    assert squares.distance(torch.from_numpy(right.params)) == pytest.approx(0, abs=1e-6)
    assert fit.converged is True
    np.testing.assert_allclose(fit.bse, right.bse, rtol=1e-6)
    np.testing.assert_allclose(fit.cov_params, right.bcov_scaled, rtol=1e-6, atol=1e-12)
    off = right.params + 3 * right.bse
    assert squares.distance(torch.from_numpy(off)) == pytest.approx(3, rel=1e-4)


def test_absolute_sigma_has_the_errors_of_normal_points() -> None:
    """With absolute sigma errors are those of squares times √(E ψ²) / E ψ' of a standard normal error."""
    threshold = 0.7
    squares = searched(X, Y, threshold, SIGMA, absolute=True)
    fit = squares.fit(torch.zeros(3), FitOptions("Polynomial", loss_name="HuberLoss", absolute_sigma=True))
    clipped = integrate.quad(lambda r: min(abs(r), threshold) ** 2 * stats.norm.pdf(r), -12, 12, points=[-0.7, 0.7])[0]
    inside = stats.norm.cdf(threshold) - stats.norm.cdf(-threshold)
    design = np.vander(X, 3, increasing=True) / SIGMA[:, None]
    right = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * clipped) / inside
    np.testing.assert_allclose(fit.bse, right, rtol=1e-7)
    prediction = fit.predict([0.5], sigma=[2.0])
    half = (prediction.obs_ci_upper - prediction.obs_ci_lower) / 2
    assert float(half) == pytest.approx(stats.norm.ppf(0.975) * math.hypot(2, float(prediction.mean_se)), rel=1e-9)


@pytest.mark.parametrize(("sets", "tolerance"), [(60, 0.2), pytest.param(200, 0.1, marks=pytest.mark.slow)])
def test_errors_are_those_of_fits_to_other_points(sets: int, tolerance: float) -> None:
    """The slopes of many sets of points with outliers scatter by their standard errors, within a tolerance."""
    x = np.linspace(-1, 1, 100)
    slopes, errors = [], []
    for seed in range(sets):
        y = x + 0.1 * np.random.default_rng(seed).standard_t(2, 100)
        squares = searched(x, y, 0.15, degree=1)
        fit = squares.fit(torch.zeros(2), HUBER)
        optimum = squares.state()["optimum"]["coefficients"]
        slopes.append(float(optimum[1]))
        errors.append(fit.bse[1])
    assert np.std(slopes) == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=tolerance)


def test_outliers_leave_prediction_bands_unknown() -> None:
    """If points lie beyond the threshold, σ, criteria and prediction bands are unknown, and notes say why."""
    fit = searched(X, Y, 0.3).fit(torch.zeros(3), HUBER)
    assert (fit.sigma, fit.aic, fit.aicc, fit.bic) == (None, None, None, None)
    prediction = fit.predict(X)
    assert prediction.obs_ci_lower.isnan().all()
    assert prediction.mean_ci_lower.isfinite().all()
    assert any("13 of 40 points beyond its threshold" in note for note in fit.notes)
    assert any(note.startswith("residual σ and prediction bands are unknown") for note in fit.notes)
    assert any(f"{fit.opt_error_se:.2g} standard errors from the optimum of HuberLoss" in note for note in fit.notes)
    assert not any("solver exact" in note for note in fit.notes)


def test_without_outliers_it_is_least_squares() -> None:
    """With every residual within the threshold the fit has all the numbers of squares, σ and bands among them."""
    squares = searched(X, Y, 100.0)
    right = sm.OLS(Y, np.vander(X, 3, increasing=True)).fit()
    fit = squares.fit(squares.coefficients(), HUBER)
    assert fit.converged is True
    assert fit.sigma == pytest.approx(np.sqrt(right.scale), rel=1e-12)
    np.testing.assert_allclose(fit.bse, right.bse, rtol=1e-10)
    assert not any("HuberLoss" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("loss", "threshold", "reason"),
    [
        ("L1Loss", None, "it would take the density of the residuals at 0"),
        ("PoissonNLLLoss", None, "no formula for it"),
        ("HuberLoss", 1e-12, "did not find it|too few points lie within its threshold"),
    ],
)
def test_what_is_unknown_is_null_with_a_reason(loss: str, threshold: float | None, reason: str) -> None:
    """Errors, bands and converged of a loss whose optimum is unknown are null, and a note says why."""
    y = 1 + X * X + 0.1 * np.sin(1000 * X)
    squares = searched(X, y, threshold, loss=loss)
    fit = squares.fit(squares.coefficients(), FitOptions("Polynomial", solver="gradient", loss_name=loss))
    assert (fit.bse, fit.cov_params, fit.conf_int, fit.opt_error_se, fit.converged) == (None,) * 5
    assert squares.distance(squares.coefficients()) is None
    assert fit.predict(X).mean_se.isnan().all()
    (note,) = (note for note in fit.notes if note.startswith(f"the optimum of {loss} is unknown"))
    assert re.search(reason, note)


def test_any_unit_of_y_gives_the_same() -> None:
    """Values and threshold times 1e-100 or 1e100 give errors times that, and the same distance."""
    plain = searched(X, Y, 0.3).fit(torch.zeros(3), HUBER)
    for unit in (1e-100, 1e100):
        fit = searched(X, Y * unit, 0.3 * unit).fit(torch.zeros(3), HUBER)
        np.testing.assert_allclose(np.array(fit.bse) / unit, plain.bse, rtol=1e-9)
        assert fit.opt_error_se == pytest.approx(plain.opt_error_se, rel=1e-9)


def test_a_checkpoint_keeps_the_optimum() -> None:
    """From the state of a checkpoint comes the same fit; without an optimum, as of 0.1, errors are unknown."""
    squares, zeros = searched(X, Y, 0.3), torch.zeros(3)
    again, old = LeastSquares(Polynomial(2).double()), LeastSquares(Polynomial(2).double())
    state = squares.state()
    again.restore(state)
    assert again.fit(zeros, HUBER) == squares.fit(zeros, HUBER)
    state["optimum"] = Optimum(None, None, "HuberLoss", reason="it is not in this checkpoint").state()
    old.restore(state)
    fit = old.fit(zeros, HUBER)
    assert (fit.bse, fit.converged) == (None, None)
    assert any("it is not in this checkpoint" in note for note in fit.notes)
