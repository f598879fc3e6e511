"""Slopes, areas, roots and extrema of a fitted curve: the numbers of R, and of numpy's polynomials."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from numpy.polynomial import Polynomial as Reference
from scipy import stats

import regression
from regression.inference.places import Places
from tests.fits.test_result import AT, ours
from tests.support.r_data import CARS, WOMEN


def delta(fit: regression.Fit, gradient: Any) -> Any:
    """Return the standard error of a linear function of the coefficients, from their covariance."""
    return np.sqrt(np.einsum("...i,ij,...j", gradient, np.array(fit.cov_params), gradient))


def test_answers_are_those_of_r() -> None:
    """Vertex, its height, a slope and an area of a parabola, and their errors, are those of R's ``deltaMethod``."""
    fit = regression.fit(*WOMEN, 2)
    (vertex,) = fit.extrema()
    assert vertex[:2] == pytest.approx((44.232879377430557, 1.5013618463934797), rel=1e-9)
    assert vertex[4:] == ("minimum", True)
    height = fit.predict(vertex.x)
    assert (height.mean, height.mean_se) == pytest.approx((99.359522355931659, 2.5148171259800502), rel=1e-9)
    slope = fit.derivative(65)
    assert (slope.value, slope.se) == pytest.approx((3.4500000000000197, 0.022952273887279533), rel=1e-9)
    area = fit.integral(60, 70)
    assert area[:2] == pytest.approx((1358.7500538677, 1.1684043693169373), rel=1e-9)
    factor = stats.t.ppf(0.975, 12)
    for found in (slope, area):
        assert float(found.ci_lower) == pytest.approx(float(found.value - factor * found.se), rel=1e-12)
        assert float(found.ci_upper) == pytest.approx(float(found.value + factor * found.se), rel=1e-12)
    assert vertex.ci_upper == pytest.approx(vertex.x + factor * 1.5013618463934797, rel=1e-9)


@pytest.mark.parametrize(("fit_intercept", "weighted", "absolute"), [(True, False, False), (False, True, True)])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 7])
def test_derivatives_of_any_order(fit_intercept: bool, weighted: bool, absolute: bool, order: int) -> None:
    """Each derivative and its error follow from coefficients and covariance, and beyond the degree both are 0."""
    fit = ours(4, fit_intercept, weighted, absolute)
    skipped = int(not fit_intercept)
    own = Reference([0] * skipped + list(fit.params)).deriv(order)
    units = np.eye(5)[skipped:]
    gradient = np.stack([Reference(unit).deriv(order)(AT) for unit in units], axis=-1)
    found = fit.derivative(torch.from_numpy(AT).reshape(-1, 1), order, level=0.5)
    np.testing.assert_allclose(found.value[:, 0], own(AT), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.se[:, 0], delta(fit, gradient), rtol=1e-7, atol=1e-12)
    factor = stats.norm.ppf(0.75) if absolute else stats.t.ppf(0.75, fit.df_resid)
    np.testing.assert_allclose(found.ci_upper - found.value, factor * found.se, rtol=1e-9, atol=1e-12)


def test_areas_add_up() -> None:
    """An integral changes its sign with its ends, parts add up, and its error is that of the covariance."""
    fit = ours(3, True, True)
    whole, back = fit.integral(-1.5, 2), fit.integral(2, -1.5)
    assert (whole.value, whole.se) == (-back.value, back.se)
    assert whole.value == pytest.approx(fit.integral(-1.5, 0.3).value + fit.integral(0.3, 2).value, rel=1e-14)
    assert fit.integral(1, 1)[:2] == (0, 0)
    antiderivatives = [Reference(unit).integ() for unit in np.eye(4)]
    gradient = np.array([whole_of(2) - whole_of(-1.5) for whole_of in antiderivatives])
    assert whole[:2] == pytest.approx((gradient @ fit.params, delta(fit, gradient)), rel=1e-9)


def test_roots_and_extrema_are_those_of_numpy() -> None:
    """All real roots and extrema are found, within the points and beyond, with errors of the delta method."""
    fit = ours(4, True, False)
    own = Reference(fit.params)
    for level in (-4.0, 0.0, 3.0):
        right = (own - level).roots()
        right = np.sort(right[abs(right.imag) < 1e-9].real)
        found = fit.roots(level)
        np.testing.assert_allclose([place.x for place in found], right, rtol=1e-9)
        errors = delta(fit, np.vander(right, 5, increasing=True)) / abs(own.deriv()(right))
        np.testing.assert_allclose([place.se for place in found], errors, rtol=1e-6)
        assert [place.kind for place in found] == ["rising" if s > 0 else "falling" for s in own.deriv()(right)]
        assert [place.extrapolated for place in found] == [not fit.x_range[0] <= x <= fit.x_range[1] for x in right]
    turns = own.deriv().roots()
    turns = np.sort(turns[abs(turns.imag) < 1e-9].real)
    extrema = fit.extrema()
    np.testing.assert_allclose([place.x for place in extrema], turns, rtol=1e-9)
    kinds = ["minimum" if bend > 0 else "maximum" for bend in own.deriv(2)(turns)]
    assert [place.kind for place in extrema] == kinds


@pytest.mark.parametrize("degree", [12, 30])
def test_all_roots_of_a_high_degree(degree: int) -> None:
    """A Chebyshev polynomial, at x far from 0, has all its roots and turning points, to the last digits."""
    u = np.linspace(-1, 1, 200)
    fit = regression.fit(2000 + 8 * u, np.polynomial.Chebyshev.basis(degree)(u), degree)
    right = 2000 + 8 * np.sort(np.cos((np.arange(degree) + 0.5) * math.pi / degree))
    np.testing.assert_allclose([place.x for place in fit.roots()], right, rtol=0, atol=1e-9)
    turns = 2000 + 8 * np.sort(np.cos(np.arange(1, degree) * math.pi / degree))
    np.testing.assert_allclose([place.x for place in fit.extrema()], turns, rtol=0, atol=1e-9)


X = np.arange(-3.0, 4)


@pytest.mark.parametrize(
    ("places", "count", "said"),
    [
        (lambda: regression.fit(*WOMEN, 2).roots(3), 0, "the curve does not reach 3 at any x"),
        (lambda: regression.fit(*CARS).extrema(), 0, "the curve has no extremum at any x"),
        (lambda: regression.fit(X, 0 * X + 2, 2).extrema(), 0, "the curve is constant: it has no extremum"),
        (lambda: regression.fit(X, 0 * X + 2, 0).roots(2), 0, "the curve is 2 at every x"),
        (lambda: regression.fit(X, X**2, 2).roots(), 1, "touches 0 at x = .* without crossing: there is no error"),
        (lambda: regression.fit(X, X**3, 3).extrema(), 1, "flat at x = .*, which is no extremum"),
        (lambda: regression.fit([1, 2], [1, 3]).roots(), 1, "errors are unknown"),
        (lambda: regression.fit(X, X + (-1.0) ** X * 9).roots(), 1, "the slope at x = .* may be 0"),
        (lambda: regression.fit(X, X**2 / 9 + (-1.0) ** X * 9, 2).extrema(), 1, "the curvature at x = .* may be 0"),
    ],
)
def test_what_is_not_plain_is_said(places: Any, count: int, said: str) -> None:
    """No root, a double root, a flat point, unknown errors and a slope that may be 0 are said in words."""
    found: Places = places()
    assert len(found) == count
    (note,) = found.notes
    assert re.search(said, note)
    assert all(place.se is None for place in found) or "may be 0" in note
    assert f"note: {note}" in str(found)


def test_places_are_said_in_words() -> None:
    """A place is printed with its error, its interval and what the curve does there."""
    found = str(regression.fit(*WOMEN, 2).extrema())
    assert found == "x = 44.232879 ± 1.5 [40.961693, 47.504066] minimum extrapolated"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda fit: fit.derivative(1, 0), "order must be a whole number of at least 1, got 0"),
        (lambda fit: fit.derivative(1, 1.5), "order must be a whole number"),
        (lambda fit: fit.derivative(1, level=1.0), "level must be between 0 and 1, got 1"),
        (lambda fit: fit.derivative([[1, 2]]), "x must be a number or of shape"),
        (lambda fit: fit.integral(0, math.inf), "b must be a finite number, got inf"),
        (lambda fit: fit.integral([0, 1], 2), r"a must be a finite number, got \[0, 1\]"),
        (lambda fit: fit.roots(math.nan), "level must be a finite number, got nan"),
        (lambda fit: fit.inverse("a"), "y0 must hold real numbers"),
        (lambda fit: fit.inverse(1, 0), "replicates must be a whole number of at least 1, got 0"),
        (lambda fit: fit.inverse(1, True), "replicates must be a whole number of at least 1, got True"),
        (lambda fit: fit.inverse(1, 1, sigma=-1), "sigma must be positive, got -1"),
        (lambda fit: fit.predict(1, level=0, simultaneous=True), "level must be between 0 and 1, got 0"),
    ],
)
def test_bad_questions_are_refused(asked: Any, said: str) -> None:
    """A question that has no answer is refused in a line that says what was expected."""
    with pytest.raises(regression.UsageError, match=said):
        asked(regression.fit(*CARS))


def test_numbers_of_numpy_are_options_too() -> None:
    """Orders, numbers of replicates and levels may be numbers of numpy."""
    fit = regression.fit(*WOMEN)
    assert fit.derivative(65, np.int64(1)) == fit.derivative(65, 1)
    assert fit.inverse(130, np.int32(3), np.float64(0.9)) == fit.inverse(130, 3, 0.9)
    assert fit.detection_limits(np.float64(0.05), np.int64(3), np.int64(2)) == fit.detection_limits(0.05, 3, 2)


def test_answers_come_from_a_file_too() -> None:
    """A fit that was read from its JSON gives the same bits."""
    fit = regression.fit(*WOMEN, 2)
    read = regression.Fit.from_json(fit.to_json())
    assert read.extrema() == fit.extrema()
    assert read.integral(60, 70) == fit.integral(60, 70)
    assert read.inverse(130, 1) == fit.inverse(130, 1)
    assert read.derivative(65) == fit.derivative(65)


@pytest.mark.parametrize(("low", "reach"), [(2.0**11, 2.0**-3), (0.0, 2.0**-900), (2.0**500, 2.0**460)])
def test_answers_scale_and_shift_with_the_points(low: float, reach: float) -> None:
    """Slopes, areas and places are those of the same points in another unit, as far as float64 can show them."""
    u = np.linspace(0, 1, 9)
    y = np.sin(3 * u) + 0.1 * np.cos(40 * u)
    plain, moved = regression.fit(u, y, 2), regression.fit(low + reach * u, y, 2)
    (own,), (other,) = plain.extrema(), moved.extrema()
    step = math.ulp(low) / reach
    assert other.x is not None
    assert (other.x - low) / reach == pytest.approx(own.x, rel=1e-13, abs=step)
    assert other.se == pytest.approx((own.se or 0) * reach, rel=1e-9, abs=0)
    slope, moved_slope = plain.derivative(0.25), moved.derivative(low + reach / 4)
    assert float(moved_slope.se * reach) == pytest.approx(float(slope.se), rel=1e-9)
    area, moved_area = plain.integral(0, 1), moved.integral(low, low + reach)
    assert moved_area[:2] == pytest.approx((area.value * reach, area.se * reach), rel=1e-9, abs=0)
