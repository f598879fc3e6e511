"""The record of a fit."""

import json

import pytest
import torch

from regression.fit import Fit, residual_sums

FACTS = {"model": "LineRegression", "optimizer": "SGD", "updates": 3, "loss_name": "MSELoss", "loss": 0.5}


def made(params: tuple[float, ...], sums: tuple[int, float, float]) -> Fit:
    return Fit.of(names=("intercept", "slope"), params=params, sums=sums, val_loss=None, **FACTS)


def test_sums_are_of_all_slices() -> None:
    """N, the residual and the total sum of squares are those of all points, also at a large offset."""
    y = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64) + 1e8
    slices = [(torch.zeros(2), y[:2]), (torch.zeros(1), y[2:])]
    nobs, ssr, tss = residual_sums(lambda x: torch.full_like(x, 1e8, dtype=torch.float64), slices)
    assert (nobs, ssr) == (3, 21)
    assert tss == pytest.approx(14 / 3, rel=1e-7)


def test_json_is_strict_and_keeps_all_digits() -> None:
    """The JSON has every float with all its digits, and null with a reason for what is unknown."""
    fit = made((0.1 + 0.2, 1 / 3), (2, 1e-30, 0.0))
    content = json.loads(fit.to_json())
    assert content["params"] == [0.1 + 0.2, 1 / 3]
    assert content["sigma"] is None
    assert content["rsquared"] is None
    assert len(content["notes"]) == 2


def test_report_shows_the_numbers() -> None:
    """The report names the model, the points, each coefficient and the goodness of the fit."""
    text = str(made((1.25, -2.5), (10, 4.5, 9.0)))
    for part in (
        "LineRegression",
        "10 points",
        "8 degrees of freedom",
        "intercept   1.25",
        "slope      -2.5",
        "R² 0.5",
    ):
        assert part in text
    assert "note" not in text


def test_prediction_is_the_curve() -> None:
    """A fit predicts in float64 without its model."""
    assert made((1.0, 2.0), (10, 1.0, 1.0)).predict(torch.tensor([0.0, 0.5])).tolist() == [1, 2]
