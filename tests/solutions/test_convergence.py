"""Standard errors, and the distance from the optimum in them: one rule for the report, the log and the notes."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch

from regression.common.points import Points
from regression.curves.polynomial import Polynomial
from regression.fits.build import FitOptions
from regression.fits.least_squares import LeastSquares
from regression.moments.passes import Passes
from regression.moments.scan import Range
from regression.solutions import convergence, standard_errors
from regression.solutions.convergence import is_converged

X = np.linspace(0.5, 3, 25)
Y = 1 + X**2 + np.random.default_rng(5).normal(size=25)
SIGMA = np.linspace(0.5, 2, 25)


def least_squares(x: np.ndarray, y: np.ndarray, sigma: np.ndarray | None, fit_intercept: bool = True) -> LeastSquares:
    """Return the optimum of degree 2."""
    points, found = Points(*(None if column is None else torch.from_numpy(column) for column in (x, y, sigma))), Range()
    found.add(points)
    squares = LeastSquares(Polynomial(2, fit_intercept=fit_intercept).double())
    squares.begin(found.frame(), omitted=0)
    squares.add(points)
    squares.solve(Passes.of(points))
    squares.prepare(False, torch.device("cpu"))
    return squares


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("absolute", [True, False])
def test_the_log_and_the_report_have_the_same_distance(fit_intercept: bool, absolute: bool) -> None:
    """The distance from the optimum, in statsmodels' standard errors, is right at an update and in the report."""
    squares = least_squares(X, Y, SIGMA, fit_intercept)
    design = np.vander(X, 3, increasing=True)[:, int(not fit_intercept) :]
    options = {"cov_type": "fixed scale"} if absolute else {}
    right = sm.WLS(Y, design, weights=SIGMA**-2).fit(**options)
    step = np.linspace(1, 3, design.shape[1]) * right.bse
    off = torch.from_numpy(right.params + step)
    squares.prepare(absolute, torch.device("cpu"))
    fit = squares.fit(off, FitOptions("Polynomial", absolute_sigma=absolute))
    assert (squares.distance(off), fit.opt_error_se) == (pytest.approx(3, rel=1e-9), pytest.approx(3, rel=1e-9))
    best = squares.fit(None, FitOptions("Polynomial", absolute_sigma=absolute))
    assert best.opt_error_se == 0
    np.testing.assert_allclose(best.bse, right.bse, rtol=1e-10)


@pytest.mark.parametrize(("distance", "converged"), [(0.0, True), (0.1, True), (0.1001, False), (5.0, False)])
def test_converged_means_the_same_everywhere(distance: float, converged: bool) -> None:
    """A fit counts as converged up to 0.1 standard errors, and the notes say so where it does not."""
    assert is_converged(distance) == converged
    squares = least_squares(X, Y, None)
    best = squares.fit(None, FitOptions("Polynomial"))
    assert best.bse is not None
    off = torch.tensor(best.params) + torch.tensor([0, 0, (distance - 1e-9) * best.bse[2]], dtype=torch.float64)
    fit = squares.fit(off, FitOptions("Polynomial", solver="gradient"))
    assert fit.opt_error_se == pytest.approx(distance, abs=1e-7)
    assert fit.converged is converged
    assert any(note.startswith("not converged") for note in fit.notes) is not converged


def test_errors_and_convergence_are_decided_in_one_place_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubling the errors doubles them in the report, and halves distances there and in the log; likewise the limit."""
    squares, options = least_squares(X, Y, None), FitOptions("Polynomial", solver="gradient")
    off = squares.coefficients() * 1.5
    before = squares.fit(off, options)
    assert before.converged is False
    assert before.bse is not None
    assert before.opt_error_se is not None
    root = standard_errors.root
    monkeypatch.setattr(standard_errors, "root", lambda value: 2 * root(value))
    monkeypatch.setattr(convergence, "CONVERGED_SE", 1e9)
    squares.prepare(False, torch.device("cpu"))
    after = squares.fit(off, options)
    assert after.bse.tolist() == (2 * before.bse).tolist()
    assert after.opt_error_se == before.opt_error_se / 2 == pytest.approx(squares.distance(off), rel=1e-12)
    assert after.converged is True
    assert not any(note.startswith("not converged") for note in after.notes)


@pytest.mark.parametrize(("rows", "y"), [(25, 1 + 2 * X), (3, X**3)])
def test_without_errors_there_is_no_distance(rows: int, y: np.ndarray) -> None:
    """Where residuals are rounding, or no point is left over, a distance in standard errors means nothing."""
    squares = least_squares(X[:rows], y[:rows], None)
    off = squares.coefficients() + 1
    fit = squares.fit(off, FitOptions("Polynomial"))
    assert (squares.distance(off), fit.opt_error_se, fit.converged) == (None, None, None)


NODES = np.cos(np.pi * (np.arange(24) + 0.5) / 24)  # where Chebyshev polynomials are orthogonal


@pytest.mark.parametrize(
    ("basis", "x", "is_best", "is_trace"),
    [("chebyshev", NODES, True, False), ("power", 3 * NODES, False, True), ("power", np.sign(NODES), False, True)],
    ids=["2 / (low + high), 2 K", "1.9 / high, the trace", "both are equal"],
)
def test_the_step_follows_from_the_hessian(basis: Any, x: np.ndarray, is_best: bool, is_trace: bool) -> None:
    """The step for all points is the best one or the safe one; that of mini-batches goes by the trace, or by 2 K."""
    points, found = Points(torch.from_numpy(x), torch.from_numpy(x**2)), Range()
    found.add(points)
    squares = LeastSquares(Polynomial(2, basis, domain=(-1, 1)).double())
    squares.begin(found.frame(), omitted=0)
    squares.add(points)
    squares.solve(Passes.of(points))
    functions = {"chebyshev": np.polynomial.chebyshev.chebvander, "power": np.polynomial.polynomial.polyvander}
    design = functions[basis](x, 2)
    hessian = 2 * design.T @ design / len(x)
    low, *_, high = np.linalg.eigvalsh(hessian)
    assert squares.safe_rate(False) == pytest.approx(2 / (low + high) if is_best else 1.9 / high, rel=1e-12)
    assert (2 / (low + high) < 1.9 / high) == is_best
    assert squares.safe_rate(True) == pytest.approx(1 / (np.trace(hessian) if is_trace else 6.0), rel=1e-12)
    assert (np.trace(hessian) > 6 - 1e-9) == is_trace
