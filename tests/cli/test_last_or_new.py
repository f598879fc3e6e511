"""A job that is started again with the same words goes on where it was."""

import json
from pathlib import Path

from tests.support.command import Command, config, versions

WORDS = ("fit", "-c", config("line"), "--report.rows", "0", "--ckpt_path", "last_or_new")


def test_it_begins_goes_on_and_is_done(command: Command, tmp_path: Path) -> None:
    """Without a checkpoint it begins, with one it goes on to the same bits, and at its end there is nothing to do."""
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
    """A run that was killed between its last update and its files has them written by the next."""
    first = command(*WORDS)
    assert first.folder is not None
    expected = first.fit["params"]
    (first.folder / "fit.json").unlink()
    again = command(*WORDS)
    assert (again.code, again.fit["params"]) == (0, expected)
    assert again.folder != first.folder


def test_it_is_for_fit(command: Command) -> None:
    """A prediction has nothing to begin with."""
    done = command("predict", "--ckpt_path=last_or_new")
    assert (done.code, done.err) == (
        2, "regression: --ckpt_path last_or_new is for fit; predict takes a path, last or best\n"
    )  # fmt: skip
