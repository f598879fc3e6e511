"""The defaults that the pages state are those of the signatures, and no option is left out."""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import regression
from regression import Fit, LineRegression, PolynomialRegression, SineLineDataModule, TableDataModule
from regression.curves.polynomial import MAX_DEGREE
from regression.data.data_modules import PointsDataModule
from regression.data.files import ENDINGS
from regression.data.shuffle import MOST_DRAWN_ROWS
from regression.outputs.figure_options import FigureOptions
from regression.outputs.predictions import PredictionFile
from regression.outputs.report_lines import Report
from regression.outputs.series_files import SeriesFiles
from regression.readers.columns import BLOCK, LARGE_BATCH
from regression.readers.dialect import DELIMITERS, MISSING_MARKS
from regression.runs.checkpoint_callbacks import LastCheckpoint
from regression.solutions.convergence import CONVERGED_SE
from regression.text.large_csv import LARGE_BYTES
from regression.training.base import SMALL_BATCH_ROWS
from regression.training.regression import Regression
from tests.support.command import ROOT, Command

OWN = {
    "model": [LineRegression, PolynomialRegression, Regression],
    "data": [SineLineDataModule, TableDataModule, PointsDataModule],
    "report": [Report],
    "figure": [FigureOptions],
    "checkpoint": [LastCheckpoint],
    "series": [SeriesFiles],
    "predictions": [PredictionFile],
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def defaults(*functions: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of the arguments of some functions or classes, the first one's first."""
    found: dict[str, Any] = {}
    for function in functions:
        for name, argument in inspect.signature(function).parameters.items():
            if argument.kind is not argument.VAR_KEYWORD and name != "model":
                found.setdefault(name, argument.default)
    return found


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [argument for name, argument in inspect.signature(function).parameters.items() if name != "self"]


def stated(page: Path, head: str) -> dict[str, str]:
    """Return what the tables of a page that begin with ``head`` say: the default of each name, as written."""
    tables = re.findall(rf"^\| {head} \| default \|.*\n\|[-|]+\n((?:\|.*\n)+)", page.read_text(), flags=re.MULTILINE)
    rows = re.findall(r"^\| `([\w.-]+)` \| (.*?) \|", "".join(tables), flags=re.MULTILINE)
    return {name: default.strip("`") for name, default in rows}


def as_yaml(value: Any) -> str:
    """Return a default as a configuration has it."""
    return "needed" if value is inspect.Parameter.empty else value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("page", [ROOT / "docs" / "command.md", ROOT / "docs" / "files.md"], ids=lambda page: page.stem)
def test_options_have_the_defaults_that_are_stated(page: Path) -> None:
    """Each option of a class of this project has the default that the page's table gives."""
    options = {name[2:].partition(".")[::2]: default for name, default in stated(page, "option").items()}
    own = {(group, name): default for (group, name), default in options.items() if group in OWN and name}
    assert len(own) >= 10
    assert own == {(group, name): as_yaml(defaults(*OWN[group])[name]) for group, name in own}


def test_options_of_the_run_have_the_defaults_that_are_stated(command: Command) -> None:
    """What belongs to no class has the default that the parser shows."""
    shown = command("fit", "--model", "LineRegression", "--print_config").out
    page = stated(ROOT / "docs" / "command.md", "option")
    for name in ("seed_everything", "timeout", "debug", "ckpt_path"):
        assert f"\n{name}: {page[f'--{name}']}\n" in f"\n{shown}"


def test_every_option_is_in_a_table() -> None:
    """The tables have all options of this project's classes."""
    options = {**stated(ROOT / "docs" / "command.md", "option"), **stated(ROOT / "docs" / "files.md", "option")}
    for group, classes in OWN.items():
        assert {f"--{group}.{name}" for name in defaults(*classes)} <= set(options)


def test_arguments_of_fit_have_the_defaults_that_are_stated() -> None:
    """The table of ``regression.fit`` has all arguments and their defaults; so have the signatures in the text."""
    page = ROOT / "docs" / "python.md"
    table = stated(page, "argument")
    signature = {name: repr(value).replace("'", '"') for name, value in defaults(regression.fit).items()}
    assert table == {name: "needed" if "empty" in value else value for name, value in signature.items()}
    for function in (regression.fit_series, Fit.predict, Fit.plot):
        given = [argument.replace(annotation=argument.empty) for argument in parameters(function)]
        assert f"{function.__name__}{inspect.Signature(given)}".replace("'", '"') in page.read_text()


def test_python_page_names_everything_there_is() -> None:
    """docs/python.md lists all public names, and all that a fit has."""
    text = (ROOT / "docs" / "python.md").read_text()
    assert [name for name in regression.__all__ if f"`{name}`" not in text] == []
    fields = [*Fit.__dataclass_fields__, "conf_int"]
    assert [name for name in fields if f"`{name}`" not in text] == []


def test_files_page_names_what_readers_know() -> None:
    """docs/files.md lists every ending, delimiter and missing mark."""
    text = (ROOT / "docs" / "files.md").read_text()
    assert [ending for ending in ENDINGS if f"`{ending}`" not in text] == []
    (missing,) = re.findall(r"\*\*Missing\*\*: an empty cell, (.*?);", text)
    assert ["", *re.findall(r"`(.*?)`", missing)] == MISSING_MARKS
    assert DELIMITERS == (",", ";", "\t", "|")
    assert "delimiter `,` `;` tab or the vertical bar" in text


NUMBERS = {
    f"{SMALL_BATCH_ROWS:,} rows": "many_devices",
    f"{BLOCK:,} rows": "files",
    f"{LARGE_BATCH:,} where": "files",
    f"{LARGE_BYTES >> 20} MiB": "files",
    f"{MOST_DRAWN_ROWS:,} rows": "numerics",
    f"0 to {MAX_DEGREE}.": "python",
    f"up to {MAX_DEGREE},": "command",
    f"within {CONVERGED_SE} standard errors": "numerics",
    f"more than {CONVERGED_SE} standard errors": "report",
}


@pytest.mark.parametrize(("phrase", "page"), NUMBERS.items(), ids=NUMBERS.values())
def test_limits_are_those_of_the_code(phrase: str, page: str) -> None:
    """Where a page states a limit, it is the one in the code."""
    assert phrase in (ROOT / "docs" / f"{page}.md").read_text()


def test_readme_has_the_numbers_of_the_pages() -> None:
    """The three rows of NIST, the faults and the speeds of the README are those of the pages it links to."""
    readme, faults, speed = (
        (ROOT / name).read_text() for name in ("README.md", "docs/reliability.md", "docs/speed.md")
    )
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    nist = re.search(r"benchmarks/nist.py`\n\n(```text\n.*?```)", results, flags=re.DOTALL)
    assert nist is not None
    assert nist[1] in (ROOT / "docs" / "accuracy.md").read_text()
    shown = re.findall(r"^\| (Pontius|Filip|Wampler5) \| (.*) \|$", readme, flags=re.MULTILINE)
    assert len(shown) == 3
    for name, cells in shown:
        degree, ours, polyfit, _, scipy, statsmodels, sklearn, lmfit, _ = re.search(rf"^{name} (.*)$", nist[1], re.M)[
            1
        ].split()  # type: ignore[index]
        assert cells.split(" | ") == [degree, ours, polyfit, scipy, statsmodels, sklearn, lmfit]
    counts = dict(re.findall(r"^(\S.*?) {2,}([\d,]+) +0$", faults, flags=re.MULTILINE))
    kills = sum(int(count) for name, count in counts.items() if name.startswith("SIGKILL"))
    flips, starts = counts["one bit of a checkpoint flipped"], counts["run started beside seven others"]
    assert f"Of {kills} kills in the middle of a save, {flips} flipped bits, {starts} runs started at once" in readme
    found = dict(re.findall(r"^\| (\w+) \| .*? \| ([\d.,]+) \|", speed, flags=re.MULTILINE))
    assert f"10 million points is {found['2']} times as fast as `numpy.polyfit`" in readme
    assert f"50 million rows of Parquet is {found['4a']} times as fast as DuckDB's" in readme
