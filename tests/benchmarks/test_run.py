"""All benchmarks in one run: results are written as they come, and what is not measured is said."""

from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.scripts import load

RIGHT = """
def main(args):
    print("one line")
    assert args == []
    return {"ours": {"speed": 401.0}, "ours, shuffled": {"speed": None}}
"""
WRONG = RIGHT.replace("== []", "== [1]")
LOOK = """
from pathlib import Path

def main(args):
    print(Path(__file__).with_name("found.md").read_text().count("## `python"), "section so far")
    print(Path(__file__).with_name("speed.md").read_text().count("| 401 |"), "row so far")
    return {}
"""
HEAD = "# Results\n"


@pytest.fixture
def run() -> ModuleType:
    return load("run")


@pytest.fixture
def folder(tmp_path: Path, run: ModuleType) -> Path:
    (tmp_path / "speed.md").write_text("before\n" + "old table\n".join(run.MARKS) + "after\n")
    return tmp_path


def test_results_are_written_as_they_come(run: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second script already finds the first one's section in the results and its row in the page."""
    (folder / "series.py").write_text(RIGHT)
    (folder / "device.py").write_text(LOOK)
    run.run_all(["series", "device"], HEAD, folder / "found.md", folder / "speed.md", folder)
    results, page = (folder / "found.md").read_text(), (folder / "speed.md").read_text()
    assert "1 section so far\n1 row so far" in results
    assert results.startswith(HEAD + "\n| | measured as a ratio |")
    assert "## `python benchmarks/series.py`\n\n```text\none line\n```" in results
    assert "| 401 | ≥ 400 | ≥ 1,000 | yes |" in capsys.readouterr().out
    assert [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| 1")] == ["| 11", "| 12", "| 12a"]
    assert page.startswith("before\n" + run.MARKS[0])
    assert page.endswith(run.MARKS[1] + "after\n")
    assert "old table" not in page


def test_a_script_that_fails_leaves_the_others(run: ModuleType, folder: Path) -> None:
    """The failing script's section says why in one line after what it printed, its rows say that nothing was found."""
    for name, text in (("start", WRONG), ("series", RIGHT)):
        (folder / f"{name}.py").write_text(text)
    returned = run.run_all(["start", "series"], HEAD, folder / "found.md", None, folder)
    results = (folder / "found.md").read_text()
    assert returned["start"] is None
    assert "```text\none line\nnot measured: AssertionError\n```" in results
    assert "| – | ≤ 1.3 | ≤ 1 | not measured |" in results
    assert "| 401 | ≥ 400 | ≥ 1,000 | yes |" in results
    assert "old table" in (folder / "speed.md").read_text()


def test_a_script_that_takes_too_long_is_not_measured(run: ModuleType, tmp_path: Path) -> None:
    """A script that does not end in its time is ended and told."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    assert run.run_alone(tmp_path / "slow.py", seconds_to_end=0.5) == ("not measured: it took longer than 0.5 s", None)


@pytest.mark.parametrize(("text", "status"), [(RIGHT, 0), (WRONG, 1)])
def test_the_exit_status_says_whether_all_were_measured(
    run: ModuleType, folder: Path, text: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is 1 where a script failed, and the file names the command that wrote it."""
    (folder / "series.py").write_text(text)
    at = run.run_all
    monkeypatch.setattr(run, "run_all", lambda *given: at(*given, folder))
    assert run.main(["series", "--results", str(folder / "found.md")]) == status
    assert "Written by `python benchmarks/run.py series`: " in (folder / "found.md").read_text()
    with pytest.raises(SystemExit, match="there is no benchmark speed: expected some of moments, "):
        run.main(["speed"])


def test_a_figure_is_judged(run: ModuleType) -> None:
    """Too low, lost in the noise, a failed script and one with nothing to measure here are told apart from met ones."""
    returned = {
        "series": {"ours": {"speed": 399.4}, "ours, shuffled": {"speed": None}},
        "device": {},
        "moments": {"ours": {"speed": 31.0, "reads": 9.0, "memory": float("nan")}},
        "start": None,
    }
    lines = {line.split(" | ")[0]: line for line in run.summary(returned)}
    ends = {
        "| 2": "| 31 | ≥ 20 | ≥ 30 | yes |",
        "| 2, reads": "| 9 |  | ≤ 8 |  |",
        "| 2a": "| – | ≤ 0.1 | ≤ 0.02 | not measured |",
        "| 8": "| – | ≤ 1.3 | ≤ 1 | not measured |",
        "| 11": "| – |  | ≥ 0.15 | not measured |",
        "| 12": "| 399 | ≥ 400 | ≥ 1,000 | **no** |",
        "| 12a": "| – | ≥ 100 | ≥ 200 | not measured |",
    }
    assert {key: line for key, line in lines.items() if not line.endswith(ends.get(key, ""))} == {}
    assert set(ends) <= set(lines)
    assert "| 4" not in lines


def test_every_row_comes_from_a_script_that_runs(run: ModuleType) -> None:
    """Each row names one of the scripts, and each script but one without ratios has a row."""
    assert {goal.script for goal in run.GOALS.values()} == set(run.SCRIPTS) - {"nist"}


def test_the_page_has_the_summary_of_the_results(run: ModuleType) -> None:
    """The table of docs/speed.md is that of RESULTS.md, which has the sections of the scripts of one run, in order."""
    results, page = run.RESULTS.read_text(), run.PAGE.read_text()
    table = [line for line in results.splitlines() if line.startswith("|")]
    assert run.with_table(page, table) == page
    sections = [line for line in results.splitlines() if line.startswith("## ")]
    headings = [f"## `python benchmarks/{name}.py`" for name in run.SCRIPTS]
    assert sections == [heading for heading in headings if heading in sections]
    with pytest.raises(SystemExit, match="no place for the summary"):
        run.with_table("# regression", table)
