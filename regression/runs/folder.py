"""A folder for each run: no two runs write into the same one."""

import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from regression.common.collectives import all_gather_objects
from regression.common.errors import DivergenceError, SaveError, UsageError
from regression.common.text import printable
from regression.runs.environment import is_launched

__all__ = [
    "BEFORE_FIRST_UPDATE",
    "REFUSALS",
    "RefusedRun",
    "RunLogger",
    "SameCheckpoint",
    "forget_rank",
    "is_first_process",
    "require_working_folder",
    "run_number",
    "silent_writer",
]

REFUSALS = (UsageError, MisconfigurationException)
RUN_ERRORS = (DivergenceError, SaveError)  # of a run under way, also before its first update is counted
BEFORE_FIRST_UPDATE = "before the first update"
# TensorBoard shows capitals first, and the part before the slash as a heading.
TAGS = {"train_loss": "Loss/train", "val_loss": "Loss/validation", "test_loss": "Loss/test"}
LONGEST_NAME = 100  # characters


def is_first_process() -> bool:
    """Tell whether this process is the one that writes and prints; valid also before the processes are connected."""
    return getattr(rank_zero_only, "rank", 0) == 0


def forget_rank() -> None:
    """Make this process the first one unless a launcher started it: the rank of an earlier run may still be set."""
    if not is_launched():
        rank_zero_only.rank = 0  # type: ignore[attr-defined]


class RunLogger(TensorBoardLogger):
    """A TensorBoard logger with a ``version_N`` folder of its own, also when two runs start at once.

    Lightning's logger takes the highest existing number plus one, so two runs can take the same. This one creates the
    folder at once, which fails for all runs but one, and the others try the next number. TensorBoard shows the losses
    first, and not the number of the epoch, which Lightning adds to all metrics.

    Args:
        root: Folder that holds ``lightning_logs``.
        label: Name of the run: its folder is ``version_N-LABEL``.

    Raises:
        UsageError: If the label cannot be part of a folder's name.
    """

    def __init__(self, root: str, label: str | None = None) -> None:
        if label is not None and (not label or len(label) > LONGEST_NAME or re.search(r"[/\\\x00-\x1f\x7f]", label)):
            raise UsageError(
                f"a run's name must have 1 to {LONGEST_NAME} letters, none of them / or \\, got {printable(label)!r}"
            )
        # With a long queue the training thread does not wait for the writing thread.
        super().__init__(root, name="lightning_logs", default_hp_metric=False, max_queue=10_000)
        self.refused, self.label = False, label
        self._claimed: Path | None = None

    @property
    def version(self) -> str:
        """The name of the run's folder, which the first process creates at the first access."""
        if not is_first_process():
            return "unclaimed"  # this process writes nothing; the Trainer broadcasts the folder of the first one
        if self._claimed is None:
            self._claimed = _claim(Path(self.root_dir), "" if self.label is None else f"-{self.label}")
        return self._claimed.name

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers under the names that TensorBoard shows."""
        shown = {TAGS.get(name, name): value for name, value in metrics.items() if name != "epoch"}
        if shown:
            super().log_metrics(shown, step)

    @rank_zero_only
    def save(self) -> None:
        """Flush the events, without Lightning's ``hparams.yaml``: ``config.yaml`` has all of its options."""
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Close the files; remove the folder of a run that was refused, unless it holds a checkpoint."""
        super().finalize(status)
        if self.refused and self._claimed is not None and not list(self._claimed.rglob("*.ckpt")):
            shutil.rmtree(self._claimed)
            with suppress(OSError):  # not empty: other runs are in it
                self._claimed.parent.rmdir()
            self._claimed = None


@contextmanager
def silent_writer() -> Iterator[None]:
    """Suppress the traceback of a thread that cannot write; TensorBoard raises the error again at the next value."""
    show = threading.excepthook

    def hook(thrown: threading.ExceptHookArgs) -> None:
        if not issubclass(thrown.exc_type, OSError):
            show(thrown)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = show


class RefusedRun(Callback):
    """Marks the logger of a run that is refused before its first update, so that the logger removes the folder."""

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Mark the logger and the exception; the Trainer finalizes the logger next."""
        refused = isinstance(exception, REFUSALS)
        if not isinstance(exception, RUN_ERRORS) and not trainer.global_step:
            exception.add_note(BEFORE_FIRST_UPDATE)
            refused = True
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.refused = refused


class SameCheckpoint(Callback):
    """Refuses to resume if the processes of a run have read different checkpoints.

    Each process that another launcher started, such as torchrun, resolves ``last`` itself, and another run may save a
    checkpoint in between.

    Args:
        path: The file that this process read, if any.
        content: Its content.
    """

    def __init__(self, path: str | None, content: dict[str, Any] | None) -> None:
        self._read = None if content is None else (path, content.get("global_step"))

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compare all processes, in the first hook in which they are connected."""
        first, *others = all_gather_objects(self._read)
        for number, other in enumerate(others, start=2):
            if other != first:
                raise UsageError(
                    f"process {number} took {_shown(other)} where process 1 took {_shown(first)}: "
                    "give --ckpt_path a path, or let the run end that saves there"
                )


def _shown(read: tuple[str | None, Any] | None) -> str:
    return "no checkpoint" if read is None else f"{read[0]} at update {read[1]}"


def require_working_folder() -> None:
    """Refuse to run if the working folder was deleted: relative paths would have no meaning."""
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(f"the working folder cannot be used: {error.strerror}; change to another one") from None


def run_number(folder: Path) -> int | None:
    """Return the number N of a run's folder ``version_N`` or ``version_N-LABEL``, ``None`` of any other."""
    number = folder.name.removeprefix("version_").partition("-")[0]
    return int(number) if folder.name.startswith("version_") and number.isdecimal() else None


def _claim(parent: Path, ending: str) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            number = max((run_number(run) or 0 for run in parent.glob("version_*")), default=-1) + 1
            folder = parent / f"version_{number}{ending}"
            with suppress(FileExistsError):  # another run has just created it
                folder.mkdir()
                return folder
    except OSError as error:
        raise UsageError(
            f"cannot make a run folder in {parent}: {error.strerror}; choose another with --trainer.default_root_dir"
        ) from None
