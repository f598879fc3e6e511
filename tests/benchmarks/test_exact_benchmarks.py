"""Benchmarks of exact fits run at a tiny size, and their correctness checks bite. Nothing here is timed."""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import regression
from tests.benchmarks.scripts import load


@pytest.fixture
def moments() -> ModuleType:
    return load("moments")


def test_moments_prints_a_row_for_each_contender(moments: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has each installed contender with its time, and numpy.polyfit has speed 1."""
    table = moments.main(["--rows=3000", "--repeats=1", "--no-memory"])
    lines = capsys.readouterr().out.splitlines()
    assert list(table) == list(moments.installed())
    assert {"ours", "numpy.polyfit"} <= set(table)
    assert table["numpy.polyfit"]["speed"] == 1
    assert table[moments.NO_FIT]["reads"] == 1
    for name, row in table.items():
        assert len([line for line in lines if line.startswith(f"{name} ")]) == 1
        assert row["ns"] > 0
    assert max(map(len, lines[1:])) < 80
    assert "BLAS" in lines[0]


@pytest.mark.parametrize("name", ["ours", "numpy.polyfit"])
def test_moments_times_nothing_when_a_curve_is_off(
    moments: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contender whose intercept is 2e-9 off ends the benchmark before its table."""
    package, honest = moments.CONTENDERS[name]

    def off(*points_and_degree: object) -> list[float]:
        first, *others = honest(*points_and_degree)
        return [first + 2e-9, *others]

    monkeypatch.setitem(moments.CONTENDERS, name, (package, off))
    with pytest.raises(SystemExit, match=rf"^{name} is 2e-09 off the least-squares curve on 3000 points$"):
        moments.main(["--rows=3000", "--repeats=1"])
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_moments_sees_memory(moments: ModuleType) -> None:
    """A process of polyfit, whose design alone has three times the points' size, grows by more than that."""
    found = moments.run_alone("--peak-alone=numpy.polyfit", "--rows=1000000", "--degree=5")
    assert 3 < found["peak"] < 30


@pytest.fixture
def scaling() -> ModuleType:
    return load("scaling")


def test_scaling_prints_a_line_for_each_size(scaling: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows and degrees each have a table with a line for each size, and a largest ratio or none."""
    found = scaling.main([
        "--repeats=1", "--rows", "20000", "2000", "--degrees", "1", "3", "--degree-rows=2000", "--turn-rows=1",
    ])  # fmt: skip
    heads = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert list(found) == ["rows", "degrees"]
    assert heads == ["ns", "rows", "2,000", "20,000", "ns", "degree", "1", "3"]


def test_scaling_takes_no_constant_off(scaling: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits of 5 ns a row and 2 ms each have 5 ns per further row; where all take as long, the ratio is lost."""
    times = {(rows, 5): 2e-3 + 5e-9 * rows for rows in (1000, 500, 4000, 2000)}

    def turns_of(each: dict[tuple[int, int], float]) -> Any:
        def take_turns(work: dict[tuple[int, int], Any], repeats: int) -> Any:
            return {case: [scaling.measure.Seconds(each[case] * (12_000 // case[0]), 0.0)] * repeats for case in work}

        return take_turns

    monkeypatch.setattr(scaling.measure, "take_turns", turns_of(times))
    small, large = scaling.compare_fits([1000, 4000], [5], 1000, 2, 12_000)["rows"]
    assert small["further"] == pytest.approx(5)
    assert small["whole"] == pytest.approx(2005)
    assert large["ratio"] == pytest.approx(1)
    monkeypatch.setattr(scaling.measure, "take_turns", turns_of(dict.fromkeys(times, 2e-3)))
    assert [row["ratio"] for row in scaling.compare_fits([1000, 4000], [5], 1000, 2, 12_000)["rows"]] == [None, None]


@pytest.mark.parametrize("wrong", ["curve", "noise", "rows"])
def test_scaling_check_bites(scaling: ModuleType, wrong: str) -> None:
    """A curve that is off, another noise or a lost row stops the benchmark; the right fit does not."""
    x, y = scaling.measure.points(5000)
    line = scaling.measure.true_line(x)
    scaling.check(regression.fit(x, y, 5), 5000)
    if wrong == "curve":
        y = y + 0.02
    if wrong == "noise":
        y = line + 1.15 * (y - line)
    with pytest.raises(SystemExit, match="a fit of degree 5 on"):
        scaling.check(regression.fit(x, y, 5), 5001 if wrong == "rows" else 5000)


@pytest.fixture
def files() -> ModuleType:
    return load("files")


def test_files_prints_a_line_for_each_table(files: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Files and row groups each have a table with a line for each number, and the largest ratio."""
    found = files.main(["--repeats=1", "--files", "1", "3", "--file-rows=3000", "--groups", "1500", "100",
                        "--group-rows=3000"])  # fmt: skip
    heads = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert min(found["files"], found["groups"]) >= 1
    assert heads == ["3,000", "rows", "1,500", "100", "3,000", "files", "1", "3"]


def test_files_refuses_a_table_whose_line_is_off(files: ModuleType, tmp_path: Path) -> None:
    """A file of 3,000 rows is not taken for one of 2,000."""
    folders = files.write_files(tmp_path, [1], 3000)
    with pytest.raises(SystemExit, match="the fit of 1 files found the coefficients"):
        files.compare_tables("files", folders, {1: 2000}, 1)


def test_files_are_as_many_as_asked_for(files: ModuleType, tmp_path: Path) -> None:
    """Three files have a third of the rows each, and the line of one of them."""
    folders = files.write_files(tmp_path, [3], 3000)
    assert len(list(folders[3].iterdir())) == 3
    files.compare_tables("files", folders, {3: 1000}, 1)


@pytest.fixture
def series() -> ModuleType:
    return load("series")


def test_series_prints_a_line_for_each_contender(series: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Each contender has a line with its time per series and its speed over the loop."""
    table = series.main(["--series=300", "--points=8", "--degree=2", "--repeats=1", "--sample=20"])
    lines = capsys.readouterr().out.splitlines()
    assert list(table) == list(series.CONTENDERS)
    assert table[series.LOOP]["speed"] == 1
    assert [line[:24].strip() for line in lines[3:]] == list(table)
    assert all(row["us"] > 0 for row in table.values())


@pytest.mark.parametrize("name", ["ours", "ours, shuffled", "polyfit loop"])
def test_series_times_nothing_when_one_curve_is_off(
    series: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contender with one intercept off by 1e-6, in one of 50 series, ends the benchmark before its table."""
    honest = series.CONTENDERS[name]

    def off(*arguments: object) -> Any:
        params = honest(*arguments).copy()
        params[17, 0] += 1e-6
        return params

    monkeypatch.setitem(series.CONTENDERS, name, off)
    with pytest.raises(SystemExit, match=rf"^{name} is 1e-06 off the least-squares curve of series 17$"):
        series.main(["--series=50", "--repeats=1"])
    assert capsys.readouterr().out == ""


@pytest.fixture
def tables() -> ModuleType:
    return load("tables")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_tables_prints_a_line_for_each_contender(
    tables: ModuleType, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each installed contender has a line with its time and its speed over the peers that are there."""
    found = tables.main([f"--kinds={kind}", "--rows=3000", "--repeats=1", "--no-cold"])[kind]
    assert list(found) == list(tables.installed())
    assert {tables.OURS, tables.PASS, tables.POLARS} <= set(found)
    assert found[tables.POLARS]["polars"] == 1
    assert all(row["seconds"] > 0 and row["polars"] > 0 for row in found.values())
    assert [line[:18].strip() for line in capsys.readouterr().out.splitlines()[3:]] == list(found)


@pytest.mark.parametrize("name", ["ours", "our_pass"])
def test_tables_times_nothing_when_a_line_is_off(
    tables: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slope that is 1e-8 off ends the benchmark before its table, for the command as for its pass alone."""
    contender = {"ours": tables.OURS, "our_pass": tables.PASS}[name]
    package, honest = tables.CONTENDERS[contender]

    def off(*arguments: object) -> tuple[float, float]:
        intercept, slope = honest(*arguments)
        return intercept, slope + 1e-8

    monkeypatch.setitem(tables.CONTENDERS, contender, (package, off))
    with pytest.raises(SystemExit, match=rf"^{contender} found the coefficients .*, expected \["):
        tables.main(["--kinds=parquet", "--rows=3000", "--repeats=1", "--no-cold"])
    assert "contender" not in capsys.readouterr().out


def test_tables_without_a_peer_has_no_speed_over_it(tables: ModuleType) -> None:
    """Where DuckDB is not installed there is no number in its column."""
    row = tables.speeds(tables.OURS, {tables.POLARS: [1.0], tables.OURS: [2.0]})
    assert row["polars"] == 0.5
    assert math.isnan(row["duckdb"])
