"""Benchmarks run at a tiny size, and their correctness checks bite. Nothing here is timed."""

import math
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.benchmarks.scripts import load

TINY = ["--updates=150", "--repeats=1"]


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
        assert row.endswith(f" {updates.measure.shown(ratio)}")
    assert max(map(len, lines)) < 80


def test_updates_refuses_coefficients_that_are_off_by_more_than_rounding(updates: ModuleType) -> None:
    """A relative error of 2e-4 in one coefficient stops the benchmark, one of 5e-5 does not."""
    right = updates.bare_loop(50)
    updates.require_same("ours", right * torch.tensor([1, 1, 1, 1, 1 + 5e-5]), 50)
    with pytest.raises(SystemExit, match=r"^ours after 50 updates: .* bare loop: .*\]$"):
        updates.require_same("ours", right * torch.tensor([1, 1, 1, 1, 1 + 2e-4]), 50)


@pytest.mark.parametrize("contender", [pytest.param("default_lightning", marks=pytest.mark.slow), "updates_alone"])
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
    raw, mapped, chebyshev, own, gain = load("convergence").main([]).values()
    assert raw > 3_000_000
    assert 4000 < mapped < 5000
    assert chebyshev <= 120
    assert own <= 12
    assert gain == raw / own
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
def batches() -> ModuleType:
    return load("batches")


def test_batches_prints_a_line_for_each_contender(batches: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Each contender has a line with its rows per second and both ratios."""
    found = batches.main(["--rows=9000", "--epochs=1", "--repeats=1"])
    assert list(found) == list(batches.CONTENDERS)
    assert found[batches.BARE]["bare"] == found[batches.LIGHTNING]["lightning"] == 1
    assert all(row["rate"] > 0 for row in found.values())
    assert [line[:23].strip() for line in capsys.readouterr().out.splitlines()[3:]] == list(found)


@pytest.mark.parametrize("name", [pytest.param("default_lightning", marks=pytest.mark.slow), "command"])
def test_batches_times_nothing_when_a_contender_skips_an_epoch(
    batches: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contender that makes one epoch too few ends the benchmark before its table."""
    honest = getattr(batches, name)
    monkeypatch.setattr(batches, name, lambda rows, epochs, *rest: honest(rows, epochs - 1, *rest))
    with pytest.raises(SystemExit, match="after two epochs"):
        batches.main(["--rows=9000", "--epochs=1", "--repeats=1"])
    assert capsys.readouterr().out == ""
