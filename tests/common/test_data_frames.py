"""Columns that are named, in frames of any library."""

import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import regression
from regression import UsageError

COLUMNS = {"Time (s)": [0.0, 1, 2, 3], "Voltage (mV)": [1.0, 3, 4, 8], "error (mV)": [1.0, 2, 1, 2]}
FIELDS = np.array(list(zip(*COLUMNS.values(), strict=True)), dtype=[(name, "f8") for name in COLUMNS])
FRAMES = {"pandas": pd.DataFrame(COLUMNS, index=[7, 7, 1, 0]), "polars": pl.DataFrame(COLUMNS),
          "pyarrow": pa.table(COLUMNS), "numpy": FIELDS, "dict": COLUMNS}  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_columns_are_taken_by_name(frame: Any) -> None:
    """A frame's columns give the fit of their values, which knows their names."""
    fit = regression.fit("Time (s)", "Voltage (mV)", sigma="error (mV)", data=frame)
    x, y, sigma = COLUMNS.values()
    plain = regression.fit(x, y, sigma=sigma)
    assert fit.params.tolist() == plain.params.tolist()
    assert str(fit).startswith("Voltage (mV) against Time (s)\nPolynomial")
    assert regression.fit("Time (s)", "Voltage (mV)", sigma=2, data=frame).weighted


def test_columns_bring_their_names_along() -> None:
    """A column of pandas or polars has its name in the fit; one without keeps the plain ones."""
    for frame in (FRAMES["pandas"], FRAMES["polars"]):
        assert regression.fit(frame["Time (s)"], frame["Voltage (mV)"]).axes == ("Time (s)", "Voltage (mV)")
    assert regression.fit([1, 2, 3], pd.Series([1, 2, 4])).axes == ("x", "y")


@pytest.mark.parametrize(
    ("x", "y", "data", "words"),
    [
        ("Time (s)", "Voltge", COLUMNS, r"data has no column 'Voltge' for y; did you mean 'Voltage \(mV\)'\?"),
        ("q", "Voltage (mV)", COLUMNS, r"data has no column 'q' for x; it has Time \(s\), Voltage \(mV\), error"),
        ([1, 2], "Voltage (mV)", COLUMNS, "x must name a column of data, got list: leave data out for values"),
        ("a", "b", [[1, 2]], "data must be a frame or a mapping with named columns, got list"),
    ],
)
def test_what_is_no_column_is_refused(x: Any, y: Any, data: Any, words: str) -> None:
    """A name that the frame does not have is refused with the nearest one, and so is what is no frame."""
    with pytest.raises(UsageError, match=f"^{words}"):
        regression.fit(x, y, data=data)


def test_frames_hold_the_numbers() -> None:
    """Fit, prediction and fits of series give a frame of the numbers that they have, and the same as columns."""
    x, y = [0.0, 1, 2, 3], [1.0, 3, 4, 8]
    fit, series = regression.fit(x, y), regression.fit_series(x * 2, y * 2, ["a"] * 4 + ["b"] * 4)
    frame, bands = fit.to_frame(), fit.predict([1.0, 2.5])
    assert frame.loc["c1", "params"] == fit.params[1]
    assert frame[["conf_int_lower", "conf_int_upper"]].to_numpy().tolist() == fit.conf_int.tolist()
    assert fit.to_dict()["name"] == ["c0", "c1"]
    assert bands.to_frame()["mean_se"].tolist() == bands.mean_se.tolist() == bands.to_dict()["mean_se"].tolist()
    assert series.to_frame()["c1_se"].tolist() == series.bse[:, 1].tolist()
    assert fit.predict(1.0).to_frame().shape == (1, 7)


def test_without_pandas_a_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """``to_frame`` without pandas names ``to_dict``, which needs none."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    fit = regression.fit([0, 1, 2], [1, 2, 4])
    with pytest.raises(UsageError, match=r"^to_frame needs pandas, not installed here: pip install pandas, or use to_"):
        fit.to_frame()
    assert len(fit.to_dict()["pvalues"]) == 2
