"""Benchmarks of whole processes and of devices run at a tiny size, and their correctness checks bite."""

import math
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pyarrow import parquet

import regression
from tests.benchmarks.scripts import load


@pytest.fixture
def processes() -> ModuleType:
    return load("processes")


@pytest.mark.slow
def test_processes_prints_a_line_for_each_case(processes: ModuleType) -> None:
    """Each case has its ratio of the whole command; one process has ratio 1."""
    found = processes.main(["--rows=40000", "--epochs=1", "--batch=70000", "--repeats=1"])
    assert len(found) == 6
    assert found["exact, 1 process"]["whole"] == found["mini-batches, 1 process"]["whole"] == 1
    assert found["16 processes"]["decoded"] == 16  # of a single row group


@pytest.mark.parametrize(("case", "error"), [("exact, 2 processes", 1e-15), ("mini-batches, 2 processes", 1e-5)])
def test_processes_check_bites(processes: ModuleType, case: str, error: float) -> None:
    """Another last digit of the exact fit, or a wrong gradient, stops the benchmark."""
    solvers, counts = ("exact", "mini-batches"), ("1 process", "2 processes")
    found = {f"{solver}, {count}": [0.5, 1.0] for solver in solvers for count in counts}
    processes.check(found)
    with pytest.raises(SystemExit, match=r"^two processes"):
        processes.check(found | {case: [0.5 + error, 1.0]})


def test_processes_takes_the_start_off(processes: ModuleType) -> None:
    """Two processes that start in 6 s and not 4 and take half as long per row pay from where both lines meet."""
    one = {"whole": [4 + 4e-8 * 1e8], "row": [4e-8], "start": [4.0]}
    two = {"whole": [6 + 2e-8 * 1e8], "row": [2e-8], "start": [6.0]}
    table = processes.compare({"exact, 1 process": one, "exact, 2 processes": two})
    assert table["exact, 2 processes"] == pytest.approx({"rate": 5e7, "ratio": 2, "whole": 1, "pays from": 1e8})
    slow = processes.compare({"exact, 1 process": one, "exact, 2 processes": two | {"row": [-1e-9]}})
    assert slow["exact, 2 processes"]["rate"] is slow["exact, 2 processes"]["ratio"] is None


@pytest.fixture
def start() -> ModuleType:
    return load("start")


@pytest.mark.slow
def test_start_compares_each_with_an_import(start: ModuleType) -> None:
    """All commands have their seconds, and each import has ratio 1."""
    found = start.main(["--repeats=1"])
    assert found[start.LIGHTNING]["clock ratio"] == found[start.TORCH]["processor ratio"] == 1
    assert all(row["clock"] > 0 for row in found.values())


def test_start_compares_with_the_right_import(start: ModuleType) -> None:
    """A run is compared with Lightning's import, and a fit in Python with torch's."""
    seconds = dict(zip(start.COMMANDS, (4.0, 5.0, 1.0, 3.0), strict=True))
    table = start.compare({name: [start.Seconds(value, 2 * value)] for name, value in seconds.items()})
    assert table[start.RUN] == {"clock": 5, "clock ratio": 1.25, "processor": 10, "processor ratio": 1.25}
    assert table[start.PYTHON]["clock ratio"] == 3


def test_start_check_bites(start: ModuleType) -> None:
    """A run that makes nine updates, or a fit that says nothing, stops the benchmark."""
    start.require_whole(start.RUN, "10 updates by SGD\nfiles in x")
    start.require_whole(start.PYTHON, "2 coefficients")
    with pytest.raises(SystemExit, match="did not say '10 updates'"):
        start.require_whole(start.RUN, "9 updates by SGD\nfiles in x")
    with pytest.raises(SystemExit, match="did not say '2 coefficients'"):
        start.require_whole(start.PYTHON, "")


@pytest.fixture
def stream() -> ModuleType:
    return load("stream")


@pytest.mark.slow
def test_stream_prints_a_line_for_each_file(stream: ModuleType) -> None:
    """Each file has its memory, and the growth is that of the kind that grows most."""
    found = stream.main(["--rows", "2000", "4000", "--kinds=parquet"])
    assert found["growth"] == found["parquet 4000"] / found["parquet 2000"]


def test_stream_check_bites(stream: ModuleType) -> None:
    """A lost row, or a coefficient that is 1e-8 off, stops the benchmark."""
    right = [2.0, -0.5, 0.0]
    stream.require_right("a file", 10, {"nobs": 10, "params": right}, right)
    with pytest.raises(SystemExit, match="a file: 9 rows were fitted, expected 10"):
        stream.require_right("a file", 10, {"nobs": 9, "params": right}, right)
    with pytest.raises(SystemExit, match="a file found the coefficients"):
        stream.require_right("a file", 10, {"nobs": 10, "params": [2.0, -0.5, 1e-8]}, right)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "npy"])
def test_stream_reads_all_numbers_for_comparison(stream: ModuleType, kind: str, tmp_path: Path) -> None:
    """The plain read goes over every number of the file."""
    stream.measure.write(tmp_path / f"points.{kind}", 3000)
    ((x, y),) = stream.measure.pieces(3000, 3000)
    total = sum(float(part.sum()) for part in stream.parts(tmp_path / f"points.{kind}"))
    assert total == pytest.approx(float(x.sum() + y.sum()))


@pytest.fixture
def device() -> ModuleType:
    return load("device")


def test_device_measures_what_device_it_is_given(device: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Both types have their share of a copy's bandwidth."""
    found = device.main(["--device=cpu", "--rows=3000", "--repeats=1"])
    assert list(found) == ["float32", "float64"]
    assert all(row["copy"] == 1 and row["fit"] > 0 for row in found.values())
    assert len(capsys.readouterr().out.splitlines()) == 6


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_device_says_where_there_is_no_gpu(device: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a GPU nothing is measured, in one line."""
    assert device.main([]) == {}
    assert capsys.readouterr().out == "not measured: no GPU on this machine\n"


def test_device_check_bites(device: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose fit is not that of the CPU is refused."""
    honest, calls = regression.fit, iter(range(100))

    def fit(x: torch.Tensor, y: torch.Tensor, *args: Any, **options: Any) -> regression.Fit:
        return honest(x, y * (1 + 1e-6) if next(calls) == 0 else y, *args, **options)

    monkeypatch.setattr(regression, "fit", fit)
    with pytest.raises(SystemExit, match=r"^the fit on the device is not the CPU's"):
        device.main(["--device=cpu", "--rows=3000", "--repeats=1"])


@pytest.fixture
def engines() -> ModuleType:
    return load("engines")


@pytest.mark.slow
def test_engines_prints_a_line_for_each_contender(engines: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a row, with numbers where it is installed; ours has errors, bands and the same bits in any order."""
    found = engines.main(["--rows=30000", "--repeats=1"])
    assert list(found) == list(engines.CONTENDERS)
    assert [line[:21].strip() for line in capsys.readouterr().out.splitlines()[3:]] == list(found)
    ours = found[engines.OURS]
    assert [ours[key] for key in ("errors", "bands", "bits", "goes on")] == ["yes", "yes", "same", "descent"]
    assert ours["our speed"] == ours["our memory"] == 1
    is_there = {engines.SPARK: find_spec("pyspark") and shutil.which("java"), engines.DASK: find_spec("dask")}
    for name, there in is_there.items():
        assert (found[name]["range"] == "not installed") is not bool(there)


def test_engines_compares_each_with_ours(engines: ModuleType) -> None:
    """A peer that takes three times as long has our speed at 3; one that is not there has no number."""
    told = {"warm": 1.0, "has_errors": False, "has_same_bits": False}
    ours = {"whole": [4.0, 4.0], "peak": [500.0, 500.0], "told": [told | {"has_errors": True}] * 2}
    dask = {"whole": [12.0, 12.0], "peak": [1000.0, 1000.0], "told": [told] * 2}
    table = engines.compare({engines.OURS: ours, engines.DASK: dask})
    row = table[engines.DASK]
    assert (row["our speed"], row["our memory"], row["errors"], row["bits"]) == (3, 0.5, "no", "differ")
    assert table[engines.OURS]["errors"] == "yes"
    assert table[engines.SPARK]["range"] == "not installed"
    assert math.isnan(table[engines.SPARK]["whole"])


def test_engines_has_the_same_rows_backwards(engines: ModuleType, tmp_path: Path) -> None:
    """The file in the opposite order has the numbers of the other one, the last first."""
    files = [tmp_path / f"{name}.parquet" for name in ("few", "backwards")]
    engines.measure.write(files[0], 3000)
    engines.write_backwards(files[1], files[0])
    forth, back = (parquet.read_table(file).to_pydict() for file in files)
    assert {name: column[::-1] for name, column in back.items()} == forth


def test_engines_counts_the_memory_of_started_processes(engines: ModuleType, tmp_path: Path) -> None:
    """100 MiB in a process that the measured one starts are in its peak."""
    inner = "data = bytearray(100 * 2**20); data[::4096] = bytes([1]) * len(data[::4096]); import time; time.sleep(0.5)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}]); print('done')"
    found = engines.run("two processes", ["-c", outer], str(tmp_path))
    assert found.printed == "done\n"
    assert 100 < found.mib < 200
    assert found.seconds > 0.5
    with pytest.raises(SystemExit, match=r"^a process failed: wrong$"):
        engines.run("a process", ["-c", "import sys; sys.exit('wrong')"], str(tmp_path))
