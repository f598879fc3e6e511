"""The door for arrays: columns of any library are taken by their values, or refused in one line."""

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import regression
from regression import UsageError

X, Y = [0.0, 1, 2, 3, 4], [1.0, 3, 2, 5, 4]
RIGHT = tuple(regression.fit(X, Y).params)
BIG = 2**53 + 1


def frame() -> pd.DataFrame:
    """Return the points among others, with labels in another order."""
    whole = pd.DataFrame({"x": [9.0, *X], "y": [9.0, *Y]}, index=[7, 5, 4, 3, 2, 1])
    return whole[whole.index < 6]


def strided(values: list[float]) -> Any:
    return np.repeat(values, 3)[::3]


COLUMNS: dict[str, Any] = {
    "a tuple": (tuple(X), tuple(Y)),
    "whole numbers": (range(5), [1, 3, 2, 5, 4]),
    "big-endian": (np.array(X, ">f8"), np.array(Y, ">i4")),
    "strided and reversed": (strided(X)[::-1], strided(Y)[::-1]),
    "float16 and longdouble": (np.array(X, np.float16), np.array(Y, np.longdouble)),
    "of shape (N, 1)": (np.array(X)[:, None], torch.tensor(Y)[:, None]),
    "tensors": (torch.tensor(X), torch.tensor(Y, dtype=torch.int8)),
    "a filtered frame": (frame().x, frame().y),
    "frames of one column": (frame()[["x"]], frame()[["y"]]),
    "nullable columns": (frame().x.astype("Int64"), frame().y.astype("Float64")),
    "concatenated frames": (pd.concat([frame().x[:2], frame().x[2:]]), pd.concat([frame().y[:2], frame().y[2:]])),
    "polars": (pl.Series(X), pl.Series(Y)),
    "pyarrow": (pa.array(X), pa.chunked_array([Y[:2], Y[2:]])),
    "memory views": (memoryview(np.array(X)), memoryview(np.array(Y))),
    "an unmasked masked array": (np.ma.array(X), np.ma.array(Y)),
}


@pytest.mark.parametrize("name", list(COLUMNS))
def test_columns_of_any_library_are_taken_by_their_values(name: str) -> None:
    """Lists, arrays and columns give the fit of their values, whatever their labels, strides or byte order."""
    assert tuple(regression.fit(*COLUMNS[name]).params) == RIGHT


REFUSED = {
    "complex": (torch.tensor(X) + 1j, r"^x must hold real numbers, got type torch\.complex64: take its real part"),
    "complex array": (np.array(X) + 1j, "^x must hold real numbers, got type complex128: take its real part"),
    "bool": (np.array(X) > 1, "^x must hold real numbers, got type bool: give 0 and 1 if"),
    "text": (list("abcde"), "^x must hold real numbers, got type <U1: convert it to float64"),
    "objects": ([object()] * 5, "^x must hold real numbers, got type object: convert"),
    "nanoseconds": (np.arange(5) + BIG, r"^x: whole numbers beyond 2\^53 lose digits in float64: subtract an offset"),
    "a list of large numbers": ([0.5, 1, 2, 3, BIG], r"^x: whole numbers beyond 2\^53 lose digits"),
    "a tensor of large numbers": (torch.arange(5) - BIG - 9, r"^x: whole numbers beyond 2\^53 lose digits"),
    "a sparse tensor": (
        torch.tensor(X).to_sparse(),
        r"^x must be a dense tensor of numbers, got one that is torch\.spa",
    ),
    "a tensor without data": (torch.empty(5, device="meta"), "^x must be a dense tensor .* that is meta: convert it"),
    "longdouble": (np.array(X, np.longdouble) + np.longdouble(1) / 3, "^x holds numbers that float64 would round"),
    "uneven lists": ([[0], [1, 2], 3, 4, 5], "^x must be a column of numbers, got list: "),
    "a frame of two columns": (frame(), r"^x and y must be of one length, got shapes \[\(5, 2\), \(5,\)\]"),
    "one number": (2.5, r"^x and y must be of one length, got shapes \[\(\), \(5,\)\]"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_no_column_of_real_numbers_is_refused(name: str) -> None:
    """Nothing is dropped, rounded or converted in silence, and no error is another library's."""
    values, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        regression.fit(values, Y)


MISSING: dict[str, Any] = {
    "nan": [*X[:2], math.nan, *X[3:]],
    "None": [*X[:2], None, *X[3:]],
    "infinity": [*X[:2], -math.inf, *X[3:]],
    "a mask": np.ma.array(X, mask=[0, 0, 1, 0, 0]),
    "pandas' NA": pd.Series([0, 1, pd.NA, 3, 4], dtype="Int64"),
    "a null of polars": pl.Series([0, 1, None, 3, 4]),
    "a null of pyarrow": pa.array([0, 1, None, 3, 4]),
}


@pytest.mark.parametrize("name", list(MISSING))
def test_missing_numbers_are_refused_or_left_out(name: str) -> None:
    """A missing, masked or infinite number is refused with its row, or its row is left out and counted."""
    with pytest.raises(UsageError, match=r"^x must be finite, got (nan|-inf) at row 2 .* 1 such row in all"):
        regression.fit(MISSING[name], Y)
    fit = regression.fit(MISSING[name], Y, nan_policy="omit")
    assert fit.params.tolist() == regression.fit([0, 1, 3, 4], [1, 3, 5, 4]).params.tolist()
    assert (fit.nobs, fit.omitted) == (4, 1)
    assert fit.notes[0] == "1 row with a missing or infinite number was left out"
    series = regression.fit_series(MISSING[name], Y, ["a"] * 5, nan_policy="omit")
    assert (series.params[0].tolist(), series.omitted) == (list(fit.params), 1)


def test_policies_and_empty_rests_are_refused() -> None:
    """There are two policies, and something must be left."""
    with pytest.raises(UsageError, match=r"^nan_policy must be one of raise, omit, got 'drop'"):
        regression.fit(X, Y, nan_policy="drop")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^no row is left: each of 2 rows has a missing or infinite number"):
        regression.fit([math.nan, 1], [1, math.nan], nan_policy="omit")


def test_one_sigma_serves_all_points() -> None:
    """Sigma may be one number, in the fit and in a prediction; it is positive and finite."""
    fit = regression.fit(X, Y, sigma=2)
    assert tuple(fit.params) == RIGHT
    np.testing.assert_array_equal(fit.bse, regression.fit(X, Y, sigma=[2.0] * 5).bse)
    assert torch.equal(fit.predict(X, sigma=3).obs_ci_upper, fit.predict(X, sigma=[3.0] * 5).obs_ci_upper)
    with pytest.raises(UsageError, match=r"^sigma must be a number, or one for each of 5 points, got 2"):
        fit.predict(X, sigma=[1.0, 2.0])
    for wrong, expected in ((-1.0, "positive"), (0.0, "positive"), (math.nan, "finite")):
        with pytest.raises(UsageError, match=rf"^sigma must be {expected}, got {wrong}"):
            fit.predict(X, sigma=wrong)
        with pytest.raises(UsageError, match=rf"^sigma must be {expected}, got {wrong}"):
            regression.fit(X, Y, sigma=wrong)


def test_predictions_have_the_shape_of_x() -> None:
    """One number gives one, a column gives a column, a masked point NaN; other shapes are refused."""
    fit = regression.fit(X, Y)
    one = fit.predict(2.5)
    assert one.mean.shape == ()
    assert one.mean.item() == pytest.approx(RIGHT[0] + 2.5 * RIGHT[1], rel=1e-15)
    assert fit.predict(np.array(X)[:, None]).mean_se.shape == (5, 1)
    assert fit.predict(frame().x).mean.tolist() == fit.predict(X).mean.tolist()
    assert fit.predict(np.ma.array([1.0, 99], mask=[0, 1])).mean.isnan().tolist() == [False, True]
    with pytest.raises(UsageError, match=r"^x must be a number or of shape \(N,\) or \(N, 1\), got shape \(5, 2\)"):
        fit.predict(frame())


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    """degree, max_degree and folds may come from numpy."""
    assert regression.fit(X, Y, np.int64(2)).degree == 2
    x = np.arange(20)
    fit = regression.fit(x, np.cos(x), "auto", max_degree=np.int32(3), criterion="cv", folds=np.int64(4))
    assert fit.degree <= 3
