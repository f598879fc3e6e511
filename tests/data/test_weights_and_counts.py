"""Columns of weights give the bits of sigma, and columns of counts those of repeated rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import regression
from tests.fits.test_result import drawn
from tests.support.command import Command

NUMBERS = ("params", "bse", "ssr", "sigma", "aic", "nobs", "df_resid", "weighted")


def write(name: str, **columns: np.ndarray) -> None:
    pd.DataFrame(columns).to_csv(name, index=False)


def same(command: Command, fit: regression.Fit, *options: str) -> None:
    """Assert that a run gives the bits of a fit of Python."""
    done = command("fit", "points.csv", "--x", "x", "--y", "y", *options)
    assert (done.code, done.err) == (0, "")
    own = regression.Fit.from_json(fit.to_json())
    for name in NUMBERS:
        assert np.array_equal(getattr(regression.load(done.folder or ""), name), getattr(own, name)), name


@pytest.mark.parametrize("in_memory_rows", ["10000000", "10"])
def test_weights_are_reciprocal_variances(command: Command, in_memory_rows: str) -> None:
    """A column of 1 / sigma² gives the bits of ``weights=`` in Python, where the table is streamed too."""
    x, y, sigma = drawn(rows=40)
    write("points.csv", x=x, y=y, w=1 / sigma**2)
    fit = regression.fit(x, y, 2, weights=1 / sigma**2)
    same(command, fit, "--degree", "2", "--data.weights", "w", "--data.in_memory_rows", in_memory_rows)


def test_counts_are_rows(command: Command) -> None:
    """A row with a count n counts as n rows, of either solver; one with 0 as none."""
    x, y, sigma = drawn(rows=25)
    counts = np.random.default_rng(0).integers(0, 5, 25)
    write("points.csv", x=x, y=y, s=sigma, n=counts)
    options = ("--sigma", "s", "--data.counts", "n")
    same(command, regression.fit(x, y, 1, sigma, counts=counts), *options)
    same(
        command,
        regression.fit(*(np.repeat(column, counts) for column in (x, y)), 1, np.repeat(sigma, counts)),
        *options,
    )
    descent = ("--model.learning_rate", "0.01", "--trainer.max_steps", "5", "--data.batch_size", "7")
    one = command("fit", "points.csv", "--x", "x", "--y", "y", *options, *descent)
    write("long.csv", **{name: np.repeat(column, counts) for name, column in (("x", x), ("y", y), ("s", sigma))})
    other = command("fit", "long.csv", "--x", "x", "--y", "y", "--sigma", "s", *descent)
    assert one.fit["params"] == other.fit["params"]
    assert one.out.startswith(f"y against x, {counts.sum()} observations of points.csv") or "observations of" in one.out


def test_a_fit_with_both_is_tested_and_predicts(command: Command) -> None:
    """``test`` uses the columns too; in predictions each row counts once."""
    write(
        "points.csv",
        x=np.arange(6.0),
        y=np.array([1, 2.2, 2.8, 4.1, 5, 6.2]),
        w=np.ones(6),
        n=np.array([1, 2, 1, 1, 3, 1]),
    )
    path = command("fit", "points.csv", "--x", "x", "--y", "y", "--data.weights", "w", "--data.counts", "n").checkpoint
    assert "9 points: test_loss" in command("test", "--ckpt_path", path).out
    assert "6 predictions in" in command("predict", "--ckpt_path", path).out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sigma", "s", "--data.weights", "w"], "sigma and weights = 1 / sigma² say the same: give one of them"),
        (["--data.weights", "z"], "column 'z' must be positive, got 0 in data row 2"),
        (["--data.counts", "s"], "column 's' must be a whole number of at least 0, got 0.5 in data row 1"),
        (["--data.counts", "n", "--data.in_memory_rows", "4"], "counts add up to 6 observations, more than"),
        (
            ["--data.counts", "n", "--data.in_memory_rows", "2"],
            "rows with counts are read into memory, got 3, more than",
        ),
        (["--data.counts", "n", "--series", "n"], "series take no counts: leave out counts n"),
    ],
)
def test_wrong_columns_are_refused(command: Command, options: list[str], said: str) -> None:
    """Weights that are not positive, counts that are not whole, and too many observations are refused in one line."""
    columns = {
        "x": [0.0, 1, 2],
        "y": [1.0, 2, 3.5],
        "s": [0.5, 1, 1],
        "w": [1.0, 1, 2],
        "z": [1.0, 0, 1],
        "n": [1, 2, 3],
    }
    write("points.csv", **{name: np.array(values) for name, values in columns.items()})
    done = command("fit", "points.csv", "--x", "x", "--y", "y", *options)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err


def test_the_column_that_is_left_is_taken(command: Command) -> None:
    """With the columns of weights and counts named, the two that are left are x and y."""
    write("points.csv", a=np.arange(4.0), b=np.array([1, 2.1, 2.9, 4]), n=np.array([1, 1, 2, 1]))
    assert command("fit", "points.csv", "--data.counts", "n").fit["axes"] == ["a", "b"]
    assert Path("points.csv").exists()


def test_new_points_need_neither_counts_nor_errors_of_x(command: Command) -> None:
    """To predict, the message for a missing column names its option, and ``null`` for that option is accepted."""
    x = np.arange(8.0)
    write("points.csv", x=x, y=2 * x + np.cos(9 * x), s=np.ones(8) + x / 9, w=np.ones(8), n=np.ones(8))
    write("new.csv", x=x)
    write("values.csv", y=x)
    fit = ("fit", "points.csv", "--x", "x", "--y", "y")
    york = command(*fit, "--sigma", "s", "--sigma_x", "s").checkpoint
    weighted = command(*fit, "--data.weights", "w", "--data.counts", "n").checkpoint
    for path, name, option in ((york, "s", "--data.sigma"), (weighted, "w", "--data.weights")):
        new = ("predict", "new.csv", "--ckpt_path", path)
        refused = command(*new)
        assert refused.code == 2
        assert refused.err.endswith(f"there is no column {name!r} among 'x'; choose with {option} (null for none)\n")
        assert "8 predictions in" in command(*new, option, "null").out
        back = ("predict", "values.csv", "--ckpt_path", path, "--inverse")
        assert "8 y in" in command(*back).out
        assert "8 y in" in command(*back, option, "null").out


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            [1, 2.5, 1],
            "column 'n' must be a whole number of at least 0, got 2.5 in data row 2, and 1 such row in all; ",
        ),
        (
            [-1, 2, -3],
            "column 'n' must be a whole number of at least 0, got -1 in data row 1, and 2 such rows in all; ",
        ),
        ([0, 0, 0], "counts must add up to 1 to 10^11 observations, got 0"),
    ],
)
def test_counts_are_refused_as_sigma_is(command: Command, counts: list[float], words: str) -> None:
    """A wrong count is refused with its file and row, also if other rows are left out."""
    write("n.csv", x=np.array([1, np.nan, 2, 3, 4]), y=np.ones(5), n=np.array([*counts[:1], 1, *counts[1:], 0]))
    write("m.csv", x=np.arange(3.0), y=np.ones(3), n=np.array(counts))
    fit = ("--x", "x", "--y", "y", "--data.counts", "n")
    refused = command("fit", "m.csv", *fit)
    assert (refused.code, refused.err.startswith(f"regression: m.csv: {words}")) == (2, True), refused.err
    refused = command("fit", "n.csv", *fit, "--data.nan_policy", "omit")
    assert refused.err.startswith(f"regression: n.csv: {words}".replace("row 2,", "row 3,")), refused.err
