"""The time scale of a fit is stored with the weights: later points must hold times of the same scale."""

import datetime as dt
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest

from regression import ArrayDataModule, LineRegression, SafeCheckpointIO, UsageError
from regression.common.time_scale import TimeScale

pytestmark = [
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
    pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
]
T = np.datetime64("2024-01-01T00:00:00") + np.arange(6) * np.timedelta64(90, "s")
Y = 2 + 0.5 * np.arange(6) + np.tile([0.1, -0.1], 3)
SCALE = TimeScale("min", "2024-01-01T00:00:00")


def trainer(folder: Path, epochs: int = 20, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, num_sanity_val_steps=0, log_every_n_steps=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", default_root_dir=folder, plugins=[SafeCheckpointIO()], **options,
    )  # fmt: skip


def data(x: Any = T, **options: Any) -> ArrayDataModule:
    return ArrayDataModule(x, Y[: len(x)], **{"time_unit": "min"} | options)


@pytest.mark.parametrize("solver", ["exact", "gradient"])
def test_a_module_keeps_the_scale(tmp_path: Path, solver: Any) -> None:
    """Loaded weights have the time scale of the saved ones, and predict by it."""
    module = LineRegression(solver=solver)
    runner = trainer(tmp_path, enable_checkpointing=False)
    runner.fit(module, data())
    assert module.result is not None
    assert module.result.x_time == SCALE
    again = LineRegression(solver=solver)
    again.load_state_dict(module.state_dict())
    assert again.result == module.result
    (bands,) = trainer(tmp_path).predict(again, ArrayDataModule(T[3:5], time_unit="min", time_origin=T[0])) or [None]
    np.testing.assert_array_equal(bands[1], module.result.predict(T[3:5]).mean)


OTHERS: list[tuple[ArrayDataModule, str]] = [
    (
        data(T[1:]),
        r"got instants without a time zone \(min since 2024-01-01T00:01:30\); give time_unit min and time",
    ),
    (data(time_unit="s"), r"got instants without a time zone \(s since 2024-01-01T00:00:00\); give time_unit min and"),
    (data(np.arange(6.0), time_unit=None), r"x must hold instants without a time zone \(min since .*, got numbers$"),
    (data([dt.timedelta(minutes=k) for k in range(6)]), r"got durations \(min\)$"),
]


@pytest.mark.parametrize("stage", ["predict", "test", "validate"])
@pytest.mark.parametrize(("points", "words"), OTHERS, ids=[case[1][:50] for case in OTHERS])
def test_points_of_another_scale_are_refused(tmp_path: Path, stage: str, points: ArrayDataModule, words: str) -> None:
    """Other units, origins and kinds of times than those of the fit are refused before a batch is read."""
    module, runner = LineRegression(solver="exact"), trainer(tmp_path, enable_checkpointing=False)
    runner.fit(module, data())
    with pytest.raises(UsageError, match=words):
        getattr(runner, stage)(module, points)


def test_a_run_is_not_resumed_over_another_scale(tmp_path: Path) -> None:
    """A gradient fit is resumed with points of the same time origin only."""
    first = trainer(tmp_path)
    first.fit(LineRegression(), data())
    assert first.checkpoint_callback is not None
    path = str(first.checkpoint_callback.best_model_path)  # type: ignore[attr-defined]
    second = trainer(tmp_path, epochs=40)
    with pytest.raises(UsageError, match=r"got instants without a time zone \(min since 2024-01-01T00:01:30\)"):
        second.fit(LineRegression(), data(T[1:]), ckpt_path=path)
