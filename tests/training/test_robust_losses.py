"""Runs with losses that are not functions of the sum of squares: step size, optimum, log and stop."""

from typing import Any

import lightning.pytorch as pl
import pytest
import statsmodels.api as sm

from regression import LineRegression, SineLineDataModule
from regression.common.errors import UsageError
from tests.support.command import Command

QUIET = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
         "enable_model_summary": False, "limit_val_batches": 0, "log_every_n_steps": 1}  # fmt: skip
NOISY = SineLineDataModule(points=40, noise=0.5)
X, Y = NOISY.rows("fit").points[:2]
DESIGN = sm.add_constant(X.double().numpy())


def trained(data: pl.LightningDataModule = NOISY, **options: Any) -> LineRegression:
    """Return a line after up to 1,000 updates with the default step."""
    module = LineRegression(updates_per_batch=100, **options).double()
    pl.Trainer(max_epochs=10, precision="64-true", **QUIET).fit(module, datamodule=data)  # type: ignore[arg-type]
    return module


@pytest.mark.parametrize(("loss", "name"), [("HuberLoss", "delta"), ("SmoothL1Loss", "beta")])
def test_a_robust_loss_converges_by_its_own_step(loss: str, name: str) -> None:
    """Without a learning rate the coefficients reach statsmodels' robust fit with the same threshold."""
    fit = trained(loss=loss, loss_args={name: 0.4}).result
    y = Y.double().numpy()
    scale = sm.robust.mad(sm.OLS(y, DESIGN).fit().resid, center=0)
    norm = sm.robust.norms.HuberT(0.4 / scale)
    right = sm.RLM(y, DESIGN, M=norm).fit(update_scale=False, maxiter=5000, tol=1e-14, conv="coefs")
    assert fit is not None
    assert fit.converged is True
    assert fit.params == pytest.approx(right.params, abs=1e-6)
    assert fit.bse == pytest.approx(right.bse, rel=1e-6)


def test_least_absolute_deviations_have_a_step_of_their_own() -> None:
    """Without a learning rate the loss comes within a thousandth of statsmodels' median regression."""
    fit = trained(loss="L1Loss").result
    best = abs(sm.QuantReg(Y.double().numpy(), DESIGN).fit(q=0.5).resid).mean()
    assert fit is not None
    assert fit.loss == pytest.approx(best, rel=1e-3)
    assert (fit.converged, fit.bse) == (None, None)


def test_a_run_stops_near_the_optimum_of_its_own_loss(command: Command) -> None:
    """The distance from the optimum of the loss is logged, and ``stop_at_opt_error`` stops by it."""
    done = command("fit", "--model", "LineRegression", "--model.loss", "HuberLoss", "--model.loss_args.delta", "0.1",
                   "--data.points", "40", "--data.noise", "0.5", "--model.stop_at_opt_error", "0.05",
                   "--trainer.max_epochs", "2000", "--trainer.log_every_n_steps", "1")  # fmt: skip
    logged = list(done.scalars("opt_error_se").values())
    assert done.fit["updates"] == len(logged) < 2000
    assert done.fit["opt_error_se"] == pytest.approx(logged[-1], rel=1e-5)
    assert logged[-1] <= 0.05 < logged[-2]


@pytest.mark.parametrize(
    ("options", "data", "words"),
    [
        ({"loss": "NormLoss"}, NOISY, "loss NormLoss has no step size of its own: give --optimizer"),
        ({"loss": "L1Loss", "domain": (0.0, 1.0)}, "flat", "no step size of its own where the points lie on a curve"),
        ({"loss": "L1Loss", "stop_at_opt_error": 0.1}, NOISY, "stop_at_opt_error needs a loss whose optimum is known"),
    ],
)
def test_what_a_loss_does_not_have_is_refused(options: dict[str, Any], data: Any, words: str) -> None:
    """A loss without a default step or a known optimum is refused in one line that says what to give."""
    if data == "flat":
        data = SineLineDataModule(points=2)  # a line goes through both
    with pytest.raises(UsageError, match=words):
        trained(data, **options)
