"""With a full disk, few descriptors, a closed output or a deleted folder the command works, or fails in one line."""

import os
import subprocess
from pathlib import Path

import pytest

from regression.runs.checkpoint_file import read_checkpoint
from tests.data.test_bad_inputs import wide
from tests.support.command import ROOT, config
from tests.support.preloaded import python

FIT = ("fit", "-c", config("line"), "--report.rows", "0")


def limited(folder: Path, trouble: str, number: int, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with a limit on something."""
    return subprocess.run(
        [python(), str(ROOT / "tests" / "support" / "limited.py"), trouble, str(number), *args],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("limit", [0, 1000])
def test_a_disk_that_is_full_at_the_start_is_refused(tmp_path: Path, limit: int) -> None:
    """If not even the first file can be written, the run is refused in one line, with status 2."""
    done = limited(tmp_path, "file size", limit, *FIT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("regression: cannot ")


def test_a_disk_that_fills_up_stops_the_run(tmp_path: Path) -> None:
    """If a later file cannot be written, the run stops in one line with status 1, and its checkpoint is good."""
    options = ("--trainer.max_epochs", "3000", "--trainer.log_every_n_steps", "1", "--trainer.enable_progress_bar",
               "false")  # fmt: skip
    done = limited(tmp_path, "file size", 50_000, *FIT, *options)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "regression: cannot write to the run's folder: File too large; make room" in done.stderr
    assert read_checkpoint(str(tmp_path / "lightning_logs/version_0/checkpoints/last.ckpt"))["global_step"] > 0


@pytest.mark.parametrize("trouble", ["descriptors", "closed stdout"])
def test_a_fit_needs_neither_many_descriptors_nor_an_output(tmp_path: Path, trouble: str) -> None:
    """With 20 descriptors, or a closed standard output, the fit is made and written, and nothing is printed."""
    done = limited(tmp_path, trouble, 20, *FIT)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "lightning_logs/version_0/fit.json").is_file()


@pytest.mark.parametrize("args", [("fit", "--help"), FIT], ids=["help", "fit"])
def test_a_closed_pipe_is_no_traceback(tmp_path: Path, args: tuple[str, ...]) -> None:
    """With a closed pipe as output the program ends as others do, and prints nothing."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [python(), str(ROOT / "train.py"), *args], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=writing, stderr=subprocess.PIPE, text=True, timeout=400, check=False,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == ""


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    """A working folder that was deleted is refused in one line."""
    folder = tmp_path / "gone"
    folder.mkdir()
    done = limited(folder, "deleted folder", 0, *FIT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("regression: the working folder cannot be used: No such file or directory")


def test_a_huge_field_takes_little_memory(tmp_path: Path) -> None:
    """A cell of 200 MB is refused with less than a gibibyte of memory."""
    wide(tmp_path / "a.csv")
    done = limited(tmp_path, "memory", 0, "fit", "-c", config("own_file"), "--data.path", "a.csv")
    said, kibibytes = done.stderr.splitlines()
    assert (done.returncode, "a row is longer than 4 MiB" in said) == (2, True)
    assert int(kibibytes) < 1 << 20
