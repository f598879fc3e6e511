"""Rows with their diagnostics, and the tests of their residuals: a run gives the numbers of Python, on any devices."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from pyarrow import parquet

import regression
from regression.common.points import Points
from regression.data.batches import GlobalBatches
from regression.data.rows import MemoryRows
from regression.estimation.residual_tests import ResidualTests
from regression.outputs.residual_file import COLUMNS, ResidualFile, write_rows
from tests.fits.test_result import drawn
from tests.support.command import Command, Run, config, run_process
from tests.support.r_data import CARS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")  # advice for other models

PRESS, WATSON, KOENKER, LACK = 12320.270797635858, 1.6762253234350972, 3.2148799271746502, 1.2369499182598473

QUIET: dict[str, Any] = {"max_epochs": 1, "enable_checkpointing": False, "enable_progress_bar": False,
                         "enable_model_summary": False, "accelerator": "cpu"}  # fmt: skip


def write_cars(path: Path, order: slice = slice(None)) -> None:
    pd.DataFrame({"x": CARS[0], "y": CARS[1]})[order].to_csv(path, index=False)


def folder(run: Run) -> Path:
    assert (run.code, run.err) == (0, "")
    assert run.folder is not None
    return run.folder


def test_rows_of_a_run_are_those_of_python(command: Command) -> None:
    """``residuals.csv`` has the columns and bits of ``Fit.diagnostics``, and the report has R's tests."""
    write_cars(Path("cars.csv"))
    done = command("fit", "cars.csv", "--residuals.file", "residuals.csv", "--report.full", "true")
    found = pd.read_csv(folder(done) / "residuals.csv")
    rows = regression.load(folder(done)).diagnostics(*CARS)
    assert list(found.columns) == list(COLUMNS)
    for name in COLUMNS:
        assert found[name].tolist() == getattr(rows, name).tolist()
    tests = done.fit["residual_tests"]
    assert tests == regression.Fit.from_json(folder(done) / "fit.json").residual_tests
    assert tests == ResidualTests.to_dict(rows) | {"notes": []} | {
        name: {**tests[name], "df": list(getattr(rows, name).df)} for name in ("breusch_pagan", "lack_of_fit")
    }
    assert (tests["press"], tests["loo"], tests["durbin_watson"]) == pytest.approx(
        (PRESS, PRESS / 50, WATSON), rel=1e-9
    )
    statistics = [tests[name]["statistic"] for name in ("breusch_pagan", "lack_of_fit")]
    assert statistics == pytest.approx([KOENKER, LACK], rel=1e-9)
    for line in (
        "F 89.5671 with 1 and 48 degrees of freedom, p 1.5e-12, adjusted R² 0.64381, log likelihood -206.578",
        "PRESS 12320.3, mean square left out 246.405, Durbin–Watson 1.67623",
        "equal scatter (Koenker): χ² 3.21488 with 1 degree of freedom, p 0.073",
        "lack of fit: F 1.23695 with 17 and 31 degrees of freedom, p 0.29",
    ):
        assert line in done.out.splitlines()
        assert line in (folder(done) / "fit.txt").read_text().splitlines()


@pytest.mark.parametrize("devices", ["3", pytest.param("2", marks=pytest.mark.slow)])
def test_devices_write_the_same_file(command: Command, tmp_path: Path, devices: str) -> None:
    """Two and three processes write the bytes of one; Durbin–Watson includes the differences between their parts."""
    write_cars(tmp_path / "cars.csv")
    options = ("fit", "cars.csv", "--degree", "2", "--residuals.file", "rows.csv", "--report.full", "true")
    one, more = command(*options), run_process(tmp_path, *options, "--trainer.devices", devices)
    assert (folder(one) / "rows.csv").read_bytes() == (folder(more) / "rows.csv").read_bytes()
    assert one.fit["residual_tests"] == more.fit["residual_tests"]


def module_of(x: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> regression.PolynomialRegression:
    module = regression.PolynomialRegression(2, solver="exact")
    data = regression.ArrayDataModule(x, y, sigma)
    pl.Trainer(logger=False, **QUIET).fit(module, data)
    return module


def test_neither_parts_nor_order_change_a_bit(tmp_path: Path) -> None:
    """Rows in batches of 7, or in another order, have the same tests; only Durbin–Watson depends on the order."""
    x, y, sigma = drawn()
    x = np.round(x, 1)
    module = module_of(x, y, sigma)
    fit = module.required_result()

    def tests(order: np.ndarray, size: int | None) -> dict[str, object]:
        rows = MemoryRows(Points(*(torch.from_numpy(column[order].copy()) for column in (x, y, sigma))))
        return write_rows(tmp_path / "rows.csv", fit, module, GlobalBatches(rows, size), True)

    whole = tests(np.arange(len(x)), None)
    text = (tmp_path / "rows.csv").read_bytes()
    assert whole["lack_of_fit"] is not None
    assert tests(np.arange(len(x)), 7) == whole
    assert (tmp_path / "rows.csv").read_bytes() == text
    other = tests(np.random.default_rng(3).permutation(len(x)), 5)
    assert other.pop("durbin_watson") != whole.pop("durbin_watson")
    assert other == whole
    own = ResidualTests.to_dict(fit.diagnostics(x, y, sigma))
    assert whole == {name: value for name, value in own.items() if name != "durbin_watson"}


def test_what_is_unknown_is_empty(command: Command) -> None:
    """Without errors the cells from leverage on are null, there are no tests, and the report gives the reason."""
    Path("two.csv").write_text("x,y\n1,2\n2,3\n")
    done = command("fit", "two.csv", "--residuals.file", "rows.parquet", "--report.full", "true")
    table = parquet.read_table(folder(done) / "rows.parquet").to_pydict()
    assert table["fitted"] == [2.0, 3.0]
    assert [table[name] for name in COLUMNS[4:]] == [[None, None]] * 5
    assert "residuals are not tested: that needs errors by residual σ, which are unknown or 0" in done.out
    assert done.fit["residual_tests"]["press"] is None


def test_held_out_rows_are_not_written(command: Command) -> None:
    """The rows are the fitted ones, in the order of the file, also with gradient descent."""
    done = command("fit", "-c", config("line"), "--data.points", "40", "--data.validation_fraction", "0.25",
                   "--data.batch_size", "7", "--residuals.file", "rows.csv")  # fmt: skip
    found = pd.read_csv(folder(done) / "rows.csv")
    assert len(found) == done.fit["nobs"] == 30
    assert found["x"].is_monotonic_increasing
    assert (found["residual"] ** 2).sum() == pytest.approx(done.fit["ssr"], rel=1e-6)
    assert done.fit["residual_tests"] is not None


def test_a_pass_is_made_only_where_it_is_needed(command: Command) -> None:
    """Without a file or a full report the rows are not read again, and ``fit.json`` has null."""
    done = command("fit", "-c", config("line_exact"))
    assert done.fit["residual_tests"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--residuals.file", "rows.txt"],
            "residuals.file must be a file name ending in .csv or .parquet, got rows.txt",
        ),
        (["--residuals.file", "a.csv", "--trainer.logger", "false"], "residuals.file needs a folder"),
    ],
)
def test_wrong_files_are_refused(command: Command, options: list[str], said: str) -> None:
    """A file name without the ending of a table, or a run without a folder, costs one line and status 2."""
    done = command("fit", "-c", config("line_exact"), *options)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err


def test_series_have_no_file_of_residuals(command: Command) -> None:
    """With series the file is refused."""
    Path("s.csv").write_text("x,y,s\n1,2,1\n2,3,1\n3,5,1\n")
    done = command("fit", "s.csv", "--x", "x", "--y", "y", "--series", "s", "--residuals.file", "r.csv")
    assert done.code == 2
    assert "a fit of series has no file of residuals: leave --residuals.file r.csv out" in done.err


def test_a_run_that_left_rows_out_has_no_rows(command: Command) -> None:
    """With rows left out by the Trainer there is no file, and a warning."""
    with pytest.warns(UserWarning, match=r"no rows\.csv and no tests of residuals: the run left rows out"):
        done = command("fit", "-c", config("line_exact"), "--data.batch_size", "4", "--residuals.file", "rows.csv",
                       "--trainer.limit_train_batches", "1")  # fmt: skip
    assert done.folder is not None
    assert not (done.folder / "rows.csv").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """In a user's own Trainer the file is not written over an older one."""
    (tmp_path / "rows.csv").write_text("mine")
    logger = TensorBoardLogger(tmp_path, name="", version="")
    trainer = pl.Trainer(logger=logger, callbacks=[ResidualFile("rows.csv")], **QUIET)
    with pytest.raises(regression.UsageError, match=r"rows\.csv is there: give another name"):
        trainer.fit(regression.LineRegression(solver="exact"), regression.ArrayDataModule([1, 2, 3], [1, 2, 4]))
