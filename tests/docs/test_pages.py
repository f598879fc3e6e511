"""What the pages show is what happens, and their links lead somewhere."""

import contextlib
import re
from pathlib import Path

import pytest
import torch

from tests.support.command import ROOT
from tests.support.pages import assert_same, blocks, play, prepare

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PLAYED = [page for page in PAGES if page.stem != "tutorial"]  # that one has a file of its own
LANGUAGES = {"python", "py", "console", "sh", "text", "bash", "yaml"}
ROUNDING = 1e-4  # of float32, in a hundred updates


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")  # its advice to who has a Trainer of their own
@pytest.mark.filterwarnings("ignore::regression.UndeterminedWarning")
@pytest.mark.parametrize("page", PLAYED, ids=named)
def test_page_shows_what_happens(page: Path, tmp_path: Path) -> None:
    """Played from top to bottom, each Python block and each command of a page prints what stands below it."""
    prepare(tmp_path)
    torch.manual_seed(0)
    with contextlib.chdir(tmp_path):
        for played in play(page, {"__name__": page.stem}):
            assert_same(played.printed, played.shown, ROUNDING)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_fences_are_closed_and_known(page: Path) -> None:
    """Every fence of a page is closed and says what stands in it."""
    text = page.read_text()
    listed = blocks(text)
    assert 2 * len(listed) == len(re.findall(r"^\s*(?:```|~~~)", text, flags=re.MULTILINE))
    assert {block.language for block in listed} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file of the project has that file, and the heading in it where it names one."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        assert ROOT in there.parents
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                target
            )


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_name_files_there_are(page: Path) -> None:
    """Each script and test folder that a page tells the reader to run is there."""
    for path in re.findall(r"(?:python|pytest[^\n`]*?) ((?:benchmarks|tests)[\w/.]*)", page.read_text()):
        assert (ROOT / path).exists(), path


def test_readme_is_short() -> None:
    """The README is read in one go."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
