"""Starts the command in processes that tests may signal, and collects how these end."""

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
    """The end of a run: exit status, last line on stderr, seconds until it ended, and processes that still live."""

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
    """Return the living processes of a session, even if their parent has ended."""
    living = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session_number, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:  # the process has just ended
            continue
        if int(session_number) == session and state != "Z":  # Z: ended, but its status is not yet collected
            living.append(int(path.parent.name))
    return living


def numbers(folder: Path) -> list[int]:
    return [int(path.read_text() or 0) for path in sorted(folder.glob("process-*"))]


@contextmanager
def started(
    folder: Path, fault: str, *args: str, launcher: Sequence[str] = (), **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    """Start the faulty command in a folder, with stderr in a file ``err``, and kill all its processes at the end."""
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
    """Wait until a run and its processes have ended, and count seconds from ``begun``, a value of ``time.time()``."""
    process.wait(seconds)
    limit = time.time() + 10
    while members(process.pid) and time.time() < limit:
        time.sleep(0.02)
    took = time.time() - begun
    lines = (folder / "err").read_text().splitlines()
    return Ended(process.returncode, lines[-1] if lines else "", took, members(process.pid))
