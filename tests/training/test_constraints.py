"""The options terms, fix and through of the modules, with both solvers."""

from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import statsmodels.api as sm
import torch
from lightning.pytorch.callbacks import Callback
from scipy.optimize import minimize

import regression
from regression import ArrayDataModule, Fit, LineRegression, PolynomialRegression, UsageError
from tests.support.r_data import CARS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
    pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]
# R's lm of R's cars: with an offset, of chosen columns, and of (x - 4) and (x - 4)² without an intercept.
FIXED = {"params": (-18.620000000000001, 4.0), "bse": (2.1532869985116205, 0.0)}
TERMS = {"params": (8.8600485487035066, 0.12896867043882859), "bse": (4.0863289379559271, 0.013185400327496181)}
THROUGH = (2.6761616650071827, 0.6549860131104327), (0.064022179094222934, 0.04143089292745248)
SIGMA = 15.095788031278422
CONVERGED = {"64-true": 1e-9, "32-true": 3e-5}
OPTIMIZERS = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=3.0),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.5),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=3.0, weight_decay=0.0),
    "LBFGS": lambda parameters: torch.optim.LBFGS(parameters, lr=0.5),
    "Rprop": lambda parameters: torch.optim.Rprop(parameters, lr=1.0),
}


def fitted(
    module: Any, updates: int = 60, precision: Any = "64-true", x: Any = CARS[0], y: Any = CARS[1], **options: Any
) -> Any:
    """Fit points, and return the module."""
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, precision=precision,
        enable_checkpointing=False, max_epochs=-1, max_steps=updates, callbacks=options.pop("callbacks", None),
    )  # fmt: skip
    trainer.fit(module, ArrayDataModule(x, y, **options))
    return module


def result(module: Any, **options: Any) -> Fit:
    fit: Fit = fitted(module, **options).result
    return fit


@pytest.mark.parametrize("precision", CONVERGED)
@pytest.mark.parametrize("solver", ["exact", "gradient"])
def test_both_solvers_have_the_numbers_of_r(solver: Any, precision: str) -> None:
    """With a fixed slope, chosen powers or a given point, either solver has R's coefficients, errors and σ."""
    is_float32 = (solver, precision) == ("gradient", "32-true")
    near: dict[str, Any] = {"rel": 3e-6 if is_float32 else 1e-9}
    fixed = result(LineRegression(solver=solver, fix={"slope": 4}), precision=precision)
    terms = result(PolynomialRegression(solver=solver, terms=[0, 2]), precision=precision)
    for fit, right in ((fixed, FIXED), (terms, TERMS)):
        assert fit.params == pytest.approx(right["params"], **near)
        assert fit.bse == pytest.approx(right["bse"], **near)
        assert (fit.converged, fit.nobs) == (True, 50)
    assert (fixed.names, fixed.fixed, fixed.df_resid) == (("intercept", "slope"), {"slope": 4.0}, 49)
    assert fixed.params[1] == 4
    assert (terms.names, terms.degree, terms.df_resid) == (("c0", "c2"), 2, 48)
    through = result(PolynomialRegression(degree=2, solver=solver, through=[(4, 2)]), precision=precision)
    for order, (value, se) in enumerate(THROUGH, start=1):
        own = through.derivative(4, order)
        assert (own.value / order, own.se / order) == pytest.approx((value, se), **near)
    assert through.sigma == pytest.approx(SIGMA, **near)
    assert (through.through, through.predict(4.0).mean, through.predict(4.0).mean_se) == (((4.0, 2.0),), 2, 0)


def test_the_exact_solver_has_the_bits_of_python() -> None:
    """The module's fit within constraints is that of ``regression.fit``, whatever the size of its batches."""
    kept: dict[str, Any] = {"terms": [0, 1, 3], "fix": {"c1": 0.5}, "through": [(25, 85)]}
    right = regression.fit(*CARS, **kept)
    for batch_size in (None, 7):
        fit = result(PolynomialRegression(solver="exact", **kept), batch_size=batch_size)
        for name in ("params", "bse", "cov_params", "ssr", "sigma", "rsquared", "aic", "curve", "notes"):
            np.testing.assert_equal(getattr(fit, name), getattr(right, name), err_msg=name)


class Watch(Callback):
    """Keeps f(4) and f'(0) of a parabola after each update."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        at, before, after = pl_module(torch.tensor([4.0, -1.0, 1.0], dtype=torch.float64)).tolist()
        self.seen.append((at, (after - before) / 2))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("domain", ["data", (0.0, 30.0)])
@pytest.mark.parametrize("options", [{}, {"batch_size": 25}, {"updates_per_batch": 10}])
def test_any_optimizer_stays_within_the_constraints(name: str, domain: Any, options: dict[str, Any]) -> None:
    """At every update of every optimizer, on all rows, mini-batches or in blocks, the curve meets its constraints."""
    of_model = {key: value for key, value in options.items() if key == "updates_per_batch"}
    of_data = {key: value for key, value in options.items() if key == "batch_size"}
    module = PolynomialRegression(2, "legendre", domain=domain, through=[(4, 2)], fix={"c1": 1.5}, **of_model)
    module.configure_optimizers = lambda: OPTIMIZERS[name](module.parameters())  # type: ignore[method-assign]
    watch = Watch()
    fitted(module, updates=20, callbacks=[watch], **of_data)
    np.testing.assert_allclose(np.array(watch.seen), [[2.0, 1.5]] * len(watch.seen), rtol=1e-10)
    assert len(watch.seen) == 20 // options.get("updates_per_batch", 1)
    assert len(module.model.coefficients) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_reaches_the_optimum(name: str) -> None:
    """Every optimizer ends at R's numbers, and the distance from the optimum is that of the free coefficients."""
    module = PolynomialRegression(2, through=[(4, 2)], updates_per_batch=500, stop_at_opt_error=1e-5)
    module.configure_optimizers = lambda: OPTIMIZERS[name](module.parameters())  # type: ignore[method-assign]
    slope = result(module, updates=5_000).derivative(4)
    assert (slope.value, slope.se) == pytest.approx(THROUGH[0], rel=1e-5)


def test_the_default_step_is_that_of_the_free_coefficients() -> None:
    """With one free coefficient the default step reaches its optimum in one update, whatever the others would need."""
    module = PolynomialRegression(5, terms=[5])
    fit = result(module, updates=1)
    x, y = CARS
    assert fit.params[0] == pytest.approx((x**5 @ y) / (x**10).sum(), rel=1e-9)
    batches = result(PolynomialRegression(5, terms=[5]), updates=100, batch_size=10, shuffle=False)
    assert batches.opt_error_se is not None
    assert batches.opt_error_se < 1


def test_coefficients_that_points_determine_are_kept() -> None:
    """Points at -h and h determine a parabola's odd coefficient: it has no error and does not count in the distance."""
    points = [(-0.1, 0.3), (0.1, 1.0)]
    for solver in ("exact", "gradient"):
        fit = result(PolynomialRegression(2, solver=solver, through=points))  # type: ignore[arg-type]
        assert fit.params[1] == pytest.approx(3.5, rel=1e-15)
        assert fit.bse is not None
        assert (fit.bse[1], fit.converged) == (0, True)


def test_a_robust_loss_is_minimised_within_the_constraints() -> None:
    """Huber's loss through a point ends where scipy's minimiser of the free coefficients does."""
    x, y = CARS
    fit = result(PolynomialRegression(2, through=[(4, 2)], loss="HuberLoss", loss_args={"delta": 10.0}), updates=300)

    def loss(free: Any) -> float:
        residual = np.abs(y - 2 - free[0] * (x - 4) - free[1] * (x - 4) ** 2)
        return float(np.where(residual <= 10, residual**2 / 2, 10 * (residual - 5)).sum())

    right = minimize(loss, [2.0, 0.1], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12})
    assert fit.derivative(4).value == pytest.approx(right.x[0], rel=1e-6)
    assert fit.loss == pytest.approx(right.fun / 50, rel=1e-9)
    assert fit.converged


def test_a_module_is_fitted_again_within_its_constraints() -> None:
    """Fitted to other points, a module takes their domain, meets its constraints, and ends at their optimum."""
    kept: dict[str, Any] = {"degree": 2, "through": [(4, 2)]}
    module = fitted(PolynomialRegression(**kept))
    x, y = CARS[0] / 2, CARS[1] + 1
    again = result(module, x=x, y=y)
    assert module.model.domain == (2, 12.5)
    right = regression.fit(x, y, **kept)
    np.testing.assert_allclose(again.params, right.params, rtol=1e-9)
    np.testing.assert_allclose(module(torch.tensor([4.0, 8.0], dtype=torch.float64)).tolist(), [2, right(8.0)])


def test_weights_count_within_constraints() -> None:
    """Mini-batches of weighted points converge to the weighted fit of statsmodels."""
    x, y = CARS
    sigma = 1 + np.sin(x) ** 2
    right = sm.WLS(y - 4 * x, np.ones_like(x), weights=1 / sigma**2).fit()
    for options in ({}, {"updates_per_batch": 25}):
        fit = result(LineRegression(fix={"slope": 4}, **options), updates=50, sigma=sigma)
        assert fit.params[0] == pytest.approx(right.params[0], rel=1e-9)
        assert fit.bse is not None
        assert fit.bse[0] == pytest.approx(right.bse[0], rel=1e-9)


def test_constraints_may_be_arrays() -> None:
    """Arrays, sets and numpy's numbers are accepted, and stored as plain numbers."""
    module = PolynomialRegression(
        terms={0, 2}, fix={"c2": np.float64(0.1)}, through=np.array([[4, 2.0]])[:0], solver="exact"
    )
    fit = result(module)
    assert fit.fixed == {"c2": 0.1}
    assert fit.params[0] == pytest.approx(np.mean(CARS[1] - 0.1 * CARS[0] ** 2), rel=1e-12)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: LineRegression(fix={"slop": 4}), "fix must name .* got 'slop'; did you mean slope"),
        (lambda: LineRegression(fix={"c2": 4}), "fix must name coefficients of the powers 0, 1, got 'c2'"),
        (lambda: LineRegression(fit_intercept=False, fix={"c0": 4}), "coefficients of the powers 1, got 'c0'"),
        (lambda: LineRegression(through=[(4, 2), (4, 3)]), "contradict each other"),
        (lambda: LineRegression(through=[(4, 2), (5, 3)]), "leave nothing to fit"),
        (lambda: LineRegression(terms=[0]), r"terms of a line are \[0, 1\] or \[1\], got \[0\]"),
        (lambda: LineRegression(terms=[0, 2]), r"got \[0, 2\]: use PolynomialRegression"),
        (lambda: LineRegression(terms=[1], fit_intercept=False), "leave out degree and fit_intercept"),
        (lambda: LineRegression(through="42"), r"through must be points \(x, y\)"),
        (lambda: LineRegression(through=[4, 2]), r"through must be points \(x, y\)"),
        (lambda: LineRegression(through=[(4, "2")]), "must be a finite number, got '2'"),
        (lambda: PolynomialRegression(3, terms=[0, 2]), "leave out degree and fit_intercept"),
        (lambda: PolynomialRegression(terms=[0.5]), "terms must be different whole numbers"),
        (lambda: PolynomialRegression(terms=2), r"terms must be different whole numbers .* got 2"),
        (lambda: PolynomialRegression("auto", solver="exact", fix={"c0": 1}), "need a whole number for the degree"),
        (lambda: PolynomialRegression("auto", solver="exact", terms=[0, 2]), "leave out degree and fit_intercept"),
    ],
)
def test_bad_constraints_are_refused(make: Any, said: str) -> None:
    """Constraints that contradict each other, leave nothing free, or name no coefficient are refused without points."""
    with pytest.raises(UsageError, match=said):
        make()


def test_weights_of_another_curve_are_refused() -> None:
    """A state with other constraints, or none, is refused in a line that names them."""
    state = fitted(PolynomialRegression(2, solver="exact", through=[(4, 2)])).state_dict()
    for other, said in (
        (PolynomialRegression(2, solver="exact", through=[(4, 3)]), r"through \[\[4.0, 2.0\]\], this one has \[\[4.0"),
        (PolynomialRegression(2, solver="exact", fix={"c0": 1}), r"fix \{\}, this one has \{'c0': 1.0\}"),
        (PolynomialRegression(2, solver="exact"), r"terms \[0, 1, 2\], this one has None"),
    ):
        with pytest.raises(UsageError, match=f"the weights are those of a curve with {said}"):
            other.load_state_dict(state)
    free = fitted(PolynomialRegression(2, solver="exact")).state_dict()
    with pytest.raises(UsageError, match=r"terms None, this one has \[0, 2\]"):
        PolynomialRegression(solver="exact", terms=[0, 2]).load_state_dict(free)
