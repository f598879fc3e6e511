"""The callbacks of a fit that write ``best.ckpt`` and ``last.ckpt``."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from regression.common.atomic_files import write_whole
from regression.common.errors import UsageError
from regression.runs.checkpoint_file import read_undamaged
from regression.training.checks import has_validation

__all__ = ["BestCheckpoint", "LastCheckpoint"]


class BestCheckpoint(ModelCheckpoint):
    """``checkpoints/best.ckpt``: the lowest validation loss, or training loss where nothing is held out.

    A resumed run has a new folder; the best checkpoint so far is copied into it.
    """

    def __init__(self) -> None:
        super().__init__(filename="best", monitor="train_loss", enable_version_counter=False)
        self._resumed: dict[str, Any] = {}

    @property
    def state_key(self) -> str:
        """The key of the state in a checkpoint; Lightning's contains the monitor, which is chosen only later."""
        return type(self).__name__

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state of the interrupted run until its best checkpoint can be copied.

        Args:
            state_dict: What ``state_dict`` returned.
        """
        self._resumed = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the monitored loss, now that the batches are known, and copy the best checkpoint so far."""
        self.monitor = "val_loss" if has_validation(trainer) else "train_loss"
        super().on_train_start(trainer, pl_module)
        state, path = self._resumed, str(Path(self.dirpath or "", "best.ckpt"))
        is_comparable = state.get("best_model_path") and state["monitor"] == self.monitor
        # The first process copies; all must use the same score, because they save together.
        copied = is_comparable and trainer.is_global_zero and _copy_first(_sources(trainer.ckpt_path, state), path)
        if trainer.strategy.broadcast(bool(copied)):
            self.best_model_path = self.kth_best_model_path = path
            self.best_model_score = self.kth_value = self.current_score = state["best_model_score"]
            self.best_k_models = {path: state["best_model_score"]}


def _sources(resumed: str | Path | None, state: dict[str, Any]) -> list[Path]:
    """Return where the best checkpoint of the interrupted run may be: beside the last one, or at its old path."""
    return [*([] if resumed is None else [Path(resumed).with_name("best.ckpt")]), Path(state["best_model_path"])]


def _copy_first(sources: list[Path], path: str) -> bool:
    """Copy the first undamaged checkpoint, and tell whether there was one."""
    for source in sources:
        with suppress(UsageError):
            write_whole(Path(path), read_undamaged(str(source)))
            return True
    return False


class LastCheckpoint(ModelCheckpoint):
    """``checkpoints/last.ckpt``: written after every epoch, whatever the loss, and within long epochs.

    It is a class of its own, so that a user's ``ModelCheckpoint`` has another key in the checkpoint's state.

    Args:
        every_n_updates: Write it after that many updates too; by default it is written within an epoch only after
            ``every_seconds``.
        every_seconds: Longest time in seconds that a killed run can lose.

    Attributes:
        has_saved: Whether this run has written it.
    """

    def __init__(self, every_n_updates: int | None = None, every_seconds: float = 60.0) -> None:
        super().__init__(filename="last", enable_version_counter=False)
        if every_n_updates is not None and every_n_updates < 1:
            raise UsageError(f"checkpoint.every_n_updates must be at least 1, got {every_n_updates}")
        if not every_seconds > 0:
            raise UsageError(f"checkpoint.every_seconds must be positive, got {every_seconds}")
        self.every_n_updates, self.every_seconds = every_n_updates, every_seconds
        self._saved_update, self._saved_time, self._next_check = 0, 0.0, 0
        self.has_saved = False

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.dirpath or "", "last.ckpt")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load nothing: the file of the interrupted run is not one of this run.

        Args:
            state_dict: What ``state_dict`` returned.
        """

    def save(self, trainer: pl.Trainer) -> None:
        """Write the state after the latest update, in any hook; all processes must call it together.

        What follows the update, such as its validation or the end of the epoch, is done by the resumed run.

        Args:
            trainer: The Trainer of the fit.
        """
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        trainer.save_checkpoint(self.path)
        self._saved_update, self._saved_time = trainer.global_step, time.monotonic()
        self.has_saved = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to count updates and seconds."""
        self._saved_update, self._saved_time, self._next_check = trainer.global_step, time.monotonic(), 0
        self.has_saved = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Write it if it is due: before a batch all that follows the latest update is done."""
        made = trainer.global_step - self._saved_update
        if made and ((self.every_n_updates and made >= self.every_n_updates) or self._is_time(trainer)):
            self.save(trainer)

    def _is_time(self, trainer: pl.Trainer) -> bool:
        """Tell whether ``every_seconds`` have passed, by the clock of the first process."""
        if trainer.global_step < self._next_check:
            return False
        passed = time.monotonic() - self._saved_time
        if trainer.world_size == 1:
            return passed >= self.every_seconds
        # Each broadcast takes time: about ten in every_seconds are enough.
        pace = (trainer.global_step - self._saved_update) / max(passed, 1e-9)
        passed, pace = trainer.strategy.broadcast((passed, pace))
        self._next_check = trainer.global_step + max(1, int(pace * self.every_seconds / 10))
        return passed >= self.every_seconds

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Do nothing: a validation may follow."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do nothing: the end of the epoch may follow."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it, after ``best.ckpt``, because it contains that one's score."""
        self.save(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Do nothing: an update may be half done."""

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it if this run made no epoch because it was resumed from a checkpoint after the last update."""
        if trainer.global_step and not self.has_saved:
            self.save(trainer)
