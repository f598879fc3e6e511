"""Tables through the command: rows left out, held out or streamed give the fits that they should."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from regression import TableDataModule
from regression.data import table_module
from regression.data.table import Table
from tests.support.command import ROOT, Command, config, run_process

NORRIS = ROOT / "tests" / "certified" / "Norris.csv"


def fit(path: str, *options: str) -> tuple[str, ...]:
    return ("fit", "-c", config("own_file"), "--data.path", path, *options)


@pytest.fixture
def measured() -> pd.DataFrame:
    random = np.random.default_rng(3)
    x = random.uniform(-3, 8, 2003)
    return pd.DataFrame({"x": x, "y": 2 - x + 0.2 * x**2 + random.normal(size=len(x))})


def test_rows_left_out_are_counted_in_the_report(command: Command) -> None:
    """With ``nan_policy omit`` the fit is that of the complete rows, and report and JSON say how many are missing."""
    Path("gaps.csv").write_text(NORRIS.read_text().rstrip() + "\n,3\n7,NA\n1,inf\n")
    refused = command(*fit("gaps.csv"))
    assert (refused.code, refused.folder) == (2, None)
    assert "gaps.csv: column 'x' must be finite, got a missing number in data row 37, and 3 such rows" in refused.err
    done = command(*fit("gaps.csv", "--data.nan_policy", "omit"))
    assert (done.code, done.err) == (0, "")
    assert "note: 3 rows with a missing or infinite number were left out" in done.out
    whole = command(*fit(str(NORRIS))).fit
    assert done.fit["omitted"] == 3
    unlike = {"omitted": 0, "notes": [], "data": None, "source": None}
    assert {**done.fit, **unlike} == {**whole, "data": None, "source": None}


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ("raise", "parquet"),
        ("omit", "arrow"),
        ("omit", "npy"),
        pytest.param("omit", "parquet", marks=pytest.mark.slow),
        pytest.param("raise", "arrow", marks=pytest.mark.slow),
        pytest.param("raise", "npy", marks=pytest.mark.slow),
    ],
)
def test_a_streamed_fit_has_the_bits_of_one_in_memory(
    command: Command, measured: pd.DataFrame, kind: str, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamed in batches within blocks and over them, with rows left out or not, a fit is digit for digit the same."""
    tables: list[Table] = []

    def in_blocks(*args: Any, **options: Any) -> Table:
        tables.append(Table(*args, **options, block_rows=700))
        return tables[-1]

    monkeypatch.setattr(table_module, "Table", in_blocks)
    if policy == "omit":
        measured.loc[::100, "y"] = np.nan
    name = f"points.{kind}"
    if kind == "npy":
        np.save(name, measured.to_numpy())
    elif kind == "parquet":
        measured.to_parquet(name, row_group_size=300)
    else:
        measured.to_feather(name, chunksize=300)
    options = ("--model", "PolynomialRegression", "--model.degree", "3", "--model.solver", "exact",
               "--data.nan_policy", policy)  # fmt: skip
    whole = command(*fit(name, *options)).fit
    parts = command(*fit(name, *options, "--data.in_memory_rows", "0", "--data.batch_size", "250")).fit
    larger = command(*fit(name, *options, "--data.in_memory_rows", "0", "--data.batch_size", "850")).fit
    assert {**parts, "data": None} == {**larger, "data": None} == {**whole, "data": None}
    assert [len(table.cuts) > 3 for table in tables] == [True] * 3
    assert whole["omitted"] == (21 if policy == "omit" else 0)


def test_two_devices_share_a_streamed_file(command: Command, measured: pd.DataFrame, tmp_path: Path) -> None:
    """Two processes that stream a file, each its own rows, give the fit of one, with rows left out and held out."""
    measured.loc[5, "x"] = np.nan
    measured.to_parquet("points.parquet", row_group_size=300)
    options = fit("points.parquet", "--data.in_memory_rows", "0", "--data.batch_size", "300", "--trainer.accelerator",
                  "cpu", "--data.nan_policy", "omit", "--data.validation_fraction", "0.2")  # fmt: skip
    one, two = command(*options), run_process(tmp_path, *options, "--trainer.devices", "2")
    assert (two.code, two.err) == (0, "")
    assert two.fit == one.fit
    assert one.fit["nobs"] == 1602
    test = ("test", "--ckpt_path", one.checkpoint, "--trainer.accelerator", "cpu")
    alone, both = command(*test), run_process(tmp_path, *test, "--trainer.devices", "2")
    assert alone.out.splitlines() == both.out.splitlines()
    assert alone.out.startswith("400 points: test_loss ")


def test_shuffled_mini_batches_of_a_streamed_file(command: Command, measured: pd.DataFrame) -> None:
    """A gradient fit on shuffled batches of a streamed file comes near the optimum."""
    measured.to_parquet("points.parquet", row_group_size=300)
    done = command(*fit("points.parquet", "--model", "PolynomialRegression", "--model.degree", "2", "--model.solver",
                        "gradient", "--data.in_memory_rows", "0", "--data.batch_size", "100",
                        "--trainer.max_epochs", "10"))  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.fit["updates"] == 210
    right = np.polynomial.polynomial.polyfit(measured["x"], measured["y"], 2)
    assert done.fit["params"] == pytest.approx(right.tolist(), abs=0.2)


def test_a_held_out_file_is_measured(command: Command, measured: pd.DataFrame) -> None:
    """``test`` and ``validate`` on another file, and ``validation_path`` in a fit, measure that file alone."""
    measured[:1500].to_csv("train.csv", index=False)
    measured[1500:].to_csv("held.csv", index=False)
    done = command(*fit("train.csv", "--model", "PolynomialRegression", "--model.degree", "2", "--model.solver",
                        "exact", "--data.validation_path", "held.csv"))  # fmt: skip
    held = measured[1500:]
    residual = held["y"] - np.polynomial.polynomial.polyval(held["x"], done.fit["params"])
    assert done.fit["val_loss"] == pytest.approx((residual**2).mean(), rel=1e-6)
    for stage, key in (("validate", "val"), ("test", "test")):
        run = command(stage, "--ckpt_path", done.checkpoint, "--data.path", "held.csv")
        assert (run.code, run.err) == (0, "")
        (line, coverage) = run.out.splitlines()
        assert line.startswith("503 points: ")
        found = {name: float(value) for name, value in (pair.split() for pair in line[12:].split(", "))}
        right = {
            f"{key}_rsquared": 1 - (residual**2).sum() / ((held["y"] - held["y"].mean()) ** 2).sum(),
            f"{key}_rmse": np.sqrt((residual**2).mean()),
            f"{key}_mae": residual.abs().mean(),
        }
        assert {name: found[name] for name in right} == pytest.approx(right, rel=1e-6)
        assert 0.9 < found[f"{key}_coverage"] < 1
        assert coverage.endswith(" %) inside the 95 % prediction band")
        assert list(run.scalars(f"{key}_rmse").values()) == pytest.approx([right[f"{key}_rmse"]], rel=1e-5)


def test_a_sample_of_many_blocks_is_small(tmp_path: Path) -> None:
    """A figure of a streamed table shows a few thousand rows from its beginning to its end, and reads eight blocks."""
    np.save(tmp_path / "a.npy", np.stack([np.arange(9_500_000.0)] * 2, axis=1))
    data = TableDataModule(str(tmp_path / "a.npy"), in_memory_rows=0)
    data.setup("fit")
    x, y, sigma, *_ = data.training.sample(1000)
    assert 500 < len(x) <= 1000
    assert torch.equal(x, y)
    assert sigma is None
    assert x.min() == 0
    assert x.max() > 9_000_000
