"""Options given in Python are refused as those of the command are: one line with what was expected and what came."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest

import regression
from regression import (
    ArrayDataModule,
    FitFiles,
    LineRegression,
    Polynomial,
    PolynomialRegression,
    Report,
    SafeCheckpointIO,
    SeriesRegression,
    SineLineDataModule,
    TableDataModule,
    UsageError,
)
from regression.runs.checkpoint_file import read_checkpoint

X, Y = [1.0, 2, 3, 4, 5], [1.0, 2.1, 2.9, 4.2, 5]
KINDS: dict[str, Callable[..., object]] = {
    "fit": lambda **given: regression.fit(X, Y, **given),
    "load": lambda **given: regression.load(**given),
    "save": lambda **given: regression.fit(X, Y).save(**given),
    "plot": lambda **given: regression.fit(X, Y).plot(X, Y, **given),
    "predict": lambda **given: regression.fit(X, Y).predict(1, **given),
    "contrast": lambda **given: regression.compare_series(2 * X, 2 * Y, [1] * 5 + [2] * 5).contrast(name="c1", **given),
    "fit_series": lambda **given: regression.fit_series(X, Y, [1] * 5, **given),
    "Line": LineRegression,
    "Polynomial": PolynomialRegression,
    "Series": SeriesRegression,
    "curve": lambda **given: Polynomial(2, **given),
    "table": lambda **given: TableDataModule("a.csv", **given),
    "array": lambda **given: ArrayDataModule(X, Y, **given),
    "sine": SineLineDataModule,
    "report": Report,
    "files": FitFiles,
}
WORDS: list[tuple[str, str, Any, str]] = [
    ("fit", "nan_policy", "drop", "nan_policy must be one of raise, omit, got 'drop'"),
    ("fit", "criterion", "aic", "criterion must be one of aicc, gcv, cv, loo, got 'aic'"),
    ("fit", "fix", "c1", "fix must be a mapping of names to values, or null, got 'c1'"),
    ("fit", "through", (0, 0), "through must be points (x, y), as in [(4, 2)], got (0, 0)"),
    ("fit", "terms", 2, "terms must be different whole numbers from 0 to 60, as in [0, 2], got 2"),
    ("predict", "simultaneous", "x", "simultaneous must be true or false, got 'x'"),
    ("table", "y", "x", "x and y must be two columns, got x for both"),
    ("load", "path", 3, "path must be a path, got 3"),
    ("save", "path", 3, "path must be a path, got 3"),
    ("plot", "labels", "ab", "labels must be the names of x and y, as in ('Time (s)', 'Voltage (mV)'), got 'ab'"),
    (
        "plot",
        "labels",
        ("a", "b", "c"),
        "labels must be the names of x and y, as in ('Time (s)', 'Voltage (mV)'), got ('a', 'b', 'c')",
    ),
    ("plot", "title", 3, "title must be a text, or null, got 3"),
    ("contrast", "weights", "a", "weights must be a mapping of names to values, got 'a'"),
    ("fit", "degree", "two", "degree must be a whole number from 0 to 60, or auto, got 'two'"),
    ("fit", "degree", True, "degree must be a whole number from 0 to 60, or auto, got True"),
    ("fit", "fit_intercept", "no", "fit_intercept must be true or false, got 'no'"),
    ("fit", "absolute_sigma", "yes", "absolute_sigma must be true or false, got 'yes'"),
    ("fit", "level", "95 %", "level must be between 0 and 1, got '95 %'"),
    ("fit_series", "nan_policy", None, "nan_policy must be one of raise, omit, got None"),
    ("fit_series", "degree", "auto", "degree must be a whole number from 0 to 60, got 'auto'"),
    ("fit_series", "fit_intercept", 2, "fit_intercept must be true or false, got 2"),
    ("Line", "solver", "exakt", "solver must be one of exact, gradient, got 'exakt'"),
    ("Line", "solver", None, "solver must be one of exact, gradient, got None"),
    ("Line", "domain", "date", "domain must be data, raw, or [low, high] with low below high, got 'date'"),
    ("Line", "domain", (2.0, 2.0), "domain must be data, raw, or [low, high] with low below high, got (2.0, 2.0)"),
    ("Line", "domain", (0, 1, 2), "domain must be data, raw, or [low, high] with low below high, got (0, 1, 2)"),
    ("Line", "domain", (0, math.nan), "domain must be data, raw, or [low, high] with low below high, got (0, nan)"),
    ("Line", "domain", None, "domain must be data, raw, or [low, high] with low below high, got None"),
    ("Line", "loss", None, "loss must be a text, got None"),
    ("Line", "loss", "MSE", "loss must be the name of a torch loss or NormLoss, got 'MSE'"),
    ("Line", "loss_args", 0.5, "loss_args must be a mapping of names to values, or null, got 0.5"),
    ("Line", "learning_rate", "fast", "learning_rate must be a finite number of at least 0, or null, got 'fast'"),
    ("Line", "updates_per_batch", 2.5, "updates_per_batch must be a whole number from 1 to 10,000,000, got 2.5"),
    ("Line", "stop_at_opt_error", "1", "stop_at_opt_error must be a finite number above 0, or null, got '1'"),
    ("Line", "absolute_sigma", "no", "absolute_sigma must be true or false, got 'no'"),
    ("Line", "fit_intercept", "no", "fit_intercept must be true or false, got 'no'"),
    ("Line", "level", None, "level must be between 0 and 1, got None"),
    ("Polynomial", "basis", "cheb", "basis must be one of power, chebyshev, legendre, got 'cheb'"),
    ("Polynomial", "criterion", "bic", "criterion must be one of aicc, gcv, cv, loo, got 'bic'"),
    ("Polynomial", "folds", 2.0, "folds must be a whole number of at least 2, got 2.0"),
    ("Series", "degree", 1.0, "degree must be a whole number from 0 to 60, got 1.0"),
    ("curve", "domain", ("a", "b"), "domain must be two finite numbers, the smaller one first, got ('a', 'b')"),
    ("Series", "absolute_sigma", "no", "absolute_sigma must be true or false, got 'no'"),
    ("Series", "model", None, "model must be a text, got None"),
    ("files", "points", 0, "points must be a whole number of at least 1, got 0"),
    ("files", "folder", 3, "folder must be a path, or null, got 3"),
    ("table", "nan_policy", "drop", "nan_policy must be one of raise, omit, got 'drop'"),
    ("table", "in_memory_rows", -1, "in_memory_rows must be a whole number of at least 0, got -1"),
    ("table", "shuffle", "no", "shuffle must be true or false, got 'no'"),
    ("table", "seed", 2**32, "seed must be a whole number from 0 to 2^32 - 1, got 4294967296"),
    ("array", "nan_policy", "drop", "nan_policy must be one of raise, omit, got 'drop'"),
    ("array", "batch_size", "all", "batch_size must be a whole number of at least 1, or null, got 'all'"),
    ("array", "validation_fraction", "half", "validation_fraction must be from 0 to below 1, got 'half'"),
    ("sine", "points", 2.5, "points must be a whole number of at least 1, got 2.5"),
    ("sine", "low", "0", "low must be a finite number, got '0'"),
    ("sine", "noise", math.nan, "noise must be a finite number of at least 0, got nan"),
    ("report", "loss", "during", "report.loss must be one of before, after, got 'during'"),
    ("report", "rows", -1, "report.rows must be a whole number of at least 0, got -1"),
]


@pytest.mark.parametrize(("kind", "option", "value", "words"), WORDS, ids=[f"{k} {o} {v}" for k, o, v, _ in WORDS])
def test_an_option_of_another_kind_is_refused(kind: str, option: str, value: Any, words: str) -> None:
    """A word that is unknown, or a value of another kind, is refused by name when it is given."""
    with pytest.raises(UsageError, match=f"^{re.escape(words)}"):
        KINDS[kind](**{option: value})


def test_a_curve_without_coefficients_is_refused() -> None:
    """Degree 0 without an intercept leaves nothing to fit."""
    with pytest.raises(UsageError, match="degree 0 without an intercept leaves nothing to fit: use degree 1 or more"):
        regression.fit(X, Y, 0, fit_intercept=False)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_ends_of_the_seeds_are_accepted(seed: int) -> None:
    """The smallest and the largest seed draw points."""
    data = SineLineDataModule(seed=seed, noise=0.1)
    data.setup("fit")
    assert len(data.training) == 10


def test_numbers_of_numpy_are_options(tmp_path: Path) -> None:
    """Options out of a numpy array fit, and come back from the checkpoint and from ``fit.json`` as Python's numbers."""
    options: dict[str, Any] = {"level": np.float32(0.5), "domain": (np.float64(-1), np.float64(2))}
    module = PolynomialRegression(np.int64(2), updates_per_batch=np.int32(3), **options)
    held_out = {"validation_fraction": np.float64(0.25)}
    data = SineLineDataModule(np.int64(12), seed=np.int64(3), noise=np.float32(0.25), **held_out)
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", default_root_dir=tmp_path, plugins=[SafeCheckpointIO()],
        enable_progress_bar=False, enable_model_summary=False, logger=False,
    )  # fmt: skip
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    stored = read_checkpoint(str(tmp_path / "a.ckpt"))
    assert stored["hyper_parameters"]["degree"] == 2
    assert stored["datamodule_hyper_parameters"]["noise"] == 0.25
    again = PolynomialRegression.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert again.result == module.result
    assert module.result is not None
    assert json.loads(module.result.to_json(data=data.source()))["data"]["init_args"]["seed"] == 3


@pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`")
def test_a_path_is_a_path_of_pathlib_too(tmp_path: Path) -> None:
    """A table may be given as a ``Path``; a checkpoint and ``fit.json`` hold its text."""
    (tmp_path / "a.csv").write_text("x,y\n0,1\n1,3\n2,5\n")
    data = TableDataModule(tmp_path / "a.csv", validation_path=tmp_path / "a.csv")  # type: ignore[arg-type]
    module = LineRegression(solver="exact")
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, enable_progress_bar=False, enable_model_summary=False, logger=False,
        enable_checkpointing=False, plugins=[SafeCheckpointIO()],
    )  # fmt: skip
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    stored = read_checkpoint(str(tmp_path / "a.ckpt"))["datamodule_hyper_parameters"]
    assert stored["path"] == stored["validation_path"] == str(tmp_path / "a.csv")
    assert data.source()["init_args"]["path"] == str(tmp_path / "a.csv")  # type: ignore[index]
    assert module.result is not None
    assert module.result.params.tolist() == [1, 2]
    with pytest.raises(UsageError, match="path must be a path, got 3"):
        TableDataModule(3)  # type: ignore[arg-type]
