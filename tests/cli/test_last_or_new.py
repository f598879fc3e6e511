"""A job that is started again with the same command line is resumed."""

import json
from pathlib import Path

import pytest

from tests.support.command import Command, config, versions

WORDS = ("fit", "-c", config("line"), "--report.rows", "0", "--ckpt_path", "last_or_new")


def test_it_begins_resumes_and_ends(command: Command, tmp_path: Path) -> None:
    """A job without a checkpoint begins, with one resumes to the same bits, and after its end has nothing to do."""
    whole = command("fit", "-c", config("line"), "--trainer.default_root_dir", "other")
    begun = command(*WORDS, "--trainer.max_epochs", "4")
    assert (begun.code, begun.fit["updates"]) == (0, 4)
    rest = command(*WORDS)
    assert (rest.code, rest.fit["updates"]) == (0, 10)
    expected = json.loads(next((tmp_path / "other").rglob("fit.json")).read_text())
    assert (whole.code, rest.fit["params"]) == (0, expected["params"])
    folders = versions(tmp_path)
    done = command(*WORDS)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("nothing is left to do: --trainer.max_epochs is 10 and the checkpoint is at 10")
    assert versions(tmp_path) == folders


def test_a_run_that_left_no_files_writes_them(command: Command) -> None:
    """If a run was killed between its last update and its files, the next one writes them."""
    first = command(*WORDS)
    assert first.folder is not None
    expected = first.fit["params"]
    (first.folder / "fit.json").unlink()
    again = command(*WORDS)
    assert (again.code, again.fit["params"]) == (0, expected)
    assert again.folder != first.folder


def test_the_short_way_can_be_started_again(command: Command, tmp_path: Path) -> None:
    """A fit given by file and degree runs, and the same command line then finds it done."""
    (tmp_path / "meas.csv").write_text("t,u\n0,1\n1,3\n2,4\n3,7\n")
    words = ("fit", "meas.csv", "--degree", "2", "--ckpt_path", "last_or_new")
    first, again = command(*words), command(*words)
    assert (first.code, first.err, first.fit["model"]) == (0, "", "PolynomialRegression")
    assert (again.code, again.err) == (0, "")


def test_it_is_for_fit(command: Command) -> None:
    """``predict`` refuses ``last_or_new``."""
    done = command("predict", "--ckpt_path=last_or_new")
    assert (done.code, done.err) == (
        2, "regression: --ckpt_path last_or_new is for fit; predict takes a path, last or best\n"
    )  # fmt: skip


def test_resuming_with_other_points_is_a_warning(command: Command) -> None:
    """A gradient fit that is resumed with other points warns, and names the old ones."""
    first = command("fit", "-c", config("line"))
    more = ("fit", "-c", config("line"), "--trainer.max_epochs", "12", "--ckpt_path", first.checkpoint)
    assert command(*more).err == ""
    with pytest.warns(UserWarning, match="--data.points was 10 in the run of the checkpoint: this run .* with 20"):
        assert command(*more, "--data.points", "20").code == 0
