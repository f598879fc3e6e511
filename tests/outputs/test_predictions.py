"""Predictions for a table: every row once, in order, with bands, from a checkpoint or a fit.json alone."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import torch
from pyarrow import parquet

import regression
from regression import UsageError
from regression.outputs.predictions import PredictionFile
from tests.support.command import ROOT, Command, Run, config, run_process

COLUMNS = ["x", "mean", "mean_se", "mean_ci_lower", "mean_ci_upper", "obs_ci_lower", "obs_ci_upper", "extrapolated"]
NORRIS = str(ROOT / "tests" / "certified" / "Norris.csv")


def fitted(command: Command, *options: str) -> Run:
    done = command("fit", "-c", config("own_file"), "--data.path", NORRIS, *options)
    assert (done.code, done.err) == (0, "")
    return done


def table(run: Run, name: str = "predictions.csv") -> pd.DataFrame:
    assert (run.code, run.err) == (0, "")
    assert run.folder is not None
    return pd.read_csv(run.folder / name)


def test_predictions_are_those_of_statsmodels(command: Command) -> None:
    """For new x, mean and both bands are statsmodels', and rows outside the fitted range are reported."""
    path = fitted(command).checkpoint
    new = np.array([500.0, -300, 0.25, 1200])
    Path("new.csv").write_text("when;x\n" + "".join(f"noon;{x}\n" for x in new))
    done = command("predict", "--ckpt_path", path, "--data.path", "new.csv", "--model.level", "0.9")
    ours = table(done)
    assert list(ours.columns) == COLUMNS
    assert ours["x"].tolist() == new.tolist()
    points = pd.read_csv(NORRIS)
    frame = (
        sm.OLS(points["y"], sm.add_constant(points["x"])).fit().get_prediction(sm.add_constant(new)).summary_frame(0.1)
    )
    for name in COLUMNS[1:-1]:
        np.testing.assert_allclose(ours[name], frame[name], rtol=1e-9)
    assert ours["extrapolated"].tolist() == [False, True, False, True]
    assert "4 predictions in lightning_logs/version_1/predictions.csv" in done.out
    assert "2 of 4 points outside the fitted range 0.2 to 999, the farthest by 300" in done.out
    assert done.out.count("\n") == 2


def test_notes_of_a_fit_are_printed_with_its_predictions(command: Command) -> None:
    """With the predictions of a descent that has not converged its note is printed."""
    path = command("fit", "-c", config("line")).checkpoint
    assert "note: not converged: 0.74 standard errors from the optimum" in command("predict", "--ckpt_path", path).out
    exact = command("fit", "-c", config("line_exact")).checkpoint
    assert "note" not in command("predict", "--ckpt_path", exact).out


def test_fit_json_predicts_what_the_checkpoint_does(command: Command, tmp_path: Path) -> None:
    """``fit.json`` alone, moved elsewhere, gives the file that the checkpoint gives, to the byte."""
    done = fitted(command)
    assert done.folder is not None
    (tmp_path / "kept.json").write_bytes((done.folder / "fit.json").read_bytes())
    files = []
    for path in (done.checkpoint, "kept.json"):
        run = command("predict", "--ckpt_path", path)
        assert (run.code, run.err) == (0, "")
        assert run.folder is not None
        files.append((run.folder / "predictions.csv").read_bytes())
    assert files[0] == files[1]
    refused = command("test", "--ckpt_path", "kept.json")
    assert (refused.code, refused.folder) == (2, None)
    assert "test needs a checkpoint, such as the run's last.ckpt, got kept.json" in refused.err


def test_parquet_predictions_are_the_same_numbers(command: Command) -> None:
    """A file name ending in .parquet gives the same columns as the CSV file, to the bit."""
    path = fitted(command).checkpoint
    text = table(command("predict", "--ckpt_path", path))
    done = command("predict", "--ckpt_path", path, "--predictions.file", "p.parquet", "--data.batch_size", "7")
    assert done.folder is not None
    pd.testing.assert_frame_equal(parquet.read_table(done.folder / "p.parquet").to_pandas(), text, check_exact=True)


@pytest.mark.parametrize("file", ["p.txt", "a/b.csv", "../p.csv", ""])
def test_predictions_go_into_the_runs_folder(file: str) -> None:
    """A name with a folder in it, or with another ending, is refused."""
    with pytest.raises(UsageError, match=r"file name ending in \.csv or \.parquet"):
        PredictionFile(file)


def test_two_devices_predict_in_order(command: Command, tmp_path: Path) -> None:
    """Two processes write each row once, in the order of a streamed file, as one process does."""
    path = fitted(command).checkpoint
    x = torch.randn(1001, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    np.save("many.npy", x)
    options = ("predict", "--ckpt_path", path, "--data.path", "many.npy", "--data.in_memory_rows", "0",
               "--data.batch_size", "100", "--trainer.accelerator", "cpu")  # fmt: skip
    one, two = table(command(*options)), table(run_process(tmp_path, *options, "--trainer.devices", "2"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert one["x"].tolist() == x.tolist()


def test_unknown_bands_are_empty_cells(command: Command) -> None:
    """Two points leave no degrees of freedom for errors: the bands are empty, not zero."""
    Path("two.csv").write_text("x,y\n1,2\n3,4\n")
    done = command("fit", "-c", config("own_file"), "--data.path", "two.csv")
    predicted = table(command("predict", "--ckpt_path", done.checkpoint))
    assert predicted["mean"].tolist() == pytest.approx([2, 4])
    assert predicted[COLUMNS[2:-1]].isna().all().all()


@pytest.mark.parametrize("batch_size", ["1", "9"])
def test_rows_beyond_float64_are_a_warning(command: Command, batch_size: str) -> None:
    """If the line or a band is beyond float64's range, its cells are empty, the others right, and a warning says so."""
    done = fitted(command)
    x = [1e200, 5e307, 1.0, -1e308, 1.797e308]
    Path("far.csv").write_text("x\n" + "".join(f"{value}\n" for value in x))
    with pytest.warns(UserWarning, match=r"range in 1 of 5 rows \(first: row 5, x = 1.797e\+308\): those"):
        done = command("predict", "--ckpt_path", done.checkpoint, "--data.path", "far.csv",
                       "--data.batch_size", batch_size)  # fmt: skip
    ours = table(done)
    intercept, slope = map(Fraction, fitted(command).fit["params"])
    right = [float(intercept + slope * Fraction(value)) for value in x[:4]]
    assert ours["mean"].tolist()[:4] == pytest.approx(right, rel=1e-13)
    error = fitted(command).fit["bse"][1]
    assert ours["mean_se"][0] == pytest.approx(error * 1e200, rel=1e-9)
    assert ours.iloc[4, 1:-1].isna().tolist() == [True, False, True, True, True, True]


def test_a_curve_beyond_float64_is_unknown_not_infinite() -> None:
    """At x = 1e200 a polynomial of degree 9 and its bands are NaN, and none of them infinite."""
    x = np.linspace(0, 1, 30)
    fit = regression.fit(x, np.sin(9 * x), degree=9)
    numbers = torch.stack(fit.predict([0.5, 1e200, -1e200, 1e308])[:-1])
    assert numbers.isfinite().all(dim=0).tolist() == [True, False, False, False]
    assert numbers[:, 1:].isnan().all()


def test_one_row_is_named_in_the_singular(command: Command) -> None:
    """One prediction, and one point outside, are printed in the singular."""
    path = fitted(command).checkpoint
    Path("one.csv").write_text("x\n-5\n")
    done = command("predict", "--ckpt_path", path, "--data.path", "one.csv")
    assert done.out.startswith("1 prediction in ")
    assert "1 of 1 point outside the fitted range" in done.out


def test_new_points_need_their_sigma_for_the_prediction_band(command: Command) -> None:
    """With a weighted fit, each row's prediction band is that of its own sigma."""
    random = np.random.default_rng(1)
    x, sigma = random.uniform(0, 5, 30), random.uniform(0.5, 2, 30)
    points = pd.DataFrame({"x": x, "y": 1 + x + sigma * random.normal(size=30), "s": sigma})
    points.to_csv("points.csv", index=False)
    done = command("fit", "-c", config("own_file"), "--data.path", "points.csv", "--data.sigma", "s")
    ours = table(command("predict", "--ckpt_path", done.checkpoint))
    right = sm.WLS(points["y"], sm.add_constant(points["x"]), weights=sigma**-2).fit()
    frame = right.get_prediction(weights=sigma**-2).summary_frame(0.05)
    np.testing.assert_allclose(ours["obs_ci_upper"], frame["obs_ci_upper"], rtol=1e-9)
    without = command("predict", "--ckpt_path", done.checkpoint, "--data.sigma", "null")
    assert table(without)["obs_ci_upper"].isna().all()
    assert "note: the cells of obs_ci are empty: new observations of a weighted fit scatter by their own" in without.out
    robust = command("fit", "-c", config("own_file"), "--data.path", "points.csv", "--model.robust", "huber")
    said = command("predict", "--ckpt_path", robust.checkpoint).out
    assert "note: the cells of obs_ci are empty: an M-estimate has no scatter for new observations" in said
    fit = regression.load(str(done.folder))
    assert "the band of new observations (obs_ci) is unknown: of a weighted fit" in repr(fit.predict([1.0, 2.0]))
    assert fit.predict(1.0, sigma=0.5).notes == regression.fit([1.0, 2, 3], [1.0, 2, 4]).predict(1.0).notes == ()


def test_a_refused_file_leaves_no_predictions(command: Command) -> None:
    """A number that is missing late in a streamed file ends the prediction with its row, and no partial file stays."""
    path = fitted(command).checkpoint
    x = np.ones(300)
    x[250] = np.nan
    np.save("late.npy", x)
    done = command("predict", "--ckpt_path", path, "--data.path", "late.npy", "--data.in_memory_rows", "0",
                   "--data.batch_size", "100")  # fmt: skip
    assert (done.code, done.folder) == (2, None)
    assert "late.npy: column 'x' must be finite, got a missing number in data row 251" in done.err
