"""Runs of the command in processes of their own that tests may signal, and what becomes of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.command import ROOT, config

FIT = ("fit", "-c", config("line"), "--data.points", "40", "--data.batch_size", "8", "--trainer.max_epochs", "1000000",
       "--data.validation_fraction", "0.2", "--trainer.accelerator", "cpu")  # fmt: skip


@dataclass
class Ended:
    """What a run left: exit status, last line on stderr, seconds it took to end, and the processes still there."""

    status: int
    line: str
    seconds: float
    left: list[int]


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def members(session: int) -> list[int]:
    """Return the living processes of a session, also those whose parent has ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:  # ended since
            continue
        if int(of) == session and state != "Z":  # Z: ended, and its status not yet collected
            found.append(int(path.parent.name))
    return found


def numbers(folder: Path) -> list[int]:
    return [int(path.read_text() or 0) for path in sorted(folder.glob("process-*"))]


@contextmanager
def started(
    folder: Path, fault: str, *args: str, launcher: Sequence[str] = (), **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    """Start the faulty command in a folder, its stderr in a file ``err``, and leave none of its processes behind."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FAULT": fault, **variables}
    with (folder / "err").open("a") as err:
        process = subprocess.Popen(
            [sys.executable, *launcher, "-m", "tests.support.faulty", *args],
            cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=err, text=True, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for number in members(process.pid):
            os.kill(number, signal.SIGKILL)


def ended(process: "subprocess.Popen[str]", folder: Path, begun: float, seconds: float = 120) -> Ended:
    """Wait until a run and its processes have ended, counting from a moment of ``time.time()``."""
    process.wait(seconds)
    limit = time.time() + 10
    while members(process.pid) and time.time() < limit:
        time.sleep(0.02)
    took = time.time() - begun
    lines = (folder / "err").read_text().splitlines()
    return Ended(process.returncode, lines[-1] if lines else "", took, members(process.pid))
