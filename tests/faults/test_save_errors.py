"""Whichever call of a save fails: the older checkpoint stays, or the new one is whole, and an error is raised."""

import errno
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regression.common.errors import SaveError
from regression.runs.checkpoint_file import SafeCheckpointIO, read_checkpoint
from tests.faults.conftest import Counts
from tests.faults.injected_saver import ERRORS, OTHER, SAVED
from tests.faults.killed_saver import content
from tests.support.command import ROOT
from tests.support.preloaded import python


class Disk(io.FileIO):
    """A file that writes half of the bytes, and then fails with a given error."""

    error: OSError

    def write(self, data: Any) -> int:
        super().write(bytes(data)[: len(data) // 2])
        raise self.error


def failing(error: OSError, after: int = 0) -> Callable[..., Any]:
    """Return a function that fails at its call number ``after``, counted from 0."""
    left = iter(range(after))

    def call(*_: Any, **__: Any) -> Any:
        if next(left, None) is None:
            raise error

    return call


def half_written(error: OSError) -> Callable[..., Any]:
    def opened(path: Path, _: str) -> io.BufferedWriter:
        file = Disk(path, "w")
        file.error = error
        return io.BufferedWriter(file)

    return opened


# What a save calls, in this order; the last two after the new file has its name.
CALLS: dict[str, tuple[Any, str, Callable[[OSError], Callable[..., Any]]]] = {
    "make the folder": (Path, "mkdir", failing),
    "open": (Path, "open", failing),
    "write": (Path, "open", half_written),
    "fsync": (os, "fsync", failing),
    "rename": (os, "replace", failing),
    "open the folder": (os, "open", failing),
    "fsync the folder": (os, "fsync", lambda error: failing(error, 1)),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", CALLS)
def test_a_save_whose_call_fails_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: Counts, call: str, error: str
) -> None:
    """If any call of a save fails, SaveError names the cause, and there is a whole checkpoint and no other file."""
    path, (place, name, fails) = tmp_path / "last.ckpt", CALLS[call]
    SafeCheckpointIO().save_checkpoint(content(1), path)
    number = getattr(errno, error)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, fails(OSError(number, os.strerror(number))))
        with pytest.raises(SaveError, match=os.strerror(number)) as told:
            SafeCheckpointIO().save_checkpoint(content(2), path)
    is_new = "the folder" in call and call != "make the folder"
    assert ("the older last.ckpt is intact" in str(told.value)) != is_new
    lost = read_checkpoint(str(path))["global_step"] != 1 + is_new or os.listdir(tmp_path) != ["last.ckpt"]
    counts("a call of a save fails (Python)", 1, lost)
    assert not lost


@pytest.mark.parametrize(
    "number", [pytest.param(8, id="sample"), pytest.param(1000, id="every call", marks=pytest.mark.faults)]
)
def test_a_save_whose_system_call_fails_raises(tmp_path: Path, counts: Counts, number: int) -> None:
    """If any system call of a save fails, with any error, it ends well or raises, and there is a whole file."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    done = subprocess.run(
        [python(), "-m", "tests.faults.injected_saver", str(tmp_path), "0", str(number)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    if "Operation not permitted" in done.stderr:
        pytest.skip("strace may not look at processes here")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    bad = [row for row in rows if row[3] == OTHER or (row[3] == SAVED) > row[4] or row[5] != ["last.ckpt"]]
    counts("a system call of a save fails (strace)", len(rows), len(bad))
    assert bad == []
    assert len(rows) == number if number < 10 else len(rows) >= len(ERRORS) * 12
