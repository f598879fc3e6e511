"""A run that was killed after its last update and before its files."""

import shutil
from pathlib import Path

import pytest

from regression.runs.checkpoint_file import read_checkpoint
from tests.support.command import Command

DATA = ("--data.points", "40", "--data.noise", "0.3", "--report.rows", "0")
HELD_OUT = ("--data.validation_fraction", "0.25")
RUNS = {
    "full batches": ("--trainer.max_epochs", "6", *HELD_OUT),
    "mini-batches": ("--trainer.max_epochs", "3", "--data.batch_size", "7", *HELD_OUT),
    "blocks": ("--trainer.max_steps", "50", "--model.updates_per_batch", "20"),
    "blocks of mini-batches": ("--trainer.max_epochs", "2", "--model.updates_per_batch", "4", "--data.batch_size", "7"),
    "another loss": ("--trainer.max_epochs", "6", "--model.loss", "HuberLoss", "--optimizer", "Adam", *HELD_OUT),
    "cut within an epoch": ("--trainer.max_steps", "8", "--data.batch_size", "7"),
    "exact": ("--model.solver", "exact", *HELD_OUT),
}
FILES = ["fit.json", "fit.png", "fit.txt"]


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_writes_the_missing_files(command: Command, name: str) -> None:
    """``--ckpt_path last`` writes the files, to the byte, and the checkpoints of a run that was not killed."""
    options = ("fit", "--model", "LineRegression", *DATA, *RUNS[name])
    whole, killed = command(*options), command(*options)
    assert killed.folder is not None
    assert whole.folder is not None
    for file in FILES:
        (killed.folder / file).unlink()
    done = command(*options, "--ckpt_path", "last")
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    for file in FILES:
        assert (done.folder / file).read_bytes() == (whole.folder / file).read_bytes()
    for file in ("best.ckpt", "last.ckpt"):
        ours, right = (read_checkpoint(str(run.folder / "checkpoints" / file)) for run in (done, whole))  # type: ignore[operator]
        assert ours["state_dict"]["model.coefficients"].equal(right["state_dict"]["model.coefficients"])
        assert (ours["global_step"], ours["loops"].keys()) == (right["global_step"], right["loops"].keys())


def test_its_checkpoint_can_be_resumed(command: Command) -> None:
    """With a higher limit, the checkpoint of the run that wrote the files resumes as that of a run not killed."""
    options = ("fit", "--model", "LineRegression", *DATA, *HELD_OUT, "--data.batch_size", "7", "--trainer.max_epochs")
    killed = command(*options, "2")
    assert killed.folder is not None
    (killed.folder / "fit.json").unlink()
    closed = command(*options, "2", "--ckpt_path", "last")
    assert command(*options, "4", "--ckpt_path", closed.checkpoint).fit == command(*options, "4").fit


@pytest.mark.parametrize("missing", [[], ["fit.json"], ["fit.txt"], ["fit.png"]])
def test_only_a_run_that_lacks_a_file_is_resumed(command: Command, missing: list[str]) -> None:
    """If any of the three files is missing, all are written again; if none is, nothing is left to do."""
    options = ("fit", "--model", "LineRegression", *DATA, "--trainer.max_epochs", "2")
    killed = command(*options)
    assert killed.folder is not None
    for file in missing:
        (killed.folder / file).unlink()
    done = command(*options, "--ckpt_path", "last")
    assert done.code == (0 if missing else 2)
    assert (done.folder is not None) == bool(missing)
    assert ("nothing is left to do" in done.err) != bool(missing)


def test_a_checkpoint_elsewhere_has_no_files_to_miss(command: Command) -> None:
    """For a copy outside of a run's folder no files are missing: nothing is left to do."""
    options = ("fit", "--model", "LineRegression", *DATA, "--trainer.max_epochs", "2")
    shutil.copy(command(*options).checkpoint, "copy.ckpt")
    done = command(*options, "--ckpt_path", str(Path("copy.ckpt")))
    assert (done.code, done.folder) == (2, None)
    assert "nothing is left to do" in done.err
