"""Runs the command in tests, and reads what it printed and wrote."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from regression.runs.folder import TAGS
from tests.support.preloaded import python

ROOT = Path(__file__).parents[2]


def fit_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "fit.json").read_text())
    return content


@dataclass(frozen=True)
class Run:
    """One run of the command: its exit status, what it printed, and its folder if it made one."""

    code: int
    out: str
    err: str
    folder: Path | None

    @property
    def fit(self) -> dict[str, Any]:
        assert self.folder is not None, self.err
        return fit_of(self.folder)

    @property
    def checkpoint(self) -> str:
        assert self.folder is not None, self.err
        return str(self.folder / "checkpoints" / "last.ckpt")

    def rows(self) -> dict[int, list[float]]:
        """Return the numbers of each report line, by the line's label."""
        table = self.out.split("\n\n")[0].splitlines()[1:]
        return {int(line.split()[0]): [float(cell) for cell in line.split()[1:]] for line in table}

    def scalars(self, tag: str) -> dict[int, float]:
        """Return a scalar series of the run's TensorBoard events, by step; a loss by the name it is logged by."""
        events = EventAccumulator(str(self.folder), size_guidance={"scalars": 0}).Reload()
        return {event.step: event.value for event in events.Scalars(TAGS.get(tag, tag))}


def config(name: str) -> str:
    return str(ROOT / "configs" / f"{name}.yaml")


def versions(folder: Path) -> set[Path]:
    return set(folder.glob("lightning_logs/version_*"))


Command = Callable[..., Run]


def run_process(folder: Path, *args: str, timeout: float = 400) -> Run:
    """Run ``train.py`` in new processes."""
    before = versions(folder)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python(), str(ROOT / "train.py"), *args],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    new = versions(folder) - before
    return Run(done.returncode, done.stdout, done.stderr, new.pop() if new else None)


def run_python(folder: Path, program: str, timeout: float = 400) -> str:
    """Run a user's program, which may start further processes, and return what all of them printed."""
    path = folder / "program.py"
    path.write_text(program, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python(), str(path)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
