"""``predict --inverse``: x from y, each with its interval, as Python gives them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

import regression
from tests.support.command import Command, Run, run_process
from tests.support.r_data import CARS

COLUMNS = ["row", "y", "x", "se", "ci_lower", "ci_upper", "kind", "extrapolated", "note"]
R_MEAN = (17.185165385900433, 16.064173887463284, 18.474922711541435)  # of cars at y = 50, by Fieller
R_OBSERVATION = (17.185165385900433, 9.1325092494824034, 25.406587349522315)


def checkpoint(command: Command, x: np.ndarray, y: np.ndarray, *options: str, **columns: np.ndarray) -> str:
    pd.DataFrame({"x": x, "y": y, **columns}).to_csv("points.csv", index=False)
    return command("fit", "points.csv", "--x", "x", "--y", "y", *options).checkpoint


def table(run: Run) -> pd.DataFrame:
    assert (run.code, run.err) == (0, "")
    assert run.folder is not None
    return pd.read_csv(run.folder / "predictions.csv")


@pytest.mark.parametrize(("options", "right"), [((), R_MEAN), (("--replicates", "1"), R_OBSERVATION)])
def test_intervals_are_those_of_r(command: Command, options: tuple[str, ...], right: tuple[float, ...]) -> None:
    """The x and Fieller's interval of a mean and of an observation have the digits of R, in the order of the file."""
    path = checkpoint(command, *CARS)
    Path("new.csv").write_text("stopped\n20\n50\n")
    done = command("predict", "new.csv", "--y", "stopped", "--ckpt_path", path, "--inverse", *options)
    found = table(done)
    assert list(found.columns) == COLUMNS
    assert found["y"].tolist() == [20, 50]
    assert found.loc[1, ["x", "ci_lower", "ci_upper"]].tolist() == pytest.approx(right, rel=1e-9)
    assert "2 x of 2 y in lightning_logs/version_1/predictions.csv" in done.out
    own = regression.fit(*CARS).inverse(20, int(options[1]) if options else None)[0]
    assert found.loc[0, "x":"ci_upper"].tolist() == [own.x, own.se, own.ci_lower, own.ci_upper]  # type: ignore[misc]


def test_several_x_and_none_are_noted(command: Command) -> None:
    """A y with two x has two rows, one without x an empty row, and a note gives the reason."""
    x = np.arange(-5.0, 6)
    path = checkpoint(command, x, x**2 + 0.1 * (-1) ** np.arange(11), "--degree", "2")
    Path("new.csv").write_text("y\n9\n-4\n")
    done = command("predict", "new.csv", "--ckpt_path", path, "--inverse", "--predictions.file", "x.parquet")
    assert done.folder is not None
    found = parquet.read_table(done.folder / "x.parquet").to_pylist()
    assert [row["row"] for row in found] == [1, 1, 2]
    assert [row["kind"] for row in found] == ["falling", "rising", None]
    assert found[0]["x"] == pytest.approx(-3, abs=0.02)
    assert [found[2][name] for name in COLUMNS[2:8]] == [None] * 6
    assert found[2]["note"] == "the curve does not come within its errors of y = -4 on the fitted range"
    assert "1 without an x, 1 with more than one: the column note says why" in done.out


def test_open_intervals_are_noted(command: Command) -> None:
    """If the slope may be 0, an end of the interval is infinite, and the note says so."""
    random = np.random.default_rng(5)
    x = np.arange(8.0)
    path = checkpoint(command, x, 0.05 * x + random.normal(0, 1, 8))
    Path("new.csv").write_text("y\n1\n")
    done = command("predict", "new.csv", "--ckpt_path", path, "--inverse", "--replicates", "1")
    found = table(done)
    assert np.isinf(found.loc[0, "ci_lower"]) or np.isinf(found.loc[0, "ci_upper"])
    assert "half-open" in found.loc[0, "note"] or "no x is ruled out" in found.loc[0, "note"]
    assert "1 with an interval that has no end: the column note says why" in done.out


def test_weighted_fits_take_the_sigma_of_observations(command: Command) -> None:
    """The sigma of each observation counts with ``--replicates``; without, its column is not needed."""
    random = np.random.default_rng(1)
    x, sigma = np.arange(10.0), random.uniform(0.5, 2, 10)
    y = 1 + 2 * x + sigma * random.normal(size=10)
    path = checkpoint(command, x, y, "--sigma", "s", s=sigma)
    fit = regression.load(Path(path).parents[1])
    Path("new.csv").write_text("y,s\n5,0.5\n7,2\n")
    found = table(command("predict", "new.csv", "--ckpt_path", path, "--inverse", "--replicates", "2"))
    for row, (value, scale) in enumerate([(5, 0.5), (7, 2.0)]):
        assert found.loc[row, "ci_lower"] == fit.inverse(value, 2, sigma=scale)[0].ci_lower
    Path("bare.csv").write_text("y\n5\n")
    bare = table(command("predict", "bare.csv", "--ckpt_path", path, "--inverse"))
    assert bare.loc[0, "ci_lower"] == fit.inverse(5)[0].ci_lower


def test_two_devices_write_the_same_file(command: Command, tmp_path: Path) -> None:
    """Two processes leave the bytes of one, from batches with uneven slices."""
    path = checkpoint(command, *CARS, "--degree", "2")
    Path("new.csv").write_text("y\n" + "".join(f"{y}\n" for y in range(20, 71, 5)))
    options = ("predict", "new.csv", "--ckpt_path", path, "--inverse", "--replicates", "1", "--data.batch_size", "3")
    one, two = command(*options), run_process(tmp_path, *options, "--trainer.devices", "2")
    assert sorted(set(table(one)["row"])) == list(range(1, 12))
    assert two.folder is not None
    assert (one.folder or tmp_path).joinpath("predictions.csv").read_bytes() == (
        two.folder / "predictions.csv"
    ).read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["new.csv", "--replicates", "2"], "--replicates is for --inverse: give both"),
        (
            ["new.csv", "--inverse", "--replicates", "0"],
            "replicates must be a whole number of at least 1, or null, got 0",
        ),
        (["new.csv", "--inverse", "--data.y", "other"], "there is no column 'other'"),
        (["--inverse", "--data", "SineLineDataModule"], "--inverse needs a file with a column of y"),
    ],
)
def test_wrong_options_are_refused(command: Command, options: list[str], said: str) -> None:
    """Options that contradict each other, or the file, cost one line and status 2."""
    path = checkpoint(command, *CARS)
    Path("new.csv").write_text("y\n5\n")
    done = command("predict", *options, "--ckpt_path", path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err
