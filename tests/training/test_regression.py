"""The LightningModules through a real Trainer."""

from itertools import product

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor

from regression import LineRegression, PolynomialRegression, SineLineDataModule
from tests.support import textbook
from tests.support.command import Command, config

QUIET = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "enable_model_summary": False, "limit_val_batches": 0, "log_every_n_steps": 1,
}  # fmt: skip
OPTIMIZERS = {
    "SGD": ("--optimizer", "SGD", "--optimizer.lr", "0.05"),
    "momentum": ("--optimizer", "SGD", "--optimizer.lr", "0.05", "--optimizer.momentum", "0.9"),
    "Adam": ("--optimizer", "Adam", "--optimizer.lr", "0.05"),
    "LBFGS": ("--optimizer", "LBFGS", "--optimizer.max_iter", "2"),
}
SCHEDULERS = {
    "none": (),
    "step": ("--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "4"),
    "plateau": ("--lr_scheduler", "ReduceLROnPlateau", "--lr_scheduler.monitor", "train_loss",
                "--lr_scheduler.patience", "0", "--lr_scheduler.threshold", "0.3"),
}  # fmt: skip


def test_python_gives_the_commands_numbers() -> None:
    """In Python, without the command, a Trainer gives the textbook's line."""
    model = LineRegression(learning_rate=0.1, domain="raw")
    pl.Trainer(max_epochs=10, **QUIET).fit(model, datamodule=SineLineDataModule())  # type: ignore[arg-type]
    assert model.result is not None
    assert model.result.params == pytest.approx(textbook.LINE[9][:0:-1], rel=1e-6)
    assert model(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([1.8358393, 1.8358393 + 1.0747765])


@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        ("SGD", "none"),
        ("SGD", "plateau"),
        ("momentum", "step"),
        ("Adam", "plateau"),
        ("Adam", "none"),
        ("LBFGS", "step"),
    ],
)
def test_blocks_change_no_number(command: Command, optimizer: str, scheduler: str) -> None:
    """Twelve updates in blocks of five give what twelve epochs of one update give, for losses and coefficients."""
    options = ("fit", "--model", "PolynomialRegression", "--model.degree", "2", "--trainer.max_steps", "12",
               "--trainer.precision", "64-true", "--trainer.log_every_n_steps", "1",
               *OPTIMIZERS[optimizer], *SCHEDULERS[scheduler])  # fmt: skip
    single, blocks = command(*options), command(*options, "--model.updates_per_batch", "5")
    assert (blocks.code, blocks.err) == (0, "")
    assert blocks.fit["params"] == pytest.approx(single.fit["params"], rel=1e-9)
    assert blocks.fit["updates"] == single.fit["updates"] == 12
    for tag in ("train_loss", "coefficients/c2"):
        expected, series = single.scalars(tag), blocks.scalars(tag)
        assert list(series) == list(expected) == list(range(12))
        assert list(series.values()) == pytest.approx(list(expected.values()), rel=1e-6)
    steps = torch.load(blocks.checkpoint, weights_only=True)["global_step"]
    assert steps == torch.load(single.checkpoint, weights_only=True)["global_step"] == 12


ENDS = ("--trainer.max_epochs=3", "--trainer.max_steps=27")
SWEEPS = list(product(("SGD", "Adam", "LBFGS"), ("none", "step", "plateau"), ENDS))
SAMPLE = (0, 3, 10, 13, 16)


@pytest.mark.parametrize(
    ("optimizer", "scheduler", "end"),
    [case if k in SAMPLE else pytest.param(*case, marks=pytest.mark.slow) for k, case in enumerate(SWEEPS)],
)
def test_blocks_of_mini_batches_change_no_number(command: Command, optimizer: str, scheduler: str, end: str) -> None:
    """Mini-batches in blocks of four, or fewer at the end, make the same updates as one at a time."""
    options = ("fit", "--model", "PolynomialRegression", "--model.degree", "2", "--data.points", "40",
               "--data.noise", "0.2", "--data.batch_size", "3", "--data.validation_fraction", "0.25",
               "--trainer.precision", "64-true", "--trainer.log_every_n_steps", "1",
               *OPTIMIZERS[optimizer], *SCHEDULERS[scheduler])  # fmt: skip
    single, blocks = command(*options, end), command(*options, end, "--model.updates_per_batch", "4")
    assert (blocks.code, blocks.err) == (0, "")
    assert blocks.fit["params"] == pytest.approx(single.fit["params"], rel=1e-9)
    assert blocks.fit["updates"] == single.fit["updates"] == (30 if end == ENDS[0] else 27)
    for tag in ("train_loss", "coefficients/c2", "val_loss"):
        expected, series = single.scalars(tag), blocks.scalars(tag)
        assert list(series) == list(expected)
        assert list(series.values()) == pytest.approx(list(expected.values()), rel=1e-6)


@pytest.mark.parametrize("steps", [2, 7, 18])
def test_a_block_of_mini_batches_cut_by_max_steps_is_resumed(command: Command, steps: int) -> None:
    """A run that max_steps ended within an epoch's first, middle or last block resumes to the same fit."""
    options = ("fit", "--model", "LineRegression", "--data.points", "27", "--data.batch_size", "3", "--optimizer",
               "Adam", "--optimizer.lr", "0.1", "--lr_scheduler", "ExponentialLR", "--lr_scheduler.gamma", "0.9",
               "--model.updates_per_batch", "4", "--trainer.max_epochs", "3")  # fmt: skip
    whole, part = command(*options), command(*options, "--trainer.max_steps", str(steps))
    assert part.fit["updates"] == steps
    rest = command(*options, "--ckpt_path", part.checkpoint)
    assert (rest.code, rest.err) == (0, "")
    assert rest.fit == whole.fit


@pytest.mark.parametrize(
    "options",
    [
        ("--trainer.max_steps", "14"),
        ("--trainer.max_steps", "14", "--model.updates_per_batch", "4"),
        ("--trainer.max_epochs", "4", "--trainer.check_val_every_n_epoch", "3"),
        ("--trainer.max_epochs", "2", "--trainer.val_check_interval", "3"),
        ("--trainer.max_epochs", "2", "--model.loss", "HuberLoss"),
    ],
)
def test_the_validation_loss_is_that_of_the_final_coefficients(command: Command, options: tuple[str, ...]) -> None:
    """Whenever the last validation was, the fit's loss of the held-out points is what ``validate`` finds."""
    done = command("fit", "--model", "LineRegression", "--data.points", "111", "--data.noise", "0.3",
                   "--data.batch_size", "8", "--data.validation_fraction", "0.2", "--optimizer", "SGD",
                   "--optimizer.lr", "0.1", *options)  # fmt: skip
    seen = command("validate", "--ckpt_path", done.checkpoint)
    assert f"{done.fit['val_loss']:.8g}" in seen.out


@pytest.mark.parametrize("option", [("--trainer.gradient_clip_val", "0.1"), ("--trainer.accumulate_grad_batches", "2")])
def test_clipping_and_accumulation_are_refused_for_blocks(command: Command, option: tuple[str, str]) -> None:
    """Lightning clips and accumulates only if it makes the updates: in blocks both are refused in one line."""
    done = command("fit", "-c", config("line"), "--model.updates_per_batch", "2", *option)
    assert done.code == 2
    assert done.err == (
        f"regression: {option[0]} needs --model.solver gradient and --model.updates_per_batch 1: leave it out\n"
    )


@pytest.mark.parametrize("loss", ["L1Loss", "HuberLoss", "SmoothL1Loss", "NormLoss"])
def test_losses_by_name(command: Command, loss: str) -> None:
    """Any loss can be named on the command line, and its value at the end is torch's."""
    done = command("fit", "-c", config("line"), "--model.loss", loss)
    intercept, slope = done.fit["params"]
    residual = intercept + slope * textbook.X - textbook.Y
    expected = {
        "L1Loss": residual.abs().mean(),
        "HuberLoss": torch.nn.functional.huber_loss(residual, torch.zeros(10)),
        "SmoothL1Loss": torch.nn.functional.smooth_l1_loss(residual, torch.zeros(10)),
        "NormLoss": residual.norm() / 10,
    }[loss]
    assert done.fit["loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert done.fit["loss"] < 1.5


def test_evaluation_during_blocks_is_at_its_update(command: Command) -> None:
    """The validation loss of a run in blocks is logged at the last update before it."""
    done = command("fit", "-c", config("polynomial"), "--trainer.max_steps", "25", "--model.updates_per_batch", "10",
                   "--data.validation_fraction", "0.2")  # fmt: skip
    assert list(done.scalars("val_loss")) == [9, 19, 24]


def test_learning_rate_monitor_counts_updates(command: Command) -> None:
    """Lightning's own learning rate monitor shares the x axis of updates made in blocks."""
    done = command("fit", "-c", config("polynomial"), "--trainer.max_steps", "30", "--model.updates_per_batch", "10",
                   "--trainer.callbacks", "LearningRateMonitor")  # fmt: skip
    assert LearningRateMonitor.__name__ == "LearningRateMonitor"
    assert list(done.scalars("lr-SGD")) == [0, 10, 20]


def test_gradient_accumulation_and_clipping_work_without_blocks(command: Command) -> None:
    """With one update per batch the Trainer's accumulation and clipping apply, and updates are counted, not batches."""
    done = command("fit", "-c", config("line"), "--data.batch_size", "2", "--trainer.accumulate_grad_batches", "5",
                   "--trainer.gradient_clip_val", "0.01", "--trainer.max_epochs", "3")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.fit["updates"] == 3
    assert list(done.scalars("train_loss")) == [0, 1, 2]
    assert max(map(abs, done.fit["params"])) <= 3 * 0.1 * 0.01 * (1 + 1e-5)


def test_double_precision_is_a_trainer_option(command: Command) -> None:
    """With ``--trainer.precision 64-true`` the coefficients are float64 throughout."""
    done = command("fit", "-c", config("line_norm"), "--trainer.precision", "64-true", "--trainer.max_steps", "3")
    coefficients = torch.load(done.checkpoint, weights_only=True)["state_dict"]["model.coefficients"]
    assert coefficients.dtype == torch.float64
    assert done.fit["params"] == coefficients.tolist()


class Snoop(Callback):
    """Keeps the global step after each batch."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        self.steps.append(trainer.global_step)


def test_updates_in_blocks_are_global_steps() -> None:
    """The Trainer's global step counts every update of a block, and stops at max_steps within one."""
    snoop = Snoop()
    trainer = pl.Trainer(max_steps=25, callbacks=[snoop], **QUIET)  # type: ignore[arg-type]
    trainer.fit(PolynomialRegression(degree=1, updates_per_batch=10), datamodule=SineLineDataModule())
    assert snoop.steps == [10, 20, 25]
    assert trainer.global_step == 25
