"""Benchmarks run at a tiny size, and their correctness checks bite. Nothing here is timed."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import regression

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TINY = ["--updates=150", "--repeats=1"]


def load(name: str) -> ModuleType:
    """Import a script of the benchmarks folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def updates() -> ModuleType:
    return load("updates")


def test_updates_prints_one_row_with_a_ratio_for_each_contender(
    updates: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has each contender once, with a positive finite ratio, in lines of under 80 columns."""
    ratios = updates.main(TINY)
    lines = capsys.readouterr().out.splitlines()
    assert list(ratios) == list(updates.CONTENDERS)
    assert ratios["bare loop"] == 1
    for name, ratio in ratios.items():
        (row,) = [line for line in lines if line.startswith(f"{name} ")]
        assert math.isfinite(ratio)
        assert ratio > 0
        assert row.endswith(f" {ratio:.3f}")
    assert max(map(len, lines)) < 80


def test_updates_refuses_coefficients_that_are_off_by_more_than_rounding(updates: ModuleType) -> None:
    """A relative error of 2e-4 in one coefficient stops the benchmark, one of 5e-5 does not."""
    right = updates.bare_loop(50)
    updates.require_same("ours", right * torch.tensor([1, 1, 1, 1, 1 + 5e-5]), 50)
    with pytest.raises(SystemExit, match=r"^ours after 50 updates: .* bare loop: .*\]$"):
        updates.require_same("ours", right * torch.tensor([1, 1, 1, 1, 1 + 2e-4]), 50)


@pytest.mark.parametrize("contender", ["default_lightning", "updates_alone"])
def test_updates_times_nothing_when_a_contender_skips_an_update(
    updates: ModuleType, contender: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contender that makes one update too few ends the benchmark before its table."""
    honest = getattr(updates, contender)
    monkeypatch.setattr(updates, contender, lambda count, *folder: honest(count - 1, *folder))
    with pytest.raises(SystemExit, match="after 150 updates"):
        updates.main(TINY)
    assert capsys.readouterr().out == ""


def test_updates_refuses_a_run_whose_checkpoint_counts_other_updates(updates: ModuleType, tmp_path: Path) -> None:
    """A last.ckpt of 120 updates is not accepted as one of 121, nor after its counter was changed."""
    updates.whole_command(120, tmp_path)
    updates.require_counted(tmp_path, 120)
    with pytest.raises(SystemExit, match="has global_step 120, expected 121"):
        updates.require_counted(tmp_path, 121)
    (path,) = tmp_path.rglob("last.ckpt")
    torch.save(torch.load(path, weights_only=True) | {"global_step": 121}, path)
    with pytest.raises(SystemExit, match=r"last\.ckpt after 121 updates"):
        updates.require_counted(tmp_path, 121)


def test_updates_refuses_a_log_with_other_steps(updates: ModuleType, tmp_path: Path) -> None:
    """A TensorBoard log of every 60th update is not accepted as one of every 100th."""
    updates.whole_command(150, tmp_path, "--trainer.log_every_n_steps=60")
    with pytest.raises(SystemExit, match=r"TensorBoard's steps are 3 up to \[120\], expected every 100th"):
        updates.require_counted(tmp_path, 150)


def test_updates_reports_a_command_that_fails(
    updates: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that is refused ends the benchmark with its status."""
    with pytest.raises(SystemExit, match="the command failed with status 2"):
        updates.whole_command(10, tmp_path, "--model.degree=-1")
    assert "degree" in capsys.readouterr().err


def test_convergence_counts_are_the_textbooks(capsys: pytest.CaptureFixture[str]) -> None:
    """Millions of updates are needed on raw powers, at most 120 in Chebyshev's basis, and 12 with the own step."""
    raw, mapped, chebyshev, own = load("convergence").main([]).values()
    assert raw > 3_000_000
    assert 4000 < mapped < 5000
    assert chebyshev <= 120
    assert own <= 12
    assert f"{raw:,}" in capsys.readouterr().out


def test_convergence_check_bites(monkeypatch: pytest.MonkeyPatch) -> None:
    """A predicted number of updates that the real run does not need stops the convergence benchmark."""
    script = load("convergence")
    right = script.predicted
    monkeypatch.setattr(script, "predicted", lambda model, rate: right(model, rate) + 1)
    with pytest.raises(SystemExit, match="updates made"):
        script.main([])


def test_nist_benchmark_prints_a_row_for_each_set(capsys: pytest.CaptureFixture[str]) -> None:
    """The NIST benchmark prints ten sets, with ours in each."""
    table = load("nist").main([])
    printed = capsys.readouterr().out
    assert len(table) == 10
    for name, row in table.items():
        assert any(line.startswith(name) for line in printed.splitlines())
        assert row["ours"] is not None


def test_nist_check_bites() -> None:
    """A digit less than the ceiling on one set stops the NIST benchmark."""
    script = load("nist")
    table = {name: {"ours": digits} for name, digits in script.CEILING.items()}
    script.check(table)
    table["Filip"]["ours"] -= 1
    with pytest.raises(SystemExit, match="Filip"):
        script.check(table)


@pytest.fixture
def moments() -> ModuleType:
    return load("moments")


def test_moments_prints_a_row_for_each_contender(moments: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has each installed contender with its time, and numpy.polyfit has speed 1."""
    table = moments.main(["--rows=3000", "--repeats=1", "--no-memory"])
    lines = capsys.readouterr().out.splitlines()
    assert list(table) == list(moments.installed())
    assert {"ours, double", "ours, double-double", "numpy.polyfit"} <= set(table)
    assert table["numpy.polyfit"]["speed"] == 1
    assert table[moments.NO_FIT]["reads"] == 1
    for name, row in table.items():
        assert len([line for line in lines if line.startswith(f"{name} ")]) == 1
        assert row["ns"] > 0
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize("name", ["ours, double", "numpy.polyfit"])
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


def test_moments_sees_memory(moments: ModuleType) -> None:
    """A process of polyfit, whose design alone has three times the points' size, grows by more than that."""
    assert 3 < moments.peak_alone("numpy.polyfit", 1_000_000, 5) < 30


@pytest.fixture
def scaling() -> ModuleType:
    return load("scaling")


def test_scaling_prints_a_line_for_each_size(scaling: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Both tables have a line for each size, with the time per row of both arithmetics."""
    tables = scaling.main(["--rows", "2000", "40000", "--degrees", "1", "3", "--repeats=1"])
    lines = capsys.readouterr().out.splitlines()
    assert [row["rows"] for row in tables["rows"]] == [2000, 40000]
    assert [row["degree"] for row in tables["degrees"]] == [1, 3]
    assert all(row[name] >= 0 for table in tables.values() for row in table for name in scaling.ARITHMETICS)
    assert [line.split()[0] for line in lines[3:]] == ["rows", "2,000", "40,000", "degree", "1", "3"]


@pytest.mark.parametrize("wrong", ["curve", "noise", "rows"])
def test_scaling_check_bites(scaling: ModuleType, wrong: str) -> None:
    """A curve that is off, another noise or a lost row stops the benchmark; the right fit does not."""
    x, y = scaling.points(5000)
    scaling.check(regression.fit(x, y, 5), 5000)
    if wrong == "curve":
        y = y + 0.02
    if wrong == "noise":
        y = scaling.true_curve(x) + 1.15 * (y - scaling.true_curve(x))
    with pytest.raises(SystemExit, match="a fit of degree 5 on"):
        scaling.check(regression.fit(x, y, 5), 5001 if wrong == "rows" else 5000)


@pytest.fixture
def series() -> ModuleType:
    return load("series")


def test_series_prints_a_line_for_each_contender(series: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Each contender has a line with its time per series and its speed over the loop."""
    table = series.main(["--series=300", "--points=8", "--degree=2", "--repeats=1", "--sample=20"])
    lines = capsys.readouterr().out.splitlines()
    assert list(table) == list(series.CONTENDERS)
    assert table[series.LOOP]["speed"] == 1
    assert [line[:26].strip() for line in lines[3:]] == list(table)
    assert all(row["us"] > 0 for row in table.values())


@pytest.mark.parametrize("name", ["ours, double", "ours, double, shuffled", "polyfit loop"])
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
