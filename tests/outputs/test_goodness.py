"""How well a curve describes points: the numbers of independent libraries, and exact ones where these lose digits."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional import mean_absolute_error, r2_score

from regression.outputs.goodness import Goodness


def of(y: torch.Tensor, mean: torch.Tensor, half: float = 1.0, sigma: torch.Tensor | None = None) -> Goodness:
    return Goodness.of(y, mean, mean - half, mean + half, sigma)


@pytest.fixture
def points() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    y = torch.randn(400, generator=generator, dtype=torch.float64)
    return y, y + 0.3 * torch.randn(400, generator=generator, dtype=torch.float64)


def test_metrics_are_those_of_torchmetrics(points: tuple[torch.Tensor, torch.Tensor]) -> None:
    """On plain numbers R², RMSE and MAE are torchmetrics', and coverage is counted."""
    y, mean = points
    found = of(y, mean, 0.2).metrics()
    assert found["rsquared"] == pytest.approx(float(r2_score(mean, y)), rel=1e-12)
    assert found["mae"] == pytest.approx(float(mean_absolute_error(mean, y)), rel=1e-12)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((y - mean).numpy() ** 2)), rel=1e-12)
    assert found["coverage"] == np.mean(np.abs((y - mean).numpy()) <= 0.2)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1e4, 1.0), (0.0, 1e-4), (1e4, 1e-4), (-1e9, 1e-3)])
def test_shifted_and_scaled_targets_have_the_same_rsquared(
    points: tuple[torch.Tensor, torch.Tensor], shift: float, scale: float
) -> None:
    """R² of ``shift + scale y`` is that of y, to the digits that the shifted numbers keep."""
    y, mean = points
    right = of(y, mean).metrics()["rsquared"]
    moved = of(shift + scale * y, shift + scale * mean).metrics()["rsquared"]
    assert moved == pytest.approx(right, rel=1e-12 + 1e-15 * abs(shift) / scale)


def test_float32_targets_keep_their_rsquared(points: tuple[torch.Tensor, torch.Tensor]) -> None:
    """R² of float32 targets shifted by 1e4 is that of these numbers in exact arithmetic, where torchmetrics' is not."""
    y = (1e4 + points[0]).float()
    mean = 1e4 + points[1]
    exact = y.double().numpy().astype(np.longdouble)
    right = float(1 - np.sum((exact - mean.numpy()) ** 2) / np.sum((exact - exact.mean()) ** 2))
    assert of(y, mean).metrics()["rsquared"] == pytest.approx(right, rel=1e-12)
    assert abs(float(r2_score(mean.float(), y)) - right) > 1e-3


def test_noise_explains_nothing_at_any_scale(points: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Independent noise scaled by 1e-4 has an R² of about −1, not 1."""
    noise = torch.randn(400, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    assert of(1e-4 * points[0], 1e-4 * noise).metrics()["rsquared"] < -0.5


@given(cuts=st.lists(st.integers(0, 400), max_size=5), weighted=st.booleans())
def test_parts_merge_to_the_whole(cuts: list[int], weighted: bool) -> None:
    """Whatever the parts, also empty ones, their merged statistics are those of all points."""
    generator = torch.Generator().manual_seed(4)
    y = 1e3 + torch.randn(400, generator=generator, dtype=torch.float64)
    mean, sigma = y + 0.1, torch.rand(400, generator=generator, dtype=torch.float64) + 0.5
    whole = of(y, mean, sigma=sigma if weighted else None)
    total = Goodness()
    edges = [0, *sorted(cuts), 400]
    for start, stop in pairwise(edges):
        part = slice(start, stop)
        total = total.merge(of(y[part], mean[part], sigma=sigma[part] if weighted else None))
    assert list(vars(total).values()) == pytest.approx(list(vars(whole).values()), rel=1e-11)


def test_weights_are_those_of_the_fit(points: tuple[torch.Tensor, torch.Tensor]) -> None:
    """With sigma, R² is weighted by 1 / sigma²; a point of half the sigma counts as four."""
    y, mean = points
    sigma = torch.ones(400, dtype=torch.float64)
    sigma[0] = 0.5
    four = torch.cat([y[:1].repeat(3), y]), torch.cat([mean[:1].repeat(3), mean])
    assert of(y, mean, sigma=sigma).metrics()["rsquared"] == pytest.approx(of(*four).metrics()["rsquared"], rel=1e-12)


def test_equal_targets_leave_rsquared_unknown() -> None:
    """If all y are equal, or a band is unknown, the number is NaN, not 0 or 1."""
    y = torch.full((5,), 7.0)
    assert math.isnan(of(y, y + 1).metrics()["rsquared"])
    assert math.isnan(of(y, y + 1, math.nan).metrics()["coverage"])
