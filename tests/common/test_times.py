"""Instants and durations of any library are numbers of one scale, which goes with the fit."""

import datetime as dt
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import regression
from regression import ArrayDataModule, UsageError
from regression.common.time_scale import TimeScale

HOURS = [0, 1, 2, 3.5]
NAIVE = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=hour) for hour in HOURS]
AWARE = [moment.replace(tzinfo=dt.UTC).astimezone(dt.timezone(dt.timedelta(hours=9))) for moment in NAIVE]
LAGS = [dt.timedelta(hours=hour) for hour in HOURS]
Y = [1.0, 3.2, 4.9, 8.0]
KINDS: dict[str, tuple[list[Any], str | None]] = {
    "instants": (NAIVE, "2024-01-01T00:00:00"),
    "instants with a zone": (AWARE, "2024-01-01T00:00:00Z"),
    "durations": (LAGS, None),
}
FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "a list": lambda times: times,
    "numpy": lambda times: np.array(times, "m8[m]" if isinstance(times[0], dt.timedelta) else "M8[m]"),
    "pandas": pd.Series,
    "an index": lambda times: pd.DataFrame({"a": times}).set_index("a").index,
    "pandas over pyarrow": lambda times: pd.Series(pa.array(times).to_pandas(types_mapper=pd.ArrowDtype)),
    "objects": lambda times: pd.Series(times, dtype=object),
    "polars": lambda times: pl.Series(times),
    "pyarrow": pa.array,
    "pyarrow in chunks": lambda times: pa.chunked_array([pa.array(times[:1]), pa.array(times[1:])]),
    "one column": lambda times: np.array(times, dtype=object)[:, None],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_times_of_any_library(kind: str, form: str) -> None:
    """A fit over times is that over their numbers since the first one, in the unit that is named."""
    times, origin = KINDS[kind]
    if (kind, form) == ("instants with a zone", "numpy"):
        pytest.skip("numpy has no time zones")
    x = FORMS[form](times)
    fit = regression.fit(x, Y, time_unit="h")
    assert fit.x_time == TimeScale("h", origin)
    assert fit.params.tolist() == regression.fit([hour - HOURS[0] for hour in HOURS], Y).params.tolist()
    assert fit(times[3]) == fit(torch.tensor(3.5, dtype=torch.float64))
    np.testing.assert_array_equal(fit.predict(x).mean.flatten(), fit.predict(torch.tensor(HOURS).double()).mean)


def test_a_fit_keeps_its_scale(tmp_path: Path) -> None:
    """The scale stands in the report and in the JSON, comes back from file and pickle, and names the axes."""
    lags = [lag + dt.timedelta(minutes=k % 2) for k, lag in enumerate(LAGS)]
    fit = regression.fit("t", "v", data=pd.DataFrame({"t": AWARE, "v": lags}), time_unit="min", time_origin=AWARE[1])
    assert str(fit).startswith("v (min) against t (min since 2024-01-01T01:00:00Z)\n")
    assert fit.x_range == (-60, 150)
    fit.save(tmp_path / "fit.json")
    for again in (regression.load(tmp_path / "fit.json"), pickle.loads(pickle.dumps(fit))):
        assert again == fit
        assert (again.x_time, again.y_time) == (TimeScale("min", "2024-01-01T01:00:00Z"), TimeScale("min"))
        np.testing.assert_array_equal(again.predict(AWARE).mean, fit.predict(AWARE).mean)
    picture = fit.plot(AWARE, lags)
    assert picture.axes[-1].get_xlabel() == "t (min since 2024-01-01T01:00:00Z)"
    assert fit.derivative(AWARE[2]).value.item() == fit.params[1]
    assert fit.integral(AWARE[0], AWARE[1]).value == pytest.approx(60 * 30, rel=0.02)
    assert len(fit.diagnostics(AWARE, lags).leverage) == 4


def test_missing_times_are_missing_rows() -> None:
    """NaT and None are missing: refused with their row, or left out and counted."""
    x = pd.Series([NAIVE[0], pd.NaT, *NAIVE[2:]])
    with pytest.raises(UsageError, match="x must be finite, got nan at row 1"):
        regression.fit(x, Y)
    for times in (x, [NAIVE[0], None, *NAIVE[2:]], np.ma.array(np.array(NAIVE, "M8[s]"), mask=[0, 1, 0, 0])):
        assert regression.fit(times, Y, nan_policy="omit").omitted == 1


def test_times_and_their_errors() -> None:
    """A sigma of durations is in the unit of y; one number is in it already."""
    sigma = [dt.timedelta(hours=1)] * 3 + [dt.timedelta(hours=2)]
    fit = regression.fit(Y, LAGS, sigma=sigma, time_unit="h")
    assert fit.bse.tolist() == regression.fit(Y, HOURS, sigma=[1, 1, 1, 2]).bse.tolist()
    assert fit.predict([2.0], sigma=sigma[3]).obs_ci_lower == fit.predict([2.0], sigma=2).obs_ci_lower
    with pytest.raises(UsageError, match="sigma and y must both hold times, or both numbers"):
        regression.fit(HOURS, LAGS, sigma=[1, 1, 1, 2])


OTHERS: list[tuple[Any, str]] = [
    (
        [1.0],
        r"x must hold instants without a time zone \(s since 2024-01-01T00:00:00\), as the points of the fit do",
    ),
    (LAGS[:1], r"x must hold instants without a time zone \(s since 2024-01-01T00:00:00\), got durations"),
    (AWARE[:1], r"\(s since 2024-01-01T00:00:00\), got instants with a time zone"),
    ([NAIVE[0], AWARE[0]], "x must hold times of one kind, got instants with a time zone and instants without"),
    ([NAIVE[0], 3], "x must hold times alone, as its first row, got 3"),
    (np.array(["3000-01-01"], "M8[s]"), "x holds times before 1677 or after 2262"),
    (np.array([1], "M8[ps]"), r"x must be in units from nanoseconds on, got type datetime64\[ps\]"),
]


@pytest.mark.parametrize(("x", "words"), OTHERS, ids=[case[1][:60] for case in OTHERS])
def test_other_x_than_that_of_the_fit_is_refused(x: Any, words: str) -> None:
    """What holds other times than the fit, or none, costs one line."""
    with pytest.raises(UsageError, match=words):
        regression.fit(NAIVE, Y).predict(x)


def test_times_for_a_fit_over_numbers_are_refused() -> None:
    """A fit over numbers takes no times, at any of its questions."""
    fit = regression.fit(HOURS, Y)
    for ask in (fit, fit.derivative, lambda x: fit.plot(x, Y), lambda x: fit.diagnostics(x, Y)):
        with pytest.raises(UsageError, match="x must hold numbers, as the points of the fit do, got instants without"):
            ask(NAIVE)


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"x": HOURS, "time_unit": "h"}, "time_unit h is for instants and durations, got numbers alone: leave it out"),
    ({"x": LAGS, "time_origin": "2024"}, "time_origin must be an instant such as 2024-01-31 or"),
    ({"x": LAGS, "time_origin": "2024-01-01"}, "time_origin 2024-01-01T00:00:00 is for instants, got none"),
    ({"x": NAIVE, "time_unit": "week"}, "time_unit must be one of ns, us, ms, s, min, h, d, or null, got 'week'"),
    (
        {"x": NAIVE, "time_origin": 3},
        "time_origin must be an instant such as 2024-01-31 or 2024-01-31T12:00:00Z, got",
    ),
    (
        {"x": NAIVE, "time_origin": AWARE[0]},
        r"x must hold instants with a time zone \(s since 2024-01-01T00:00:00Z\)",
    ),
    ({"x": HOURS, "y": NAIVE}, "y must hold numbers or durations, got instants without a time zone"),
    ({"x": HOURS, "weights": LAGS}, "weights must hold numbers, got durations"),
]


@pytest.mark.parametrize(("options", "words"), OPTIONS, ids=[case[1][:60] for case in OPTIONS])
def test_options_of_time_that_do_not_fit(options: dict[str, Any], words: str) -> None:
    """Units and origins that are none, or that nothing has use for, cost one line at each door."""
    with pytest.raises(UsageError, match=words):
        regression.fit(**{"y": Y} | options)
    if "weights" not in options:
        with pytest.raises(UsageError, match=words):
            ArrayDataModule(**{"y": Y} | options)


def test_series_over_times() -> None:
    """Series share one scale, and may be named by days."""
    days = np.repeat(np.array(["2024-03-01", "2024-02-01"], "M8[D]"), 4)
    fits = regression.fit_series(NAIVE * 2, [*Y, *HOURS], days, time_unit="h")
    assert fits.series == ["2024-02-01T00:00:00", "2024-03-01T00:00:00"]
    assert fits.x_time == TimeScale("h", "2024-01-01T00:00:00")
    assert fits.params.tolist() == regression.fit_series(HOURS * 2, [*Y, *HOURS], [1] * 4 + [0] * 4).params.tolist()
    assert "\nx in h since 2024-01-01T00:00:00\n" in str(fits)
    with pytest.raises(UsageError, match="series must have a name for each point, got a missing instant"):
        regression.fit_series(NAIVE, Y, np.array(["2024-03-01", "NaT"] * 2, "M8[D]"))
