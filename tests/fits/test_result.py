"""The numbers of a fit are those of statsmodels and scipy, and unknown ones are null, with a note."""

import doctest
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from numpy.typing import NDArray
from scipy import optimize

import regression
from regression import Fit, UsageError
from regression.common.value_and_error import value_and_error
from tests.support.command import Command, config

Array = NDArray[np.float64]
CASES = [(1, True, False), (1, False, False), (3, True, False), (3, False, True), (1, True, True), (4, True, True)]
AT = np.array([-3.0, -0.4, 0.05, 1.7, 6.0])
SAME = 1e-10


def drawn(seed: int = 0, rows: int = 40) -> tuple[Array, Array, Array]:
    """Return x, y and sigma of a noisy curve."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-2, 3, rows)
    sigma = generator.uniform(0.2, 2, rows)
    return x, 1 - 2 * x + 0.3 * x**3 + sigma * generator.normal(size=rows), sigma


def powers(x: Array, degree: int, fit_intercept: bool = True) -> Array:
    """Return the design matrix of powers of x, shape (N, K)."""
    return np.vander(x, degree + 1, increasing=True)[:, int(not fit_intercept) :]


def strict(text: str) -> dict[str, Any]:
    """Read JSON that must not contain NaN or infinities."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    content: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return content


def statsmodels(degree: int, fit_intercept: bool, weighted: bool, **options: Any) -> Any:
    x, y, sigma = drawn()
    design = powers(x, degree, fit_intercept)
    return (sm.WLS(y, design, weights=1 / sigma**2) if weighted else sm.OLS(y, design)).fit(**options)


def ours(degree: int, fit_intercept: bool, weighted: bool, absolute_sigma: bool = False) -> Fit:
    x, y, sigma = drawn()
    return regression.fit(x, y, degree, sigma if weighted else None, absolute_sigma, fit_intercept)


@pytest.mark.parametrize(("degree", "fit_intercept", "weighted"), CASES)
def test_numbers_are_those_of_statsmodels(degree: int, fit_intercept: bool, weighted: bool) -> None:
    """Numbers that statsmodels' OLS and WLS have too are equal to ten digits, also without an intercept."""
    right, fit = statsmodels(degree, fit_intercept, weighted), ours(degree, fit_intercept, weighted)
    for name in ("params", "bse", "rsquared", "ssr", "aic", "bic", "nobs", "df_resid"):
        np.testing.assert_allclose(getattr(fit, name), getattr(right, name), rtol=SAME, err_msg=name)
    np.testing.assert_allclose(fit.conf_int, right.conf_int(0.05), rtol=SAME)
    np.testing.assert_allclose(fit.cov_params, right.cov_params(), rtol=SAME)
    assert fit.sigma == pytest.approx(math.sqrt(right.scale), rel=SAME, abs=0)
    size = len(fit.params)
    assert fit.aicc == pytest.approx(right.aic + 2 * size * (size + 1) / (40 - size - 1), rel=SAME, abs=0)
    assert (fit.rank, fit.converged, fit.opt_error_se, fit.notes) == (size, True, 0, ())


@pytest.mark.parametrize(("degree", "fit_intercept", "weighted"), CASES)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_bands_are_those_of_statsmodels(degree: int, fit_intercept: bool, weighted: bool, level: float) -> None:
    """The curve and both bands are those of statsmodels' ``summary_frame`` at any level, also far outside."""
    frame = (
        statsmodels(degree, fit_intercept, weighted)
        .get_prediction(powers(AT, degree, fit_intercept), weights=1 / 0.7**2)
        .summary_frame(alpha=1 - level)
    )
    bands = ours(degree, fit_intercept, weighted).predict(torch.from_numpy(AT), level, sigma=0.7)
    scale = np.abs(frame["mean"]) + frame["obs_ci_upper"] - frame["obs_ci_lower"]
    for name in bands._fields[:-1]:
        assert (np.abs(getattr(bands, name).numpy() - frame[name]) <= SAME * scale).all(), name


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_known_sigma_gives_normal_bands(level: float) -> None:
    """With absolute sigma errors, intervals and the curve's band are those of statsmodels with a fixed scale of 1."""
    right = statsmodels(3, True, True, cov_type="fixed scale")
    fit = ours(3, True, True, absolute_sigma=True)
    np.testing.assert_allclose(fit.bse, right.bse, rtol=SAME)
    np.testing.assert_allclose(fit.cov_params, right.cov_params(), rtol=SAME)
    np.testing.assert_allclose(fit.conf_int, right.conf_int(0.05), rtol=SAME)
    frame = right.get_prediction(powers(AT, 3)).summary_frame(alpha=1 - level)
    bands = fit.predict(torch.from_numpy(AT), level, sigma=2.0)
    for name in ("mean", "mean_se", "mean_ci_lower", "mean_ci_upper"):
        np.testing.assert_allclose(getattr(bands, name), frame[name], rtol=SAME)
    half = (bands.obs_ci_upper - bands.obs_ci_lower) / (bands.mean_ci_upper - bands.mean_ci_lower)
    np.testing.assert_allclose(half, np.sqrt(frame["mean_se"] ** 2 + 4) / frame["mean_se"], rtol=SAME)


@pytest.mark.parametrize("absolute_sigma", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_covariance_is_that_of_curve_fit(absolute_sigma: bool, weighted: bool) -> None:
    """``absolute_sigma`` means what it means in ``scipy.optimize.curve_fit``."""
    x, y, sigma = drawn(1)
    if absolute_sigma and not weighted:
        sigma = np.ones_like(x)  # what curve_fit takes for none
    given = sigma if weighted or absolute_sigma else None
    params, cov = optimize.curve_fit(
        lambda t, *c: powers(t, 2) @ np.array(c), x, y, p0=np.ones(3), sigma=given, absolute_sigma=absolute_sigma,
        jac=lambda t, *_: powers(t, 2), ftol=1e-15, xtol=1e-15, gtol=0,
    )  # fmt: skip
    fit = regression.fit(x, y, 2, given, absolute_sigma)
    np.testing.assert_allclose(fit.params, params, rtol=1e-9)
    np.testing.assert_allclose(fit.cov_params, cov, rtol=1e-9)


def test_absolute_sigma_needs_sigma() -> None:
    """Without the points' sigma there is nothing absolute."""
    with pytest.raises(regression.UsageError, match="absolute_sigma needs the sigma of the points"):
        regression.fit([1, 2, 3], [1, 2, 4], absolute_sigma=True)


def test_errors_scale_with_the_points() -> None:
    """Errors follow the unit of y, duplicated points only sharpen them, and relative sigma has no unit."""
    x, y, sigma = drawn(2)
    fit = regression.fit(x, y, 2, sigma)
    louder = regression.fit(x, 8 * y, 2, sigma)
    assert louder.bse.tolist() == (8 * fit.bse).tolist()
    assert (louder.rsquared, louder.ssr) == (fit.rsquared, 64 * fit.ssr)
    wider = regression.fit(x, y, 2, 1024 * sigma)
    assert (wider.params == fit.params).all()
    assert (wider.bse == fit.bse).all()
    assert wider.aic == pytest.approx(fit.aic, rel=1e-14, abs=0)
    known, doubled = (regression.fit(x, y, 2, factor * sigma, absolute_sigma=True) for factor in (1, 2))
    assert doubled.bse.tolist() == (2 * known.bse).tolist()
    twice = regression.fit(np.tile(x, 2), np.tile(y, 2), 2, np.tile(sigma, 2))
    assert twice.bse == pytest.approx([error * math.sqrt(37 / 77) for error in fit.bse], rel=1e-14, abs=0)


def test_as_many_points_as_coefficients() -> None:
    """N = K points give the curve through them; its errors are unknown, null and explained, not 0."""
    fit = regression.fit([0.0, 1, 3], [1.0, 2, -2], 2)
    assert fit.params == pytest.approx(np.polyfit([0, 1, 3], [1, 2, -2], 2)[::-1].tolist(), rel=1e-12, abs=0)
    content = strict(fit.to_json())
    for name in ("bse", "conf_int", "cov_params", "sigma", "aicc"):
        assert content[name] is None
    assert (content["rank"], content["df_resid"]) == (3, 0)
    assert fit.notes[0].startswith("errors are unknown: 3 points leave nothing over for 3 coefficients")
    assert str(fit).count("± unknown") == 3
    bands = fit.predict(torch.tensor([1.0]))
    assert bands.mean.item() == pytest.approx(2)
    assert all(band.isnan().all() for band in bands[1:-1])


def test_undetermined_coefficients_are_null_with_a_reason() -> None:
    """Equal x leave errors null and R² as of a constant, and the reason stands in notes and report."""
    with pytest.warns(regression.UndeterminedWarning, match="the points fix 1 of 2 coefficients because all x are"):
        fit = regression.fit([2.0, 2, 2], [1.0, 2, 6], 1)
    content = strict(fit.to_json())
    for name in ("bse", "conf_int", "cov_params", "condition_number", "aic", "aicc", "bic"):
        assert content[name] is None
    assert content["params"] == pytest.approx([0.6, 1.2])  # the shortest of those with c0 + 2 c1 = 3
    assert fit.notes[0] in str(fit)
    assert fit.predict(torch.tensor([2.0, 3.0])).mean.tolist() == pytest.approx([3.0, 4.2])
    assert fit.predict(torch.tensor([2.0])).mean_se.isnan().all()


def test_curve_through_every_point() -> None:
    """A curve through every point has errors of 0, said so, and no AIC of minus infinity."""
    fit = regression.fit([0, 1, 2, 5], [2, 5, 8, 17])
    assert (fit.params.tolist(), fit.bse.tolist()) == ([2.0, 3.0], [0.0, 0.0])
    assert (fit.ssr, fit.sigma, fit.rsquared) == (0.0, 0.0, 1.0)
    assert (fit.aic, fit.aicc, fit.bic) == (None, None, None)
    assert "goes through every point" in str(fit)
    assert [line.split()[2] for line in str(fit).splitlines() if line.startswith("  c")] == ["exact", "exact"]
    bands = fit.predict(torch.tensor([-1.0, 10.0]))
    assert bands.obs_ci_lower.tolist() == bands.obs_ci_upper.tolist() == [-1, 32]


def test_equal_y_leave_rsquared_unknown() -> None:
    """Where all y are equal there is no variance to explain: R² is null, with a note."""
    fit = regression.fit([0, 1, 2, 5], [7, 7, 7, 7])
    assert (fit.params.tolist(), fit.rsquared) == ([7.0, 0.0], None)
    assert "R² is unknown: y does not vary, or too little against its size" in fit.notes


@pytest.mark.parametrize("weighted", [False, True])
def test_json_gives_the_fit_again(weighted: bool, tmp_path: Path) -> None:
    """The JSON is strict, keeps every digit, and gives an equal fit with equal bands, from a text or a file."""
    fit = ours(3, True, weighted)
    content = strict(fit.to_json())
    assert content["params"] == list(fit.params)
    again = Fit.from_json(fit.to_json())
    assert again == fit
    x = torch.from_numpy(AT)
    assert all(torch.equal(a, b) for a, b in zip(again.predict(x, sigma=0.7), fit.predict(x, sigma=0.7), strict=True))
    path = tmp_path / "fit.json"
    path.write_text(fit.to_json(), encoding="utf-8")
    assert Fit.from_json(path) == fit


def test_unknown_values_survive_json() -> None:
    """Null comes back as ``None``."""
    fit = regression.fit([0.0, 1, 3], [1.0, 2, -2], 2)
    assert Fit.from_json(fit.to_json()) == fit


def test_the_ends_of_the_range_are_inside() -> None:
    """The smallest and the largest fitted x are not extrapolated, and the next numbers beyond them are."""
    fit = regression.fit([0.5, 1, 3], [1.0, 2, -2], 1)
    low, high = fit.x_range
    x = [np.nextafter(low, -1), low, high, np.nextafter(high, 9)]
    assert fit.predict(x).extrapolated.tolist() == [True, False, False, True]


def test_report_shows_the_numbers() -> None:
    """The report has the model, the points, each coefficient with its rounded error, and the goodness of the fit."""
    x, y = [0.0, 1, 2, 3], [1.0, 3, 2, 5]
    fit = regression.fit(x, y)
    right = sm.OLS(y, powers(np.array(x), 1)).fit()
    assert right.params.tolist() == pytest.approx([1.1, 1.1])
    assert right.bse.tolist() == pytest.approx([0.9721, 0.5196], abs=1e-4)
    text = str(fit)
    assert text.splitlines()[0] == "Polynomial, degree 1, exact least squares"
    for part in ("4 points, 2 coefficients, 2 degrees of freedom", "c0  1.1 ± 1.0", "c1  1.1 ± 0.5", "R² 0.691429"):
        assert part in text
    assert "note" not in text


def test_report_says_how_points_are_weighted() -> None:
    """With sigma the report says how points are weighted and how the covariance is scaled; without, it does not."""
    scale = statsmodels(2, True, True).scale
    assert f"weighted by 1/sigma², covariance scaled by ssr/df = {scale:.6g}\n" in str(ours(2, True, True))
    absolute = str(ours(2, True, True, absolute_sigma=True))
    assert "weighted by 1/sigma², covariance not scaled: sigma is absolute\n" in absolute
    assert "weighted" not in str(ours(2, True, False))
    ones = regression.fit([0.0, 1, 2], [0.0, 1, 3], sigma=[1.0, 1, 1], absolute_sigma=True)
    assert "covariance not scaled" in str(ones)
    none_left = regression.fit([0.0, 1], [0.0, 1], sigma=[1.0, 2])
    assert "covariance scaled by ssr/df\n" in str(none_left)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_levels_outside_of_0_and_1_are_refused(level: float) -> None:
    """A band's level is a probability."""
    with pytest.raises(UsageError, match=f"level must be between 0 and 1, got {level}"):
        ours(1, True, False).predict(torch.zeros(1), level)


def test_columns_of_different_lengths_are_refused() -> None:
    """x, y and sigma are one-dimensional and of one length."""
    with pytest.raises(regression.UsageError, match=r"must be of one length, got shapes \[\(3,\), \(2,\)\]"):
        regression.fit([1, 2, 3], [1, 2])
    with pytest.raises(regression.UsageError, match=r"got shapes \[\(1, 2\), \(1, 2\)\]"):
        regression.fit([[1, 2]], [[1, 2]])


def test_textbook_run_has_not_converged(command: Command) -> None:
    """After the textbook's 100,000 updates a coefficient is still about 1.5 standard errors from the optimum."""
    fit = command("fit", "-c", config("polynomial"), "--trainer.enable_checkpointing", "false").fit
    x = torch.linspace(0, 1, 10)
    y = (3 * x + torch.sin(6 * x) + 1).double().numpy()
    right = sm.OLS(y, powers(x.double().numpy(), 4)).fit()
    distance = np.max(np.abs(np.array(fit["params"]) - right.params) / right.bse)
    assert distance == pytest.approx(1.5, abs=0.1)
    assert fit["opt_error_se"] == pytest.approx(distance, rel=1e-5)
    assert fit["converged"] is False
    assert any(note.startswith("not converged: 1.5 standard errors") for note in fit["notes"])


def test_rounding_examples_hold() -> None:
    """The examples in the docstring of ``value_and_error`` are what it gives."""
    result = doctest.testmod(sys.modules[value_and_error.__module__])
    assert (result.failed, result.attempted) == (0, 6)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.827, 0.354, "0.83 ± 0.35"),
        (0.827, 0.3551, "0.8 ± 0.4"),
        (0.827, 0.9494, "0.8 ± 0.9"),
        (0.827, 0.9506, "0.8 ± 1.0"),
        (1.0, 0.0999, "1.00 ± 0.10"),
        (-12.3456, 0.0123, "-12.346 ± 0.012"),
        (3.0, 46.0, "(0 ± 5)e+01"),
        (1e300, 1e299, "(1.00 ± 0.10)e+300"),
        (0.0, 0.02, "0.000 ± 0.020"),
        (1.5, math.inf, "1.5 ± unknown"),
        (1000000001.04, 0.11, "1000000001.04 ± 0.11"),
        (123456.78, 0.12, "123456.78 ± 0.12"),
        (5e14, 0.5, "500000000000000.0 ± 0.5"),
        (1e15, 0.5, "(1.0000000000000000 ± 0.0000000000000005)e+15"),
        (3e8, 12.0, "300000000 ± 12"),
        (3e8, 46.0, "(3.0000000 ± 0.0000005)e+08"),
        (1e-7, 1e-17, "(1.00000000000 ± 0.00000000010)e-07"),
        (-2e-300, 1e-305, "(-2.000000 ± 0.000010)e-300"),
        (1.25, 1e-20, "1.25 ± 1.0e-20"),
    ],
)
def test_error_decides_the_digits(value: float, error: float, text: str) -> None:
    """The error's three leading digits decide how many are shown, and the value follows."""
    assert value_and_error(value, error) == text


def test_arrays_of_any_order_are_fitted() -> None:
    """Reversed arrays, those of another byte order and those that may not be written to are arrays like others."""
    x = np.linspace(0, 1, 20)
    y = np.sin(x)
    expected = regression.fit(x, y, 2).params.tolist()
    fixed = x.copy()
    fixed.flags.writeable = False
    for own_x, own_y in ((x[::-1], y[::-1]), (x.astype(">f8"), y.astype(">f8")), (fixed, y), (np.stack([x, x])[0], y)):
        assert regression.fit(own_x, own_y, 2).params.tolist() == expected
    ids = np.repeat([2, 1], 10)
    found = regression.fit_series(x[::-1], y[::-1], ids[::-1]).params
    assert torch.equal(found, regression.fit_series(x, y, ids.astype(">i4")).params)
    with pytest.raises(UsageError, match=r"whole numbers below 2\^63, got 18446744073709551615: name them by texts"):
        regression.fit_series(x, y, np.full(20, 2**64 - 1, dtype=np.uint64))
