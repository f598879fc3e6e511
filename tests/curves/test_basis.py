"""Design matrices and polynomials against numpy."""

import numpy as np
import pytest
import torch
from numpy.polynomial import polynomial as numpy_polynomial

from regression.curves.basis import design, polynomial


@pytest.mark.parametrize("degree", [0, 1, 4, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_design_is_numpys(degree: int, dtype: torch.dtype) -> None:
    """The design matrix is numpy's polyvander, in the dtype of x."""
    x = torch.linspace(-2, 3, 7, dtype=dtype)
    matrix = design(x, degree)
    assert matrix.dtype == dtype
    np.testing.assert_allclose(
        matrix, numpy_polynomial.polyvander(x.double().numpy(), degree), rtol=8 * torch.finfo(dtype).eps
    )


def test_design_of_no_points_has_its_columns() -> None:
    """A device without rows has a matrix of no rows and all columns."""
    assert design(torch.zeros(0), 3).shape == (0, 4)


def test_polynomial_is_numpys() -> None:
    """Horner's rule in float64 gives numpy's polyval."""
    params, x = [0.5, -2.0, 0.0, 3.25], torch.linspace(-2, 3, 11)
    np.testing.assert_allclose(polynomial(params, x), numpy_polynomial.polyval(x.double().numpy(), params), rtol=1e-14)
