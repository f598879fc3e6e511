"""The tutorial is played once from top to bottom; then each thing it shows is compared with what happened."""

import contextlib
import io
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from regression import Fit

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
TEXT = TUTORIAL.read_text(encoding="utf-8")
# Another order of float32 operations moves the last digits: a little in ten updates, more in 100,000. The exact
# solver always prints the same.
TOLERANCES = {"line.yaml": 1e-5, "polynomial.yaml": 1e-4, "--trainer.max_steps 12": 1e-4, "polynomial_exact.yaml": 0}


class Block(NamedTuple):
    """A fenced block: its first line in the file, its language, its content."""

    line: int
    language: str
    content: str


class Played(NamedTuple):
    """What playing the tutorial left: (line, command or None, shown, printed), the names, the folder."""

    outputs: list[tuple[int, str | None, str, str]]
    names: dict[str, Any]
    folder: Path


def blocks() -> list[Block]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
    return [Block(TEXT[: match.start()].count("\n") + 1, match[1], match[2]) for match in found]


def console_commands(content: str) -> list[tuple[str, str]]:
    """Split a console block into pairs of a command and the output below it."""
    parts = re.split(r"^\$ (.*)\n", content, flags=re.MULTILINE)
    assert parts[0] == "", "a console block begins with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run_command(command: str) -> None:
    """Run ``python SCRIPT ARGUMENTS`` in this process, from the working folder."""
    program, script, *arguments = command.split()
    assert program == "python"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(script, run_name="__main__")
    assert stop.value.code == 0


def play(outputs: list[tuple[int, str | None, str, str]], names: dict[str, Any]) -> None:
    listed = blocks()
    following = [*listed[1:], Block(0, "", "")]
    for block, after in zip(listed, following, strict=True):
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                # The newlines in front make a traceback show the tutorial's own line numbers.
                exec(compile("\n" * block.line + block.content, str(TUTORIAL), "exec"), names)
            shown = after.content if after.language == "text" else ""
            outputs.append((block.line, None, shown, printed.getvalue()))
        elif block.language == "console":
            for command, shown in console_commands(block.content):
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    run_command(command)
                outputs.append((block.line, command, shown, printed.getvalue()))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "docs" / "figures").mkdir(parents=True)
    for name in ("configs", "train.py"):
        (folder / name).symlink_to(ROOT / name)
    outputs: list[tuple[int, str | None, str, str]] = []
    names: dict[str, Any] = {"__name__": "tutorial"}
    torch.manual_seed(0)
    with contextlib.chdir(folder):
        play(outputs, names)
        yield Played(outputs, names, folder)


def assert_same_report(printed: str, shown: str, rel: float) -> None:
    """Compare word by word: numbers to a relative tolerance, the number of the run's folder not at all."""
    words, expected = (
        re.sub(r"version_\d+", "version_N", text).replace("\n", " \n ").split(" ") for text in (printed, shown)
    )
    for word, other in zip(filter(None, words), filter(None, expected), strict=True):
        if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?,?", other):
            assert float(word.rstrip(",")) == pytest.approx(float(other.rstrip(",")), rel=rel)
        else:
            assert word == other


def test_every_block_is_played_or_is_the_output_of_one_that_is() -> None:
    """Fences are closed and known, and each text block follows a Python block."""
    listed = blocks()
    assert 2 * len(listed) == len(re.findall(r"^\s*(?:```|~~~)", TEXT, flags=re.MULTILINE))
    assert {block.language for block in listed} == {"python", "text", "console"}
    before = [listed[at - 1].language for at, block in enumerate(listed) if block.language == "text"]
    assert set(before) == {"python"}


def test_python_blocks_print_what_the_tutorial_shows(played: Played) -> None:
    """Each Python block prints the text below it, to the letter, and prints nothing where there is none."""
    python = [(line, shown, printed) for line, command, shown, printed in played.outputs if command is None]
    assert [(line, printed) for line, _, printed in python] == [(line, shown) for line, shown, _ in python]


def test_commands_print_what_the_tutorial_shows(played: Played) -> None:
    """Each command prints the report below it, its numbers to float32 rounding."""
    commands = [(command, shown, printed) for _, command, shown, printed in played.outputs if command is not None]
    assert len(commands) == 4
    for command, shown, printed in commands:
        (rel,) = (tolerance for part, tolerance in TOLERANCES.items() if part in command)
        assert_same_report(printed, shown, rel)


def test_five_levels_give_the_reference_coefficients(played: Played) -> None:
    """All five levels end at the reference's slope and intercept of ten updates."""
    answers = played.names["answers"]
    assert len(answers) == 5
    for slope_and_intercept in answers.values():
        assert slope_and_intercept == pytest.approx([1.0747765, 1.8358393], rel=1e-6)


def test_loop_gives_the_reference_errors(played: Played) -> None:
    """The 2,000 hand-written steps pass through the reference's errors."""
    errors = played.names["errors_after"]
    assert len(errors) == 2000
    reference = [0.81498319, 0.15544491, 0.15377668, 0.15354522]
    assert [errors[update] for update in (0, 1000, 1800, 1999)] == pytest.approx(reference, rel=1e-6)


def test_optimum_is_the_one_of_the_reference(played: Played) -> None:
    """The least-squares solution of the tutorial is the reference's, and the run ends far from it."""
    best = [0.95654736, 12.40772751, -24.20088498, 9.84492499, 4.75737526]
    assert played.names["best"].tolist() == pytest.approx(best, rel=1e-5)
    assert float(played.names["ssr"][0]) / 10 == pytest.approx(0.0043523647, rel=1e-6)
    run = played.names["run"]
    assert run.updates == 100_000
    assert not run.converged
    assert np.abs(run.params - played.names["best"]).max() > 10


def test_ways_out_reach_the_optimum(played: Played) -> None:
    """Twelve updates end a thousandth of a standard error from the optimum; the exact solver and Python at it."""
    twelve, exact = (Fit.from_json(played.folder / "lightning_logs" / f"version_{k}" / "fit.json") for k in (2, 3))
    assert twelve.updates == 12
    assert twelve.opt_error_se == pytest.approx(0.001, rel=0.5)
    assert exact.params == played.names["curve"].params == pytest.approx(played.names["best"].tolist(), rel=1e-9)
    assert exact.bse == played.names["curve"].bse == pytest.approx(played.names["errors"].tolist(), rel=1e-9)
    assert f"{3 * 1.5 + np.sin(6 * 1.5) + 1:.2f} at 1.5" in TEXT


def test_named_number_of_updates_brings_the_loss_within_one_per_cent(played: Played) -> None:
    """Gradient descent from zero, solved per eigenvector, is 1 % above the optimum at about 3.4 million updates."""
    assert "about 3.4 million updates" in TEXT
    points, best = played.names["A"], played.names["best"]
    curvature, directions = np.linalg.eigh(2 / 10 * points.T @ points)
    residuals = points @ best - played.names["y"].double().numpy()

    def excess(updates: float) -> float:
        left_over = directions.T @ best * np.exp(updates * np.log1p(-0.05 * curvature))
        return float((curvature * left_over**2).sum() / 2 / np.mean(residuals**2))

    assert excess(3.35e6) > 0.01 > excess(3.45e6)


def test_shown_figures_are_the_ones_the_blocks_draw(played: Played) -> None:
    """Every picture in the text is saved by a block, lies in the repository, and is small."""
    shown = set(re.findall(r"!\[[^\]]+\]\(figures/([^)]+)\)", TEXT))
    drawn = {path.name for path in (played.folder / "docs" / "figures").iterdir()}
    kept = {path.name: path.stat().st_size for path in (ROOT / "docs" / "figures").glob("tutorial_*.png")}
    assert shown == drawn == set(kept)
    assert max(kept.values()) < 60_000
