"""Correct digits on NIST's ten univariate linear data sets: ours and the tools people use today.

The claim: ours reaches, on every set, the digits that points rounded to float64 can give.

Each number is the smallest log relative error over the coefficients, that is the number of correct digits of the
worst one, against the certified values recomputed to 40 digits; at most 15, at least 0. Every tool gets the same
float64 columns and fits with its defaults. Tools that iterate start from zeros: the start from ones that curve_fit
would choose is the very solution of Wampler's sets. Through the origin a tool without such an option gets a design
without the column of ones, or a dash where it takes no design. Rounding the points to float64 shifts the solution
itself; that limits Norris, Pontius, Filip and Wampler2, where another rounding can show a tenth more. Nothing here is
timed.
"""

import argparse
import importlib.util
import json
import warnings
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import measure
import regression

FOLDER = measure.ROOT / "tests" / "certified"
ALL_DIGITS = 15.0
# What the rounding of the files' numbers to float64 leaves; a tenth less is a defect.
CEILING = {
    "Norris": 14.0, "Pontius": 13.5, "NoInt1": 15.0, "NoInt2": 15.0, "Filip": 14.3,
    "Wampler1": 15.0, "Wampler2": 13.2, "Wampler3": 15.0, "Wampler4": 15.0, "Wampler5": 15.0,
}  # fmt: skip

Column = NDArray[np.float64]
Tool = Callable[[Column, Column, int, bool], Sequence[float] | None]


def ours(x: Column, y: Column, degree: int, intercept: bool) -> Sequence[float]:
    return regression.fit(x, y, degree, fit_intercept=intercept).params


def polyfit(x: Column, y: Column, degree: int, intercept: bool) -> Sequence[float] | None:
    if not intercept:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.RankWarning)
        return np.polyfit(x, y, degree)[::-1].tolist()


def polynomial_fit(x: Column, y: Column, degree: int, intercept: bool) -> Sequence[float] | None:
    if not intercept:
        return None
    return np.polynomial.Polynomial.fit(x, y, degree).convert().coef.tolist()


def powers(x: Column, degree: int, intercept: bool) -> Column:
    """Return the design matrix of powers of x, shape (N, K)."""
    return np.vander(x, degree + 1, increasing=True)[:, int(not intercept) :]


def curve_fit(x: Column, y: Column, degree: int, intercept: bool) -> Sequence[float]:
    from scipy import optimize

    def curve(t: Column, *params: float) -> Column:
        return powers(t, degree, intercept) @ np.array(params)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optimize.OptimizeWarning)  # the covariance is not asked for
        return optimize.curve_fit(curve, x, y, p0=np.zeros(degree + intercept))[0].tolist()


def statsmodels_ols(x: Column, y: Column, degree: int, intercept: bool) -> Sequence[float]:
    import statsmodels.api as sm

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The design matrix is rank-deficient")  # newer ones say so on Filip
        return sm.OLS(y, powers(x, degree, intercept)).fit().params.tolist()


def sklearn_linear(x: Column, y: Column, degree: int, intercept: bool) -> Sequence[float]:
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import PolynomialFeatures

    features = PolynomialFeatures(degree, include_bias=False).fit_transform(x[:, None])
    model = LinearRegression(fit_intercept=intercept).fit(features, y)
    return [*([float(model.intercept_)] if intercept else []), *model.coef_.tolist()]


def lmfit_model(x: Column, y: Column, degree: int, intercept: bool) -> Sequence[float]:
    import lmfit  # its own PolynomialModel ends at degree 7

    names = [f"c{k}" for k in range(int(not intercept), degree + 1)]

    def curve(x: Column, **params: float) -> Column:
        return powers(x, degree, intercept) @ np.array([params[name] for name in names])

    model = lmfit.Model(curve, independent_vars=["x"])
    params = lmfit.Parameters()
    for name in names:
        params.add(name, value=0.0)
    best = model.fit(y, params, x=x).params
    return [best[name].value for name in names]


def torch_lstsq(x: Column, y: Column, degree: int, intercept: bool) -> Sequence[float]:
    design = torch.from_numpy(powers(x, degree, intercept).copy())
    solution: list[float] = torch.linalg.lstsq(design, torch.from_numpy(y)[:, None]).solution[:, 0].tolist()
    return solution


# Heading, the package that must be installed, and the fit.
TOOLS: dict[str, tuple[str, Tool]] = {
    "ours": ("regression", ours),
    "polyfit": ("numpy", polyfit),
    "P.fit": ("numpy", polynomial_fit),
    "scipy": ("scipy", curve_fit),
    "statsm.": ("statsmodels", statsmodels_ols),
    "sklearn": ("sklearn", sklearn_linear),
    "lmfit": ("lmfit", lmfit_model),
    "torch": ("torch", torch_lstsq),
}
LEGEND = """polyfit: numpy.polyfit; P.fit: numpy Polynomial.fit(...).convert(); scipy: curve_fit
statsm.: statsmodels OLS; sklearn: LinearRegression; lmfit: Model; torch: linalg.lstsq
–: not installed, or without a fit through the origin"""


def digits(value: float, certified: str) -> float:
    """Return the number of correct digits of a value, from 0 to 15."""
    right = Decimal(certified)
    if not np.isfinite(value):
        return 0.0
    error = abs((Decimal(value) - right) / right)
    return min(ALL_DIGITS, max(0.0, -float(error.log10()))) if error else ALL_DIGITS


def digits_of_tools(name: str, certified: dict[str, Any]) -> dict[str, float | None]:
    """Return the digits of each tool's worst coefficient on one set; ``None`` where there is no answer."""
    x, y = np.loadtxt(FOLDER / f"{name}.csv", delimiter=",", skiprows=1, unpack=True)
    result: dict[str, float | None] = {}
    for tool, (package, fit) in TOOLS.items():
        params = None
        if importlib.util.find_spec(package):
            params = fit(x, y, certified["degree"], certified["intercept"])
        pairs = None if params is None else zip(params, certified["digits_40"]["estimates"], strict=True)
        result[tool] = None if pairs is None else min(digits(value, right) for value, right in pairs)
    return result


def check(table: dict[str, dict[str, float | None]]) -> None:
    """Stop unless ours reaches the ceiling on every set."""
    for name, row in table.items():
        if row["ours"] is None or row["ours"] < CEILING[name] - 0.1:
            raise SystemExit(f"{name}: ours has {row['ours']} correct digits, expected {CEILING[name]}")


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float | None]]:
    """Check and print the table; return the digits by data set and tool."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args(args)
    certified = json.loads((FOLDER / "certified.json").read_text())
    table = {name: digits_of_tools(name, certified[name]) for name in CEILING}
    check(table)
    measure.print_table(
        ["data set", "degree", *TOOLS],
        [[name, certified[name]["degree"], *("–" if digits is None else f"{digits:.1f}" for digits in row.values())]
         for name, row in table.items()],
    )  # fmt: skip
    print(LEGEND)
    return table


if __name__ == "__main__":
    main()
