"""Signals: a fit that receives a signal stops after the current update, with a checkpoint.

While updates are made a handler only sets a flag, because it may run between any two instructions, and in only one of
the processes: all processes check their flags together after each update. Where no update can be lost, it raises
``Stopped`` at once.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from regression.common.collectives import all_max
from regression.common.errors import Stopped
from regression.common.text import counted, shown_path
from regression.runs.checkpoint_callbacks import LastCheckpoint
from regression.runs.lightning_internals import SilentConnector, keep_handlers_out
from regression.runs.parent_watch import print_line
from regression.runs.processes import Outcome
from regression.runs.started_processes import BLOCKED_SIGNALS
from regression.training.trainer_parts import makes_updates

__all__ = ["Signals", "StopAtUpdate", "stopped_outcome"]

RUN_ENDED = "the run had come to its end"
STOPS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
SAVES = getattr(signal, "SIGUSR1", None)  # not on Windows
SECONDS_TO_UPDATE = 3.5  # from a signal to the end of the update or operation; then the process ends, without saving
SECONDS_BETWEEN_CHECKS = 1.0  # whether a checkpoint is still being written


def stopped_outcome(signum: int, saved: str) -> Outcome:
    """Return the outcome of a process that a signal stopped."""
    return Outcome("stopped", 128 + signum, f"stopped by {STOPS[signal.Signals(signum)]}; {saved}")


def unblock() -> None:
    """Unblock the signals that ``Ranks`` blocked when it started this process."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)


class Signals:
    """The signals that this process has received; a context that handles SIGINT, SIGTERM and SIGUSR1.

    Args:
        abort: Called in a thread to end the process at once: after a second Ctrl-C, or 3.5 s after a signal that has
            not ended it.

    Attributes:
        stop: The number of the first signal to stop, or 0.
        save: Whether a signal to save was received.
        is_deferring: Whether a signal to stop raises nothing when it arrives: while updates are being made, until the
            next check; before ``in_effect``, until that begins; after it for good, because ``Stopped`` would end the
            process without a report.
        is_saving: Whether a checkpoint is being written, or after Ctrl-C a figure: only a second Ctrl-C then ends the
            process.
        saved: The words to print about the state: where it was saved, or that it was not.
    """

    def __init__(self, abort: Callable[[Outcome], Any]) -> None:
        self._abort = abort
        self.stop, self.save = 0, False
        self.is_deferring, self.is_saving = True, False
        self.saved = "not saved: the update under way took too long"
        self._is_raised = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():  # handlers cannot be set there
            return self
        # Python runs its handlers only between two instructions of the main thread, and a long operation of torch is a
        # single one. The interpreter's C handler writes the signal's number to this pipe at once; a thread reads it.
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for signum in (*STOPS, *([] if SAVES is None else [SAVES])):
            self._before[signum] = signal.signal(signum, self._handle)
        unblock()  # the handlers run now for signals that were sent before
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._before:
            return
        for signum, handler in self._before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._writing)  # this ends the thread
        self._thread.join()
        os.close(self._reading)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self._note(signum)
        if not self.is_deferring:
            self.require_none()

    def _note(self, signum: int) -> None:
        if signum == SAVES:
            self.save = True
        elif not self.stop:
            self.stop = signum

    @contextmanager
    def in_effect(self) -> Iterator[None]:
        """Let signals end the run: within this context they raise ``Stopped``, also those that came before it."""
        self.is_deferring, saved = False, RUN_ENDED
        try:
            self.require_none()
            yield
        except Stopped as stopped:
            saved = stopped.saved
            raise
        finally:
            self.is_deferring, self.saved = True, saved

    def defer(self) -> None:
        """Make signals take effect only at the end of the update from now on."""
        self.is_deferring = True

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Let a checkpoint be written: only a second Ctrl-C ends the process meanwhile."""
        self.is_saving = True
        try:
            yield
        finally:
            self.is_saving = False

    def require_none(self, *saved: str) -> None:
        """End the run if a signal was received that has not taken effect; ``saved`` is as in ``Stopped``."""
        if self.stop and not self._is_raised:
            self._is_raised = True
            raise Stopped(self.stop, *saved)

    def _listen(self) -> None:
        interrupts, end = 0, None
        while True:
            wait = None if end is None else max(0.01, end - time.monotonic())
            try:
                is_ready = select.select([self._reading], [], [], wait)[0]
                received = os.read(self._reading, 1) if is_ready else b""
            except OSError:  # on Windows, select works with sockets only
                return
            if not is_ready:
                if not self.is_saving:
                    saved = self.saved if self.is_deferring else Stopped(self.stop).saved
                    self._abort(stopped_outcome(self.stop, saved))
                end = time.monotonic() + SECONDS_BETWEEN_CHECKS
                continue
            if not received:
                return
            signum = received[0]
            if signum not in (*STOPS, SAVES):
                continue
            self._note(signum)
            interrupts += signum == signal.SIGINT
            if interrupts == 2:
                is_saved = self.saved.startswith("saved")
                self._abort(stopped_outcome(signal.SIGINT, self.saved if is_saved else "not saved, at the second one"))
            if self.stop and end is None:
                end = time.monotonic() + SECONDS_TO_UPDATE


class StopAtUpdate(Callback):
    """Checks after each update whether any process has received a signal to stop or to save; all of them then do so.

    SIGTERM or Ctrl-C: the state is saved in ``last.ckpt`` and the run ends. SIGUSR1: the state is saved in
    ``last.ckpt`` and the run continues; in a SLURM job Lightning saves it too, and requeues the job.

    Args:
        signals: The signals of this process.
    """

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._connector: SilentConnector | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Disable Lightning's signal handlers."""
        self._connector = keep_handlers_out(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Defer signals to the end of the update; with the exact solver they take effect at once."""
        if makes_updates(pl_module):
            self.signals.defer()
            pl_module.is_stopped = lambda: bool(self._agree(trainer)[0])

    def _agree(self, trainer: pl.Trainer) -> tuple[int, bool]:
        """Return the signal to stop, or 0, and whether to save, by all processes; all of them must call it."""
        if trainer.world_size == 1:
            return self.signals.stop, self.signals.save
        own = torch.tensor([self.signals.stop, int(self.signals.save)], device=trainer.strategy.root_device)
        stop, save = all_max(own).tolist()
        return stop, bool(save)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check for signals."""
        self._check(trainer)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Check for signals, because a validation can be long; a resumed run begins it again."""
        self._check(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note where the state is: a signal may end the process while the files of the fit are written."""
        if self.signals.is_deferring:
            self.signals.saved = _saved_line(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the checkpoints that a requeued job was resumed from: another job here would resume from them too."""
        resumed = Path(trainer.ckpt_path or "")
        if trainer.is_global_zero and resumed.name.startswith("hpc_ckpt_"):
            for path in resumed.parent.glob("hpc_ckpt_*.ckpt"):
                path.unlink(missing_ok=True)

    def _check(self, trainer: pl.Trainer) -> None:
        if not self.signals.is_deferring:
            return
        stop, save = self._agree(trainer)
        if stop:
            self.signals.saved = self._save(trainer)
            self.signals.is_saving = stop == signal.SIGINT  # report and figure of the present coefficients follow
            raise Stopped(stop, self.signals.saved)
        if save:
            self.signals.save = False
            self._save_and_go_on(trainer)

    def _save(self, trainer: pl.Trainer) -> str:
        """Save the state after the latest update, and return a line that says where."""
        with self.signals.saving():
            if (last := _last_checkpoint(trainer)) is not None:
                last.save(trainer)
        return _saved_line(trainer)

    def _save_and_go_on(self, trainer: pl.Trainer) -> None:
        if self._connector is not None and self._connector.requeues():
            with self.signals.saving():
                self._connector.requeue()
        saved = self._save(trainer)
        if trainer.is_global_zero:
            print_line(f"SIGUSR1; {saved}")


def _last_checkpoint(trainer: pl.Trainer) -> LastCheckpoint | None:
    return next((callback for callback in trainer.checkpoint_callbacks if isinstance(callback, LastCheckpoint)), None)


def _saved_line(trainer: pl.Trainer) -> str:
    """Return a line that says where the state after the latest update was saved."""
    made, last = counted(trainer.global_step, "update"), _last_checkpoint(trainer)
    if last is None or not last.has_saved:
        return f"not saved after {made}: checkpoints are switched off"
    return f"saved after {made}: go on with --ckpt_path {shown_path(last.path)}"
