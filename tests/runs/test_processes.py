"""If one process of a run fails, all end soon, and the last line has the cause."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from regression.runs import started_processes
from tests.support.command import ROOT
from tests.support.preloaded import python
from tests.support.processes import FIT, Ended, ended, members, started, wait_for

TIMEOUT = 30  # seconds; the second process must have started by then, also on a busy machine
HANGS = ("hung", "frozen")
CAUSES = {
    "killed": ("process 1 of 2 was killed", "process 2 of 2 was killed by SIGKILL"),
    "raised": ("the planted error", "the planted error"),
    "exited": ("process 1 of 2 was killed or exited", "process 2 of 2 exited under way with status 3"),
    "hung": ("process 1 of 2 did not answer for 30 s", "process 2 of 2 did not answer for 30 s"),
    "frozen": ("process 1 of 2 did not answer for 30 s", "process 2 of 2 did not answer for 30 s"),
}


def fail(folder: Path, kind: str, rank: int, phase: str) -> Ended:
    """Run two processes, one of which fails, and return how both end."""
    options = ("--trainer.devices", "2", *(("--timeout", str(TIMEOUT)) if kind in HANGS else ()))
    with started(folder, f"{kind}:{rank}:{phase}", *FIT, *options) as process:
        wait_for((folder / "fault").exists)
        return ended(process, folder, (folder / "fault").stat().st_mtime)


def fault_of(end: Ended, kind: str, rank: int) -> str:
    """Return what is wrong with how a run ended, if anything."""
    limit = TIMEOUT + 5 if kind in HANGS else 10
    if end.left or end.status == 0 or end.seconds > limit or CAUSES[kind][rank] not in end.line:
        return f"{end}, expected {CAUSES[kind][rank]!r} within {limit} s"
    return ""


def test_one_is_killed_and_all_end(tmp_path: Path) -> None:
    """If one process fails, both end within ten seconds, with a status other than 0 and the cause on the last line."""
    assert fault_of(fail(tmp_path, "killed", 1, "training"), "killed", 1) == ""


@pytest.mark.parametrize(
    ("kind", "rank", "line"),
    [
        ("killed", 1, "process 2 of 3 was killed by SIGKILL; all others were stopped: go on with --ckpt_path last"),
        ("exited", 2, "process 3 of 3 exited under way with status 3; all others were stopped: go on with --ckpt_path "
         "last"),
        pytest.param("raised", 2, "the planted error", marks=pytest.mark.slow),
        ("raised", 0, "the planted error"),
    ],
)  # fmt: skip
def test_of_three_processes_the_one_that_failed_is_named(tmp_path: Path, kind: str, rank: int, line: str) -> None:
    """Whichever of three processes fails, the last line names it, or is its own error, and no other process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FAULT": f"{kind}:{rank}:training"}
    done = subprocess.run(
        [python(), "-m", "tests.support.faulty", *FIT, "--trainer.devices", "3"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert (tmp_path / "fault").exists()
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"regression: {line}")


def test_a_second_process_may_end_some_seconds_after_the_first(tmp_path: Path) -> None:
    """After a successful run the first process waits longer for the others than after a failure."""
    with started(tmp_path, "late:1:end", *FIT, "--trainer.devices", "2", "--trainer.max_epochs", "2") as process:
        end = ended(process, tmp_path, time.time())
    assert (tmp_path / "fault").exists()
    assert (end.status, end.left) == (0, [])


def test_the_second_process_imports_beside_the_first_and_ends_with_it(tmp_path: Path) -> None:
    """The second process starts before the first has imported; if the first is killed, it ends without a message."""
    with started(tmp_path, "slow:9:start", *FIT, "--trainer.devices", "2") as process:
        wait_for(lambda: len(members(process.pid)) == 2)
        assert not (tmp_path / "process-0").exists()
        process.kill()
        end = ended(process, tmp_path, time.time())
    assert (end.status, end.line, end.left) == (-signal.SIGKILL, "", [])


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (["--trainer.max_epochs=many"], 2),
        pytest.param(["--trainer", '{"devices": 1}', "--trainer.max_epochs=1"], 0, marks=pytest.mark.slow),
    ],
)
def test_a_process_that_is_not_needed_is_ended(tmp_path: Path, more: list[str], status: int) -> None:
    """If the run is refused, or has one process after all, the other one ends, and no line mentions it."""
    with started(tmp_path, "slow:9:start", *FIT, "--trainer.devices=2", *more) as process:
        end = ended(process, tmp_path, time.time())
    lines = (tmp_path / "err").read_text().splitlines()
    assert (end.status, end.left, len(lines)) == (status, [], status // 2)


@pytest.mark.parametrize(
    ("args", "environment", "count"),
    [
        (["fit", "--trainer.devices", "3"], {}, 2),
        (["fit", "--trainer.devices=3", "--trainer.devices=2"], {}, 1),
        (["fit", "--trainer.devices", "auto"], {}, 0),
        (["fit", "--trainer.devices", "1"], {}, 0),
        (["fit", "--trainer.devices", "1000000"], {}, 0),
        (["fit", "--trainer.devices"], {}, 0),
        (["fit", "-c", "two.yaml"], {}, 0),
        (["fit", "--trainer.devices", "2"], {"TORCHELASTIC_RUN_ID": "7"}, 0),
        (["fit", "--trainer.devices", "2"], {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "fit"}, 0),
    ],
)
def test_processes_start_early_if_their_number_is_given(
    args: list[str], environment: dict[str, str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes start early if their number is an option, no launcher starts them, and there are as many processors."""
    begun: list[int] = []
    monkeypatch.setattr(started_processes, "start", lambda local: begun.append(local) or local)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    started_processes.start_early(args)
    assert started_processes.take_early() == begun == list(range(1, count + 1))
    assert started_processes.take_early() == []
