"""A program that starts processes which save in a loop, kills each at a random moment, and prints what is left.

``python -m tests.faults.killed_saver FOLDER SEED KILLS`` prints a JSON list with one row per kill: the last step whose
save had returned, and the step in ``last.ckpt``.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from regression.runs.checkpoint_file import SafeCheckpointIO, read_checkpoint


def content(step: int) -> dict[str, Any]:
    """Return the content of a minimal checkpoint, with 1 MB of weights so that a kill can happen during a write."""
    weights = {"model.coefficients": torch.full((250_000,), float(step))}
    return {
        "class_path": "regression.LineRegression",
        "hyper_parameters": {},
        "state_dict": weights,
        "loops": {},
        "global_step": step,
    }


def save_until_killed(path: Path, step: int, done: int) -> None:
    """Save one step after the other, and write the number of each saved step to a pipe; 10,000 at most."""
    for at in range(step, step + 10_000):
        SafeCheckpointIO().save_checkpoint(content(at), path)
        os.write(done, at.to_bytes(8, "little"))


def kill_one(path: Path, step: int, saves: int, seconds: float) -> int:
    """Kill a process that saves from ``step`` on, after a number of saves and a time, and return the last saved one."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        save_until_killed(path, step, writing)
        os._exit(0)
    os.close(writing)
    told = b"".join(
        os.read(reading, 8) for _ in range(saves)
    )  # on a busy machine a process may not save in a fixed time
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    while part := os.read(reading, 1 << 16):
        told += part
    os.close(reading)
    return int.from_bytes(told[-8:], "little") if told else step - 1


def main(folder: str, seed: str, kills: str) -> None:
    """Kill one process after the other, and print what each has left."""
    path, draw = Path(folder, "last.ckpt"), random.Random(int(seed))
    SafeCheckpointIO().save_checkpoint(content(0), path)
    found, rows = 0, []
    for _ in range(int(kills)):
        saved = kill_one(path, found + 1, draw.randrange(3), draw.uniform(0, 0.05))
        checkpoint = read_checkpoint(str(path))
        found = checkpoint["global_step"]
        assert (checkpoint["state_dict"]["model.coefficients"] == found).all()
        rows.append((saved, found))
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
