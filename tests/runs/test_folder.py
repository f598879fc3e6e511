"""A run's folder and its name."""

from pathlib import Path

import pytest

from regression.common.errors import UsageError
from regression.runs.find_checkpoint import checkpoint_path
from regression.runs.folder import RunLogger, run_number
from tests.support.command import Command, config


def test_a_name_follows_the_number(tmp_path: Path) -> None:
    """Runs with and without a name are numbered together, also those of the same name."""
    names = [RunLogger(str(tmp_path), label).version for label in (None, "warm", "warm", None, "a b-c")]
    assert names == ["version_0", "version_1-warm", "version_2-warm", "version_3", "version_4-a b-c"]
    assert [run_number(Path(name)) for name in (*names, "version_x", "warm")] == [0, 1, 2, 3, 4, None, None]


@pytest.mark.parametrize("label", ["", "a/b", "..\\a", "a\nb", "\x1b[2J", "a" * 101])
def test_a_name_that_is_no_part_of_a_path_is_refused(tmp_path: Path, label: str) -> None:
    """A name with a path or control characters is refused."""
    with pytest.raises(UsageError, match="a run's name must have 1 to 100 letters, none of them /"):
        RunLogger(str(tmp_path), label)
    assert not list(tmp_path.iterdir())


def test_a_newer_fit_without_a_checkpoint_is_named(command: Command) -> None:
    """``last`` names a newer fit without a checkpoint: one of series, or of a run that saved none."""
    first = command("fit", "-c", config("line_exact"))
    command("fit", "-c", config("line_exact"), "--trainer.enable_checkpointing", "false")
    done = command("predict", "--ckpt_path", "last")
    assert done.code == 0
    assert first.folder is not None
    assert done.err == f"regression: passed over: the fit in {first.folder.with_name('version_1')} has no last.ckpt\n"


def test_last_is_that_of_a_named_run(command: Command, tmp_path: Path) -> None:
    """``last`` is the run with the highest number, whether it has a name or not."""
    command("fit", "-c", config("line_exact"))
    named = command("fit", "-c", config("line_exact"), "--name", "again")
    assert named.folder is not None
    assert checkpoint_path("last", str(tmp_path)) == str(named.folder / "checkpoints" / "last.ckpt")
