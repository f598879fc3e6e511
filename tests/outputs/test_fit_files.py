"""Histories of losses, and the figures drawn on the way."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from regression.fits import figure as drawing
from regression.outputs.fit_files import FitFiles
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


@pytest.mark.figures
def test_figures_on_the_way_go_through_the_origin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an intercept the curves drawn during a run are lines through the origin, as the last one is."""
    drawn = []

    def record(title: str, shown: Any, curve: Any, *panel: Any) -> Any:
        drawn.append(curve.predict(torch.tensor([0.0, 1.0, 2.0])).mean.tolist())
        return drawn_figure(title, shown, curve, *panel)

    drawn_figure = drawing.figure
    monkeypatch.setattr(drawing, "figure", record)
    done = command("fit", "--model", "LineRegression", "--model.fit_intercept", "false", "--trainer.max_steps", "4")
    assert (done.code, done.err) == (0, "")
    assert len(drawn) > 2
    for zero, one, two in drawn:
        assert zero == pytest.approx(0, abs=1e-9)
        assert two == pytest.approx(2 * one, rel=1e-9)
        assert one > 0
