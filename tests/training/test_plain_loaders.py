"""A user's own loaders of ``(x, y)`` or ``(x, y, sigma)``, with both solvers and every method of the Trainer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from regression import ArrayDataModule, LineRegression, UsageError
from tests.support.command import run_python

DRAW = np.random.default_rng(7)
X, SIGMA = DRAW.uniform(0, 5, 23), DRAW.uniform(0.1, 2, 23)
Y = 1 + 2 * X + SIGMA * DRAW.normal(size=23)
POINTS = TensorDataset(*map(torch.tensor, (X, Y)))
WEIGHTED = TensorDataset(*map(torch.tensor, (X, Y, SIGMA)))
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "enable_model_summary": False,
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")  # advice for other models


class Measured(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor
    sigma: torch.Tensor


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        while True:
            yield from zip(X, Y, strict=True)


def fitted(loader: Any, epochs: int = 1, validation: Any = None, trainer: Any = None, **options: Any) -> LineRegression:
    module = LineRegression(**{"solver": "exact", **options})
    pl.Trainer(max_epochs=epochs, **QUIET, **(trainer or {})).fit(module, loader, validation)
    return module


def line(weights: Any = None, rows: Any = slice(None)) -> list[float]:
    weights = None if weights is None else weights[rows]
    return [float(value) for value in np.polynomial.polynomial.polyfit(X[rows], Y[rows], 1, w=weights)]


@pytest.mark.parametrize("batch_size", [1, 5, 23])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_exact_solver_takes_a_data_loader(batch_size: int, shuffle: bool) -> None:
    """The exact fit of a DataLoader is numpy's, whatever the size and order of its batches."""
    result = fitted(DataLoader(POINTS, batch_size, shuffle=shuffle)).result
    assert result is not None
    assert result.params == pytest.approx(line(), rel=1e-13)
    assert (result.nobs, result.notes) == (23, ())


BATCHES: dict[str, Any] = {
    "tensors": [tuple(values[rows] for values in WEIGHTED.tensors) for rows in (slice(9), slice(9, None))],
    "arrays": [(X[:9], Y[:9], SIGMA[:9]), (X[9:], Y[9:], SIGMA[9:])],
    "columns": [[values[:, None] for values in WEIGHTED.tensors]],
    "mappings": [{"x": X, "y": Y, "sigma": SIGMA, "name": "a"}],
    "fields": [Measured(*WEIGHTED.tensors)],
    "rows": list(zip(*WEIGHTED.tensors, strict=True)),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_batches_of_every_form(kind: str) -> None:
    """Batches may be tuples, lists, mappings or named tuples of tensors or arrays, with columns or single rows."""
    result = fitted(DataLoader(BATCHES[kind], batch_size=None)).result
    assert result is not None
    assert result.params == pytest.approx(line(1 / SIGMA), rel=1e-12)


def test_the_gradient_solver_takes_a_data_loader() -> None:
    """Epochs of shuffled mini-batches end near the optimum of all points, and the fit has the distance from it."""
    torch.manual_seed(0)
    result = fitted(DataLoader(POINTS, 5, shuffle=True), epochs=200, solver="gradient", learning_rate=0.01).result
    assert result is not None
    assert result.updates == 200 * 5
    assert result.params == pytest.approx(line(), abs=0.1)
    assert result.opt_error_se is not None
    assert result.opt_error_se < 0.5


def test_blocks_of_updates_take_one_batch() -> None:
    """Blocks of updates are made on a loader's one batch, and refused where it has several."""
    options = {"solver": "gradient", "updates_per_batch": 100}
    result = fitted(DataLoader(POINTS, 23), **options).result
    assert result is not None
    assert result.params == pytest.approx(line(), rel=1e-5)
    with pytest.raises(UsageError, match=r"needs all rows in one batch of a DataLoader, .*ArrayDataModule"):
        fitted(DataLoader(POINTS, 5), **options)


@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss"])
@pytest.mark.parametrize("every", [1, 3])
def test_held_out_points_are_those_of_the_second_loader(loss: str, every: int) -> None:
    """The validation loss of the fit is that of the final coefficients, whenever the last validation was."""
    module = fitted(
        DataLoader(POINTS, 5), 2, DataLoader(WEIGHTED, 4), {"check_val_every_n_epoch": every},
        solver="gradient", loss=loss, learning_rate=0.01,
    )  # fmt: skip
    assert module.result is not None
    residuals = torch.tensor(Y - np.polyval(module.result.params[::-1], X)) / torch.tensor(SIGMA)
    right = residuals.square().mean() if loss == "MSELoss" else residuals.abs().mean()
    assert module.result.val_loss == pytest.approx(right.item(), rel=1e-5)


def test_every_method_of_the_trainer_accepts_a_loader() -> None:
    """Validate and test give the mean square of all rows, and predict the line, of pairs or of x alone."""
    module, trainer = fitted(DataLoader(POINTS, 5)), pl.Trainer(**QUIET)
    right = np.polyval(line()[::-1], X)
    mean_square = pytest.approx(((Y - right) ** 2).mean(), rel=1e-6)
    assert trainer.validate(module, DataLoader(POINTS, 4), verbose=False) == [{"val_loss": mean_square}]
    assert trainer.test(module, DataLoader(POINTS, 4), verbose=False) == [{"test_loss": mean_square}]
    x = torch.tensor(X)
    for loader in (DataLoader(POINTS, 4), DataLoader(TensorDataset(x), 4), DataLoader([x], batch_size=None)):  # type: ignore[arg-type]
        parts = trainer.predict(module, loader)
        assert torch.cat([part[1] for part in parts or []]).tolist() == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "trainer", "rows", "words"),
    [
        ({}, {"limit_train_batches": 2}, 10, "left out 13 of 23 rows"),
        ({}, {"limit_train_batches": 0.5}, 10, "left out 13 of 23 rows"),
        ({"drop_last": True}, {}, 20, "left out 3 of 23 rows"),
    ],
)
def test_rows_left_out_are_noted(options: Any, trainer: Any, rows: int, words: str) -> None:
    """With ``limit_train_batches`` or ``drop_last`` the fit is that of the rows taken, and a note counts the others."""
    result = fitted(DataLoader(POINTS, 5, **options), trainer=trainer).result
    assert result is not None
    assert result.nobs == rows
    assert result.params == pytest.approx(line(rows=slice(rows)), rel=1e-12)
    assert words in result.notes[0]
    assert result.x_range == (X[:rows].min(), X[:rows].max())


def test_errors_in_the_order_of_time_need_a_data_module() -> None:
    """A DataLoader may mix the rows, whose order the errors of HAC go by."""
    with pytest.raises(UsageError, match=r"a DataLoader may mix them: use regression\.ArrayDataModule"):
        fitted(DataLoader(POINTS, 5), cov_type="HAC")


def test_a_loader_without_end_needs_a_limit() -> None:
    """A given number of batches of an endless stream is fitted; without a number it is refused before it is read."""
    loader = DataLoader(Endless(), 5)
    result = fitted(loader, trainer={"limit_train_batches": 4}).result
    assert result is not None
    assert result.params == pytest.approx(line(rows=slice(20)), rel=1e-12)
    with pytest.raises(UsageError, match="whose end is not known: give limit_train_batches"):
        fitted(loader)


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ([(torch.tensor(X), torch.tensor(Y))] * 2, r"one loader of batches, got a list: use regression.Array"),
        (DataLoader([(["a"], [1.0])], batch_size=None), r"x, y and perhaps sigma, .* got list of list, list"),
        (DataLoader(TensorDataset(torch.ones(9)), 3), r"x, y and perhaps sigma, .* got list of Tensor: use"),
        (DataLoader([{"x": X, "z": Y}], batch_size=None), r"x, y and perhaps sigma, .* got dict"),
        (DataLoader(TensorDataset(torch.ones(9, 3), torch.ones(9)), 3), r"one length, got shapes \[\(3, 3\), \(3,\)\]"),
        (DataLoader([(X, Y * np.inf)], batch_size=None), r"y must be finite, got -?inf .* 23 .* leave such rows out$"),
        (DataLoader([(X, Y, -SIGMA)], batch_size=None), r"sigma must be positive"),
        (DataLoader([(X, Y), (X, Y, SIGMA)], batch_size=None), r"a sigma in all batches or in none"),
        (DataLoader([(X[:0], Y[:0])], batch_size=None), r"expected batches of points, got none"),
    ],
)  # fmt: skip
def test_other_batches_are_refused(loader: Any, words: str) -> None:
    """Loaders and batches of another form are refused in one line that says what is accepted."""
    with pytest.raises(UsageError, match=words):
        fitted(loader)


def test_a_run_is_resumed_after_an_epoch_of_a_loader_only(tmp_path: Path) -> None:
    """A run on a DataLoader is resumed after an epoch; within one, whose order is not known, that is refused."""
    trainer = pl.Trainer(
        max_epochs=2, **{**QUIET, "enable_checkpointing": True},
        callbacks=[
            ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1),
            ModelCheckpoint(tmp_path, "{epoch}", every_n_epochs=1, save_top_k=-1, save_on_train_epoch_end=True),
        ],
    )  # fmt: skip
    trainer.fit(LineRegression(), DataLoader(POINTS, 5))
    again = LineRegression()
    pl.Trainer(max_epochs=4, **QUIET).fit(again, DataLoader(POINTS, 5), ckpt_path=tmp_path / "epoch=1.ckpt")
    whole = fitted(DataLoader(POINTS, 5), 4, solver="gradient").result
    assert again.result is not None
    assert whole is not None
    assert again.result.params.tolist() == whole.params.tolist()
    with pytest.raises(UsageError, match="is from within an epoch of a DataLoader, which cannot go on there"):
        pl.Trainer(max_epochs=4, **QUIET).fit(
            LineRegression(), DataLoader(POINTS, 5), ckpt_path=tmp_path / "step=7.ckpt"
        )


def test_a_module_keeps_no_points_of_a_loader() -> None:
    """A module fitted to a DataLoader keeps no copy of its points."""
    assert not fitted(DataLoader(POINTS, 5)).has_plain_loader


TWO = """
import lightning.pytorch as pl, sys, torch
import regression
from torch.utils.data import DataLoader, TensorDataset
x = torch.linspace(0, 1, 7).double()
y = x.sin()
def trainer():
    return pl.Trainer(accelerator="cpu", devices=2, max_epochs=2, logger=False, enable_checkpointing=False,
                      enable_progress_bar=False, enable_model_summary=False)
for solver in ("exact", "gradient"):
    try:
        trainer().fit(regression.LineRegression(solver=solver), DataLoader(TensorDataset(x, y), 2))
    except regression.UsageError as refused:
        sys.stdout.write(f"{refused}\\n")
    module = regression.LineRegression(solver=solver)
    trainer().fit(module, datamodule=regression.ArrayDataModule(x, y, batch_size=3, seed=5))
    sys.stdout.write(f"{[value.hex() for value in module.result.params]} {module.result.nobs}\\n")
"""


def test_two_processes_share_arrays_and_refuse_loaders(tmp_path: Path) -> None:
    """Two processes refuse a DataLoader, whose rows would be counted twice, and fit arrays to the bits of one."""
    printed = run_python(tmp_path, TWO)
    for solver in ("exact", "gradient"):
        module = LineRegression(solver=solver)  # type: ignore[arg-type]
        x = torch.linspace(0, 1, 7).double()
        pl.Trainer(max_epochs=2, **QUIET).fit(module, datamodule=ArrayDataModule(x, x.sin(), batch_size=3, seed=5))
        assert module.result is not None
        fit = f"{[value.hex() for value in module.result.params]} 7"
        assert printed.count(fit) == 2, printed  # one of each process
    refused = "2 processes need batches that they share without counting a row twice, which those of a DataLoader are"
    assert printed.count(refused) == 4
