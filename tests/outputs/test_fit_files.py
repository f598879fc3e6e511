"""Report lines, histories and the progress bar."""

import math
import os
import pty
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from regression.data import batches
from regression.fits import figure as drawing
from regression.outputs import progress_bar
from regression.outputs.fit_files import FitFiles, milestones
from regression.training.descent import Trace
from tests.support.command import ROOT, Command, config


def trace(first: int, updates: int) -> Trace:
    return Trace(first, torch.zeros(updates), torch.zeros(updates, 2))


@pytest.mark.parametrize(
    ("total", "block", "expected"),
    [
        (10, 1, list(range(10))),
        (2000, 200, list(range(0, 2000, 200))),
        (100_000, 7001, list(range(0, 100_000, 10_000))),
        (3, 1, [0, 1, 2]),
        (math.inf, 1, [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]),
    ],
)
def test_milestones_are_evenly_spaced(total: float, block: int, expected: list[int]) -> None:
    """About ten updates of a run are reported, from the first, whatever the size of its blocks."""
    end = 1200 if math.isinf(total) else int(total)
    found = [
        at for first in range(0, end, block) for at in milestones(trace(first, min(block, end - first)), total, 10)
    ]
    assert found == expected


def test_report_rows_can_be_chosen(command: Command) -> None:
    """``--report.rows`` changes the number of lines, and 0 leaves the final report alone."""
    assert list(command("fit", "-c", config("line"), "--report.rows", "2").rows()) == [0, 5, 10]
    assert command("fit", "-c", config("line"), "--report.rows", "0").out.startswith("LineRegression, degree 1")


def test_loss_after_the_update_is_the_next_loss_before(command: Command) -> None:
    """The column ``loss after`` of a row is the ``loss before`` of the next one, in blocks and without."""
    for blocks in ("1", "4"):
        options = ("fit", "-c", config("line"), "--trainer.max_epochs", "-1", "--trainer.max_steps", "10",
                   "--model.updates_per_batch", blocks)  # fmt: skip
        before, after = command(*options).rows(), command(*options, "--report.loss", "after").rows()
        for update in range(10):
            assert after[update][0] == pytest.approx(before[update + 1][0], rel=1e-6)


def test_long_histories_are_thinned_evenly() -> None:
    """The losses kept for the figure are bounded in number and evenly spaced."""
    files = FitFiles(points=100)
    for first in range(0, 5000, 50):
        files.keep(trace(first, 50))
    steps = sorted(files.losses)
    assert 50 <= len(steps) <= 100
    assert len({after - before for before, after in pairwise(steps)}) == 1
    assert steps[0] == 0


@pytest.mark.figures
def test_figures_on_the_way_go_through_the_origin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an intercept the curves drawn during a run are lines through the origin, as the last one is."""
    drawn = []

    def record(predict: Any, *points: Any, **options: Any) -> Any:
        drawn.append(predict(torch.tensor([0.0, 1.0, 2.0])).mean.tolist())
        return drawn_figure(predict, *points, **options)

    drawn_figure = drawing.figure
    monkeypatch.setattr(drawing, "figure", record)
    done = command("fit", "--model", "LineRegression", "--model.fit_intercept", "false", "--trainer.max_steps", "4")
    assert (done.code, done.err) == (0, "")
    assert len(drawn) > 2
    for zero, one, two in drawn:
        assert zero == pytest.approx(0, abs=1e-9)
        assert two == pytest.approx(2 * one, rel=1e-9)
        assert one > 0


class Bar:
    """Stands in for rich's bar, and notes what is shown."""

    shown: ClassVar[list[tuple[Any, ...]]] = []
    task_ids = (0,)

    def __init__(self, *columns: Any, **options: Any) -> None:
        self.unit = ""

    def add_task(self, unit: str, total: int | None, text: str) -> None:
        self.unit = unit
        self.shown.append((unit, total))

    def start(self) -> None: ...

    def update(self, task: int, completed: int, text: str) -> None:
        self.shown.append((self.unit, completed))

    def stop(self) -> None:
        self.shown.append((self.unit, "gone"))


@pytest.mark.parametrize(("solver", "passes", "unit"), [("exact", 1, "batches"), ("gradient", 2, "updates")])
@pytest.mark.parametrize("delay", [0.0, 1e9])
def test_the_scan_before_a_fit_has_a_bar_of_its_own(
    command: Command, monkeypatch: pytest.MonkeyPatch, solver: str, passes: int, unit: str, delay: float
) -> None:
    """Each pass before the first update is shown as scanning, and gone before the next bar; a short one not at all."""
    monkeypatch.setattr(progress_bar, "Progress", Bar)
    monkeypatch.setattr(Bar, "shown", [])
    monkeypatch.setattr(progress_bar.RunProgress.__init__, "__defaults__", (delay,))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(batches, "LARGE_BATCH", 20)
    np.save("a.npy", np.random.default_rng(0).normal(size=(50, 2)))
    done = command("fit", "-c", config("own_file"), "--data.path", "a.npy", "--model.solver", solver,
                   "--data.batch_size", "20", "--trainer.max_epochs", "1")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    scan = [("scanning", 3), *(("scanning", done) for done in (1, 2, 3)), ("scanning", "gone")]
    last = [(unit, 3), *((unit, done) for done in (1, 2, 3)), (unit, "gone")]
    assert Bar.shown == ([] if delay else [*scan * passes, *last])


def test_a_long_run_shows_progress_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal, a run of more than a moment draws a bar with its updates, and no bar stays behind."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c",
         "from regression import cli; from regression.outputs import progress_bar; import sys;"
         "progress_bar.RunProgress.__init__.__defaults__ = (0.0,);"
         "sys.exit(cli.main(sys.argv[1:]))",
         "fit", "-c", config("line"), "--trainer.max_epochs", "60"],
        stdout=slave, stderr=slave, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    seen = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the terminal is closed when its last writer ends
            break
        if not chunk:
            break
        seen += chunk
    os.close(master)
    assert process.wait(timeout=60) == 0
    assert b"scanning" in seen.split(b"updates")[0]
    assert b"updates" in seen
    assert b"/60" in seen
    assert b"rows/s" in seen
    assert "━".encode() in seen
    assert b"sum of squared residuals" in seen.split(b"/60")[-1]
