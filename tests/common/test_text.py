"""Words of refusals, and for any terminal."""

import io
import sys

import pytest

import regression
from regression.common.text import did_you_mean, shortest, spell_out_characters

SIGNS = "σ² ± − … ← χ ³ é 中"
SPELLED = {
    "ascii": r"sigma^2 +- - ... <- chi ^3 \xe9 \u4e2d",
    "latin-1": r"sigma² ± - ... <- chi ³ é \u4e2d",
    "cp1252": r"sigma² ± - … <- chi ³ é \u4e2d",
    "utf-8": SIGNS,
}


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("fti", "; did you mean 'fit'?"),
        (" FIT", "; did you mean 'fit'?"),
        ("sigma", "; did you mean ' Sigma '?"),
        ("zebra", "; see --help"),
        ("", "; see --help"),
    ],
)
def test_a_near_word_is_named(word: str, hint: str) -> None:
    """A word that differs in a letter, capitals or blanks is named as it stands; else what to do instead is said."""
    assert did_you_mean(word, ["fit", "predict", " Sigma "], "; see --help", shown=repr) == hint
    assert did_you_mean("zebra", ["fit"]) == ""


@pytest.mark.parametrize("encoding", SPELLED)
@pytest.mark.parametrize("errors", ["strict", "surrogateescape", "backslashreplace"])
def test_signs_that_a_terminal_lacks_are_spelt_out(monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str) -> None:
    """Those it has stay as they are, on both streams."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors))
    spell_out_characters()
    for stream in (sys.stdout, sys.stderr):
        print(SIGNS, file=stream, end="", flush=True)
        assert isinstance(stream, io.TextIOWrapper)
        assert stream.buffer.getvalue().decode(encoding) == SPELLED[encoding]  # type: ignore[attr-defined]


def test_what_a_user_has_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTHONIOENCODING=ascii:replace`` is obeyed, and a stream that cannot be set is left alone."""
    chosen = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    monkeypatch.setattr("sys.stdout", chosen)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    spell_out_characters()
    assert chosen.errors == "replace"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_report_is_readable_on_any_terminal(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """The report of a fit, with a chosen degree and notes, has no sign left that is spelt as a number."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    spell_out_characters()
    x = [0.1 * k for k in range(30)]
    for degree in ("auto", 20):
        print(regression.fit(x, [value**3 + 0.1 * (k % 3) for k, value in enumerate(x)], degree), flush=True)
    shown = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "residual sigma" in shown
    assert "<- chosen" in shown
    assert not [word for word in shown.split() if "\\" in word]


@pytest.mark.parametrize("text", ["2", "-0.1", "1234567.25", "1e+22", "2010.4567891", "5e-324"])
def test_the_shortest_digits_are_those_that_were_typed(text: str) -> None:
    """A number of at most 15 digits is written with the digits that a user typed."""
    assert shortest(float(text)) == text
