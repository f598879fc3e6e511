"""Output of a fit: short and full reports, tables, equations, HTML, and its file."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

import regression
from regression import Fit, UsageError
from tests.support.command import Command, config

X = np.linspace(0, 4, 20)
Y = 2 - 3 * X + 0.5 * X**2 + 0.3 * np.cos(7 * X)
VOID = {"circle", "path", "rect"}


def test_tests_of_coefficients_are_those_of_statsmodels() -> None:
    """T and p of each coefficient are those of OLS, and normal ones where sigma is absolute."""
    found = regression.fit(X, Y, 2).to_dict()
    right = sm.OLS(Y, np.vander(X, 3, increasing=True)).fit()
    np.testing.assert_allclose(found["tvalues"], right.tvalues, rtol=1e-9)
    np.testing.assert_allclose(found["pvalues"], right.pvalues, rtol=1e-8)
    known = regression.fit(X, Y, 2, sigma=0.5, absolute_sigma=True).to_dict()
    np.testing.assert_allclose(known["pvalues"], 2 * stats.norm.sf(abs(known["params"] / known["bse"])), rtol=1e-9)


def test_a_prompt_shows_the_report_in_short() -> None:
    """``repr`` has the model, the coefficients with their errors, R² and σ, and the notes, but no criteria."""
    fit = regression.fit(X, Y)
    lines = repr(fit).splitlines()
    assert lines[0] == "Polynomial, degree 1, exact least squares"
    assert lines[2].split() == ["c0", *str(fit).split("c0")[1].split()[:3]]
    assert "AIC" not in repr(fit)
    assert "note: errors are unknown" in repr(regression.fit([1, 2], [1, 3]))


def test_a_fit_is_a_function() -> None:
    """A fit called with a number gives a number, with a column an array of its shape."""
    fit = regression.fit([0, 1, 2], [1, 3, 5])
    assert fit(3.0) == 7.0
    assert isinstance(fit(3), float)
    assert fit([[0.0], [1.5]]).tolist() == [[1.0], [4.0]]
    with pytest.raises(UsageError, match=r"^x must hold real numbers"):
        fit("a")


def test_equations() -> None:
    """The equation has all terms, rounded by their errors where these are asked for, as text and for LaTeX."""
    fit = regression.fit(X, Y, 2)
    assert re.fullmatch(r"[\d.]+ − [\d.]+ x \+ [\d.]+ x²", fit.equation())
    assert fit.equation(errors=True) == "(2.05 ± 0.14) + (-3.03 ± 0.16) x + (0.50 ± 0.04) x²"
    assert fit.equation(errors=True, latex=True) == (r"(2.05 \pm 0.14) + (-3.03 \pm 0.16)\,x + (0.50 \pm 0.04)\,x^{2}")
    assert regression.fit([0, 1, 2], [1, 3, 5]).equation(errors=True) == "1 + 2 x"
    large = regression.fit(X, 1e9 * Y, fit_intercept=False).equation(errors=True, latex=True)
    assert re.fullmatch(r"\(-?[\d.]+ \\pm [\d.]+\) \\times 10\^\{8\}\\,x", large)
    assert regression.fit(X, Y, 10).equation().endswith(" x¹⁰")


def test_tables_for_documents() -> None:
    """Markdown and LaTeX have a row for each coefficient, with empty cells for unknown numbers."""
    fit = regression.fit(X, Y)
    lines = fit.to_markdown().splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| c0 | ")
    table = fit.to_latex()
    assert (table.count("&"), table.count(r"\\"), table.count("$") % 2) == (12, 3, 0)
    assert "% interval" in table.replace(r"\%", "%")
    assert regression.fit([1, 2], [1, 3]).to_markdown().endswith("| 2 ± unknown |  |  |  |")


class Tags(HTMLParser):
    """Checks that tags are closed, and keeps the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.filterwarnings("ignore::regression.UndeterminedWarning")
@pytest.mark.parametrize(
    "fit",
    [
        regression.fit(X, Y, 2),
        Fit.from_json(regression.fit(X, Y, 2).to_json()),
        regression.fit([1, 2], [1, 3]),
        regression.fit([0, 5e307, -5e307, 1], [1e307, 0, 1, 2]),
    ],
    ids=["points", "loaded", "without errors", "huge"],
)
def test_a_notebook_shows_a_table(fit: Fit) -> None:
    """The HTML is well formed, has a row for each coefficient, and no NaN."""
    tags = Tags()
    tags.feed(fit._repr_html_())
    assert tags.open == []
    assert fit._repr_html_().count("<tr>") == 1 + len(fit.params)
    assert "nan" not in fit._repr_html_()


def test_names_in_html_are_text() -> None:
    """Names of columns are shown as text, never interpreted as HTML or control characters."""
    fit = regression.fit("<script>a", "b\x1b[2J&", data={"<script>a": X, "b\x1b[2J&": Y})
    assert "<script>" not in fit._repr_html_()
    assert "\x1b" not in fit._repr_html_() + str(fit) + repr(fit)
    assert fit._repr_html_().count("<circle") == 20


def test_chi_square_is_reported_for_absolute_sigma() -> None:
    """χ² and its probability are scipy's, for absolute sigma only; R² without an intercept is said to be about 0."""
    text = str(regression.fit(X, Y, 2, sigma=0.2, absolute_sigma=True))
    square, _, probability = map(float, re.search(r"^χ² (\S+), χ²/df (\S+), .* (\S+)$", text, re.M).groups())
    assert probability == pytest.approx(stats.chi2.sf(square, 17), rel=0.05)
    assert "χ" not in str(regression.fit(X, Y, 2, sigma=0.2))
    assert "\nR² (about 0: no intercept) 0." in str(regression.fit(X, Y, fit_intercept=False))


def test_the_full_report() -> None:
    """The full report has intervals, tests and the correlations that matter, which are those of the covariance."""
    fit = regression.fit(X, Y, 2)
    full = fit.report(full=True)
    right = sm.OLS(Y, np.vander(X, 3, increasing=True)).fit()
    low, high = right.conf_int()[1]
    assert f"[{low:.6g}, {high:.6g}]  {right.tvalues[1]:.2f}" in full
    cov = right.cov_params()
    assert f"c1 c2 {cov[1, 2] / np.sqrt(cov[1, 1] * cov[2, 2]):.3f}" in full
    assert "correlations: below 0.5 between all coefficients" in regression.fit(X - 2, Y).report(full=True)
    assert "correlations" not in regression.fit([1, 2], [1, 3]).report(full=True)


def test_notes_are_wrapped() -> None:
    """With a width the notes of a report are wrapped; without one each note is one line."""
    fit = regression.fit(2010 + X, Y, 3)
    assert fit.notes
    assert max(map(len, fit.report(width=50).split("note: ")[1].splitlines())) <= 50
    assert fit.report(width=50).split() == str(fit).split()


def test_the_command_prints_the_full_report(command: Command, tmp_path: Path) -> None:
    """``--report.full`` prints it, ``fit.txt`` has it, and the first line has the names of columns given by number."""
    path = tmp_path / "meas.csv"
    np.savetxt(path, np.c_[X, Y], delimiter=",", header='Time (s),"Voltage, mV"', comments="")
    done = command("fit", "-c", config("own_file"), "--data.path", str(path), "--data.x", "1", "--data.y", "2",
                   "--report.full", "true", "--data.validation_fraction", "0.2")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Voltage, mV against Time (s), 20 rows of meas.csv\nLineRegression")
    assert "correlations: " in done.out
    assert done.folder is not None
    assert done.out.startswith((done.folder / "fit.txt").read_text())
    fit = regression.load(done.folder)
    assert (fit.axes, fit.source) == (("Time (s)", "Voltage, mV"), "20 rows of meas.csv")
    again = regression.LineRegression.load_from_checkpoint(done.checkpoint)
    assert again.result == replace(fit, residual_tests=None)  # made after the last checkpoint


def test_files_of_fits(tmp_path: Path) -> None:
    """A saved fit is loaded with all digits; existing files are kept, and files without a fit refused in one line."""
    fit = regression.fit(X, Y, 2)
    fit.save(tmp_path / "new" / "fit.json")
    assert regression.load(tmp_path / "new") == regression.load(str(tmp_path / "new" / "fit.json")) == fit
    for path, words in (
        (tmp_path / "new" / "fit.json", "fit.json is there, and nothing is written over: give another name"),
        (tmp_path / "fit.txt", r"a fit is saved as JSON: give a name that ends in .json, got .*fit.txt"),
        (
            tmp_path / "new" / "fit.json" / "a.json",
            "cannot write .*: (Not a directory|File exists); give another folder",
        ),
    ):
        with pytest.raises(UsageError, match=words):
            fit.save(path)
    with pytest.raises(UsageError, match=r"cannot read the fit .*: No such file or directory; expected the fit.json"):
        regression.load(tmp_path)
