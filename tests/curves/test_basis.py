"""Design matrices and polynomials against numpy."""

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev, hermite, legendre
from numpy.polynomial import polynomial as numpy_polynomial

from regression import Line, Polynomial, PolynomialRegression, UsageError
from regression.common.points import Points
from regression.curves.basis import RECURRENCES, design, polynomial
from regression.fits.build import FitOptions
from regression.fits.least_squares import LeastSquares
from regression.moments.passes import Passes
from regression.moments.scan import Range

VANDERS = {
    "power": numpy_polynomial.polyvander,
    "chebyshev": chebyshev.chebvander,
    "legendre": legendre.legvander,
    "hermite": hermite.hermvander,
}


@pytest.fixture
def with_hermite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a row to the table of bases: Hermite's polynomials, ``H_{k+1} = 2 t H_k − 2 k H_{k-1}``."""
    monkeypatch.setitem(RECURRENCES, "hermite", lambda k: (2, 2 * k, 1))


@pytest.mark.usefixtures("with_hermite")
@pytest.mark.parametrize("basis", list(VANDERS))
@pytest.mark.parametrize("degree", [0, 1, 4, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_design_is_numpys(basis: str, degree: int, dtype: torch.dtype) -> None:
    """The design matrix is numpy's Vandermonde matrix, also of a basis added to the table, in the dtype of t."""
    t = torch.linspace(-1, 1, 9, dtype=dtype)
    matrix, right = design(t, degree, basis), VANDERS[basis](t.double().numpy(), degree)
    assert matrix.dtype == dtype
    scale = np.abs(right).max(axis=0)
    assert (np.abs(matrix.double().numpy() - right) <= 8 * (degree + 1) * torch.finfo(dtype).eps * scale).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_powers_far_from_1_are_rounded_once(dtype: torch.dtype) -> None:
    """Each power is numpy's of float64 numbers, rounded to the dtype of x."""
    x = torch.linspace(-20, 30, 7, dtype=dtype)
    right = torch.from_numpy(numpy_polynomial.polyvander(x.double().numpy(), 9)).to(dtype)
    torch.testing.assert_close(design(x, 9), right, rtol=torch.finfo(torch.float64).eps * 9, atol=0)


@pytest.mark.usefixtures("with_hermite")
@pytest.mark.parametrize("basis", list(VANDERS))
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_basis_needs_only_a_row_of_the_table(basis: str, fit_intercept: bool) -> None:
    """Each basis of the table gives the least-squares fit, and its own coefficients give the same curve."""
    x = np.linspace(-3, 7, 40)
    y = np.sin(x)
    points, found = Points(torch.from_numpy(x), torch.from_numpy(y)), Range()
    found.add(points)
    model = Polynomial(3, basis, (-3.0, 7.0), fit_intercept).double()
    squares = LeastSquares(model)
    squares.begin(found.frame(), omitted=0)
    squares.add(points)
    squares.solve(Passes.of(points))
    design = np.vander(x, 4, increasing=True)[:, int(not fit_intercept) :]
    right = np.linalg.lstsq(design, y, rcond=None)[0]
    fit = squares.fit(None, FitOptions("Polynomial"))
    np.testing.assert_allclose(fit.params, right, rtol=1e-11)
    with torch.no_grad():
        model.coefficients.copy_(squares.coefficients())
        np.testing.assert_allclose(model(points.x), design @ right, rtol=0, atol=1e-13)
    squares.prepare(absolute_sigma=False, device=torch.device("cpu"))
    np.testing.assert_allclose(squares.params(squares.coefficients()), right, rtol=1e-11)


def test_unknown_bases_are_refused() -> None:
    """A basis that is not in the table is refused by models and by functions."""
    for refused in (
        lambda: Polynomial(2, "hermite"),
        lambda: PolynomialRegression(2, basis="Legendre"),
        lambda: design(torch.zeros(3), 2, "legendere"),
    ):
        with pytest.raises(UsageError, match=r"basis must be one of power, chebyshev, legendre, got '\w+'"):
            refused()
    assert Line().basis in RECURRENCES


def test_design_of_no_points_has_its_columns() -> None:
    """The matrix of no points, as on a device without rows, has all columns."""
    assert design(torch.zeros(0), 3).shape == (0, 4)


def test_polynomial_is_numpys() -> None:
    """Horner's rule in float64 gives numpy's polyval."""
    params, x = [0.5, -2.0, 0.0, 3.25], torch.linspace(-2, 3, 11)
    np.testing.assert_allclose(polynomial(params, x), numpy_polynomial.polyval(x.double().numpy(), params), rtol=1e-14)
