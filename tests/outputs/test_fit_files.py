"""The losses kept for the figure, and the figures drawn during a run."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, TensorDataset

import regression
from regression import SineLineDataModule, UsageError
from regression.descent.updates import Trace
from regression.figures import figure as drawing
from regression.outputs.fit_files import FitFiles, updates_to_draw
from tests.support.command import Command


def test_long_histories_are_thinned_evenly() -> None:
    """The losses kept for the figure are bounded in number and evenly spaced."""
    files = FitFiles(points=100)
    for first in range(0, 5000, 50):
        files.keep(Trace(first, torch.zeros(50), torch.zeros(50, 2)))
    steps = sorted(files.losses)
    assert 50 <= len(steps) <= 100
    assert len({after - before for before, after in pairwise(steps)}) == 1
    assert steps[0] == 0


@pytest.mark.parametrize(
    ("total", "updates"),
    [(10, ()), (999, ()), (1000, (250, 500, 750)), (1003, (250, 501, 752)), (math.inf, (1000, 10_000, 100_000))],
)
def test_a_long_run_draws_three_more_figures(total: float, updates: tuple[int, ...]) -> None:
    """A run of a thousand updates or more draws three figures before its last one, a shorter run none."""
    assert updates_to_draw(total) == updates


@pytest.mark.figures
def test_figures_during_a_run_go_through_the_origin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an intercept the lines drawn during a run go through the origin, as the last one does."""
    drawn = []

    def record(title: str, shown: Any, curve: Any, *panel: Any) -> Any:
        drawn.append(curve.predict(torch.tensor([0.0, 1.0, 2.0])).mean.tolist())
        return drawn_figure(title, shown, curve, *panel)

    drawn_figure = drawing.figure
    monkeypatch.setattr(drawing, "figure", record)
    done = command("fit", "--model", "LineRegression", "--model.fit_intercept", "false", "--trainer.max_steps", "1000",
                   "--model.updates_per_batch", "50", "--report.rows", "0")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    images = EventAccumulator(str(done.folder)).Reload().Images("fit")
    assert [(image.step, image.width, image.height) for image in images] == [
        (update, 840, 960) for update in (250, 500, 750, 1000)
    ]
    assert all(image.encoded_image_string.startswith(b"\x89PNG") for image in images)
    assert len(drawn) == 4
    for zero, one, two in drawn:
        assert zero == pytest.approx(0, abs=1e-9)
        assert two == pytest.approx(2 * one, rel=1e-9)
        assert one > 0


QUIET: dict[str, Any] = {
    "accelerator": "cpu", "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
    "max_epochs": 3,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")
def test_report_and_files_of_a_users_own_trainer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a user's own Trainer, with a DataLoader or a data module, the callbacks write the files and the report."""
    x = torch.linspace(0, 1, 9)
    loader: Any = DataLoader(TensorDataset(x, x.sin()), 3)
    for name, data in (("loader", {"train_dataloaders": loader}), ("sine", {"datamodule": SineLineDataModule()})):
        module, folder = regression.LineRegression(), tmp_path / name
        callbacks = [regression.Report(rows=2), regression.FitFiles(folder=folder)]
        pl.Trainer(logger=False, callbacks=callbacks, **QUIET).fit(module, **data)
        fit = regression.Fit.from_json(folder / "fit.json")
        assert module.result is not None
        assert fit.params.tolist() == module.result.params.tolist()
        assert (folder / "fit.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / "fit.txt").read_text() in capsys.readouterr().out
    pl.Trainer(logger=CSVLogger(tmp_path / "csv"), callbacks=[regression.FitFiles()], **QUIET).fit(module, loader)
    assert len([*tmp_path.glob("csv/lightning_logs/version_0/fit.*")]) == 3


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")
def test_files_need_a_folder_of_their_own(tmp_path: Path) -> None:
    """Without a folder, or with one that has a fit already, FitFiles is refused before the first update."""
    (tmp_path / "fit.json").write_text("{}")
    for files, words in (
        (FitFiles(), "FitFiles needs a folder to write to"),
        (FitFiles(folder=tmp_path), "FitFiles writes over nothing, and .*fit.json is there: give another folder"),
    ):
        trainer = pl.Trainer(logger=False, callbacks=[files], **QUIET)
        with pytest.raises(UsageError, match=words):
            trainer.fit(regression.LineRegression(), datamodule=SineLineDataModule())
        assert trainer.global_step == 0
    assert (tmp_path / "fit.json").read_text() == "{}"
