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
    """Each installed contender has a line with its time, and the first one has speed 1."""
    found = tables.main([f"--kinds={kind}", "--rows=3000", "--repeats=1", "--no-cold"])[kind]
    assert list(found) == list(tables.installed())
    assert {"ours, double", "ours, double-double"} <= set(found)
    assert next(iter(found.values()))["warm speed"] == 1
    assert all(row["warm"] > 0 for row in found.values())
    assert [line[:22].strip() for line in capsys.readouterr().out.splitlines()[3:]] == list(found)


def test_tables_times_nothing_when_a_line_is_off(
    tables: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slope that is 1e-8 off ends the benchmark before its table."""
    honest = tables.ours

    def off(*arguments: object) -> tuple[float, float]:
        intercept, slope = honest(*arguments)
        return intercept, slope + 1e-8

    monkeypatch.setattr(tables, "ours", off)
    with pytest.raises(SystemExit, match=r"^ours, double found intercept and slope .*, expected \("):
        tables.main(["--kinds=parquet", "--rows=3000", "--repeats=1", "--no-cold"])
    assert "contender" not in capsys.readouterr().out


@pytest.fixture
def batches() -> ModuleType:
    return load("batches")


def test_batches_prints_a_line_for_each_contender(batches: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Each contender has a line with its rows per second and both ratios."""
    found = batches.main(["--rows=9000", "--epochs=1", "--repeats=1"])
    assert list(found) == list(batches.CONTENDERS)
    assert found[batches.BARE]["bare"] == found[batches.LIGHTNING]["lightning"] == 1
    assert all(row["rate"] > 0 for row in found.values())
    assert [line[:23].strip() for line in capsys.readouterr().out.splitlines()[3:]] == list(found)


@pytest.mark.parametrize("name", ["default_lightning", "command"])
def test_batches_times_nothing_when_a_contender_skips_an_epoch(
    batches: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contender that makes one epoch too few ends the benchmark before its table."""
    honest = getattr(batches, name)
    monkeypatch.setattr(batches, name, lambda rows, epochs, *rest: honest(rows, epochs - 1, *rest))
    with pytest.raises(SystemExit, match="after two epochs"):
        batches.main(["--rows=9000", "--epochs=1", "--repeats=1"])
    assert capsys.readouterr().out == ""


@pytest.fixture
def processes() -> ModuleType:
    return load("processes")


@pytest.mark.slow
def test_processes_prints_a_line_for_each_case(processes: ModuleType) -> None:
    """Each case has its rows per second; one process has ratio 1."""
    found = processes.main(["--rows=40000", "--epochs=1", "--batch=70000", "--repeats=1"])
    assert len(found) == 5
    assert found["exact, 1 process"]["ratio"] == found["mini-batches, 1 process"]["ratio"] == 1


@pytest.mark.parametrize(("case", "error"), [("exact, 2 processes", 1e-15), ("mini-batches, 2 processes", 1e-5)])
def test_processes_check_bites(processes: ModuleType, case: str, error: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate is that of the additional rows; another last digit of the exact fit, or a wrong gradient, stops it."""

    def run(options: list[list[str]], devices: int = 1) -> tuple[float, list[float]]:
        is_short = "small" in str(options) or "max_epochs=1'" in str(options)
        is_off = devices == 2 and case.startswith("exact" if "exact" in str(options) else "mini")
        return 1.0 if is_short else 1.0 + 2.0 / devices, [0.5 + error * is_off, 1.0]

    monkeypatch.setattr(processes, "run", run)
    with pytest.raises(SystemExit, match=r"^two processes"):
        processes.main(["--rows=40000", "--repeats=1"])
    monkeypatch.setattr(processes, "check", lambda _: None)
    found = processes.main(["--rows=40000", "--repeats=1"])
    assert found["exact, 1 process"]["rate"] == 36000 / 2
    assert found["exact, 2 processes"]["ratio"] == 2


@pytest.fixture
def start() -> ModuleType:
    return load("start")


@pytest.mark.slow
def test_start_compares_a_run_with_an_import(start: ModuleType) -> None:
    """Both commands have their seconds, and the import has ratio 1."""
    imported, whole = start.main(["--repeats=1"]).values()
    assert imported["clock ratio"] == imported["processor ratio"] == 1
    assert whole["clock"] > 0


def test_start_check_bites(start: ModuleType) -> None:
    """A run that fails, or makes nine updates, stops the benchmark."""
    with pytest.raises(SystemExit, match=r"failed: .*no such thing"):
        start.run(["-c", "raise SystemExit('no such thing')"])
    start.require_whole("10 updates by SGD\nfiles in x")
    with pytest.raises(SystemExit, match="did not make its ten updates"):
        start.require_whole("9 updates by SGD\nfiles in x")


@pytest.fixture
def device() -> ModuleType:
    return load("device")


def test_device_measures_what_device_it_is_given(device: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Both types have both arithmetics' shares of a copy's bandwidth."""
    found = device.main(["--device=cpu", "--rows=3000", "--repeats=1"])
    assert list(found) == ["float32", "float64"]
    assert all(row["copy"] == 1 and row["double"] > 0 and row["double-double"] > 0 for row in found.values())
    assert len(capsys.readouterr().out.splitlines()) == 8


def test_device_check_bites(device: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose double-double fit is not that of the CPU is refused."""
    honest, calls = regression.fit, iter(range(100))

    def fit(x: torch.Tensor, y: torch.Tensor, *args: Any, **options: Any) -> regression.Fit:
        return honest(x, y * (1 + 1e-6) if next(calls) == 2 else y, *args, **options)

    monkeypatch.setattr(regression, "fit", fit)
    with pytest.raises(SystemExit, match=r"^double-double on the device is not the CPU's"):
        device.main(["--device=cpu", "--rows=3000", "--repeats=1"])


@pytest.fixture
def everything() -> ModuleType:
    return load("run")


SCRIPT = """
def main(args):
    print("one line")
    assert args == []
    return {"ours": {"speed": 401.0}, "ours, shuffled": {"speed": 150.0}}
"""


def test_run_prints_what_a_script_prints_and_judges_what_it_returns(
    everything: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One script run in a process of its own has its section and its line in the summary."""
    (tmp_path / "series.py").write_text(SCRIPT)
    monkeypatch.setattr(everything, "FOLDER", tmp_path)
    everything.main(["series", "--results", str(tmp_path / "found.md")])
    printed = capsys.readouterr().out
    head, *_ = (tmp_path / "found.md").read_text().splitlines()[2:]
    assert head.startswith("Written by `python benchmarks/run.py series`: ")
    assert "| 401 | ≥ 400 |" in (tmp_path / "found.md").read_text()
    assert "## `python benchmarks/series.py`\n\n```text\none line\n```" in printed
    assert "| 401 | ≥ 400 | ≥ 1,000 | yes |" in printed
    with pytest.raises(SystemExit, match="there is no benchmark speed: expected some of updates, "):
        everything.main(["speed"])


def test_run_says_what_is_missed_failed_or_not_there(everything: ModuleType) -> None:
    """A figure that is too low, a script that failed and one that did not run are told apart."""
    found = {"ours": {"speed": 399.4}, "ours, shuffled": {"speed": 250.0}}
    lines = list(everything.summary({"series": found, "device": {}, "start": None}))
    assert len(lines) == 7
    assert lines[-2].endswith("| 399 | ≥ 400 | ≥ 1,000 | **no** |")
    assert lines[-1].endswith("| 250 | ≥ 100 | ≥ 200 | yes |")
    assert lines[3].endswith("| – | ≥ 0.3 | ≥ 0.6 | not run here |")
    assert lines[2].endswith("| – | ≤ 1.3 | ≤ 1 | failed |")


def test_run_names_the_error_of_a_script_that_fails(everything: ModuleType, tmp_path: Path) -> None:
    """A script that ends with an error leaves what it printed and its last line, and no figures."""
    (tmp_path / "wrong.py").write_text(SCRIPT.replace("== []", "== [1]"))
    assert everything.alone(tmp_path / "wrong.py") == ("one line\nfailed: AssertionError", None)


def test_the_readme_has_the_summary_of_the_results(everything: ModuleType) -> None:
    """The README's table is that of RESULTS.md, which has a section for each script."""
    results, readme = everything.RESULTS.read_text(), everything.README.read_text()
    table = [line for line in results.splitlines() if line.startswith("|")]
    assert everything.written(readme, table) == readme
    assert [line for line in results.splitlines() if line.startswith("## ")] == [
        f"## `python benchmarks/{name}.py`" for name in everything.SCRIPTS
    ]
    with pytest.raises(SystemExit, match="no place for the summary"):
        everything.written("# regression", table)
