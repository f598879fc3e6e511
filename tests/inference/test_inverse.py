"""Calibration: x from y by Fieller's method, limits of detection, and bands for the whole curve."""

import math
import re
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

import regression
from tests.support.r_data import CARS, WOMEN

# Massart et al. (1997), chapter 8, example 7; errors and half-widths as chemCal of R has them.
CALIBRATION = np.arange(0, 60, 10.0), np.array([4, 21.2, 44.6, 61.8, 78, 105.2])


def test_intervals_are_those_of_fieller() -> None:
    """Of a line the intervals are those that R computes by Fieller's formula, of the mean and of one observation."""
    fit = regression.fit(*CARS)
    (mean,), (one,) = fit.inverse(50), fit.inverse(50, replicates=1)
    assert mean.x == one.x == pytest.approx(17.185165385900433, rel=1e-9)
    assert mean[2:4] == pytest.approx((16.064173887463284, 18.474922711541435), rel=1e-9)
    assert one[2:4] == pytest.approx((9.1325092494824034, 25.406587349522315), rel=1e-9)
    assert (mean.kind, mean.extrapolated) == ("rising", False)


@pytest.mark.parametrize(
    ("y", "replicates", "x", "se"),
    [(15, 1, 6.093810, 1.767278), (90, 1, 43.93983, 1.767747), (90, 5, 43.93983, 1.141204)],
)
def test_errors_are_those_of_chemcal(y: float, replicates: int, x: float, se: float) -> None:
    """The standard error of one observation's x, and of the mean of several, are those of chemCal."""
    (place,) = regression.fit(*CALIBRATION).inverse(y, replicates)
    assert place[:2] == pytest.approx((x, se), rel=5e-7)


@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("replicates", [None, 4])
def test_ends_are_where_the_band_reaches_y(degree: int, replicates: int | None) -> None:
    """At each end of an interval of a curve y lies on the edge of the band, as a search finds too."""
    fit = regression.fit(*WOMEN, degree, level=0.9)
    (place,) = fit.inverse(131, replicates)
    factor = stats.t.ppf(0.95, fit.df_resid)
    scatter = 0 if replicates is None else (fit.sigma or 0) ** 2 / replicates

    def beyond(x: float) -> float:
        at = fit.predict(x)
        return abs(float(at.mean) - 131) - factor * math.sqrt(float(at.mean_se) ** 2 + scatter)

    assert place.x is not None
    right = [optimize.brentq(beyond, place.x, end, xtol=1e-12) for end in (place.x - 3, place.x + 3)]
    assert place[2:4] == pytest.approx(right, rel=1e-10)


def test_known_sigma_and_weights() -> None:
    """A weighted fit asks for the sigma of the observation; known sigma give normal intervals, unscaled."""
    x, y = CALIBRATION
    fit = regression.fit(x, y, sigma=2.5, absolute_sigma=True)
    (place,) = fit.inverse(50, 1, sigma=2.5)
    slope, se = fit.params[1], float(fit.predict(place.x).mean_se)
    assert place.se == pytest.approx(math.hypot(se, 2.5) / slope, rel=1e-12)
    assert place.ci_upper - place.ci_lower == pytest.approx(2 * 1.959964 * place.se, rel=3e-3)
    (unknown,) = fit.inverse(50, 1)
    assert (unknown.x, unknown.se, unknown.ci_lower) == (place.x, None, None)
    assert len(fit.inverse(50)) == 1


def noisy(slope: float, bend: float = 0.0) -> tuple[Any, Any]:
    x = np.arange(-4.0, 5)
    return x, slope * x + bend * x * x + (-1.0) ** np.arange(9)


@pytest.mark.parametrize(
    ("points", "degree", "y", "count", "infinite", "said"),
    [
        (noisy(0.2), 1, 0.5, 1, 2, "no x is ruled out by y = 0.5: the curve may be flat"),
        (noisy(0.25), 1, 3.0, 2, 2, "an interval of y = 3 is half-open"),
        (noisy(0, 1), 2, 9.0, 2, 0, None),
        (noisy(0, 1), 2, 0.2, 2, 0, "the intervals of 2 x of y = 0.2 are one"),
        (noisy(0, 1), 2, -0.5, 1, 0, "from .* to .* the curve is within its errors of -0.5"),
        (noisy(0, 1), 2, -9.0, 0, 0, "does not come within its errors of y = -9 on the fitted range"),
        (noisy(0, 1), 2, 900.0, 0, 0, "the curve is 900 outside of the fitted points alone, at x = -29.*, 29"),
        (noisy(0), 0, 0.1, 0, 0, "the curve is constant: no y determines an x"),
    ],
)
def test_intervals_of_all_kinds_are_said(
    points: Any, degree: int, y: float, count: int, infinite: int, said: str | None
) -> None:
    """Intervals may be one, several, joined, half-open, without an end or none: each is said."""
    found = regression.fit(*points, degree).inverse(y)
    assert (said is None) == (not found.notes)
    assert re.search(said or "", str(found))
    assert len(found) == count
    assert sum(math.isinf(end or 0) for place in found for end in place[2:4]) == infinite
    for place in found:
        assert place.ci_lower is not None
        assert place.x is None or place.ci_lower <= place.x <= (place.ci_upper or math.inf)


def test_a_curve_without_scatter_has_points_for_intervals() -> None:
    """Where the curve goes through every point the interval is its x alone; unknown errors leave it open."""
    (place,) = regression.fit([1.0, 2, 3], [1.0, 2, 3]).inverse(2.5)
    assert place[:4] == (2.5, 0, 2.5, 2.5)
    found = regression.fit([1.0, 2], [1.0, 2]).inverse(1.5)
    assert found[0][:4] == (1.5, None, None, None)
    assert found.notes == ("errors are unknown: those of the curve are",)


@pytest.mark.parametrize("scale", [1e-3, 1.0, -1e4])
@pytest.mark.parametrize("replicates", [1, 3])
def test_limits_of_detection(scale: float, replicates: int) -> None:
    """The limits are the formulas of ICH Q2 and DIN 32645, in the unit of x, for rising and falling lines."""
    x, y = CALIBRATION
    limits = regression.fit(x, scale * y).detection_limits(alpha=0.01, k=3, replicates=replicates)
    right = stats.linregress(x, y)
    s = math.sqrt(((y - right.intercept - right.slope * x) ** 2).sum() / 4)
    spread = ((x - x.mean()) ** 2).sum()
    unit = s / right.slope

    def width(at: float) -> float:
        return math.sqrt(1 / replicates + 1 / 6 + (at - x.mean()) ** 2 / spread)

    assert limits[:2] == pytest.approx((3.3 * unit, 10 * unit), rel=1e-9)
    decision = stats.t.ppf(0.99, 4) * unit * width(0)
    assert limits[2:4] == pytest.approx((decision, 2 * decision), rel=1e-9)
    factor = 3 * stats.t.ppf(0.995, 4) * unit
    assert limits[4] == pytest.approx(optimize.brentq(lambda at: at - factor * width(at), 0, 1e3), rel=1e-9)


@pytest.mark.parametrize(
    ("fit", "options", "said"),
    [
        (lambda: regression.fit(*WOMEN, 2), {}, "need a line, got a curve of degree 2"),
        (lambda: regression.fit(*CALIBRATION), {"alpha": 0.5}, "alpha must be between 0 and 0.5, got 0.5"),
        (lambda: regression.fit(*CALIBRATION), {"k": -1}, "k must be a finite number above 0, got -1"),
        (
            lambda: regression.fit(*CALIBRATION),
            {"replicates": 0},
            "replicates must be a whole number of at least 1, got 0",
        ),
        (lambda: regression.fit(*CALIBRATION, sigma=2.0), {}, "scatter of an observation: a weighted fit needs"),
        (lambda: regression.fit([1, 2, 3], [2, 2, 2]), {}, "need a line with a slope and errors"),
    ],
)
def test_limits_that_there_are_not(fit: Any, options: dict[str, Any], said: str) -> None:
    """Limits need a line with a slope, and the scatter of an observation."""
    with pytest.raises(regression.UsageError, match=said):
        fit().detection_limits(**options)


def test_the_band_of_the_whole_curve_is_that_of_working_and_hotelling() -> None:
    """Of a line the simultaneous band is √(2 F) standard errors wide, as R computes it; new points have none."""
    band = regression.fit(*CARS).predict([10, 15, 20], simultaneous=True)
    lower = [13.850959888052538, 35.896627512408443, 53.754598453574516]
    upper = [29.639025513407383, 46.917445480292329, 68.38356213036711]
    np.testing.assert_allclose(band.mean_ci_lower, lower, rtol=1e-9)
    np.testing.assert_allclose(band.mean_ci_upper, upper, rtol=1e-9)
    assert band.obs_ci_lower.isnan().all()
    known = regression.fit(*CARS, 2, sigma=15, absolute_sigma=True).predict(9, 0.9, simultaneous=True)
    factor = math.sqrt(stats.chi2.ppf(0.9, 3))
    assert float(known.mean_ci_upper - known.mean) == pytest.approx(factor * float(known.mean_se), rel=1e-9)


def covered(sets: int, seed: int) -> dict[str, float]:
    """Return how often what is true lies within the intervals of fits to so many drawn sets, by question."""
    random = np.random.default_rng(seed)
    x = np.linspace(0, 10, 24)
    truth = np.polynomial.Polynomial([2, 0.5, -0.2, 0.02])
    area, (turn, *_) = truth.integ()(8) - truth.integ()(1), sorted(truth.deriv().roots(), reverse=True)
    y0, grid = truth(9.0), np.linspace(-5, 15, 201)
    found = dict.fromkeys(("slope", "area", "root", "turn", "mean of y", "one y", "three y", "band"), 0)
    for _ in range(sets):
        fit = regression.fit(x, truth(x) + 0.1 * random.normal(size=24), 3, level=0.9)
        one, three = y0 + 0.1 * random.normal(), y0 + 0.1 * random.normal(size=3).mean()
        slope, band = fit.derivative(4), fit.predict(grid, simultaneous=True)
        whole = fit.integral(1, 8)
        inside = {
            "slope": bool(slope.ci_lower <= truth.deriv()(4) <= slope.ci_upper),
            "area": whole.ci_lower <= area <= whole.ci_upper,
            "root": holds(fit.roots(y0), 9.0),
            "turn": holds(fit.extrema(), turn),
            "mean of y": holds(fit.inverse(y0), 9.0),
            "one y": holds(fit.inverse(one, 1), 9.0),
            "three y": holds(fit.inverse(three, 3), 9.0),
            "band": bool(
                ((band.mean_ci_lower.numpy() <= truth(grid)) & (truth(grid) <= band.mean_ci_upper.numpy())).all()
            ),
        }
        for name, is_inside in inside.items():
            found[name] += is_inside
    return {name: count / sets for name, count in found.items()}


def holds(places: Any, x: float) -> bool:
    return any(place.ci_lower <= x <= place.ci_upper for place in places)


@pytest.mark.parametrize(("sets", "seed"), [(150, 1), pytest.param(2000, 2, marks=pytest.mark.slow)])
def test_intervals_hold_what_they_promise(sets: int, seed: int) -> None:
    """Intervals of level 0.9 hold the truth in nine of ten sets, within two standard errors of that count."""
    error = math.sqrt(0.9 * 0.1 / sets)
    shares = covered(sets, seed)
    band = shares.pop("band")
    assert {name: share for name, share in shares.items() if abs(share - 0.9) > 2 * error} == {}
    assert 0.9 - 2 * error <= band  # of all cubic curves it is the narrowest; on a part of the axis it holds more


def test_a_weighted_fit_asks_for_the_sigma_of_new_observations() -> None:
    """Without it their x is known, its error is not, and the note says what to give."""
    fit = regression.fit([0.0, 1, 2, 3], [1.0, 3.1, 4.9, 7], sigma=0.1)
    (place,) = found = fit.inverse(2, replicates=1)
    assert (place.se, found.notes) == (
        None, ("errors are unknown: a weighted fit needs the sigma of these observations, sigma=…",)
    )  # fmt: skip
    assert fit.inverse(2, replicates=1, sigma=0.1)[0].se is not None


@pytest.mark.parametrize(
    ("options", "y", "x"),
    [
        ({"through": [(3, 6)]}, 6, [3]),
        ({"through": [(3, 6)], "degree": 2}, 6, [3]),
        ({"through": [(3, 6)], "degree": 3}, 6, [3]),
        ({"through": [(0, 0)]}, 0, [0]),
        ({"fit_intercept": False}, 0, [0]),
        ({"fit_intercept": False, "degree": 2}, 0, [0]),
        ({"fix": {"c0": 1}}, 1, [0]),
        ({"terms": [2]}, 0, [0]),
    ],
)
def test_the_x_that_a_constraint_keeps_is_certain(options: dict[str, Any], y: float, x: list[float]) -> None:
    """Where the curve is y whatever its errors, the interval is that x alone, within the points, as for ``roots``."""
    at = np.linspace(0, 10, 11)
    fit = regression.fit(at, 2 * at + np.random.default_rng(0).normal(size=11), **options)
    found = fit.inverse(y)
    assert [place[:4] for place in found] == [
        (each, place.se, each, each) for each, place in zip(x, found, strict=True)
    ]
    assert not found[0].extrapolated
    same = [place for place in fit.roots(y) if not place.extrapolated]
    assert [(place.x, place.se) for place in same] == [(place.x, place.se) for place in found]
    assert found[0].se == (None if found[0].kind == "touching" else 0)
    if found[0].kind != "touching":
        low, high = fit.inverse(y, replicates=1)[0][2:4]
        assert low < x[0] < high  # an observation of it has scatter


def test_a_kept_value_of_a_flat_line_rules_no_x_out() -> None:
    """A line that may be flat is at each x within its errors of the value that a constraint keeps."""
    at = np.linspace(0, 10, 11)
    found = regression.fit(at, np.random.default_rng(0).normal(size=11), through=[(3, 0)]).inverse(0)
    assert [place[:4] for place in found] == [(3, 0, -math.inf, math.inf)]
