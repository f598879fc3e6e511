"""The univariate linear data sets of NIST's Statistical Reference Datasets, through the command."""

import json
import math
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regression
from tests.support.command import Command

FOLDER = Path(__file__).parents[1] / "certified"
CERTIFIED: dict[str, Any] = json.loads((FOLDER / "certified.json").read_text())
ALL_DIGITS = 15.0
# Where these are below 15, the rounding of the file's numbers to float64 limits the digits.
PARAM_DIGITS = {
    "Norris": 14.0, "Pontius": 13.5, "NoInt1": 15, "NoInt2": 15, "Filip": 14.3,
    "Wampler1": 15, "Wampler2": 13.2, "Wampler3": 15, "Wampler4": 15, "Wampler5": 15,
}  # fmt: skip
ERROR_DIGITS = 13.5
SETS = list(PARAM_DIGITS)


def digits(value: float, certified: str) -> float:
    """Return the number of correct digits: the negative log10 of the relative error, absolute where 0 is right."""
    right = Decimal(certified)
    error = abs(Decimal(value) - right) / (abs(right) or 1)
    return min(ALL_DIGITS, -float(error.log10())) if error else ALL_DIGITS


def points(name: str) -> tuple[list[float], list[float]]:
    x, y = np.loadtxt(FOLDER / f"{name}.csv", delimiter=",", skiprows=1, unpack=True)
    return x.tolist(), y.tolist()


def exact(name: str) -> list[Fraction]:
    """Return the least-squares coefficients of the float64 points, by rational arithmetic without rounding."""
    x, y = ([Fraction(value) for value in column] for column in points(name))
    first, last = int(not CERTIFIED[name]["intercept"]), CERTIFIED[name]["degree"]
    sums = [sum((a**k for a in x), Fraction(0)) for k in range(2 * last + 1)]
    rows = [
        [
            *(sums[i + j] for j in range(first, last + 1)),
            sum((a**i * b for a, b in zip(x, y, strict=True)), Fraction(0)),
        ]
        for i in range(first, last + 1)
    ]
    for k, pivot in enumerate(rows):  # Gauss–Jordan; the matrix is positive definite
        pivot[:] = [value / pivot[k] for value in pivot]
        for i, row in enumerate(rows):
            if i != k:
                row[:] = [value - row[k] * part for value, part in zip(row, pivot, strict=True)]
    return [row[-1] for row in rows]


def model_options(name: str) -> tuple[str, ...]:
    if CERTIFIED[name]["intercept"]:
        return ("--model", "PolynomialRegression", "--model.degree", str(CERTIFIED[name]["degree"]))
    return ("--model", "LineRegression", "--model.fit_intercept", "false")


def data_options(name: str) -> tuple[str, ...]:
    return ("--data", "TableDataModule", "--data.path", str(FOLDER / f"{name}.csv"))


def test_all_sets_are_here() -> None:
    """Each data set has its points and its certified values, and each coefficient is certified to 40 digits."""
    assert sorted(CERTIFIED) == sorted(SETS) == sorted(path.stem for path in FOLDER.glob("*.csv"))
    for values in CERTIFIED.values():
        for key in ("estimates", "std_errors"):
            assert len(values["digits_40"][key]) == len(values[key]) == values["degree"] + values["intercept"]
            for long, short in zip(values["digits_40"][key], values[key], strict=True):
                assert digits(float(long), short) >= 14  # the recomputed digits are those that NIST certifies


@pytest.mark.parametrize("name", SETS)
def test_exact_solver_reaches_the_certified_digits(command: Command, name: str) -> None:
    """The command gives the digits that float64 points can give, and ``regression.fit`` the same bits."""
    done = command("fit", *model_options(name), "--model.solver", "exact", *data_options(name))
    assert (done.code, done.err) == (0, "")
    right = CERTIFIED[name]["digits_40"]
    found = [digits(value, text) for value, text in zip(done.fit["params"], right["estimates"], strict=True)]
    assert min(found) >= PARAM_DIGITS[name] - 0.1
    errors = [digits(value, text) for value, text in zip(done.fit["bse"], right["std_errors"], strict=True)]
    assert min(*errors, digits(done.fit["sigma"], right["residual_sd"])) >= ERROR_DIGITS
    assert (done.fit["rank"], done.fit["converged"], done.fit["opt_error_se"]) == (len(found), True, 0)
    x, y = points(name)
    fit = regression.fit(x, y, CERTIFIED[name]["degree"], fit_intercept=CERTIFIED[name]["intercept"])
    for key in (
        "params",
        "bse",
        "conf_int",
        "cov_params",
        "sigma",
        "ssr",
        "rsquared",
        "aic",
        "bic",
        "condition_number",
    ):
        assert json.loads(fit.to_json())[key] == done.fit[key]


@pytest.mark.parametrize("name", SETS)
def test_coefficients_are_correctly_rounded(name: str) -> None:
    """Every coefficient is the float64 number next to the least-squares solution of the points without rounding."""
    x, y = points(name)
    fit = regression.fit(x, y, CERTIFIED[name]["degree"], fit_intercept=CERTIFIED[name]["intercept"])
    assert list(fit.params) == [float(value) for value in exact(name)]


@pytest.mark.parametrize("name", SETS)
def test_gradient_solver_does_not_diverge(command: Command, name: str) -> None:
    """Without any choice of optimizer or rate, 200 updates lower the loss and keep every number finite."""
    done = command("fit", *model_options(name), "--trainer.max_steps", "200", "--model.updates_per_batch", "200",
                   "--trainer.logger", "false", *data_options(name))  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert ", 200 updates by SGD" in done.out
    assert not re.search(r"\b(nan|inf)\b", done.out)
    loss = re.search(r"^MSELoss (\S+)$", done.out, re.MULTILINE)
    assert loss is not None
    _, y = points(name)
    assert float(loss[1]) <= math.fsum(value**2 for value in y) / len(y)  # the curve starts from zeros
