"""Gradient fits of data beyond their number type are reported or refused, and the advice given works."""

from typing import Any

import numpy as np
import pytest

from tests.support.command import Command

X = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
Y = np.array([1.0, 3.1, 4.9, 7.2, 8.8, 11.0])
LEARN = ("fit", "--model", "LineRegression", "--trainer.max_steps", "60", "--model.updates_per_batch", "60",
         "--data", "TableDataModule", "--data.path", "points.csv")  # fmt: skip
WIDER = ("--trainer.precision", "64-true")


def fit_of(command: Command, y: Any, *options: str) -> dict[str, Any]:
    np.savetxt("points.csv", np.stack([X, y], 1), "%.17g", ",", header="x,y", comments="")
    done = command(*LEARN, *options)
    assert (done.code, done.err) == (0, "")
    return done.fit


@pytest.mark.parametrize("offset", [1e7, 1e9, -3e12])
def test_y_far_from_zero_needs_float64(command: Command, offset: float) -> None:
    """If float32 rounds y by more than its errors, a note names the option with which the same run converges."""
    short = fit_of(command, Y + offset)
    assert not short["converged"]
    assert "use --trainer.precision 64-true, or --model.solver exact" in short["notes"][-1]
    assert "more updates" not in short["notes"][-1]
    wide = fit_of(command, Y + offset, *WIDER)
    right = np.polynomial.polynomial.polyfit(X - X.mean(), Y, 1)
    assert wide["converged"]
    assert wide["params"][1] == pytest.approx(right[1], rel=1e-3)


def test_too_few_updates_are_not_taken_for_rounding(command: Command) -> None:
    """The note on a run of two updates advises more updates, in either number type."""
    for options in ((), WIDER):
        few = fit_of(command, Y, *options, "--trainer.max_steps", "2", "--optimizer", "SGD", "--optimizer.lr", "0.01")
        assert "make more updates" in few["notes"][-1]
        assert "64-true" not in few["notes"][-1]


@pytest.mark.parametrize("per_batch", ["1", "60"])
@pytest.mark.parametrize(("scale", "word"), [(1e-50, "small"), (1e-24, "small"), (1e30, "large")])
def test_y_whose_loss_is_not_finite_is_refused(command: Command, scale: float, word: str, per_batch: str) -> None:
    """A loss below or beyond float32 ends the run before it is logged as 0 or infinite; float64 takes the points."""
    np.savetxt("points.csv", np.stack([X, Y * scale], 1), "%.17g", ",", header="x,y", comments="")
    done = command(*LEARN, "--model.updates_per_batch", per_batch)
    assert (done.code, done.folder) == (2, None)
    assert f"float32: y is too {word} for this loss; use --trainer.precision 64-true, --model.solver exact" in done.err
    wide = fit_of(command, Y * scale, *WIDER)
    assert wide["params"] == pytest.approx(np.polynomial.polynomial.polyfit(X, Y * scale, 1).tolist(), rel=1e-6)


@pytest.mark.parametrize("y", [np.zeros(6), 2 + 3 * X])
def test_points_on_the_curve_are_not_refused(command: Command, y: Any) -> None:
    """Points on the curve, whose loss is 0, are not refused."""
    fit = fit_of(command, y)
    assert fit["params"] == pytest.approx([y[0], y[1] - y[0]], abs=1e-5)
