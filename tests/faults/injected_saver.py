"""A program in whose saves system calls fail, one in each save; it prints what is left.

``python -m tests.faults.injected_saver FOLDER SEED LIMIT`` saves under ``strace``, which makes a call return an error
instead of being made. It prints a JSON list with one row per save: the call, its number among those of its name, the
error, how the save ended, the step found afterwards, and the files in the folder.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

from regression.common.errors import SaveError
from regression.runs.checkpoint_file import SafeCheckpointIO, read_checkpoint
from tests.faults.killed_saver import content

ERRORS = ("ENOSPC", "EIO", "EDQUOT")
SAVED, REFUSED, OTHER = 0, 3, 4
TRACE = "trace=%file,%desc"
MEMORY = {"mmap", "munmap", "mremap", "madvise", "mprotect"}  # they can have descriptors too, but in a save none has


def save(path: Path, step: int) -> int:
    """Save, and return how it ended."""
    try:
        SafeCheckpointIO().save_checkpoint(content(step), path)
    except SaveError:
        return REFUSED
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return OTHER
    return SAVED


def traced(path: Path, step: int, *options: str) -> tuple[int, list[str]]:
    """Save in a new process under strace, and return how it ended and the lines of the trace."""
    log = path.parent.parent / "trace.txt"
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(20)
        os.close(writing)
        os.read(reading, 1)
        os._exit(save(path, step))
    os.close(reading)
    command = ["strace", "-qq", "-p", str(process), "-o", str(log), "-e", TRACE, *options]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    while not attached(process):
        assert tracer.poll() is None, tracer.stderr.read()
    os.write(writing, b"!")
    os.close(writing)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    tracer.communicate(timeout=20)
    return status, log.read_text().splitlines()[1:]  # the first line is the read that waited for the start


def attached(process: int) -> bool:
    found = re.search(r"^TracerPid:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return found is not None and found[1] != "0"


def calls(lines: list[str]) -> list[tuple[str, int]]:
    """Return the calls of a save, each with its number among those of its name."""
    names = [match[1] for line in lines if (match := re.match(r"(\w+)\(", line)) and match[1] not in MEMORY]
    return [(name, names[:at].count(name) + 1) for at, name in enumerate(names)]


def main(folder: str, seed: str, limit: str) -> None:
    path = Path(folder, "run", "last.ckpt")
    save(path, 0)
    status, lines = traced(path, 0)
    assert status == SAVED
    every = [(name, number, error) for name, number in calls(lines) if name != "read" for error in ERRORS]
    random.Random(int(seed)).shuffle(every)
    rows = []
    for step, (name, number, error) in enumerate(every[: int(limit)], 1):
        for _ in range(5):  # on a busy machine strace can miss the first call
            save(path, 0)
            status, lines = traced(path, step, "-e", f"inject={name}:error={error}:when={number}")
            if any("(INJECTED)" in line for line in lines):
                break
        assert sum("(INJECTED)" in line for line in lines) == 1, (name, number, lines)
        found = read_checkpoint(str(path))
        assert (found["state_dict"]["model.coefficients"] == found["global_step"]).all()
        rows.append((name, number, error, status, found["global_step"] == step, os.listdir(path.parent)))
        for left in path.parent.glob(".*"):
            left.unlink()
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
