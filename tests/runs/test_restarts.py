"""Runs that torchrun and SLURM start again resume from the checkpoint, in real processes."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.runs.test_launchers import free_port, slurm_variables
from tests.support.command import Command, fit_of, versions
from tests.support.processes import FIT, ended, started, wait_for

UPDATES = 8
FIT_8 = (*FIT, "--trainer.max_epochs", "2", "--checkpoint.every_n_updates", "1")  # four batches an epoch


def newest_fit(folder: Path) -> dict[str, object]:
    return fit_of(max(versions(folder), key=lambda run: int(run.name.removeprefix("version_"))))


@pytest.mark.slow
def test_torchrun_restarts_killed_processes_and_they_resume(tmp_path: Path, command: Command) -> None:
    """Each start is killed at its fifth update; the second one makes the last four, to the bits of a whole run."""
    torchrun = ("-m", "torch.distributed.run", "--max-restarts", "2", "--nproc-per-node", "2", "--master-addr",
                "127.0.0.1", "--master-port", str(free_port()))  # fmt: skip
    words = (*FIT_8, "--trainer.devices", "2", "--ckpt_path", "last_or_new")
    with started(tmp_path, "killed:1:training", *words, launcher=torchrun) as process:
        end = ended(process, tmp_path, time.time(), seconds=300)
    assert (end.status, end.left, len(versions(tmp_path))) == (0, [], 2)
    whole = command(*FIT_8)
    found = newest_fit(tmp_path)
    assert (found["params"], found["updates"]) == (whole.fit["params"], UPDATES)


@pytest.mark.slow
def test_slurm_requeues_two_processes_and_they_resume(tmp_path: Path, command: Command) -> None:
    """SIGUSR1 to both tasks saves, and requeues the job once; SIGTERM ends them; the next start resumes."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "scontrol").write_text('#!/bin/sh\necho "$@" >> asked\n')
    (tmp_path / "bin" / "scontrol").chmod(0o755)
    path = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    words = (*FIT, "--trainer.max_epochs", "20", "--trainer.devices", "2")
    for fault, status in (("slow:all:training", 128 + signal.SIGTERM), ("slow:9:training", 0)):
        with ExitStack() as tasks:
            job = [
                tasks.enter_context(started(tmp_path, fault, *words, **path, **own)) for own in slurm_variables(True)
            ]
            if status:
                wait_for((tmp_path / "fault").exists)
                for signum, sign in ((signal.SIGUSR1, "asked"), (signal.SIGTERM, "err")):
                    for task in job:
                        task.send_signal(signum)
                    wait_for(lambda sign=sign: (tmp_path / sign).stat().st_size if (tmp_path / sign).exists() else 0)
            assert [ended(task, tmp_path, time.time()).status for task in job] == [status] * 2
    assert (tmp_path / "asked").read_text() == "requeue 77\n"
    assert list(tmp_path.glob("*.ckpt")) == []
    whole = command(*FIT, "--trainer.max_epochs", "20")
    found = newest_fit(tmp_path)
    assert (found["params"], found["updates"]) == (whole.fit["params"], 80)
