"""The points of the textbook, and noisy ones like them."""

import lightning.pytorch as pl
import pytest
import torch

from regression import SineLineDataModule, UsageError
from tests.support import textbook


def prepared(**options: object) -> SineLineDataModule:
    data = SineLineDataModule(**options)  # type: ignore[arg-type]
    data.trainer = pl.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False)
    data.setup("fit")
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
    x, y, sigma, _ = prepared(points=1001).sample(100)
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
        ({"points": 0}, "points must be at least 1, got 0"),
        ({"low": float("nan")}, "low and high must be finite"),
        ({"low": 2.0}, "low must not be above high"),
        ({"noise": float("inf")}, "noise must be a finite number"),
        ({"seed": -1}, "seed must be from 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction must be from 0 to below 1"),
        ({"points": 2, "validation_fraction": 0.9}, "leaves no point of 2 to fit"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], words: str) -> None:
    """A number out of its range is refused with what was expected and what came."""
    with pytest.raises(UsageError, match=words):
        SineLineDataModule(**options)  # type: ignore[arg-type]
