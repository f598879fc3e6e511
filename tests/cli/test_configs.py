"""Each configuration file, run through the command, gives the textbook's numbers."""

import json
from pathlib import Path

import pytest
import torch

from regression.curves.polynomial import Line
from regression.descent.losses import GlobalLoss, NormLoss
from regression.descent.updates import Objective
from tests.support import textbook
from tests.support.command import ROOT, Command, Run, config

LINE_NAMES = ("slope", "intercept")
POLYNOMIAL_NAMES = ("c0", "c1", "c2", "c3", "c4")


def logged(run: Run, names: tuple[str, ...]) -> dict[int, tuple[float, ...]]:
    series = [run.scalars(tag) for tag in ("train_loss", *(f"coefficients/{name}" for name in names))]
    return {step: tuple(values[step] for values in series) for step in series[0]}


def test_there_are_few_short_configs() -> None:
    """There are at most six configuration files, each of at most 25 lines, each beginning with its purpose."""
    files = list((ROOT / "configs").iterdir())
    assert 0 < len(files) <= 6
    for file in files:
        lines = file.read_text().splitlines()
        assert len(lines) <= 25
        assert lines[0].startswith("# ")


def test_one_gradient_step_by_hand() -> None:
    """At (0, 0) the norm loss and its gradient are the textbook's."""
    line, loss = Line(), NormLoss()
    error = loss(line(textbook.X), textbook.Y)
    error.backward()
    assert error.item() == pytest.approx(textbook.NORM_START, abs=5e-5)
    assert line.coefficients.grad is not None
    assert line.coefficients.grad.flip(0).tolist() == pytest.approx(textbook.NORM_GRADIENT, abs=5e-5)


def test_closed_form_gradient_is_the_textbooks() -> None:
    """The gradient that the blocks of updates use is the textbook's at (0, 0)."""
    objective = Objective(Line().design(textbook.X), textbook.Y, 10, GlobalLoss("NormLoss"))
    gradient = objective.gradient()(torch.zeros(2))
    assert gradient.flip(0).tolist() == pytest.approx(textbook.NORM_GRADIENT, abs=5e-5)


@pytest.mark.parametrize("steps", [1, 2])
def test_first_hand_written_steps(command: Command, steps: int) -> None:
    """The first two hand-written steps are the textbook's to its four decimals."""
    fit = command("fit", "-c", config("line_norm"), "--trainer.max_steps", str(steps)).fit
    intercept, slope = fit["params"]
    assert (slope, intercept, fit["loss"]) == pytest.approx(textbook.NORM_STEPS[steps], abs=5e-5)


def test_line_config_gives_every_row(command: Command) -> None:
    """``line.yaml`` logs and prints the ten rows of the textbook's nn.Module line, to a relative 1e-6."""
    run = command("fit", "-c", config("line"))
    assert (run.code, run.err) == (0, "")
    rows = logged(run, LINE_NAMES)
    assert list(rows) == list(textbook.LINE)
    for update, expected in textbook.LINE.items():
        assert rows[update] == pytest.approx(expected, rel=1e-6)
        loss, slope, intercept = expected
        assert run.rows()[update] == pytest.approx([loss, intercept, slope], rel=1e-6)
    assert run.fit["params"] == pytest.approx([1.8358393, 1.0747765], rel=1e-6)


def test_line_norm_config_gives_every_row(command: Command) -> None:
    """``line_norm.yaml`` prints the textbook's eleven rows, and logs its longer digits to a relative 1e-6."""
    run = command("fit", "-c", config("line_norm"), "--trainer.log_every_n_steps", "1")
    assert (run.code, run.err) == (0, "")
    printed = run.rows()
    assert list(printed) == list(textbook.NORM_ROWS)
    for label, (slope, intercept, error) in textbook.NORM_ROWS.items():
        assert printed[label] == pytest.approx([error, intercept, slope], abs=0.00501)
    rows = logged(run, LINE_NAMES)
    losses = run.scalars("train_loss")
    for update, (slope, intercept, error) in textbook.NORM_DIGITS.items():
        assert rows[update][1:] == pytest.approx((slope, intercept), rel=1e-6 if update else 2e-6)
        assert losses.get(update + 1, run.fit["loss"]) == pytest.approx(error, rel=1e-6)


def test_polynomial_config_gives_every_row(command: Command) -> None:
    """``polynomial.yaml`` makes 100,000 updates and gives the textbook's rows to a relative 1e-4."""
    run = command("fit", "-c", config("polynomial"))
    assert (run.code, run.err) == (0, "")
    rows = logged(run, POLYNOMIAL_NAMES)
    for update, expected in textbook.POLYNOMIAL.items():
        assert rows[update] == pytest.approx(expected, rel=1e-4)
        assert run.rows()[update] == pytest.approx(expected, rel=1e-4)
    assert run.fit["degree"] == 4
    assert run.fit["updates"] == 100_000


def test_own_file_config_gives_the_certified_line(command: Command) -> None:
    """``own_file.yaml`` fits the file in it, to NIST's certified digits."""
    (Path.cwd() / "tests").symlink_to(ROOT / "tests")
    run = command("fit", "-c", config("own_file"))
    assert (run.code, run.err) == (0, "")
    certified = json.loads((ROOT / "tests/certified/certified.json").read_text())["Norris"]
    assert run.fit["params"] == pytest.approx(list(map(float, certified["estimates"])), rel=1e-12)
