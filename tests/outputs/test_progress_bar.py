"""The progress bar, on a terminal."""

import os
import pty
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from regression.data import batches
from regression.outputs import progress_bar
from tests.support.command import ROOT, Command, config
from tests.support.preloaded import python


class Bar:
    """Replaces rich's bar, and keeps what is shown."""

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
    """Each pass before the first update has a bar, removed before the next one, unless it is short."""
    monkeypatch.setattr(progress_bar, "Progress", Bar)
    monkeypatch.setattr(Bar, "shown", [])
    monkeypatch.setattr(progress_bar.RunProgress.__init__, "__defaults__", (delay,))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(batches, "ROWS_PER_STEP", 20)
    np.save("a.npy", np.random.default_rng(0).normal(size=(50, 2)))
    done = command("fit", "-c", config("own_file"), "--data.path", "a.npy", "--model.solver", solver,
                   "--data.batch_size", "20", "--trainer.max_epochs", "1")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    scan = [("scanning", 3), *(("scanning", done) for done in (1, 2, 3)), ("scanning", "gone")]
    last = [(unit, 3), *((unit, done) for done in (1, 2, 3)), (unit, "gone")]
    assert Bar.shown == ([] if delay else [*scan * passes, *last])


def test_a_long_run_shows_progress_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal a longer run draws a bar with its updates, and removes it at the end."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [python(), "-c",
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
    assert process.wait(timeout=300) == 0
    assert b"scanning" in seen.split(b"updates")[0]
    assert b"updates" in seen
    assert b"/60" in seen
    assert b"updates/s" in seen.split(b"scanning")[-1]
    assert "━".encode() in seen
    assert b"sum of squared residuals" in seen.split(b"/60")[-1]
