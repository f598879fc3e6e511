"""M-estimates, robust standard errors and errors in x, through the command and the Trainer."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from matplotlib.collections import LineCollection

import regression
from regression.curves.polynomial import Polynomial
from regression.data.batches import Shares
from regression.data.rows import table_rows
from regression.data.table import Table
from regression.fits.build import FitOptions
from regression.fits.estimator import Estimator
from regression.fits.least_squares import LeastSquares
from regression.moments.passes import Passes
from regression.moments.scan import Range
from tests.fits.test_m_estimate import R_RLM
from tests.fits.test_result import drawn
from tests.fits.test_sandwich import R_ERRORS
from tests.support.command import Command, run_process
from tests.support.preloaded import python
from tests.support.r_data import DATA, PEARSON_YORK, STACKLOSS

X, Y, WX, WY = PEARSON_YORK
KINDS: list[tuple[list[str], dict[str, Any]]] = [
    (["--model.robust", "huber"], {"robust": "huber"}),
    (["--model.robust", "bisquare"], {"robust": "bisquare"}),
    (["--model.cov_type", "HC1"], {"cov_type": "HC1"}),
    (["--model.cov_type", "HC3"], {"cov_type": "HC3"}),
    (["--model.cov_type", "HAC", "--model.maxlags", "70"], {"cov_type": "HAC", "maxlags": 70}),
]
NUMBERS = ("params", "bse", "cov_params", "scale", "ssr", "sigma", "curve", "notes", "robust", "cov_type",
           "errors_in_x")  # fmt: skip


def write_csv(path: Path, **columns: Any) -> str:
    rows = zip(*(map(repr, np.asarray(values).tolist()) for values in columns.values()), strict=True)
    path.write_text("\n".join([",".join(columns), *map(",".join, rows)]) + "\n")
    return str(path)


def write_parquet(path: Path, **columns: Any) -> str:
    pq.write_table(pa.table({name: np.asarray(values) for name, values in columns.items()}), path, row_group_size=100)
    return str(path)


def numbers(fit: dict[str, Any]) -> dict[str, Any]:
    return {name: fit[name] for name in NUMBERS}


@pytest.mark.parametrize(("kind", "params", "errors", "scale"), R_RLM)
def test_the_command_has_the_m_estimates_of_rlm(
    tmp_path: Path, command: Command, kind: str, params: list[float], errors: list[float], scale: float
) -> None:
    """``--model.robust`` gives the numbers of R's ``rlm``, and a checkpoint and ``fit.json`` keep them."""
    table = write_csv(tmp_path / "stackloss.csv", x=STACKLOSS[0], y=STACKLOSS[1])
    run = command("fit", table, "--model.robust", kind)
    assert (run.code, run.err) == (0, "")
    np.testing.assert_allclose(run.fit["params"], params, rtol=1e-9)
    np.testing.assert_allclose(run.fit["bse"], errors, rtol=1e-9)
    assert (run.fit["robust"], run.fit["scale"]) == (kind, pytest.approx(scale, rel=1e-9))
    assert f"LineRegression, degree 1, M-estimate ({kind})" in run.out
    assert "note: 2 points count for less than half: (70, 15) by 0" in run.out
    assert numbers(run.fit) == numbers(json.loads(regression.fit(*STACKLOSS, robust=kind).to_json()))  # type: ignore[arg-type]
    loaded = regression.LineRegression.load_from_checkpoint(run.checkpoint, weights_only=True)
    assert loaded.result is not None
    assert numbers(json.loads(loaded.result.to_json())) == numbers(run.fit)
    done = command("predict", table, "--ckpt_path", run.checkpoint)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(("data", "degree", "cov_type", "right"), R_ERRORS)
def test_the_command_has_the_errors_of_r(
    tmp_path: Path, command: Command, data: str, degree: int, cov_type: str, right: list[float]
) -> None:
    """``--model.cov_type`` gives the digits of R's sandwich, named in report and ``fit.json``."""
    table = write_csv(tmp_path / "a.csv", x=DATA[data][0], y=DATA[data][1])
    run = command("fit", table, "--degree", str(degree), "--model.cov_type", cov_type, "--report.full", "true")
    assert (run.code, run.err) == (0, "")
    np.testing.assert_allclose(run.fit["bse"], right, rtol=1e-9)
    assert run.fit["cov_type"] == cov_type
    assert f"note: errors are those of {cov_type}" in run.out
    own = regression.fit(*DATA[data], degree, cov_type=cov_type)  # type: ignore[arg-type]
    assert numbers(run.fit) == numbers(json.loads(own.to_json()))
    assert run.fit["tvalues"] == own.tvalues.tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(("options", "given"), KINDS)
def test_a_streamed_table_gives_the_bits_of_arrays(
    tmp_path: Path, command: Command, options: list[str], given: dict[str, Any]
) -> None:
    """Rows that are read a block at a time, and held in memory, give the same bits, weighted or not."""
    rows = shared_rows()
    x, y, sigma, _ = rows.values()
    table = write_parquet(tmp_path / "a.parquet", **rows)
    run = command(
        "fit", table, "--x", "x", "--y", "y", "--sigma", "s", "--degree", "2", *options, "--data.in_memory_rows", "10"
    )
    assert (run.code, run.err) == (0, "")
    assert numbers(run.fit) == numbers(json.loads(regression.fit(x, y, 2, sigma, **given).to_json()))


def shared_rows() -> dict[str, Any]:
    x, y, sigma = drawn()
    y[[3, 17]] += [30, -50]
    x, y, sigma = (np.tile(column, 6) + 0.01 * np.arange(6 * len(column)) for column in (x, y, sigma))
    return {"x": x, "y": y, "s": sigma, "sx": 0.1 + sigma[::-1]}


def work(rank: int, processes: int, folder: str, expected: list[tuple[dict[str, Any], Any]]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet{processes}", rank=rank, world_size=processes)
    for options, right in expected:
        has_sigma_x = not options
        columns = ["x", "y", "s", *["sx"] * has_sigma_x]
        shares = Shares(table_rows(Table(f"{folder}/a.parquet", columns, 2), True, 10), None, rank, processes)

        def scan(do: Any, own: Shares = shares) -> None:
            for share in own:
                share.scan(do)

        squares, found = LeastSquares(Polynomial(1), estimator=Estimator(**options)), Range()
        scan(found.add)
        squares.begin(found.frame(), 0, has_sigma_x)
        scan(squares.add)
        squares.solve(Passes(scan, shares.pieces, torch.device("cpu")))
        assert numbers(json.loads(squares.fit(None, FitOptions("Polynomial")).to_json())) == right, options
    dist.destroy_process_group()


def test_processes_share_the_passes(tmp_path: Path) -> None:
    """Three processes, each with its part of the rows, give the bits of one."""
    rows = shared_rows()
    write_parquet(tmp_path / "a.parquet", **rows)
    x, y, sigma, sigma_x = rows.values()
    kinds = [*(given for _, given in KINDS), {}]
    fits = [regression.fit(x, y, sigma=sigma, sigma_x=None if given else sigma_x, **given) for given in kinds]
    expected = [(given, numbers(json.loads(fit.to_json()))) for given, fit in zip(kinds, fits, strict=True)]
    mp.set_executable(python())
    mp.spawn(work, args=(3, str(tmp_path), expected), nprocs=3, join=True)


def test_the_command_shares_the_passes(tmp_path: Path) -> None:
    """``--trainer.devices 2`` gives the bits of ``regression.fit``."""
    rows = shared_rows()
    table = write_parquet(tmp_path / "a.parquet", **rows)
    run = run_process(
        tmp_path, "fit", table, "--x", "x", "--y", "y", "--sigma", "s", "--sigma_x", "sx", "--data.in_memory_rows", "9",
        "--trainer.devices", "2", "--trainer.accelerator", "cpu",
    )  # fmt: skip
    assert (run.code, run.err) == (0, "")
    x, y, sigma, sigma_x = rows.values()
    assert numbers(run.fit) == numbers(json.loads(regression.fit(x, y, sigma=sigma, sigma_x=sigma_x).to_json()))


def test_the_command_has_the_lines_of_york_and_deming(tmp_path: Path, command: Command) -> None:
    """``--data.sigma_x`` gives York's line for Pearson's points, and Deming's where all errors are equal."""
    table = write_csv(tmp_path / "york.csv", x=X, y=Y, sx=1 / np.sqrt(WX), sy=1 / np.sqrt(WY), one=np.ones(10))
    columns = ("fit", table, "--x", "x", "--y", "y", "--model.absolute_sigma", "true")
    run = command(*columns, "--sigma", "sy", "--sigma_x", "sx")
    assert (run.code, run.err) == (0, "")
    np.testing.assert_allclose(run.fit["params"], [5.4799102240328654, -0.48053340744620199], rtol=1e-9)
    np.testing.assert_allclose(run.fit["bse"], [0.29497073549310859, 0.057985009000774447], rtol=1e-9)
    assert run.fit["chi2"] == pytest.approx(11.866353194061441, rel=1e-9)
    assert run.fit["errors_in_x"] is True
    assert "LineRegression, degree 1, line with errors in x and y (York)\n" in run.out
    assert "exact least squares" not in run.out
    assert "weighted by 1/(sigma² + slope² sigma_x²), covariance not scaled: sigma is absolute" in run.out
    checked = command("test", table, "--ckpt_path", run.checkpoint)
    assert (checked.code, checked.err) == (0, "")
    drawn_again = command("plot", "--ckpt_path", run.checkpoint, "--output", "again.svg")
    assert (drawn_again.code, drawn_again.err) == (0, "")
    deming = command(*columns, "--sigma", "one", "--sigma_x", "one").fit
    np.testing.assert_allclose(deming["params"], [5.784043774530085, -0.54556119752096477], rtol=1e-9)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's, of a fit without an optimizer
@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"robust": "huber"}, {"robust": "huber"}),
        ({"cov_type": "HAC"}, {"cov_type": "HAC"}),
        ({}, {"sigma_x": 0.2}),
    ],
)
def test_a_users_own_trainer_gives_the_same(tmp_path: Path, options: dict[str, Any], given: dict[str, Any]) -> None:
    """LineRegression with ArrayDataModule gives what ``regression.fit`` does."""
    x, y, sigma = drawn()
    module = regression.LineRegression(solver="exact", **options)
    data = regression.ArrayDataModule(x, y, sigma, sigma_x=given.get("sigma_x"))
    trainer = pl.Trainer(
        default_root_dir=tmp_path, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, max_epochs=1,
    )  # fmt: skip
    trainer.fit(module, data)
    assert module.result is not None
    own = regression.fit(x, y, sigma=sigma, **given)
    assert numbers(json.loads(module.result.to_json())) == numbers(json.loads(own.to_json()))
    assert module(module.model.coefficients.new_tensor([0.5])).item() == pytest.approx(float(own(0.5)), rel=1e-14)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model.robust", "tukey"], "robust"),
        (["--model.robust", "huber", "--model.solver", "gradient"], "robust huber needs --model.solver exact"),
        (["--model.robust", "huber", "--model.cov_type", "HC0"], "robust has a scale and errors of its own"),
        (["--model.robust", "huber", "--degree", "auto"], "robust has a scale and errors of its own"),
        (["--model.robust", "huber", "--series", "s"], "series are fitted by least squares: leave out robust"),
        (["--model.cov_type", "HC0", "--model.solver", "gradient"], "cov_type HC0 needs --model.solver exact"),
        (["--model.maxlags", "3"], "maxlags is for cov_type HAC, got nonrobust"),
        (["--model.cov_type", "HAC", "--model.maxlags", "99"], "maxlags must be"),
        (["--model.cov_type", "HAC", "--data.validation_fraction", "0.5"], "needs all rows in the order of time"),
        (
            ["--model.cov_type", "HAC", "--trainer.limit_train_batches", "1", "--data.batch_size", "2"],
            "needs all rows in the order of time",
        ),
        (["--model.cov_type", "HC3"], "cov_type HC3 is unknown: a point alone decides the curve there"),
        (["--data.sigma_x", "s"], "sigma_x needs the sigma of y"),
        (["--sigma", "s", "--data.sigma_x", "s", "--series", "g"], "sigma_x needs the sigma of y, and no series"),
        (["--sigma", "s", "--sigma_x", "s", "--degree", "2"], "sigma_x needs a line through at least 3 points"),
        (["--sigma", "s", "--sigma_x", "s", "--model.fit_intercept", "false"], "sigma_x needs a line"),
        (["--sigma", "s", "--sigma_x", "s", "--model.solver", "gradient"], "sigma_x needs --model.solver exact"),
        (["--sigma", "s", "--sigma_x", "s", "--model.robust", "huber"], "robust has a scale and errors of its own"),
        (["--sigma", "s", "--sigma_x", "s", "--model.cov_type", "HC0"], "sigma_x is for a line: leave out"),
        (["--sigma", "s", "--sigma_x", "y"], "'y' must be positive, got -3 in data row 4"),
    ],
)
def test_contradicting_options_are_refused(tmp_path: Path, command: Command, options: list[str], said: str) -> None:
    """The command refuses options that contradict these fits, in one line."""
    table = write_csv(tmp_path / "a.csv", x=[0.0, 0, 0, 0, 1], y=[1.0, 2, 3, -3, 3], s=[1.0, 2, 1, 1, 2])
    run = command("fit", table, "--x", "x", "--y", "y", *options)
    assert (run.code, run.err.count("\n")) == (2, 1), run.err
    assert said in run.err


def test_the_weights_of_an_m_estimate_are_written_with_its_rows(tmp_path: Path, command: Command) -> None:
    """``--residuals.file`` has the weight ψ(u) / u of each row, and ``Fit.diagnostics`` the same bits."""
    table = write_csv(tmp_path / "stackloss.csv", x=STACKLOSS[0], y=STACKLOSS[1])
    run = command("fit", table, "--model.robust", "huber", "--residuals.file", "r.csv", "--report.full", "true")
    assert (run.code, run.err) == (0, "")
    assert run.folder is not None
    rows = pd.read_csv(run.folder / "r.csv")
    assert list(rows.columns[3:6]) == ["residual", "robust_weight", "leverage"]
    size = np.abs(STACKLOSS[1] - run.fit["params"][0] - run.fit["params"][1] * STACKLOSS[0]) / run.fit["scale"]
    np.testing.assert_allclose(rows["robust_weight"], np.minimum(1, 1.345 / size), rtol=1e-12)
    assert rows["leverage"].isna().all()
    own = regression.fit(*STACKLOSS, robust="huber").diagnostics(*STACKLOSS)
    assert own.robust_weight.tolist() == rows["robust_weight"].tolist()
    assert regression.fit(*STACKLOSS).diagnostics(*STACKLOSS).robust_weight.tolist() == [1.0] * 21


@pytest.mark.figures
def test_a_line_with_errors_in_x_has_bars_across_and_no_leverages(tmp_path: Path, command: Command) -> None:
    """The figure has error bars along x and y and the method as its title; York's line has no leverages."""
    table = write_csv(tmp_path / "york.csv", x=X, y=Y, sx=1 / np.sqrt(WX), sy=1 / np.sqrt(WY))
    columns = ("--x", "x", "--y", "y", "--sigma", "sy", "--sigma_x", "sx", "--model.absolute_sigma", "true")
    run = command("fit", table, *columns, "--residuals.file", "r.csv", "--figure.file", "fit.svg")
    assert (run.code, run.err) == (0, "")
    assert run.folder is not None
    assert pd.read_csv(run.folder / "r.csv")["leverage"].isna().all()
    assert run.fit["residual_tests"]["press"] is None
    assert "line with errors in x and y (York)" in (run.folder / "fit.svg").read_text()
    fit = regression.fit(X, Y, sigma=1 / np.sqrt(WY), sigma_x=1 / np.sqrt(WX), absolute_sigma=True)
    drawn_axes = fit.plot(X, Y, 1 / np.sqrt(WY), sigma_x=1 / np.sqrt(WX), residuals=False).axes[0]
    bars = [c for c in drawn_axes.collections if isinstance(c, LineCollection)]
    lengths = [np.array([np.ptp(segment, axis=0) for segment in c.get_segments()]) for c in bars]
    order = np.argsort(X)
    np.testing.assert_allclose(lengths[0], np.stack([np.zeros(10), 2 / np.sqrt(WY)[order]], axis=1), atol=1e-12)
    np.testing.assert_allclose(lengths[1], np.stack([2 / np.sqrt(WX)[order], np.zeros(10)], axis=1), atol=1e-12)
    with pytest.raises(regression.UsageError, match="diagnostics need a fit to x without errors, got one with sigma_x"):
        fit.diagnostics(X, Y, 1 / np.sqrt(WY))


@pytest.mark.parametrize("options", [["--model.cov_type", "HC1"], ["--model.robust", "huber"]])
def test_no_picture_is_lost_where_there_are_no_diagnostics(
    tmp_path: Path, command: Command, options: list[str]
) -> None:
    """``--figure.diagnostics`` warns where errors do not go by residual σ, and ``fit.png`` is drawn."""
    table = write_csv(tmp_path / "stackloss.csv", x=STACKLOSS[0], y=STACKLOSS[1])
    with pytest.warns(UserWarning, match="there are no diagnostics: errors are those of"):
        run = command("fit", table, *options, "--figure.diagnostics", "true")
    assert run.code == 0
    assert run.folder is not None
    assert (run.folder / "fit.png").exists()
