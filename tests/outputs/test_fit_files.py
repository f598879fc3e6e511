"""Histories of losses, and the figures drawn on the way."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from regression.fits import figure as drawing
from regression.outputs.fit_files import FitFiles, updates_shown
from regression.training.descent import Trace
from tests.support.command import Command


def test_long_histories_are_thinned_evenly() -> None:
    """The losses kept for the figure are bounded in number and evenly spaced."""
    files = FitFiles(points=100)
    for first in range(0, 5000, 50):
        files.keep(Trace(first, torch.zeros(50), torch.zeros(50, 2)))
    steps = sorted(files.losses)
    assert 50 <= len(steps) <= 100
    assert len({after - before for before, after in pairwise(steps)}) == 1
    assert steps[0] == 0


@pytest.mark.parametrize(
    ("total", "updates"),
    [(10, ()), (999, ()), (1000, (250, 500, 750)), (1003, (250, 501, 752)), (math.inf, (1000, 10_000, 100_000))],
)
def test_a_long_run_draws_three_figures_on_the_way(total: float, updates: tuple[int, ...]) -> None:
    """A run of fewer than a thousand updates draws no figure before its last one, any other run three."""
    assert updates_shown(total) == updates


def test_figures_on_the_way_go_through_the_origin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an intercept the curves drawn during a run are lines through the origin, as the last one is."""
    drawn = []

    def record(title: str, shown: Any, curve: Any, *panel: Any) -> Any:
        drawn.append(curve.predict(torch.tensor([0.0, 1.0, 2.0])).mean.tolist())
        return drawn_figure(title, shown, curve, *panel)

    drawn_figure = drawing.figure
    monkeypatch.setattr(drawing, "figure", record)
    done = command("fit", "--model", "LineRegression", "--model.fit_intercept", "false", "--trainer.max_steps", "1000",
                   "--report.rows", "0")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    images = EventAccumulator(str(done.folder)).Reload().Images("fit")
    assert [(image.step, image.width, image.height) for image in images] == [
        (update, 840, 960) for update in (250, 500, 750, 1000)
    ]
    assert all(image.encoded_image_string.startswith(b"\x89PNG") for image in images)
    assert len(drawn) == 4
    for zero, one, two in drawn:
        assert zero == pytest.approx(0, abs=1e-9)
        assert two == pytest.approx(2 * one, rel=1e-9)
        assert one > 0
