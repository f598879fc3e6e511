"""The progress bar."""

import math
import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from regression.training.base import CurveModule
from regression.training.trainer_parts import makes_updates

__all__ = ["RunProgress"]


class RunProgress(ProgressBar):
    """A progress bar on a terminal, for runs that last longer than two seconds.

    It shows updates per second, or rows per second of passes over the points. It counts the updates of the whole run,
    or the batches where there are no updates: in the pass of the exact solver, and in predictions. The passes before
    the first update have a separate bar. Lightning's Rich bar would count the batches of one epoch, which is 1 of 1 if
    a batch has all points, and does not show those passes.

    Args:
        delay: Seconds before the bar appears.
    """

    def __init__(self, delay: float = 2.0) -> None:
        super().__init__()
        self.delay = delay
        self._enabled = True
        self._bar: Progress | None = None
        self._begun, self._rows, self._first_update = 0.0, 0, 0

    def disable(self) -> None:
        """Show nothing; the Trainer calls this on all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar again."""
        self._enabled = True

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the model's passes over the points before the first update."""
        if isinstance(pl_module, CurveModule):
            pl_module.on_scanned = self._show_scan

    def _show_scan(self, done: int, total: int, rows: int) -> None:
        self._move("scanning", done, total, self._count_rows(rows), "")
        if done == total:
            self._close()
            self._begun, self._rows = time.monotonic(), 0

    def _start_clock(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun, self._rows, self._first_update = time.monotonic(), 0, trainer.global_step

    on_train_start = on_test_start = on_predict_start = _start_clock

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar to the updates or batches done."""
        loss = trainer.callback_metrics.get("train_loss")
        text = "" if loss is None else f"loss {float(loss):.4g}"
        if makes_updates(pl_module):
            made = trainer.global_step
            self._move("updates", made, pl_module.total_updates(), made - self._first_update, text)
        else:
            self._move("batches", batch_idx + 1, trainer.num_training_batches, self._count_rows(batch.rows), text)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move the bar to the batches done."""
        batches = trainer.num_predict_batches if trainer.predicting else trainer.num_test_batches
        self._move("batches", batch_idx + 1, sum(batches), self._count_rows(batch.rows), "")

    on_predict_batch_end = on_test_batch_end

    def _count_rows(self, rows: int) -> int:
        """Count rows, and return the number of rows since the clock was started."""
        self._rows += rows
        return self._rows

    def _move(self, unit: str, done: int, total: float, amount: int, text: str) -> None:
        """Move the bar; ``amount`` is the number of updates, or of rows of a pass, since the clock was started."""
        seconds = time.monotonic() - self._begun
        if self._bar is None:
            if not (self._enabled and sys.stdout.isatty() and seconds > self.delay):
                return
            columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[text]}"), transient=True, console=Console())
            self._bar.add_task(unit, total=total if math.isfinite(total) else None, text="")
            self._bar.start()
        speed = f"{amount / max(seconds, 1e-9):,.3g} {'updates' if unit == 'updates' else 'rows'}/s"
        self._bar.update(self._bar.task_ids[0], completed=done, text=f"{speed} {text}")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the bar, so that it is not mixed with the line of the error."""
        self._close()

    def _end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    on_train_end = on_test_end = on_predict_end = _end

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
