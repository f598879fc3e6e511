"""Comparing groups of points: the numbers of R's anova, and of statsmodels with columns of groups."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

import regression
from tests.support.r_data import ORANGE

TREE, AGE, GIRTH = ORANGE[0].astype(int), ORANGE[1], ORANGE[2]


def test_the_comparison_is_that_of_r() -> None:
    """One line, parallel lines and a line for each tree have the sums of squares, F and p of R's ``anova``."""
    found = regression.compare_series(AGE, GIRTH, TREE)
    assert [row.model for row in found.models] == ["one curve", "own constants", "own curves"]
    right = [18594.744376827799, 6753.8872339706577, 2710.9912639930421]
    np.testing.assert_allclose([row.ssr for row in found.models], right, rtol=1e-9)
    assert [row.df_resid for row in found.models] == [33, 29, 25]
    tests = [(27.298264707003892, 8.4280446627144853e-09), (9.3206127765762314, 9.4016609868806527e-05)]
    np.testing.assert_allclose([row[3:] for row in found.models[1:]], tests, rtol=1e-9)
    assert found.common[0] == pytest.approx(0.10677032506876144, rel=1e-9)
    assert found.sigma == pytest.approx(10.413436059232403, rel=1e-9)


def columns_of(groups: Any, x: Any, degree: int, own: int) -> Any:
    """Return columns of which the first powers, ``own`` of them, are there for each group."""
    each = [(groups == g) * x**k for k in range(own) for g in np.unique(groups)]
    return np.stack([*each, *(x**k for k in range(own, degree + 1))], axis=1)


@pytest.mark.parametrize("absolute_sigma", [False, True])
def test_curves_are_those_of_columns_for_each_group(absolute_sigma: bool) -> None:
    """Weighted parabolas of groups, what they share, contrasts and bands are those of statsmodels with all columns."""
    random = np.random.default_rng(5)
    groups = random.choice(["a", "b", "c"], 60)
    x, sigma = random.uniform(100, 103, 60), random.uniform(0.5, 2, 60)
    y = (x - 101) ** 2 + (groups == "b") * (x - 100) + sigma * random.normal(size=60)
    found = regression.compare_series(x, y, groups, 2, sigma, absolute_sigma)
    scaled = {"cov_type": "fixed scale"} if absolute_sigma else {}
    right = [sm.WLS(y, columns_of(groups, x - 101, 2, own), weights=1 / sigma**2) for own in (0, 1, 3)]
    one, parallel, each = (model.fit(**scaled) for model in right)
    assert [row.ssr for row in found.models] == pytest.approx([one.ssr, parallel.ssr, each.ssr], rel=1e-8)
    assert found.common[1] == pytest.approx(parallel.params[-1], rel=1e-8)
    assert found.common_se[1] == pytest.approx(parallel.bse[-1], rel=1e-8)
    assert found.params[:, 2] == pytest.approx(each.params[-3:], rel=1e-8)
    contrast = found.contrast({"b": 1, "a": -0.5, "c": -0.5}, "c2", level=0.9)
    test = each.t_test([0] * 6 + [-0.5, 1, -0.5])
    assert contrast[:2] == pytest.approx((test.effect[0], test.sd[0, 0]), rel=1e-7)
    factor = stats.norm.ppf(0.95) if absolute_sigma else stats.t.ppf(0.95, 51)
    assert contrast.ci_upper - contrast.value == pytest.approx(factor * contrast.se, rel=1e-9)
    row = [0, 1, 0, 0, 0.5, 0, 0, 0.25, 0]
    band = found.predict("b", 101.5, sigma=0.7)
    assert (float(band.mean), float(band.mean_se)) == pytest.approx(
        (each.t_test(row).effect[0], each.t_test(row).sd[0, 0]), rel=1e-7
    )
    spread = 0.7 * (1 if absolute_sigma else np.sqrt(each.scale))
    factor = stats.norm.ppf(0.975) if absolute_sigma else stats.t.ppf(0.975, 51)
    wide = factor * np.hypot(spread, float(band.mean_se))
    assert float(band.obs_ci_upper - band.mean) == pytest.approx(wide, rel=1e-7)
    if absolute_sigma:
        gain = parallel.ssr - each.ssr
        assert found.models[2].pvalue == pytest.approx(stats.chi2.sf(gain, 4), rel=1e-7)


def test_the_order_of_rows_and_names_makes_no_difference() -> None:
    """A comparison has the same bits for every order of the points, and for series that are named by texts."""
    order = np.random.default_rng(6).permutation(35)
    first = regression.compare_series(AGE, GIRTH, TREE)
    again = regression.compare_series(AGE[order], GIRTH[order], [f"tree {t}" for t in TREE[order]])
    assert first.models == again.models
    assert again.series[0] == "tree 1"
    assert first.params.tolist() == again.params.tolist()
    assert first.bse.tolist() == again.bse.tolist()
    assert (first.contrast({1: 1}, "c1")) == again.contrast({"tree 1": 1}, "c1")


def test_two_groups_of_equal_points_do_not_differ() -> None:
    """The same points under two names have one curve, to the last digit of its sum of squares."""
    x, y = np.tile(AGE[:7], 2), np.tile(GIRTH[:7], 2)
    found = regression.compare_series(x, y, [1] * 7 + [2] * 7)
    assert found.models[0].ssr == pytest.approx(found.models[2].ssr, rel=1e-14)
    assert found.models[1].pvalue == pytest.approx(1)
    assert found.contrast({1: 1, 2: -1}, "c1").value == 0


def test_constants_alone_are_an_analysis_of_variance() -> None:
    """Of degree 0 the comparison is the one-way analysis of variance."""
    found = regression.compare_series(AGE, GIRTH, TREE, degree=0)
    right = stats.f_oneway(*(GIRTH[t == TREE] for t in range(1, 6)))
    assert found.models[-1][3:] == pytest.approx((right.statistic, right.pvalue), rel=1e-9)


def test_a_group_with_too_few_points_is_said() -> None:
    """A group whose points leave its curve open has NaN for its coefficients, and the others are compared."""
    found = regression.compare_series([*AGE, 50.0], [*GIRTH, 12.0], [*TREE, 9])
    assert np.isnan(found.params[-1]).all()
    assert found.models[2].df_resid == 25
    assert found.sigma == pytest.approx(10.413436059232403, rel=1e-9)
    assert "note: 1 series with too few distinct x: 9" in str(found)
    assert np.isnan(found.contrast({9: 1, 1: -1}, "c1").value)
    assert found.predict(9, 50.0).mean_se.isnan()


def test_a_comparison_is_shown_in_words() -> None:
    """Print shows the models, their tests and what they share."""
    lines = str(regression.compare_series(AGE, GIRTH, TREE)).splitlines()
    assert lines[0] == "5 series, 35 points, degree 1"
    assert lines[4].split() == ["own", "curves", "2710.99", "25", "9.32061", "9.4e-05"]
    assert lines[5:] == ["common c1  0.107 ± 0.005", "pooled residual σ 10.4134"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: regression.compare_series([1, 2], [1, 2], [1, 1]), "needs at least two series, got one"),
        (lambda: regression.compare_series(AGE, GIRTH, TREE, level=1), "level must be between 0 and 1"),
        (lambda: regression.compare_series(AGE, GIRTH, TREE[:5]), "a name for each of 35 points, got 5"),
        (lambda: regression.compare_series(AGE, GIRTH, TREE).predict(7, 1), "there is no series 7; the first ones are"),
        (lambda: regression.compare_series(AGE, GIRTH, TREE).contrast({1: 1}, "c9"), "coefficients c0, c1, got 'c9'"),
    ],
)
def test_bad_comparisons_are_refused(asked: Any, said: str) -> None:
    """One series alone, and names that are not there, are refused in a line."""
    with pytest.raises(regression.UsageError, match=said):
        asked()
