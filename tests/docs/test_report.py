"""docs/report.md has every word of the report."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import regression
from tests.support.command import ROOT

X = np.linspace(0, 1, 12)
Y = 1 + X + 0.1 * np.sin(9 * X)
FITS: dict[str, Callable[[], Any]] = {
    "plain": lambda: regression.fit(X, Y),
    "weighted": lambda: regression.fit(X, Y, 2, sigma=0.1),
    "absolute": lambda: regression.fit(X, Y, 2, sigma=0.1, absolute_sigma=True),
    "chosen by aicc": lambda: regression.fit(X, Y, "auto", max_degree=3),
    "chosen by cv": lambda: regression.fit(X, Y, "auto", max_degree=3, criterion="cv"),
    "rows left out": lambda: regression.fit([*X, np.nan], [*Y, 1], nan_policy="omit"),
    "equal x": lambda: regression.fit([1, 1, 1], [1, 2, 3]),
    "few points": lambda: regression.fit([1, 2], [1, 2], 3),
    "close x": lambda: regression.fit([1, 1, 2, 2], [1, 2, 3, 4], 3),
    "no point to spare": lambda: regression.fit([1, 2], [1, 3]),
    "through every point": lambda: regression.fit([1, 2, 3], [1, 2, 3]),
    "constant y": lambda: regression.fit([1, 2, 3], [2, 2, 2]),
    "years": lambda: regression.fit(2010 + X, Y, 4),
    "clustered x": lambda: regression.fit([0, 1e-5, 2e-5, 3e-5, 1], [1, 2, 1, 2, 3], 3),
    "huge": lambda: regression.fit(X, 1e200 * Y, 1),
    "series": lambda: regression.fit_series([*X, 1, 2, 3, 3], [*Y, 1, 2, 1, 2], ["a"] * 12 + ["b"] * 2 + ["c"] * 2),
}


@pytest.mark.parametrize("made", FITS.values(), ids=FITS)
def test_every_word_of_a_report_is_explained(made: Callable[[], Any]) -> None:
    """Whatever a report says, in lines, tables and notes, stands in the page that explains it."""
    page = (ROOT / "docs" / "report.md").read_text()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", regression.UndeterminedWarning)
        words = set(re.findall(r"[^\W\d]{2,}", str(made())))
    assert words - set(re.findall(r"[^\W\d]{2,}", page)) == set()
