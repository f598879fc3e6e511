"""The tutorial's notebook is played once from top to bottom; then each thing it shows is compared with what happened.

``python -m tests.docs.test_tutorial`` makes the notebook, and the figures, anew from the text.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from regression import Fit
from tests.support.command import ROOT
from tests.support.notebook import IMAGE, made, play_notebook
from tests.support.pages import Played, assert_same, blocks, prepare

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")  # advice on the workers of ten points
TUTORIAL = ROOT / "docs" / "tutorial.md"
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
TEXT = TUTORIAL.read_text(encoding="utf-8")
# Another order of float32 operations moves the last digits: a little in ten updates, more in 100,000. The exact
# solver always prints the same.
TOLERANCES = {"line.yaml": 1e-5, "polynomial.yaml": 1e-4, "--trainer.max_steps 12": 1e-4, "polynomial_exact.yaml": 0}


class Tutorial(NamedTuple):
    """What playing the tutorial left: what was run, the names, the folder."""

    outputs: list[Played]
    names: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder = tmp_path_factory.mktemp("tutorial")
    prepare(folder)
    names: dict[str, Any] = {"__name__": "tutorial"}
    torch.manual_seed(0)
    with contextlib.chdir(folder):
        yield Tutorial(play_notebook(NOTEBOOK.read_text(encoding="utf-8"), names), names, folder)


def test_every_block_is_played_or_is_the_output_of_one_that_is() -> None:
    """Each text block follows a Python block."""
    listed = blocks(TEXT)
    assert {block.language for block in listed} == {"python", "text", "console"}
    before = [listed[at - 1].language for at, block in enumerate(listed) if block.language == "text"]
    assert set(before) == {"python"}


def test_python_blocks_print_what_the_tutorial_shows(played: Tutorial) -> None:
    """Each Python block prints the text below it, to the letter, and prints nothing where there is none."""
    python = [(line, shown, printed) for line, command, shown, printed in played.outputs if command is None]
    assert [(line, printed) for line, _, printed in python] == [(line, shown) for line, shown, _ in python]


def test_commands_print_what_the_tutorial_shows(played: Tutorial) -> None:
    """Each command prints the report below it, its numbers to float32 rounding."""
    commands = [(command, shown, printed) for _, command, shown, printed in played.outputs if command is not None]
    assert len(commands) == 4
    for command, shown, printed in commands:
        (rel,) = (tolerance for part, tolerance in TOLERANCES.items() if part in command)
        assert_same(printed, shown, rel)


def test_five_levels_give_the_reference_coefficients(played: Tutorial) -> None:
    """All five levels end at the reference's slope and intercept of ten updates."""
    answers = played.names["answers"]
    assert len(answers) == 5
    for slope_and_intercept in answers.values():
        assert slope_and_intercept == pytest.approx([1.0747765, 1.8358393], rel=1e-6)


def test_loop_gives_the_reference_errors(played: Tutorial) -> None:
    """The 2,000 hand-written steps pass through the reference's errors."""
    errors = played.names["errors_after"]
    assert len(errors) == 2000
    reference = [0.81498319, 0.15544491, 0.15377668, 0.15354522]
    assert [errors[update] for update in (0, 1000, 1800, 1999)] == pytest.approx(reference, rel=1e-6)


def test_optimum_is_the_one_of_the_reference(played: Tutorial) -> None:
    """The least-squares solution of the tutorial is the reference's, and the run ends far from it."""
    best = [0.95654736, 12.40772751, -24.20088498, 9.84492499, 4.75737526]
    assert played.names["best"].tolist() == pytest.approx(best, rel=1e-5)
    assert float(played.names["ssr"][0]) / 10 == pytest.approx(0.0043523647, rel=1e-6)
    run = played.names["run"]
    assert run.updates == 100_000
    assert not run.converged
    assert np.abs(run.params - played.names["best"]).max() > 10


def test_ways_out_reach_the_optimum(played: Tutorial) -> None:
    """Twelve updates end a thousandth of a standard error from the optimum; the exact solver and Python at it."""
    twelve, exact = (Fit.from_json(played.folder / "lightning_logs" / f"version_{k}" / "fit.json") for k in (2, 3))
    assert twelve.updates == 12
    assert twelve.opt_error_se == pytest.approx(0.001, rel=0.5)
    assert (
        exact.params.tolist()
        == played.names["curve"].params.tolist()
        == pytest.approx(played.names["best"].tolist(), rel=1e-9)
    )
    assert (
        exact.bse.tolist()
        == played.names["curve"].bse.tolist()
        == pytest.approx(played.names["errors"].tolist(), rel=1e-9)
    )
    assert f"{3 * 1.5 + np.sin(6 * 1.5) + 1:.2f} at 1.5" in TEXT


def test_named_number_of_updates_brings_the_loss_within_one_per_cent(played: Tutorial) -> None:
    """Gradient descent from zero, solved per eigenvector, is 1 % above the optimum at about 3.4 million updates."""
    assert "about 3.4 million updates" in TEXT
    points, best = played.names["A"], played.names["best"]
    curvature, directions = np.linalg.eigh(2 / 10 * points.T @ points)
    residuals = points @ best - played.names["y"].double().numpy()

    def excess(updates: float) -> float:
        left_over = directions.T @ best * np.exp(updates * np.log1p(-0.05 * curvature))
        return float((curvature * left_over**2).sum() / 2 / np.mean(residuals**2))

    assert excess(3.35e6) > 0.01 > excess(3.45e6)


def test_the_notebook_is_that_of_the_text() -> None:
    """The notebook has the text, the blocks, what they print and what they draw, and nothing else."""
    assert NOTEBOOK.read_text(encoding="utf-8") == made(TUTORIAL), "python -m tests.docs.test_tutorial makes it anew"


def test_shown_figures_are_there_and_small() -> None:
    """Every picture in the text lies in the repository, is shown, and is small."""
    kept = {path.name: path.stat().st_size for path in (ROOT / "docs" / "figures").glob("tutorial_*.png")}
    assert sorted(IMAGE.findall(TEXT)) == sorted(kept)
    assert max(kept.values()) < 80_000


def write() -> None:
    """Draw the figures of the text and make its notebook, in this folder."""
    names, pictures = {"__name__": "tutorial"}, iter(IMAGE.findall(TEXT))
    torch.manual_seed(0)
    play_notebook(made(TUTORIAL), names, lambda figure: figure.savefig(TUTORIAL.parent / "figures" / next(pictures)))
    NOTEBOOK.write_text(made(TUTORIAL), encoding="utf-8")


if __name__ == "__main__":
    write()
