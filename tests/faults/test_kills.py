"""A process killed at any moment leaves a checkpoint that loads, and that is not older than its last save."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.faults.conftest import Counts
from tests.support.command import ROOT
from tests.support.preloaded import python

ELSEWHERE = Path("/dev/shm")


def kills(folder: Path, temporary: Path, number: int) -> list[list[int]]:
    """Return for each kill of a saving process the last step that it had saved, and the step in its file."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)}
    done = subprocess.run(
        [python(), "-m", "tests.faults.killed_saver", str(folder), "0", str(number)],
        env=environment, capture_output=True, text=True, timeout=300 + 5 * number, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows: list[list[int]] = json.loads(done.stdout)
    return rows


@pytest.mark.parametrize(
    "number", [pytest.param(10, id="sample"), pytest.param(300, id="many", marks=pytest.mark.faults)]
)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same filesystem", "another filesystem"])
def test_a_killed_process_leaves_its_last_step(tmp_path: Path, counts: Counts, number: int, elsewhere: bool) -> None:
    """After SIGKILL at a random moment of a save, last.ckpt loads and holds the step saved last or the next one."""
    if elsewhere and not ELSEWHERE.is_dir():
        pytest.skip("there is no other filesystem")
    rows = kills(tmp_path, ELSEWHERE if elsewhere else tmp_path, number)
    lost = sum(found not in (saved, saved + 1) for saved, found in rows)
    counts(f"SIGKILL while saving, TMPDIR on {'another' if elsewhere else 'the same'} filesystem", len(rows), lost)
    assert (len(rows), lost) == (number, 0), rows
    assert rows[-1][1] > number / 2  # the processes did save
