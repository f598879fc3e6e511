"""A run's own folder: claimed once, never shared."""

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
from regression.runs.surroundings import is_launched

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
STOPS = (DivergenceError, SaveError)
BEFORE_FIRST_UPDATE = "before the first update"
# TensorBoard shows capitals first, and the part before the slash as a heading.
TAGS = {"train_loss": "Loss/train", "val_loss": "Loss/validation", "test_loss": "Loss/test"}
LONGEST_NAME = 100


def is_first_process() -> bool:
    """Tell whether this process is the one that writes and prints, also before the processes know each other."""
    return getattr(rank_zero_only, "rank", 0) == 0


def forget_rank() -> None:
    """Let this process write and print unless a launcher has started it; the Trainer numbers those of a group."""
    if not is_launched():
        rank_zero_only.rank = 0  # type: ignore[attr-defined]


class RunLogger(TensorBoardLogger):
    """A TensorBoard logger whose ``version_N`` folder is its own, also when two runs start at once.

    The stock logger takes the highest number it sees plus one, so two runs can see the same. Here making the folder
    is the claim: it fails for all but one. The losses stand first in TensorBoard; the epoch, which Lightning adds to
    everything, is no curve there.

    Args:
        root: Folder that holds ``lightning_logs``.
        label: What to call the run beside its number: its folder is ``version_N-LABEL``.

    Raises:
        UsageError: If the label cannot be part of a folder's name.
    """

    def __init__(self, root: str, label: str | None = None) -> None:
        if label is not None and (not label or len(label) > LONGEST_NAME or re.search(r"[/\\\x00-\x1f\x7f]", label)):
            raise UsageError(
                f"a run's name must have 1 to {LONGEST_NAME} letters, none of them / or \\, got {printable(label)!r}"
            )
        # A long queue keeps the training thread from waiting for the writing one.
        super().__init__(root, name="lightning_logs", default_hp_metric=False, max_queue=10_000)
        self.refused, self.label = False, label
        self._claimed: Path | None = None

    @property
    def version(self) -> str:
        """The name of the run's folder, claimed when first asked for on the process that writes."""
        if not is_first_process():
            return "unclaimed"  # this process writes nothing; it is told the folder of the first one
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
        """Write out the events; Lightning writes an ``hparams.yaml`` too, in place, and ``config.yaml`` has it all."""
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
    """Keep back the traceback of a thread that cannot write: TensorBoard raises the error again at the next value."""
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
    """Tells the logger of a run that was refused before its first update, so that no folder is left behind."""

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Mark the logger and the exception; the Trainer finalizes the logger next."""
        refused = isinstance(exception, REFUSALS)
        if not isinstance(exception, STOPS) and not trainer.global_step:
            exception.add_note(BEFORE_FIRST_UPDATE)
            refused = True
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.refused = refused


class SameCheckpoint(Callback):
    """Refuses to go on where the processes of a run have taken different checkpoints.

    A launcher other than this program's own starts each of them by itself, and each finds out what ``last`` means;
    another run may save in between.

    Args:
        path: The file that this process took, if any.
        content: Its content.
    """

    def __init__(self, path: str | None, content: dict[str, Any] | None) -> None:
        self.taken = None if content is None else (path, content.get("global_step"))

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compare all processes; this is the first moment at which they can talk."""
        first, *others = all_gather_objects(self.taken)
        for number, other in enumerate(others, start=2):
            if other != first:
                raise UsageError(
                    f"process {number} took {_shown(other)} where process 1 took {_shown(first)}: "
                    "give --ckpt_path a path, or let the run end that saves there"
                )


def _shown(taken: tuple[str | None, Any] | None) -> str:
    return "no checkpoint" if taken is None else f"{taken[0]} at update {taken[1]}"


def require_working_folder() -> None:
    """Refuse to work where the shell's folder is gone: no relative path means anything there."""
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
            with suppress(FileExistsError):  # of a run that starts just now
                folder.mkdir()
                return folder
    except OSError as error:
        raise UsageError(
            f"cannot make a run folder in {parent}: {error.strerror}; choose another with --trainer.default_root_dir"
        ) from None
