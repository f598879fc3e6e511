"""Words of refusals."""

import pytest

from regression.common.text import did_you_mean


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
