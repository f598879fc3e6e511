"""Finds checkpoints by the words ``last`` and ``best``, and removes the temporary files that killed processes left."""

import os
from collections.abc import Iterator
from pathlib import Path

from regression.common import atomic_files
from regression.common.errors import UsageError
from regression.common.text import printable
from regression.runs.checkpoint_file import read_checkpoint
from regression.runs.folder import is_first_process, run_number
from regression.runs.parent_watch import print_line

__all__ = [
    "CHECKPOINT_WORDS",
    "LAST_OR_NEW",
    "checkpoint_path",
    "has_checkpoint",
    "lacks_files",
    "remove_partial",
]

CHECKPOINT_WORDS = ("last", "best")
LAST_OR_NEW = "last_or_new"
FILES = ("fit.json", "fit.txt", "fit.png")


def checkpoint_path(word: str, root: str) -> str:
    """Return the file that ``--ckpt_path`` means.

    Args:
        word: A path, or ``last`` or ``best``: that of the newest run whose checkpoint is undamaged. A damaged one is
            named on stderr.
        root: Folder that holds ``lightning_logs``.

    Returns:
        The path, which may not exist if it was given.

    Raises:
        UsageError: If there is no such checkpoint, or the word is empty, or one of Lightning's that is not supported.
    """
    if word == "hpc" or word.startswith("registry"):
        raise UsageError(f"--ckpt_path {word} is not supported: give a path, last or best")
    if not word:
        raise UsageError("--ckpt_path must be a path, last or best, got nothing")
    if word not in CHECKPOINT_WORDS:
        return word
    for path in _newest_first(Path(root), f"{word}.ckpt"):
        try:
            read_checkpoint(str(path))
            return str(path)
        except UsageError as error:
            if is_first_process():
                print_line(f"passed over: {printable(str(error))}")
    raise UsageError(
        f"--ckpt_path {word}: no run in {Path(root, 'lightning_logs')} has a good {word}.ckpt; "
        "expected the folder of a fit: choose it with --trainer.default_root_dir, or give a path"
    )


def has_checkpoint(root: str) -> bool:
    """Tell whether a run in the folder that holds ``lightning_logs`` has saved ``last.ckpt``, for ``last_or_new``."""
    return next(_newest_first(Path(root), "last.ckpt"), None) is not None


def _newest_first(root: Path, name: str) -> Iterator[Path]:
    """Yield the checkpoints of this name, the newest run's first; print a line for a newer fit without one."""
    numbered = [(run_number(run), run) for run in root.glob("lightning_logs/version_*")]
    for _, run in sorted(((number, run) for number, run in numbered if number is not None), reverse=True):
        if (run / "checkpoints" / name).exists():
            yield run / "checkpoints" / name
        elif (run / "fit.txt").exists() and is_first_process():  # of series, or a run that was to save nothing
            print_line(f"passed over: the fit in {printable(str(run))} has no {name}")


def lacks_files(path: str) -> bool:
    """Tell whether a file of the fit is missing in the run of a checkpoint: the run was killed before it wrote all."""
    folder = Path(os.path.abspath(path)).parent
    return folder.name == "checkpoints" and not all((folder.parent / name).is_file() for name in FILES)


def remove_partial(root: str) -> None:
    """Remove the temporary files of processes that were killed while they wrote.

    Args:
        root: Folder that holds ``lightning_logs``.
    """
    for pattern in ("lightning_logs/version_*", "lightning_logs/version_*/checkpoints", "checkpoints"):
        for folder in Path(root).glob(pattern):
            atomic_files.remove_temporary_files(folder)
