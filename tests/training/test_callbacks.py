"""Callbacks in a user's own Trainer run, or are refused in one line before the first update."""

import os
import signal
from typing import Any

import lightning.pytorch as pl
import pytest
from lightning.pytorch.callbacks import BatchSizeFinder, Callback, EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.tuner import Tuner

from regression import LineRegression, SineLineDataModule, UsageError
from tests.support.command import Command

QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
    "enable_checkpointing": True, "max_epochs": 3,
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")  # advice for other models


def fitted(*callbacks: Callback, solver: Any = "gradient", **data: Any) -> LineRegression:
    module = LineRegression(solver=solver)
    pl.Trainer(**QUIET, callbacks=list(callbacks)).fit(module, datamodule=SineLineDataModule(**data))
    return module


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (EarlyStopping("foo"), "EarlyStopping monitors foo, and this fit logs train_loss: give one of them"),
        (EarlyStopping("val_loss"), "EarlyStopping monitors val_loss, .* train_loss: hold rows out for validation"),
        (ModelCheckpoint(monitor="opt_error_se"), "ModelCheckpoint monitors opt_error_se, and this fit logs"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("solver", ["exact", "gradient"])
def test_a_monitor_that_is_not_logged_is_refused(solver: str, callback: Callback, words: str) -> None:
    """A callback that monitors a number that is not logged is refused before the first update, with what is logged."""
    module = LineRegression(solver=solver)  # type: ignore[arg-type]
    trainer = pl.Trainer(**QUIET, callbacks=[callback])
    with pytest.raises(UsageError, match=words):
        trainer.fit(module, datamodule=SineLineDataModule())
    assert trainer.global_step == 0


def test_a_monitor_that_is_logged_is_accepted(tmp_path: Any) -> None:
    """Callbacks that monitor train_loss, val_loss or the step run."""
    stopping = EarlyStopping("val_loss")
    best = ModelCheckpoint(tmp_path, "best", monitor="train_loss")
    latest = ModelCheckpoint(tmp_path, "latest", monitor="step", mode="max")
    fitted(stopping, best, latest, validation_fraction=0.3)
    assert stopping.best_score.isfinite()
    assert best.best_model_score is not None
    assert (tmp_path / "latest.ckpt").exists()


class Width(Callback):
    """Logs a number of its own."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log("width", float(trainer.current_epoch))


def test_a_number_of_a_users_callback_can_be_monitored() -> None:
    """A callback may monitor a number that another callback of the user's own logs."""
    stopping = EarlyStopping("width", mode="min", patience=1)
    fitted(Width(), stopping)
    assert stopping.best_score.item() == 0


def test_searches_for_batch_size_and_rate_are_refused() -> None:
    """Lightning's searches for a batch size and a learning rate are refused, with what to use instead."""
    with pytest.raises(UsageError, match=r"BatchSizeFinder cannot be used with this model: all rows, .* batch_size$"):
        fitted(BatchSizeFinder())
    tuner = Tuner(pl.Trainer(**QUIET))
    with pytest.raises(UsageError, match=r"LearningRateFinder cannot be used with this model: .* best constant step"):
        tuner.lr_find(LineRegression(), datamodule=SineLineDataModule())
    with pytest.raises(UsageError, match="BatchSizeFinder cannot be used with this model"):
        Tuner(pl.Trainer(**QUIET)).scale_batch_size(LineRegression(), datamodule=SineLineDataModule())


@pytest.mark.parametrize("solver", ["exact", "gradient"])
def test_a_timer_runs(solver: str) -> None:
    """A Timer measures a run, and ends it when its time is over."""
    timer = Timer("00:00:01:00")
    fitted(timer, solver=solver)
    assert 0 < timer.time_elapsed() < 60
    ended = fitted(Timer({"seconds": 0}))
    assert ended.result is None or ended.result.updates == 1


def test_callbacks_of_the_command(command: Command) -> None:
    """The command runs a Timer, which is in config.yaml; a monitor that is not logged is status 2, without a folder."""
    add = ("fit", "--trainer.max_epochs", "2", "--model", "LineRegression", "--trainer.callbacks+=")
    done = command(*add[:-1], f"{add[-1]}Timer", "--trainer.callbacks.duration=00:00:01:00")
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    assert "interval: step" in (done.folder / "config.yaml").read_text()
    refused = command(*add[:-1], f"{add[-1]}EarlyStopping", "--trainer.callbacks.monitor=val_loss")
    assert (refused.code, refused.folder) == (2, None)
    assert "hold rows out for validation (--data.validation_fraction)" in refused.err
    finder = command(*add[:-1], f"{add[-1]}BatchSizeFinder")
    assert (finder.code, finder.folder) == (2, None)
    assert "BatchSizeFinder cannot be used with this model" in finder.err


class Terminate(Callback):
    """Sends this process SIGTERM when the first batch begins."""

    def on_train_batch_start(self, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.filterwarnings("ignore")  # Lightning prints that it received the signal
def test_sigterm_ends_a_block_of_updates() -> None:
    """Also in a user's own Trainer SIGTERM ends a block of millions of updates early."""
    module = LineRegression(updates_per_batch=10_000_000)
    trainer = pl.Trainer(**QUIET | {"enable_checkpointing": False, "max_epochs": 1}, callbacks=[Terminate()])
    with pytest.raises(SystemExit):
        trainer.fit(module, datamodule=SineLineDataModule())
    assert 0 < trainer.global_step <= 1000


@pytest.mark.parametrize("option", ["min_steps", "min_epochs"])
def test_the_exact_solver_makes_one_update(option: str) -> None:
    """More updates or epochs than one are refused before the exact solver begins."""
    trainer = pl.Trainer(**QUIET | {option: 2})
    with pytest.raises(UsageError, match=f"solver exact makes one update in one epoch, got {option} 2: leave it out"):
        trainer.fit(LineRegression(solver="exact"), datamodule=SineLineDataModule())
