"""The command: the files it writes, and the errors it prints."""

import csv
from pathlib import Path

import pytest
import torch
from lightning.pytorch.utilities import rank_zero_only

from regression.cli import entry
from tests.support import textbook
from tests.support.command import Command, config

LINE = ("fit", "-c", config("line"))


def test_alone_it_prints_help_that_names_the_configs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the command prints its help, with the purpose of each configuration, and succeeds."""
    monkeypatch.chdir(Path(config("line")).parents[1])
    done = command()
    assert done.code == 0
    for name in ("line", "line_norm", "polynomial"):
        assert f"configs/{name}.yaml: " in done.out


def test_help_of_a_model_is_its_docstring(command: Command) -> None:
    """The help of a model lists its own options and those of its base, with their descriptions."""
    done = command("fit", "--model.help", "regression.PolynomialRegression")
    assert done.code == 0
    for text in ("--model.degree", "Highest power d", "--model.updates_per_batch", "--model.loss"):
        assert text in done.out


@pytest.mark.figures
def test_a_run_leaves_its_files(command: Command) -> None:
    """A fit writes its configuration, both checkpoints, the fit as JSON and text, and a figure, to a new folder."""
    first, second = command(*LINE), command(*LINE)
    assert first.folder is not None
    assert second.folder is not None
    assert (first.folder.name, second.folder.name) == ("version_0", "version_1")
    for name in ("config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "fit.json", "fit.txt", "fit.png"):
        assert (first.folder / name).stat().st_size > 0
    assert (first.folder / "fit.txt").read_text() in first.out
    assert (first.folder / "fit.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(first.folder.glob("events.out.tfevents.*"))) == 1


def test_a_run_can_be_repeated_from_its_own_config(command: Command) -> None:
    """The run's config.yaml alone gives the same fit again."""
    first = command(*LINE, "--model.loss", "HuberLoss", "--model.loss_args.delta", "0.4")
    again = command("fit", "-c", f"{first.folder}/config.yaml")
    assert again.fit == first.fit


def test_nothing_is_written_without_a_logger(command: Command, tmp_path: Path) -> None:
    """With ``--trainer.logger false`` a run prints its report and leaves no file."""
    done = command(*LINE, "--trainer.logger", "false")
    assert (done.code, done.err) == (0, "")
    assert "1.8358393" in done.out
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_load_without_running_code(command: Command) -> None:
    """A checkpoint holds plain data: it loads with ``weights_only`` and carries step, class and coefficients."""
    checkpoint = torch.load(command(*LINE).checkpoint, weights_only=True)
    assert checkpoint["class_path"] == "regression.LineRegression"
    assert checkpoint["global_step"] == 10
    intercept, slope = checkpoint["state_dict"]["model.coefficients"].tolist()
    assert (slope, intercept) == pytest.approx(textbook.LINE[9][1:], rel=1e-6)


def test_best_checkpoint_has_the_lowest_validation_loss(command: Command) -> None:
    """With held-out points, best.ckpt is the epoch of the lowest validation loss, not the last one."""
    done = command(*LINE, "--data.points", "40", "--data.noise", "0.5", "--data.validation_fraction", "0.5",
                   "--optimizer.lr", "0.95")  # fmt: skip
    assert done.folder is not None
    losses = done.scalars("val_loss")
    best = torch.load(done.folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert losses[best["global_step"] - 1] == min(losses.values())
    assert done.fit["val_loss"] == pytest.approx(list(losses.values())[-1], rel=1e-6)


@pytest.mark.parametrize(("subcommand", "key"), [("validate", "val_loss"), ("test", "test_loss")])
def test_evaluation_needs_the_checkpoint_alone(command: Command, subcommand: str, key: str) -> None:
    """``validate`` and ``test`` rebuild model and data from the checkpoint; without noise they give the final loss."""
    fitted = command("fit", "-c", config("polynomial"), "--trainer.max_steps", "50", "--data.points", "12")
    done = command(subcommand, "--ckpt_path", fitted.checkpoint)
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    (value,) = done.scalars(key).values()
    assert value == pytest.approx(fitted.fit["loss"], rel=1e-6)
    assert key in done.out


def test_held_out_points_are_validated(command: Command) -> None:
    """``validate`` uses the held-out points of the fit, and only them."""
    fitted = command(*LINE, "--data.points", "20", "--data.noise", "0.3", "--data.validation_fraction", "0.25")
    (value,) = command("validate", "--ckpt_path", fitted.checkpoint).scalars("val_loss").values()
    assert value == pytest.approx(fitted.fit["val_loss"], rel=1e-6)
    assert value != pytest.approx(fitted.fit["loss"], rel=1e-3)


def test_test_points_have_noise_of_their_own(command: Command) -> None:
    """The test loss of a noisy set differs from the training loss, and other data can be asked for."""
    fitted = command(*LINE, "--data.noise", "0.3")
    (own,) = command("test", "--ckpt_path", fitted.checkpoint).scalars("test_loss").values()
    (quiet,) = command("test", "--ckpt_path", fitted.checkpoint, "--data.noise", "0").scalars("test_loss").values()
    assert own != pytest.approx(fitted.fit["loss"], rel=1e-3)
    assert quiet < own


def test_predictions_are_in_data_order(command: Command) -> None:
    """``predict`` writes x and the line's value for every point, in order, also in small batches."""
    fitted = command(*LINE)
    done = command("predict", "--ckpt_path", fitted.checkpoint, "--data.batch_size", "3")
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    with (done.folder / "predictions.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["x", "mean", "mean_se", "mean_ci_lower", "mean_ci_upper", "obs_ci_lower", "obs_ci_upper",
                      "extrapolated"]  # fmt: skip
    x = torch.tensor([float(row[0]) for row in rows])
    assert torch.equal(x, textbook.X)
    intercept, slope = fitted.fit["params"]
    assert [float(row[1]) for row in rows] == pytest.approx((intercept + slope * x).tolist(), rel=1e-6)


def test_training_is_resumed_from_a_checkpoint(command: Command) -> None:
    """A fit resumed from last.ckpt ends where an uninterrupted one does."""
    half = command(*LINE, "--trainer.max_epochs", "5")
    resumed = command(*LINE, "--ckpt_path", half.checkpoint)
    assert (resumed.code, resumed.err) == (0, "")
    assert resumed.fit == command(*LINE).fit


BLOCKS = ("fit", "-c", config("line_norm"))
REFUSED = [
    (("fit",), "--model is missing"),
    (("fti",), "did you mean fit?"),
    (("fit", "-c", "nope.yaml"), "file not found"),
    ((*LINE, "--foo", "3"), "unknown option --foo"),
    ((*LINE, "--trainer.max_epoch", "3"), "did you mean --trainer.max_epochs?"),
    ((*LINE, "--model.lss", "L1Loss"), "did you mean loss?"),
    ((*LINE, "--model.degree", "2"), "not an option of regression.LineRegression; --model PolynomialRegression has it"),
    ((*LINE, "--optimizer", "Sgd"), "did you mean SGD?"),
    ((*LINE, "--optimizer", "regression.Line"), "regression.Line is no Optimizer"),
    ((*LINE, "--optimizer.lrr", "3"), "did you mean lr?"),
    ((*LINE, "--optimizer.lr", "fast"), "--optimizer.lr must be a number, got fast"),
    ((*LINE, "--optimizer.lr", "-0.1"), "Invalid learning rate: -0.1"),
    ((*LINE, "--optimizer.lr", ".nan"), "the learning rate must be finite, got nan"),
    ((*LINE, "--lr_scheduler", "StepLR"), "--lr_scheduler.step_size is missing"),
    ((*LINE, "--model", "PolynomialRegression", "--model.degree", "-1"), "degree must be a whole number from 0"),
    ((*LINE, "--model", "PolynomialRegression", "--model.degree", "2.5"), "--model.degree must be a whole number"),
    ((*LINE, "--model", "PolynomialRegression", "--model.degree", "1000000"), "degree must be a whole number from 0"),
    ((*LINE, "--model", "Linear"), "--model: there is no class 'Linear'"),
    ((*LINE, "--model", "regression.LinRegression"), "did you mean LineRegression?"),
    ((*LINE, "--lr_scheduler", "torch.optim.lr_scheduler.Step"), "--lr_scheduler: there is no class 'Step'"),
    ((*LINE, "--trainer.accumulate_grad_batches", "2", "--model.solver", "exact"), "needs --model.solver gradient"),
    ((*LINE, "--data.points", "0"), "points must be a whole number of at least 1, got 0"),
    ((*LINE, "--data.points", "many"), "--data.points must be a whole number, got many"),
    ((*LINE, "--data.noise", "-1"), "noise must be a finite number of at least 0"),
    ((*LINE, "--data.low", "2"), "low must not be above high"),
    ((*LINE, "--data.batch_size", "0"), "batch_size must be a whole number of at least 1"),
    ((*LINE, "--data.validation_fraction", "1"), "validation_fraction must be from 0 to below 1"),
    ((*LINE, "--data.validation_fraction", "0.99"), "leaves no point of 10"),
    ((*LINE, "--model.loss", "CrossEntropyLoss"), "cannot be summed over a global batch"),
    ((*LINE, "--model.loss", "GaussianNLLLoss"), "cannot be summed over a global batch"),
    ((*LINE, "--model.loss", "CosineEmbeddingLoss"), "cannot be summed over a global batch"),
    ((*LINE, "--model.loss", "HubberLoss"), "did you mean HuberLoss?"),
    ((*LINE, "--model.loss_args.delta", "1"), "loss MSELoss cannot be made with the arguments"),
    ((*LINE, "--model.learning_rate", "0.1"), "use --optimizer.lr"),
    ((*LINE, "--model.updates_per_batch", "0"), "updates_per_batch must be a whole number from 1 to 10,000,000"),
    (
        (*BLOCKS, "--data.points", "200000", "--data.batch_size", "70000"),
        "needs all rows in one batch, or batches of up to 65,536 rows, got batches of 70,000",
    ),
    ((*BLOCKS, "--trainer.precision", "bf16-mixed"), "needs one number type"),
    ((*LINE, "--trainer.accelerator", "abacus"), "accelerator abacus is not on this machine"),
    ((*LINE, "--trainer.devices", "0"), "devices"),
    ((*LINE, "--report.loss", "never"), "must be one of 'before', 'after', got never"),
    ((*LINE, "--ckpt_path", "nope.ckpt"), "checkpoint not found: nope.ckpt"),
    (("predict",), "predict needs a fitted model"),
    (("predict", "--ckpt_path", config("line")), "not a checkpoint of this program"),
    ((*LINE, "--trainer.default_root_dir", config("line")), "cannot make a run folder"),
]


@pytest.mark.parametrize(("args", "words"), REFUSED, ids=[" ".join(args[3:] or args) for args, _ in REFUSED])
def test_wrong_input_costs_one_line(command: Command, args: tuple[str, ...], words: str) -> None:
    """Wrong input is refused in one line that says why, with status 2, no traceback and no folder left behind."""
    done = command(*args)
    assert done.code == 2
    assert words in done.err
    assert done.err.startswith("regression: ")
    assert done.err.count("\n") == 1
    assert done.folder is None


def test_an_option_that_contradicts_the_checkpoint_is_refused(command: Command) -> None:
    """A model option other than the checkpoint's is refused, naming both values."""
    fitted = command("fit", "-c", config("polynomial"), "--trainer.max_steps", "1")
    done = command("predict", "--ckpt_path", fitted.checkpoint, "--model.degree", "3")
    assert (done.code, done.folder) == (2, None)
    assert "--model.degree 3 contradicts the checkpoint's 4" in done.err


@pytest.mark.parametrize("name", ["line", "polynomial"])
def test_divergence_stops_the_run(command: Command, name: str) -> None:
    """A loss that is not finite stops the run with one line that names update and rate, and status 1."""
    done = command("fit", "-c", config(name), "--optimizer.lr", "1e6")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "stopped being finite at update" in done.err
    assert "learning rate 1e+06: try a smaller rate" in done.err
    assert done.folder is not None
    assert not (done.folder / "fit.json").exists()


def test_divergence_keeps_the_last_good_checkpoint(command: Command) -> None:
    """After a divergence the checkpoints still hold finite coefficients."""
    done = command("fit", "-c", config("line"), "--optimizer.lr", "1e9")
    for name in ("best", "last"):
        checkpoint = torch.load(f"{done.folder}/checkpoints/{name}.ckpt", weights_only=True)
        assert checkpoint["state_dict"]["model.coefficients"].isfinite().all()


def test_first_bad_update_is_named_the_same_in_a_block(command: Command) -> None:
    """A block of updates names the same first bad update as one update at a time."""
    options = ("fit", "-c", config("line"), "--optimizer.lr", "50", "--trainer.max_epochs", "100")
    single, block = command(*options), command(*options, "--model.updates_per_batch", "100")
    assert single.err == block.err
    assert "stopped being finite at update" in single.err


@pytest.mark.parametrize("option", [("-c", config("line")), (f"--config={config('line')}",), (f"-c={config('line')}",)])
def test_an_option_replaces_a_files_value_in_any_order(command: Command, option: tuple[str, ...]) -> None:
    """Options before a configuration replace its values as those after it do; of two files the later one counts."""
    Path("more.yaml").write_text("trainer: {max_epochs: 3}\n")
    options = ("--model", "PolynomialRegression", "--model.degree", "2")
    after = command("fit", *option, "-c", "more.yaml", *options)
    before = command("fit", *options, *option, "-c", "more.yaml")
    assert (before.code, before.err, before.fit) == (0, "", after.fit)
    assert (before.fit["model"], before.fit["degree"], before.fit["updates"]) == ("PolynomialRegression", 2, 3)


def test_debug_shows_the_traceback(command: Command) -> None:
    """With ``--debug`` an error is raised as it is."""
    with pytest.raises(Exception, match="points must be a whole number of at least 1"):
        command(*LINE, "--data.points", "0", "--debug")


def test_of_several_processes_the_first_one_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning of all processes is printed by the first one only."""
    said = []
    for rank in (0, 1):
        monkeypatch.setattr(rank_zero_only, "rank", rank)
        said.append(entry._format_warning(UserWarning("two\nlines")))
    assert said == ["regression: warning: two lines\n", ""]
