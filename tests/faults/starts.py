"""A program that starts many runs of the command in one output root, several at a time.

``python -m tests.faults.starts ROOT RUNS AT_ONCE`` fits 10, 11, 12, … points, so that each run can be told from the
others, and writes what the run with n points prints to ``ROOT/n.txt``. It prints a JSON list of the runs' exit
statuses. What takes seconds of a start, the imports, is done once: each run is a fork of this process.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path

import matplotlib.pyplot  # noqa: F401  # imported here rather than in each run
import scipy.stats  # noqa: F401
import torch

from regression.cli import main as command
from tests.support.command import config

FIRST = 10  # points of the first run
LIMIT_S = 300


def run(root: Path, points: int, gate: int) -> int:
    """Wait for the common start, and run the command."""
    signal.alarm(LIMIT_S)
    os.read(gate, 1)
    out = os.open(root / f"{points}.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.dup2(out, 1)
    os.dup2(out, 2)
    torch.set_num_threads(1)
    options = ("--data.points", str(points), "--data.noise", "0.1", "--trainer.log_every_n_steps", "1")
    status = command(["fit", "-c", config("line"), "--trainer.default_root_dir", str(root), *options])
    sys.stdout.flush()
    return status


def started(root: Path, points: int, gate: tuple[int, int]) -> int:
    """Start a run, and return the number of its process."""
    process = os.fork()
    if process == 0:
        try:
            os.close(gate[1])
            os._exit(run(root, points, gate[0]))
        except BaseException:
            traceback.print_exc()
        os._exit(99)
    return process


def main(root: str, runs: str, at_once: str) -> None:
    statuses = []
    for start in range(0, int(runs), int(at_once)):
        gate = os.pipe()
        group = [started(Path(root), FIRST + n, gate) for n in range(start, min(start + int(at_once), int(runs)))]
        for end in gate:
            os.close(end)  # all runs begin
        statuses += [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in group]
    print(json.dumps(statuses))


if __name__ == "__main__":
    main(*sys.argv[1:])
