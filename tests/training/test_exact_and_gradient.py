"""Both solvers through the command: convergence, sigma, devices."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import optimize

import regression
from regression.curves.polynomial import Polynomial
from regression.descent.losses import GlobalLoss
from regression.descent.updates import Objective, descend
from tests.support import textbook
from tests.support.command import Command, config, run_process

OPTIMUM = (0.95654736, 12.40772751, -24.20088498, 9.84492499, 4.75737526)
LOWEST = 0.0043523647


def test_the_exact_configs_give_the_optimum(command: Command) -> None:
    """``polynomial_exact.yaml`` gives the optimum that the textbook's 100,000 steps do not reach."""
    done = command("fit", "-c", config("polynomial_exact"))
    assert (done.code, done.err) == (0, "")
    assert done.fit["params"] == pytest.approx(OPTIMUM, rel=1e-8)
    assert done.fit["loss"] == pytest.approx(LOWEST, rel=1e-8)
    assert done.fit["converged"] is True
    line = command("fit", "-c", config("line_exact")).fit
    assert line["params"] == pytest.approx(np.polynomial.polynomial.polyfit(textbook.X, textbook.Y, 1), rel=1e-6)


@pytest.mark.parametrize(("rate", "limit"), [(0.05, 120), (None, 12)])
def test_mapped_chebyshev_descent_converges(command: Command, rate: float | None, limit: int) -> None:
    """On mapped x in the Chebyshev basis SGD comes within 1 % of the optimum in 120 steps of 0.05, or 12 by default."""
    options = () if rate is None else ("--model.learning_rate", str(rate))
    done = command("fit", "--model", "PolynomialRegression", "--trainer.max_steps", str(limit),
                   "--model.updates_per_batch", str(limit), *options)  # fmt: skip
    assert done.fit["loss"] <= 1.01 * LOWEST


def test_calendar_years_in_float32(command: Command, tmp_path: Path) -> None:
    """A parabola over calendar years, fitted by gradient in float32, is right to 1e-5 of the data's range."""
    years = np.arange(1980.0, 2024.0)
    y = 14 + 0.02 * (years - 2000) + 4e-4 * (years - 2000) ** 2
    np.savetxt(tmp_path / "years.csv", np.stack([years, y], 1), "%.17g", ",", header="x,y", comments="")
    done = command("fit", "--model", "PolynomialRegression", "--model.degree", "2", "--trainer.max_steps", "200",
                   "--model.updates_per_batch", "200",
                   "--data", "TableDataModule", "--data.path", "years.csv")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    fit = regression.Fit.from_json(done.folder / "fit.json")
    assert np.abs(fit.predict(torch.tensor(years)).mean.numpy() - y).max() <= 1e-5 * (y.max() - y.min())


def test_distance_from_the_optimum_stops_a_run(command: Command) -> None:
    """With ``stop_at_opt_error`` a run ends at the first step that is close enough, and logs the distance."""
    done = command("fit", "--model", "PolynomialRegression", "--trainer.max_steps", "500",
                   "--trainer.log_every_n_steps", "1", "--model.stop_at_opt_error", "0.01")  # fmt: skip
    distance = list(done.scalars("opt_error_se").values())
    assert 5 < len(distance) < 50
    assert distance[-1] <= 0.01 < min(distance[:-1])
    assert done.fit["opt_error_se"] == pytest.approx(distance[-1], rel=1e-5)


@pytest.fixture
def measured(tmp_path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    x, sigma = np.sort(random.uniform(1, 9, 25)), random.uniform(0.05, 2, 25)
    y = 3 - 0.5 * x + 0.2 * x**2 + sigma * random.normal(size=25)
    np.savetxt(tmp_path / "measured.csv", np.stack([x, y, sigma], 1), "%.17g", ",", header="t,v,err", comments="")
    return x, y, sigma


TABLE = ("--data", "TableDataModule", "--data.path", "measured.csv", "--data.x", "t", "--data.y", "v",
         "--data.sigma", "err")  # fmt: skip


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("solver", ["exact", "gradient"])
def test_point_errors_are_scipys(
    command: Command, measured: tuple[np.ndarray, np.ndarray, np.ndarray], solver: str, absolute: bool
) -> None:
    """With sigma both solvers give scipy's optimum, and its covariance with absolute sigma or without."""
    x, y, sigma = measured
    params, cov = optimize.curve_fit(lambda t, a, b, c: a + b * t + c * t**2, x, y, sigma=sigma,
                                     absolute_sigma=absolute, xtol=1e-14, ftol=1e-14)  # fmt: skip
    steps = ("--trainer.max_steps", "4000", "--model.updates_per_batch", "4000") if solver == "gradient" else ()
    done = command("fit", "--model", "PolynomialRegression", "--model.degree", "2", "--model.solver", solver,
                   "--model.absolute_sigma", str(absolute).lower(), *TABLE, *steps)  # fmt: skip
    assert (done.code, done.err) == (0, "")
    tolerance = 1e-6 if solver == "exact" else 2e-3
    assert done.fit["params"] == pytest.approx(list(params), rel=tolerance)
    assert np.array(done.fit["cov_params"]) == pytest.approx(cov, rel=max(tolerance, 1e-5))


def test_absolute_sigma_needs_sigma(command: Command) -> None:
    """``absolute_sigma`` without sigma is refused."""
    done = command("fit", "-c", config("line_exact"), "--model.absolute_sigma", "true")
    assert (done.code, done.folder) == (2, None)
    assert "absolute_sigma needs the sigma of the points" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--optimizer", "SGD", "--optimizer.lr", "0.1"), "solver exact takes no optimizer"),
        (("--model.loss", "HuberLoss"), "solver exact minimises squares"),
        (("--model.updates_per_batch", "5"), "updates_per_batch is for the gradient solver"),
        (("--model.domain", "[1, 0]"), "domain must be data, raw, or [low, high] with low below high"),
        (("--trainer.precision", "bf16-mixed"), "solver exact needs full precision"),
    ],
)
def test_options_that_the_exact_solver_cannot_use_are_refused(
    command: Command, options: tuple[str, ...], words: str
) -> None:
    """An option that the exact solver would leave unused is refused."""
    done = command("fit", "-c", config("line_exact"), *options)
    assert (done.code, done.folder) == (2, None)
    assert words in done.err


def test_a_domain_that_misses_points_is_a_warning(command: Command) -> None:
    """A domain that does not contain the points is used, with a warning."""
    with pytest.warns(UserWarning, match=r"domain \[0.5, 1.0\] does not contain the points, which lie in \[0, 1\]"):
        done = command("fit", "-c", config("polynomial_exact"), "--model.domain", "[0.5, 1]")
    assert done.fit["params"] == pytest.approx(OPTIMUM, rel=1e-8)


def test_undetermined_points_are_reported(command: Command) -> None:
    """Points at one x give a warning, null errors and a sentence in the report."""
    with pytest.warns(regression.UndeterminedWarning, match="all x are equal"):
        done = command("fit", "-c", config("line_exact"), "--data.low", "2", "--data.high", "2")
    assert done.code == 0
    assert done.fit["bse"] is None
    assert done.fit["rank"] == 1
    assert "undetermined: the points fix 1 of 2 coefficients" in done.out


@pytest.mark.parametrize("basis", ["power", "chebyshev", "legendre"])
@pytest.mark.parametrize("domain", [None, (-0.5, 2.0)])
def test_every_basis_spans_the_same_curves(basis: str, domain: tuple[float, float] | None) -> None:
    """Whatever the basis and domain, a converged descent reports the same coefficients in powers of x."""
    done = regression.fit(textbook.X, textbook.Y, 2)
    model = Polynomial(2, basis, domain).double()  # type: ignore[arg-type]
    search = {"line_search_fn": "strong_wolfe", "max_iter": 50, "tolerance_grad": 1e-13, "tolerance_change": 0}
    optimizer = torch.optim.LBFGS(model.parameters(), **search)
    objective = Objective(model.design(textbook.X.double()), textbook.Y.double(), 10, GlobalLoss("MSELoss"))
    descend(objective, model.coefficients, optimizer, 4)
    grid = torch.linspace(0, 1, 7, dtype=torch.float64)
    assert model(grid).tolist() == pytest.approx(done.predict(grid).mean.tolist(), rel=1e-7)


def test_two_devices_give_the_same_bits(tmp_path: Path, command: Command) -> None:
    """The exact solver on two devices, in batches with uneven slices, gives every digit that one device gives."""
    options = ("fit", "-c", config("polynomial_exact"), "--data.points", "13", "--data.noise", "0.1",
               "--trainer.accelerator", "cpu")  # fmt: skip
    one = command(*options)
    two = run_process(tmp_path, *options, "--trainer.devices", "2", "--data.batch_size", "5")
    assert (two.code, two.err) == (0, "")
    assert {**two.fit, "data": None} == {**one.fit, "data": None}
