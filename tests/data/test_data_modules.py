"""The points of the textbook, and noisy ones like them."""

from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch

from regression import ArrayDataModule, SineLineDataModule, UsageError
from regression.common.points import Batch
from tests.support import textbook


def prepared(**options: object) -> SineLineDataModule:
    return attached(SineLineDataModule(**options))  # type: ignore[arg-type]


def attached(data: Any, stage: str = "fit") -> Any:
    """Return a data module in the state in which a Trainer asks it for batches."""
    data.trainer = pl.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False)
    data.setup(stage)
    return data


def test_the_default_points_are_the_textbooks() -> None:
    """By default the training batch is the textbook's ten float32 points, bit for bit."""
    (batch,) = prepared().train_dataloader()
    assert torch.equal(batch.x, textbook.X)
    assert torch.equal(batch.y, textbook.Y)
    assert batch.x.dtype == torch.float32


def test_noise_has_its_standard_deviation_and_seed() -> None:
    """Noise has the asked standard deviation, is the same for one seed and another for another."""
    first, again, other = (prepared(points=20_000, noise=0.5, seed=seed) for seed in (3, 3, 4))
    residuals = first.all.points.y - (3 * first.all.points.x + torch.sin(6 * first.all.points.x) + 1)
    assert residuals.std().item() == pytest.approx(0.5, rel=0.03)
    assert torch.equal(first.all.points.y, again.all.points.y)
    assert not torch.equal(first.all.points.y, other.all.points.y)
    assert not torch.equal(first.all.points.y, first.rows("test").points.y)


def test_held_out_points_are_not_trained_on() -> None:
    """Training and validation points share no row and together are all rows."""
    data = prepared(points=50, validation_fraction=0.3)
    (train,), (validation,) = data.train_dataloader(), data.val_dataloader()
    assert len(validation.x) == 15
    assert sorted([*train.x.tolist(), *validation.x.tolist()]) == data.all.points.x.tolist()


def test_epochs_are_shuffled_by_seed_and_epoch() -> None:
    """Mini-batches come in a new order each epoch, the same for the same seed; one full batch keeps its order."""
    data, again = prepared(points=20, batch_size=4, seed=5), prepared(points=20, batch_size=4, seed=5)
    epochs = []
    for epoch in range(3):
        data.trainer.fit_loop.epoch_progress.current.completed = epoch  # type: ignore[union-attr]
        again.trainer.fit_loop.epoch_progress.current.completed = epoch  # type: ignore[union-attr]
        epochs.append(torch.cat([batch.x for batch in data.train_dataloader()]).tolist())
        assert epochs[-1] == torch.cat([batch.x for batch in again.train_dataloader()]).tolist()
        assert sorted(epochs[-1]) == data.all.points.x.tolist()
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_sample_is_small_and_spread_out() -> None:
    """A sample for a figure has at most the asked number of points, from one end of the data to the other."""
    x, y, sigma, *_ = prepared(points=1001).training.sample(100)
    assert len(x) == len(y) <= 100
    assert sigma is None
    assert (x[0], x[-1]) == (0, pytest.approx(1, abs=0.02))


def test_one_point_is_a_data_set() -> None:
    """A single point is accepted."""
    (batch,) = prepared(points=1, batch_size=5).train_dataloader()
    assert batch.x.tolist() == [0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"points": 0}, "points must be a whole number of at least 1, got 0"),
        ({"low": float("nan")}, "low must be a finite number"),
        ({"low": 2.0}, "low must not be above high"),
        ({"noise": float("inf")}, "noise must be a finite number"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction must be from 0 to below 1"),
        ({"points": 2, "validation_fraction": 0.9}, "leaves no point of 2 to fit"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], words: str) -> None:
    """A number out of its range is refused with what was expected and what came."""
    with pytest.raises(UsageError, match=words):
        SineLineDataModule(**options)  # type: ignore[arg-type]


X, Y = [3.0, 1.0, 2.0], [1.5, 0.5, 2.5]


@pytest.mark.parametrize(
    ("x", "y"),
    [(X, Y), (np.array(X)[:, None], np.array(Y, ">f8")), (pd.Series(X, index=[7, 8, 9]), torch.tensor(Y))],
)
def test_arrays_of_any_library_are_taken_by_their_values(x: Any, y: Any) -> None:
    """Columns of any library become float64 points in their order, and one sigma is that of all points."""
    (batch,) = attached(ArrayDataModule(x, y, sigma=0.5)).train_dataloader()
    assert batch.x.dtype == torch.float64
    assert [values.tolist() for values in batch] == [X, Y, [0.5] * 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((X, [1.0, None, 2.0]), r'y must be finite, got nan at row 1 .* nan_policy="omit" leaves such rows out'),
        ((X, Y, [1.0, -1.0, 1.0]), "sigma must be positive, got -1.0 at row 1"),
        ((X, Y[:2]), r"x and y must be of one length, got shapes \[\(3,\), \(2,\)\]"),
        ((None, Y), r"x and y must be of one length, got shapes \[\(\), \(3,\)\]"),
        (([], []), "expected at least one point, got 0"),
        ((["a"], [1.0]), "x must hold real numbers"),
    ],
)
def test_arrays_that_are_no_points_are_refused(arguments: tuple[Any, ...], words: str) -> None:
    """Arguments that are not columns of numbers are refused by the constructor, not in the run."""
    with pytest.raises(UsageError, match=words):
        ArrayDataModule(*arguments)


def test_rows_of_arrays_are_left_out_and_counted() -> None:
    """With ``nan_policy`` ``omit`` rows with a missing number are left out, and counted."""
    data = attached(ArrayDataModule(X, [1.0, np.nan, 2.0], nan_policy="omit"))
    assert (data.all.omitted, data.all.points.x.tolist()) == (1, [3.0, 2.0])


def test_x_alone_is_for_predictions() -> None:
    """Arrays without y have batches for predictions, and a fit is refused."""
    data = attached(ArrayDataModule(X), "predict")
    (batch,) = data.predict_dataloader()
    assert batch.x.tolist() == X
    with pytest.raises(UsageError, match=r"expected ArrayDataModule\(x, y\) to fit, got x alone"):
        data.setup("fit")


def test_a_batch_can_be_unpacked() -> None:
    """A batch is unpacked as one of a DataLoader is, with or without sigma, and has its fields by name."""
    one = torch.ones(2)
    x, y = Batch(one, 2 * one, None, 2)
    assert (x.tolist(), y.tolist()) == ([1, 1], [2, 2])
    x, y, sigma = batch = Batch(one, 2 * one, 3 * one, 5)
    assert sigma is batch.sigma
    assert batch.to(torch.device("meta")).sigma.is_meta
    assert batch.to(torch.device("meta")).rows == 5
