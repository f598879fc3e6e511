"""Instants and durations in files are numbers on one scale, which the fit keeps and on which new points are read."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import ipc, parquet

import regression
from regression import TableDataModule, UsageError
from regression.common.time_scale import TimeScale
from regression.data.table import Table
from regression.readers.clock import Clock
from tests.support.command import Command

HOURS = [3.0, 0.0, 1.5, 4.0, 2.25]
Y = [7.0, 1.1, 4.0, 9.2, 5.4]
DAY = dt.datetime(2024, 1, 1)
TIMES = [DAY + dt.timedelta(hours=hour) for hour in HOURS]
SCALE = TimeScale("h", "2024-01-01T00:00:00")
ZONED = TimeScale("h", "2024-01-01T00:00:00Z")


COLUMNS: dict[str, tuple[pa.Array, TimeScale]] = {
    **{unit: (pa.array(TIMES, pa.timestamp(unit)), SCALE) for unit in ("s", "ms", "us", "ns")},
    "zone": (pa.array([time.replace(tzinfo=dt.UTC) for time in TIMES], pa.timestamp("us", "Asia/Tokyo")), ZONED),
    "durations": (pa.array([dt.timedelta(hours=hour) for hour in HOURS], pa.duration("ms")), TimeScale("h")),
    "nested": (pa.array([{"at": {"time": time}} for time in TIMES]), SCALE),
}
FORMATS = ("parquet", "arrow", "arrows", "npz", "npy", "csv")


def write(column: pa.Array, kind: str) -> str:
    """Write the times with Y in some format, and return the path."""
    table, path = pa.table({"t": column, "y": Y}), f"t.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path, row_group_size=2)
    elif kind == "npz":
        np.savez(path, t=column.to_numpy(zero_copy_only=False), y=Y)
    elif kind == "npy":
        values = column.to_numpy(zero_copy_only=False)
        rows = np.zeros(len(Y), [("t", values.dtype), ("y", ">f8")])
        rows["t"], rows["y"] = values, Y
        np.save(path, rows)
    elif kind == "csv":
        arrow_csv.write_csv(table, path)
    else:
        writer = ipc.new_file if kind == "arrow" else ipc.new_stream
        with pa.OSFile(path, "wb") as file, writer(file, table.schema) as stream:
            stream.write_table(table, max_chunksize=2)
    return path


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("column", COLUMNS)
def test_times_of_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, kind: str, streamed: bool
) -> None:
    """Times are the hours that they are after the first one, however they are stored, in memory and streamed."""
    is_plain = kind in ("npz", "npy", "csv")
    if (column == "nested" and is_plain) or (column == "zone" and kind in ("npz", "npy")):
        pytest.skip("the format has no such columns")
    if column == "durations" and kind == "csv":
        pytest.skip("text has no durations")
    monkeypatch.chdir(tmp_path)
    values, scale = COLUMNS[column]
    name = "t.at.time" if column == "nested" else "t"
    data = TableDataModule(write(values, kind), x=name, time_unit="h", in_memory_rows=2 if streamed else 100)
    data.setup("fit")
    assert (data.x_time, data.axes) == (scale, (f"{name} ({scale.words})", "y"))
    assert np.concatenate([data.all.block(k).x for k in range(len(data.all.counts))]).tolist() == HOURS


def test_an_instant_is_the_same_in_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The origin is the first instant of all files, in any order, and of rows with a missing number too."""
    monkeypatch.chdir(tmp_path)
    for k, text in enumerate(("t,y\n2024-01-02,1\n2024-01-03T12:00,2\n", "t,y\n2024-01-01,NA\nNA,3\n2024-01-05,4\n")):
        Path(f"{k}.csv").write_text(text)
    table = Table("*.csv", ["t", "y"], nan_policy="omit", clock=Clock("d"))
    assert table.read(0, 5).tolist() == [[1, 2.5, 4], [1, 2, 4]]
    assert table.clock.scales == {"x": TimeScale("d", "2024-01-01T00:00:00")}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_new_points_are_read_by_the_scale_of_the_fit(command: Command, ending: str) -> None:
    """A run prints its scale; test and predict of other files take it from the checkpoint, and write instants."""
    write(COLUMNS["zone"][0], "csv")
    done = command("fit", "t.csv", "--x=t", "--y=y", "--data.time_unit=h", "--model.solver=exact")
    assert done.out.startswith("y against t (h since 2024-01-01T00:00:00Z), 5 rows of t.csv\n")
    assert done.fit["x_time"] == {"unit": "h", "origin": "2024-01-01T00:00:00Z"}
    assert done.fit["params"] == regression.fit(HOURS, Y).params.tolist()
    later = pa.table({"t": pa.array([DAY.replace(tzinfo=dt.UTC) + dt.timedelta(hours=6)]), "y": [13.0]})
    arrow_csv.write_csv(later, "later.csv")
    assert command("test", "later.csv", "--ckpt_path", done.checkpoint).out.startswith("1 point: test_loss ")
    for source in (done.checkpoint, f"{done.folder}/fit.json"):
        ran = command("predict", "later.csv", "--x=t", "--ckpt_path", source, f"--predictions.file=p.{ending}")
        assert ran.folder is not None, ran.err
        assert "outside the fitted range 2024-01-01T00:00:00Z to 2024-01-01T04:00:00Z, the farthest by 2 h" in ran.out
        path = ran.folder / f"p.{ending}"
        found = parquet.read_table(path) if ending == "parquet" else arrow_csv.read_csv(path)
        assert found["x"].cast(pa.timestamp("s", "UTC")).equals(later["t"].cast(pa.timestamp("s", "UTC")))
        assert found["mean"].to_pylist() == [regression.fit(HOURS, Y)(6.0)]


OTHERS: list[tuple[str, tuple[str, ...], str]] = [
    (
        "t,y\n1,2\n",
        (),
        "x must hold instants without a time zone (h since 2024-01-01T00:00:00), as the points",
    ),
    ("t,y\n2024-01-01T00:00:00Z,2\n", (), "got instants with a time zone"),
    (
        "t,y\n2024-01-01,2\n",
        ("--data.time_unit=s",),
        "got instants without a time zone (s since 2024-01-01T00:00:00)",
    ),
    ("t,y\n2024-01-01,2\n", ("--data.time_origin=2023-01-01",), "give time_unit h and time_origin 2024-01-01T00:00:00"),
]


@pytest.mark.parametrize(("content", "options", "words"), OTHERS, ids=[case[2][-50:] for case in OTHERS])
def test_points_of_another_scale_are_refused(
    command: Command, content: str, options: tuple[str, ...], words: str
) -> None:
    """Numbers, other kinds of instants and other scales than the fit's are refused in one line."""
    write(COLUMNS["us"][0], "csv")
    done = command("fit", "t.csv", "--x=t", "--y=y", "--data.time_unit=h", "--model.solver=exact")
    Path("new.csv").write_text(content)
    ran = command("predict", "new.csv", "--ckpt_path", done.checkpoint, *options)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert words in ran.err


def test_times_for_a_fit_over_numbers_are_refused(command: Command) -> None:
    """Instants are refused where the fit is over numbers, also as points to validate on."""
    Path("n.csv").write_text("t,y\n1,2\n2,4\n3,7\n")
    Path("t.csv").write_text("t,y\n2024-01-01,2\n")
    done = command("fit", "n.csv", "--x=t", "--y=y", "--model.solver=exact")
    ran = command("predict", "t.csv", "--ckpt_path", done.checkpoint)
    assert "x must hold numbers, as the points of the fit do, got instants without a time zone (s since" in ran.err
    ran = command("fit", "n.csv", "--x=t", "--y=y", "--data.validation_path=t.csv")
    assert (ran.code, ran.err) == (
        2, "regression: t.csv: x must hold numbers, as n.csv, got instants without a time zone\n",
    )  # fmt: skip


def test_series_over_times(command: Command) -> None:
    """Series of a file share one scale, which the report shows; days may name them."""
    Path("s.csv").write_text(
        "day,t,y\n" + "".join(f"2024-0{m}-01,2024-03-0{d},{d * m}\n" for m in (2, 1) for d in (1, 2, 4))
    )
    done = command("fit", "s.csv", "--x=t", "--y=y", "--series=day", "--data.time_unit=d", "--series.file=o.csv")
    assert "x in d since 2024-03-01T00:00:00\n" in done.out
    assert done.folder is not None
    found = arrow_csv.read_csv(done.folder / "o.csv")
    assert [str(day)[:10] for day in found["series"].to_pylist()] == ["2024-01-01", "2024-02-01"]
    assert found["slope"].to_pylist() == [1, 2]


def test_x_from_y_is_an_instant(command: Command) -> None:
    """The x at a given y is written as an instant."""
    Path("t.csv").write_text("t,y\n2024-01-01T00:00,0\n2024-01-01T01:00,2\n2024-01-01T02:00,4\n")
    Path("y.csv").write_text("y\n1\n")
    done = command("fit", "t.csv", "--x=t", "--y=y", "--data.time_unit=h", "--model.solver=exact")
    ran = command("predict", "y.csv", "--y=y", "--inverse", "--ckpt_path", done.checkpoint)
    assert ran.folder is not None, ran.err
    (path,) = ran.folder.glob("*.csv")
    assert arrow_csv.read_csv(path)["x"].cast(pa.timestamp("s")).to_pylist() == [DAY + dt.timedelta(minutes=30)]


def test_notes_on_x_from_y_have_instants(command: Command) -> None:
    """A note names the instants at which the curve is y outside of the points, and numbers beyond all instants."""
    hours = [(h, h**2 + (-1) ** h / 10) for h in range(24)]
    Path("t.csv").write_text("t,y\n" + "".join(f"2024-01-01T{h:02}:00,{y}\n" for h, y in hours))
    Path("y.csv").write_text("y\n10000\n1e14\n")
    done = command("fit", "t.csv", "--x=t", "--y=y", "--data.time_unit=h", "--degree=2")
    ran = command("predict", "y.csv", "--y=y", "--inverse", "--ckpt_path", done.checkpoint)
    assert ran.folder is not None, ran.err
    near, far = arrow_csv.read_csv(ran.folder / "predictions.csv")["note"].to_pylist()
    assert re.search(r"at x = 2023-12-2\dT\S+, 2024-01-05T0\S+$", near), near
    assert re.search(r"at x = -\d+\S* h since 2024-01-01T00:00:00, \d+\S* h since 2024-01-01T00:00:00$", far), far


def test_notes_on_roots_and_extrema_have_instants() -> None:
    """Where the curve touches, is flat, or hardly turns, the note names the instant, and a number is left a number."""
    hours = np.arange(9)
    times = np.datetime64("2024-01-01", "ns") + hours * np.timedelta64(1, "h")
    for y, find, words in (
        ((hours - 4.0) ** 2, "roots", "touches 0 at x = "),
        ((hours - 4.0) ** 3, "extrema", "is flat at x = "),
        (np.where(hours % 2, 1.0, -1.0) + hours / 10 - hours**2 / 500, "extrema", "the curvature at x = "),
    ):
        degree = 3 if "flat" in words else 2
        (note,) = getattr(regression.fit(times, y, degree, time_unit="h"), find)().notes
        (plain,) = getattr(regression.fit(hours, y, degree), find)().notes
        assert words in note
        at = re.search(r"at x = (\S+?),? ", plain)
        assert at is not None
        shown = re.search(r"at x = (\S+?),? ", note)
        assert shown is not None
        since = (np.datetime64(shown[1], "ns") - times[0]) / np.timedelta64(1, "h")
        assert since == pytest.approx(float(at[1]), rel=1e-7)


def test_a_text_is_no_instant() -> None:
    """A text in place of an instant, alone or in a column, is refused as a text."""
    fit = regression.fit(TIMES, Y)
    for x in ("2024-05-01T12:00", ["2024-05-01"], np.array(["2024-05-01"]), np.array("2024-05-01")):
        with pytest.raises(
            UsageError, match=r"x must hold instants .*, got text: make times of it, such as numpy\.dat"
        ):
            fit.predict(x)


def test_y_of_another_kind_has_no_x(command: Command) -> None:
    """The inverse of a fit refuses y of another kind: numbers for durations, and instants for numbers."""
    spans = pa.array([dt.timedelta(minutes=2 * k + k % 2) for k in range(5)])
    parquet.write_table(pa.table({"x": Y, "n": Y, "y": spans}), "d.parquet")
    parquet.write_table(pa.table({"t": TIMES, "y": spans, "n": Y}), "new.parquet")
    fit = ("fit", "d.parquet", "--x=x", "--data.time_unit=min")
    timed = command(*fit, "--y=y").checkpoint
    plain = command("fit", "d.parquet", "--x=x", "--y=n").checkpoint
    assert "5 y in" in command("predict", "new.parquet", "--y=y", "--inverse", "--ckpt_path", timed).out
    for path, y, words in (
        (timed, "n", "y must hold durations (min), as the points of the fit do, got numbers"),
        (plain, "t", "y must hold numbers, as the points of the fit do, got instants without a time zone"),
    ):
        ran = command("predict", "new.parquet", f"--y={y}", "--inverse", "--ckpt_path", path)
        assert (ran.code, ran.err) == (2, f"regression: {words}: choose another column with --data.y\n")


REFUSED: list[tuple[str | pa.Table, dict[str, Any], str]] = [
    (
        "t,y\n2024-01-01,1\n2024-13-01,2\n",
        {},
        "data row 2, column 't', holds '2024-13-01', a day or a time of day that does not exist: correct it",
    ),
    ("t,y\n2024-02-30,1\n", {}, "data row 1, column 't', holds '2024-02-30', a day or a time of day that does not"),
    ("t,y\n1500-02-01,1\n", {}, "holds '1500-02-01', which is before 1677 or after 2262 and has no whole number"),
    ("t,y\n2024-01-01T00:00Z,1\n2024-01-02,2\n", {}, "write it such as 2024-01-31T12:00:00Z"),
    ("t,y\n2024-01-01,1\n7,2\n", {}, "data row 2, column 't', holds '7' where one of instants without a time"),
    (
        "t,y\n01.02.2024,1\n",
        {},
        "holds '01.02.2024' where a number is expected: write dates in the col",
    ),
    ("y,t\n2024-01-01,1\n", {}, "column 'y', holds '2024-01-01' where a number is expected"),
    (
        "t,y\n1,1\n2,3\n",
        {"time_unit": "h"},
        "time_unit h is for instants and durations, got numbers alone",
    ),
    ("t,y\n1,1\n2,3\n", {"time_origin": "2024-01-01"}, "time_origin 2024-01-01T00:00:00 is for instants, got none"),
    ("t,y\n2024-01-01,1\n", {"time_unit": "week"}, "time_unit must be one of ns, us, ms, s, min, h, d, or null"),
    ("t,y\n2024-01-01,1\n", {"time_origin": "then"}, "time_origin must be an instant such as 2024-01-31 or"),
    ("t,y\n2024-01-01,1\n", {"time_origin": "2024-01-01T00:00Z"}, "must hold instants with a time zone (s since 2024"),
    (pa.table({"t": Y, "y": TIMES}), {}, "column 'y' must hold numbers or durations, got instants without a time zone"),
    (
        pa.table({"t": Y, "y": Y, "s": [dt.timedelta(1)] * 5}),
        {"sigma": "s"},
        "sigma and y must both hold times",
    ),
    (pa.table({"t": [dt.time(1)] * 5, "y": Y}), {}, "column 't' must hold numbers, got type time64[us]"),
    (
        pa.table({"t": pa.array([0, 10**12], pa.timestamp("s")), "y": Y[:2]}),
        {},
        "holds times before 1677",
    ),
    (
        pa.table({"t": pa.array([0, 2**60 + 1], pa.timestamp("ns")), "y": Y[:2]}),
        {},
        "nanoseconds more than 26 d",
    ),
    (
        pa.table({"t": TIMES, "y": Y, "n": [{"b": True}] * 5}),
        {"x": "n.b"},
        "column 'n.b' must hold numbers, got type b",
    ),
    (
        pa.table({"t": TIMES, "y": Y, "n": [{"b": 1}] * 5}),
        {"x": "n"},
        "column 'n' must hold numbers, got type struct",
    ),
    (
        pa.table({"t": TIMES, "y": Y, "n": [{"b": 1}] * 5}),
        {"x": "n.c"},
        "there is no column 'n.c' among 't', 'y', 'n'",
    ),
]


@pytest.mark.parametrize(("content", "options", "words"), REFUSED, ids=[case[2][:60] for case in REFUSED])
def test_what_does_not_fit_is_refused(
    tmp_path: Path, content: str | pa.Table, options: dict[str, Any], words: str
) -> None:
    """Times in a column that cannot hold them, wrong times, and time options without effect are refused in one line."""
    path = tmp_path / ("a.csv" if isinstance(content, str) else "a.parquet")
    if isinstance(content, str):
        path.write_text(content)
    else:
        parquet.write_table(content, path)
    with pytest.raises(UsageError) as refusal:
        TableDataModule(str(path), **{"x": "t"} | options).setup("fit")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_nested_and_dictionary_columns(tmp_path: Path) -> None:
    """Fields of structures are columns by their path, missing where a structure is null; dictionaries are decoded."""
    nested = [{"p": {"x": 1.0, "n": 5}}, None, {"p": None}, {"p": {"x": 2.0, "n": None}}]
    table = pa.table({
        "s": nested, "d": pa.array([0.5, 1.5, 0.5, None]).dictionary_encode(), "s.q": [1, 2, 3, 4],
        "y": np.arange(4, dtype=np.float16),
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "a.parquet")
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    for path in tmp_path.iterdir():
        found = Table(str(path), ["s.p.x", "s.p.n", "d", "s.q", "y"], nan_policy="omit")
        assert found.read(0, 4).tolist() == [[1], [5], [0.5], [1], [0]]
        assert Table(str(path), ["s.p.x"], nan_policy="omit").read(0, 4).tolist() == [[1, 2]]
