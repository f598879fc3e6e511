"""The least-squares solution, its rank, and every degree at once."""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import regression
from regression.common.points import Points
from regression.estimation.refinement import refine, second_pass
from regression.estimation.solver import solve
from regression.moments.scan import ResidualSums
from regression.solutions.solution import Solution
from tests.moments.test_moments import frame_of, moments

Array = NDArray[np.float64]


def drawn(seed: int = 0, rows: int = 30) -> tuple[Array, Array, Array]:
    """Return x, y and sigma of a noisy curve."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-2, 5, rows)
    sigma = generator.uniform(0.5, 2, rows)
    return x, 1 - 2 * x + 0.3 * x**2 + sigma * generator.normal(size=rows), sigma


def solved(x: Array, y: Array, sigma: Array | None, degree: int, fit_intercept: bool = True) -> Solution:
    data = Points(*(torch.from_numpy(column) for column in (x, y) + (() if sigma is None else (sigma,))))
    return solve(moments(data, degree=degree), degree, fit_intercept)


def rational(x: Array, y: Array, sigma: Array, degree: int) -> list[Fraction]:
    """Return the weighted least-squares coefficients of the float64 points without any rounding."""
    points = [(Fraction(a), Fraction(b), 1 / Fraction(s) ** 2) for a, b, s in zip(x, y, sigma, strict=True)]
    size = range(degree + 1)
    rows = [
        [*(sum(w * a ** (i + j) for a, _, w in points) for j in size), sum(w * a**i * b for a, b, w in points)]
        for i in size
    ]
    for k in size:
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for i in size:
            if i != k:
                rows[i] = [value - rows[i][k] * part for value, part in zip(rows[i], rows[k], strict=True)]
    return [Fraction(row[-1]) for row in rows]


@pytest.mark.parametrize("degree", [0, 1, 4, 8])
def test_weighted_solution_is_that_of_rational_arithmetic(degree: int) -> None:
    """With sigma the coefficients are those of exact fractions, to the rounding of 1 / sigma."""
    x, y, sigma = drawn(1)
    right = [float(value) for value in rational(x, y, sigma, degree)]
    assert regression.fit(x, y, degree, sigma).params == pytest.approx(right, rel=1e-13, abs=0)


@pytest.mark.parametrize("degree", [0, 1, 4, 8, 12])
def test_unweighted_solution_is_correctly_rounded(degree: int) -> None:
    """Without sigma every coefficient is the float64 number next to that of exact fractions."""
    x, y, _ = drawn(2)
    right = [float(value) for value in rational(x, y, np.ones_like(x), degree)]
    assert list(regression.fit(x, y, degree).params) == right


@pytest.mark.parametrize("degree", [20, 40])
def test_high_degrees_are_found(degree: int) -> None:
    """On Chebyshev's points a curve of degree 20 or 40 is found again, as numpy's chebfit finds it."""
    x = np.cos(math.pi * (np.arange(100) + 0.5) / 100)
    y = np.exp(np.sin(9 * x))
    solution = solved(x, y, None, degree)
    data = Points(torch.from_numpy(x), torch.from_numpy(y))
    frame = frame_of(data)
    u = (x - frame.center) / float(frame.scale)
    right = np.polynomial.chebyshev.chebfit(u, y, degree)
    assert solution.rank == degree + 1
    np.testing.assert_allclose(list(map(float, solution.coefficients)), right, rtol=1e-10, atol=1e-12)


def test_every_degree_comes_from_one_factorization() -> None:
    """The sums of squares by degree are those of numpy's fits of each degree, and the last is the solution's own."""
    x, y, sigma = drawn(3)
    solution = solved(x, y, sigma, 6)
    for degree, found in enumerate(solution.ssr_by_degree):
        residuals = (y - np.polynomial.Polynomial.fit(x, y, degree, w=1 / sigma)(x)) / sigma
        assert float(found) == pytest.approx(float(residuals @ residuals), rel=1e-11, abs=0)
        assert float(found) == pytest.approx(float(solved(x, y, sigma, degree).ssr), rel=1e-14, abs=0)
    assert solution.ssr_by_degree[-1] == solution.ssr


def test_moments_of_a_higher_degree_give_the_same_fit() -> None:
    """Moments up to degree 6 give the coefficients of degree 2 that moments up to degree 2 give, to 26 digits."""
    x, y, _ = drawn(4)
    data = Points(torch.from_numpy(x), torch.from_numpy(y))
    high, low = solve(moments(data, degree=6), 2), solved(x, y, None, 2)
    assert high.rank == low.rank == 3
    for found, right in zip(
        [*high.coefficients, high.ssr, high.tss], [*low.coefficients, low.ssr, low.tss], strict=True
    ):
        assert abs(found - right) <= Decimal("1e-26") * abs(right)


def test_squares_at_other_coefficients() -> None:
    """``ssr_at`` gives the residuals' sum of squares of any curve; at the optimum the solution's own."""
    x, y, sigma = drawn(5)
    data = Points(*map(torch.from_numpy, (x, y, sigma)))
    frame = frame_of(data)
    curve = [1.5, -2.25, 0.125]
    u = (x - frame.center) / float(frame.scale)
    residuals = (y - np.polynomial.chebyshev.chebval(u, curve)) / sigma
    solution = solve(moments(data, frame, 2), 2)
    found = solution.ssr_at([Decimal(c) for c in curve])
    assert float(found) == pytest.approx(float(residuals @ residuals), rel=1e-13, abs=0)
    assert solution.ssr_at(solution.coefficients) == solution.ssr


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_rounding_is_a_share_of_the_squares_of_y(fit_intercept: bool) -> None:
    """``rounding`` is 1e-32 of ``Σ w y²``, by the sums and by a second pass, also if y is far from 0."""
    x, y, sigma = drawn(9)
    points = Points(*map(torch.from_numpy, (x, 1e3 + np.exp(2 * y), sigma)))
    first = solve(moments(points, frame_of(points), 2), 2, fit_intercept)
    request = second_pass(first)
    sums = ResidualSums(request)
    sums.add(points)
    right = 1e-32 * float(((points.y / points.sigma) ** 2).sum())  # type: ignore[operator]
    for solution in (first, refine(first, request, sums.values())):
        assert float(solution.rounding) == pytest.approx(right, rel=1e-12, abs=0)


def test_condition_is_that_of_the_design_matrix() -> None:
    """The condition is numpy's 2-norm condition of the scaled Chebyshev design in mapped x, or up to K times more."""
    x, y, _ = drawn(6)
    for degree in (1, 3, 7):
        solution = solved(x, y, None, degree)
        t = np.polynomial.polyutils.mapdomain(x, (x.min(), x.max()), (-1, 1))
        design = np.polynomial.chebyshev.chebvander(t, degree)
        right = np.linalg.cond(design / np.linalg.norm(design, axis=0))
        assert solution.condition is not None
        assert right * (1 - 1e-9) <= solution.condition <= right * (degree + 1)


REPEATED = np.array([0.0, 1, 2, 2, 1, 0, 1])
FEW: dict[str, tuple[Array, Array, int, int]] = {
    "one x": (np.full(5, 3.0), np.array([1.0, 2, 4, 8, 16]), 2, 1),
    "one x, at 0": (np.zeros(4), np.array([1.0, 2, 4, 8]), 3, 1),
    "one point": (np.array([2.5]), np.array([-1.0]), 2, 1),
    "fewer points than coefficients": (np.array([-1.0, 0.5, 2]), np.array([1.0, 3, -2]), 4, 3),
    "repeated x": (REPEATED, np.arange(7.0), 5, 3),
    "repeated x far away": (REPEATED + 10, np.arange(7.0) ** 2, 4, 3),
}


@pytest.mark.parametrize("name", list(FEW))
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_undetermined_coefficients_are_those_of_least_norm(name: str, fit_intercept: bool) -> None:
    """With too few distinct x the coefficients are numpy's of least norm, with their rank and a warning."""
    x, y, degree, rank = FEW[name]
    design = np.vander(x, degree + 1, increasing=True)[:, int(not fit_intercept) :]
    right, _, right_rank, _ = np.linalg.lstsq(design, y, rcond=None)
    rank -= int(not fit_intercept and 0 in x)  # the curve passes through the origin anyway
    assert right_rank == rank
    with pytest.warns(
        regression.UndeterminedWarning, match=rf"the points fix {rank} of {design.shape[1]} coefficients"
    ):
        fit = regression.fit(x, y, degree, fit_intercept=fit_intercept)
    assert fit.rank == rank
    assert fit.params == pytest.approx(right.tolist(), rel=1e-10, abs=1e-12)
    assert (fit.bse, fit.conf_int, fit.cov_params, fit.condition_number) == (None, None, None, None)
    residuals = y - design @ right
    assert fit.ssr == pytest.approx(float(residuals @ residuals), rel=1e-10, abs=1e-20)


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e6])
def test_close_x_are_told_apart(shift: float) -> None:
    """Distinct x determine their coefficients, also where they differ in the seventh digit only."""
    x, y = np.array([1.0, 2, 3, 5, 8]) + shift, np.array([1.0, 0, 2, 1, 5])
    fit = regression.fit(x, y, 3)
    assert fit.rank == 4
    assert list(fit.params) == [float(value) for value in rational(x, y, np.ones(5), 3)]


def test_clustered_x_are_told_apart() -> None:
    """Pairs of x that differ by 1e-8 of their range still determine a cubic, as in exact fractions."""
    x, y = np.array([0.0, 1e-8, 1.0, 1.0 + 1e-8]), np.array([1.0, 2, 3, 4])
    fit = regression.fit(x, y, 3)
    assert fit.rank == 4
    assert fit.params == pytest.approx([float(value) for value in rational(x, y, np.ones(4), 3)], rel=1e-9)


TRANSFORMS: dict[str, Callable[[Array, Array], tuple[Array, Array]]] = {
    "permute": lambda x, y: (x[::-1].copy(), y[::-1].copy()),
    "duplicate": lambda x, y: (np.repeat(x, 2), np.repeat(y, 2)),
    "scale x": lambda x, y: (x * 1024, y),
    "scale y": lambda x, y: (x, y * 2.0**-30),
}
FACTORS: dict[str, Array] = {
    "permute": np.ones(4), "duplicate": np.ones(4), "scale x": 1024.0 ** -np.arange(4), "scale y": np.full(4, 2.0**-30),
}  # fmt: skip


@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_transformed_points_transform_the_coefficients(name: str) -> None:
    """Permuted and duplicated points leave every bit as it is, and powers of two scale exactly."""
    x, y, _ = drawn(7)
    before, after = regression.fit(x, y, 3), regression.fit(*TRANSFORMS[name](x, y), 3)
    assert list(after.params) == (np.array(before.params) * FACTORS[name]).tolist()


def test_shifted_points_shift_the_curve() -> None:
    """Points moved along x by a power of two give the curve moved along x."""
    x, y, _ = drawn(8)
    x = np.round(x * 2**20) / 2**20  # so that the shift loses no digit
    before, after = regression.fit(x, y, 3), regression.fit(x + 64, y, 3)
    moved = np.polynomial.Polynomial(after.params)(np.polynomial.Polynomial([64.0, 1.0]))
    assert moved.coef == pytest.approx(before.params, rel=1e-9)
    assert (after.ssr, after.rsquared) == pytest.approx((before.ssr, before.rsquared), rel=1e-14, abs=0)
    assert after.bse is not None
    assert before.bse is not None
    assert after.bse[-1] == pytest.approx(before.bse[-1], rel=1e-14, abs=0)


@pytest.mark.parametrize("high", [8.5, 10.0, 16.0, 1 / 3])
def test_rank_does_not_depend_on_the_unit_of_x(high: float) -> None:
    """Even points determine 51 coefficients, with one condition, over any range of x, and are met closely."""
    x = np.linspace(0, high, 101)
    y = np.sin(10 * x / high) + 0.1 * x
    fit = regression.fit(x, y, degree=50)
    assert fit.rank == 51
    assert fit.condition_number == pytest.approx(10500.0356, rel=1e-7)
    np.testing.assert_allclose(fit.predict(x).mean.numpy(), y, rtol=0, atol=1e-14)
