"""Every number of R's in features.csv, one by one: tests, influence, answers from a curve, constraints, M-estimates."""

import csv
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regression
from regression.fits.diagnostics import Diagnostics
from tests.support.r_data import CARS, DATA, ORANGE, PEARSON_YORK, STACKLOSS

ANSCOMBE = np.array([
    [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5],
    [7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73],
])  # fmt: skip
with Path(__file__).with_name("features.csv").open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))
UNKNOWN = {  # what this project has no counterpart of
    "multiple regression": "several columns of x",
    "HC2": "not among cov_type",
    "p (one-sided": "the distribution of Durbin and Watson's statistic",
}


def points(data: str) -> tuple[tuple[Any, Any], int]:
    """Return the points and the degree of a name such as ``cars degree 1``."""
    name, degree = re.match(r"(\w+) degree (\d)", data).groups()  # type: ignore[union-attr]
    x, y = ANSCOMBE if name == "anscombe3" else DATA[name]
    return (x, y), int(degree)


@cache
def fit_of(data: str, cov_type: Any = "nonrobust") -> regression.Fit:
    own, degree = points(data)
    return regression.fit(*own, degree, cov_type=cov_type)


@cache
def rows_of(data: str) -> Diagnostics:
    return fit_of(data).diagnostics(*points(data)[0])


@cache
def compared() -> Any:
    return regression.compare_series(ORANGE[1], ORANGE[2], ORANGE[0].astype(int))


@cache
def m_estimate(kind: Any) -> regression.Fit:
    return regression.fit(*STACKLOSS, robust=kind)


@cache
def with_errors_in_x(is_weighted: bool) -> regression.Fit:
    x, y, wx, wy = PEARSON_YORK
    sigma = (1 / np.sqrt(wy), 1 / np.sqrt(wx)) if is_weighted else (1.0, 1.0)
    return regression.fit(x, y, sigma=sigma[0], sigma_x=sigma[1], absolute_sigma=False)


def band(end: str, k: int) -> float:
    return float(getattr(fit_of("cars degree 1").predict([10, 15, 20], simultaneous=True), f"mean_ci_{end}")[k])


def nested(data: str, name: str, k: int) -> Any:
    top = int(data[-1])
    return regression.fit(*CARS, "auto", max_degree=top).degree_table[2 + k][name]


def through() -> Any:
    return regression.fit(*CARS, 2, through=[(4, 2)])


def from_4(k: int) -> tuple[float, float]:
    """Return the coefficient of (x - 4)^(1 + k) and its error: derivatives at 4 over factorials."""
    found = through().derivative(4, 1 + k)
    return found.value.item() / (1, 2)[k], found.se.item() / (1, 2)[k]


Finder = Callable[[str, int, int], Any]  # of data and up to two indices
FINDERS: dict[tuple[str, str], Finder] = {
    ("t and p values", "t"): lambda data, i, _: fit_of(data).tvalues[i],  # type: ignore[index]
    ("t and p values", "p"): lambda data, i, _: fit_of(data).pvalues[i],  # type: ignore[index]
    ("adjusted R2", "rsquared_adj"): lambda data, *_: fit_of(data).rsquared_adj,
    ("F of the regression", "F"): lambda data, *_: fit_of(data).fvalue,
    ("F of the regression", "p"): lambda data, *_: fit_of(data).f_pvalue,
    ("log likelihood", "logLik"): lambda data, *_: fit_of(data).llf,
    ("correlation of coefficients", "r"): lambda data, i, j: fit_of(data).corr_params[i, j],  # type: ignore[index]
    ("leave one out", "PRESS"): lambda data, *_: rows_of(data).press,
    ("leave one out", "LOO mean square"): lambda data, *_: rows_of(data).loo,
    **{
        ("robust standard errors", kind): lambda data, i, _, kind=kind: fit_of(data, kind).bse[i]  # type: ignore[misc]
        for kind in ("HC0", "HC1", "HC3")
    },
    ("Durbin-Watson", "DW"): lambda data, *_: rows_of(data).durbin_watson,
    ("Breusch-Pagan", "LM (studentised)"): lambda data, *_: rows_of(data).breusch_pagan[0],  # type: ignore[index]
    ("Breusch-Pagan", "p"): lambda data, *_: rows_of(data).breusch_pagan[1],  # type: ignore[index]
    ("influence", "hat"): lambda data, i, _: rows_of(data).leverage[i],
    ("influence", "cook"): lambda data, i, _: rows_of(data).cook[i],
    ("influence", "rstudent"): lambda data, i, _: rows_of(data).studentized[i],
    ("nested F test", "F"): lambda data, i, _: nested(data, "fvalue", i),
    ("nested F test", "p"): lambda data, i, _: nested(data, "f_pvalue", i),
    ("lack of fit", "pure error df"): lambda data, *_: rows_of(data).lack_of_fit[2][1],  # type: ignore[index]
    ("lack of fit", "F"): lambda data, *_: rows_of(data).lack_of_fit[0],  # type: ignore[index]
    ("lack of fit", "p"): lambda data, *_: rows_of(data).lack_of_fit[1],  # type: ignore[index]
    ("lack of fit", "pure error ssr"): lambda data, *_: pure_error(data),
    ("Working-Hotelling band", "multiplier"): lambda data, *_: multiplier(data),
    ("Working-Hotelling band", "lower at 10; 15; 20 "): lambda _, i, __: band("lower", i),
    ("Working-Hotelling band", "upper at 10; 15; 20 "): lambda _, i, __: band("upper", i),
    ("inverse prediction", "x at y0=50"): lambda data, *_: fit_of(data).inverse(50)[0].x,
    ("inverse prediction", "lower of the mean"): lambda data, *_: fit_of(data).inverse(50)[0].ci_lower,
    ("inverse prediction", "upper of the mean"): lambda data, *_: fit_of(data).inverse(50)[0].ci_upper,
    ("inverse prediction", "lower of one observation"): lambda data, *_: fit_of(data).inverse(50, 1)[0].ci_lower,
    ("inverse prediction", "upper of one observation"): lambda data, *_: fit_of(data).inverse(50, 1)[0].ci_upper,
    ("vertex", "x"): lambda data, *_: fit_of(data).extrema()[0].x,
    ("vertex", "x standard error"): lambda data, *_: fit_of(data).extrema()[0].se,
    ("vertex", "y"): lambda data, *_: fit_of(data).predict(fit_of(data).extrema()[0].x).mean,
    ("vertex", "y standard error"): lambda data, *_: fit_of(data).predict(fit_of(data).extrema()[0].x).mean_se,
    ("derivative", "at 65"): lambda data, *_: fit_of(data).derivative(65).value,
    ("derivative", "at 65 standard error"): lambda data, *_: fit_of(data).derivative(65).se,
    ("integral", "60 to 70"): lambda data, *_: fit_of(data).integral(60, 70).value,
    ("integral", "60 to 70 standard error"): lambda data, *_: fit_of(data).integral(60, 70).se,
    ("fixed terms", "c0"): lambda *_: regression.fit(*CARS, fix={"c1": 4}).params[0],
    ("fixed terms", "c0 standard error"): lambda *_: regression.fit(*CARS, fix={"c1": 4}).bse[0],  # type: ignore[index]
    ("through a point", "coefficient of (x-4)^(1+i) "): lambda _, i, __: from_4(i)[0],
    ("through a point", "standard error of (x-4)^(1+i) "): lambda _, i, __: from_4(i)[1],
    ("through a point", "sigma"): lambda *_: through().sigma,
    ("terms 1 and x^2 only", "c"): lambda _, i, __: regression.fit(*CARS, terms=[0, 2]).params[i],
    ("terms 1 and x^2 only", "standard error"): lambda _, i, __: regression.fit(*CARS, terms=[0, 2]).bse[i],  # type: ignore[index]
    ("joint test of coefficients", "F"): lambda *_: fit_of("cars degree 1").wald_test(np.eye(2), [0, 4])[0],
    ("joint test of coefficients", "p"): lambda *_: fit_of("cars degree 1").wald_test(np.eye(2), [0, 4])[1],
    ("robust fit huber", "c"): lambda _, i, __: m_estimate("huber").params[i],
    ("robust fit huber", "standard error"): lambda _, i, __: m_estimate("huber").bse[i],  # type: ignore[index]
    ("robust fit huber", "scale (MAD)"): lambda *_: m_estimate("huber").scale,
    ("robust fit bisquare", "c"): lambda _, i, __: m_estimate("bisquare").params[i],
    ("robust fit bisquare", "standard error"): lambda _, i, __: m_estimate("bisquare").bse[i],  # type: ignore[index]
    ("robust fit bisquare", "scale (MAD)"): lambda *_: m_estimate("bisquare").scale,
    ("York fit", "slope"): lambda *_: with_errors_in_x(True).params[1],
    ("York fit", "intercept"): lambda *_: with_errors_in_x(True).params[0],
    ("York fit", "slope standard error"): lambda *_: york_error(1),
    ("York fit", "intercept standard error"): lambda *_: york_error(0),
    ("York fit", "chi2"): lambda *_: with_errors_in_x(True).ssr,
    ("Deming fit (ratio 1)", "slope"): lambda *_: with_errors_in_x(False).params[1],
    ("Deming fit (ratio 1)", "intercept"): lambda *_: with_errors_in_x(False).params[0],
    ("comparison of series", "ssr one line"): lambda *_: compared().models[0].ssr,
    ("comparison of series", "ssr common slope"): lambda *_: compared().models[1].ssr,
    ("comparison of series", "ssr a line each"): lambda *_: compared().models[2].ssr,
    ("comparison of series", "F (intercepts; slopes)"): lambda _, i, __: compared().models[1 + i].fvalue,
    ("comparison of series", "p (intercepts; slopes)"): lambda _, i, __: compared().models[1 + i].pvalue,
    ("comparison of series", "common slope"): lambda *_: compared().common[0],
    ("comparison of series", "pooled sigma"): lambda *_: compared().sigma,
}


def pure_error(data: str) -> float:
    """Return the sum of squares within levels, from F: ``pure = ssr df2 / (df2 + F df1)``."""
    test = rows_of(data).lack_of_fit
    assert test is not None
    ssr = fit_of(data).ssr
    assert ssr is not None
    return ssr * test.df[1] / (test.df[1] + test.statistic * test.df[0])


def multiplier(data: str) -> float:
    whole = fit_of(data).predict(10, simultaneous=True)
    return float((whole.mean_ci_upper - whole.mean) / whole.mean_se)


def york_error(k: int) -> float:
    """Return York's error, which takes the sigma for absolute."""
    x, y, wx, wy = PEARSON_YORK
    fit = regression.fit(x, y, sigma=1 / np.sqrt(wy), sigma_x=1 / np.sqrt(wx), absolute_sigma=True)
    assert fit.bse is not None
    return float(fit.bse[k])


def has_counterpart(row: dict[str, str]) -> bool:
    return not any(word in f"{row['feature']} {row['quantity']}" for word in UNKNOWN)


@pytest.mark.parametrize("feature", sorted({row["feature"] for row in ROWS if has_counterpart(row)}))
def test_numbers_are_those_of_r(feature: str) -> None:
    """Each number of a feature has the digits of R, to a relative 1e-9."""
    for row in (row for row in ROWS if row["feature"] == feature and has_counterpart(row)):
        name, indices = re.fullmatch(r"(.*?)(?:\[([\d;]+)\])?", row["quantity"]).groups()  # type: ignore[union-attr]
        i, j = [*map(int, (indices or "").split(";") if indices else ()), 0, 0][:2]
        found = float(FINDERS[feature, name](row["data"], i, j))
        assert found == pytest.approx(float(row["value"]), rel=1e-9), row


def test_all_numbers_but_few_have_a_counterpart() -> None:
    """Only fits with several x, HC2 and the p of Durbin–Watson are not compared."""
    others = [row for row in ROWS if not has_counterpart(row)]
    assert (len(ROWS), len(others)) == (351, 25)
