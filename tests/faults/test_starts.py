"""Runs that start at the same moment in one output root never share a folder, and never write into another's."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from regression.runs.checkpoint_file import read_checkpoint
from tests.faults.conftest import Counts
from tests.faults.starts import FIRST
from tests.support.command import ROOT, versions
from tests.support.preloaded import python

NAMES = {"checkpoints", "config.yaml", "fit.json", "fit.png", "fit.txt"}


def owners(folder: Path, root: Path) -> set[int]:
    """Return the numbers of points of a run's files: one number if the files belong together."""
    fit = json.loads((folder / "fit.json").read_text())
    points = {
        fit["nobs"],
        fit["data"]["init_args"]["points"],
        yaml.safe_load((folder / "config.yaml").read_text())["data"]["init_args"]["points"],
        int(re.findall(r"^(\d+) points", (folder / "fit.txt").read_text(), re.MULTILINE)[0]),
    }
    for name in ("last", "best"):
        points.add(
            read_checkpoint(str(folder / "checkpoints" / f"{name}.ckpt"))["datamodule_hyper_parameters"]["points"]
        )
    printed = (root / f"{fit['nobs']}.txt").read_text()
    assert f"lightning_logs/{folder.name}\n" in printed
    assert (folder / "fit.txt").read_text() in printed
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    slopes = [event.value for event in events.Scalars("coefficients/slope")]
    assert len(slopes) == fit["updates"]
    assert slopes[-1] == pytest.approx(fit["params"][fit["names"].index("slope")], rel=1e-6)
    return points


@pytest.mark.parametrize(
    "number", [pytest.param(8, id="sample"), pytest.param(200, id="many", marks=pytest.mark.faults)]
)
def test_parallel_starts_never_mix(tmp_path: Path, counts: Counts, number: int) -> None:
    """Of eight runs at a time in one output root each has a folder with its own files alone, and none fails."""
    done = subprocess.run(
        [python(), "-m", "tests.faults.starts", str(tmp_path), str(number), "8"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300 + 5 * number, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    failed = sum(status != 0 for status in json.loads(done.stdout))
    folders = versions(tmp_path)
    assert {folder.name for folder in folders} == {f"version_{at}" for at in range(number)}
    found = [owners(folder, tmp_path) for folder in folders]
    mixed = sum(len(points) != 1 for points in found)
    counts("run started beside seven others", number, failed + mixed)
    assert (failed, mixed) == (0, 0)
    assert {points for (points,) in found} == set(range(FIRST, FIRST + number))
    for folder in folders:
        (events,) = set(os.listdir(folder)) - NAMES
        assert events.startswith("events.")
