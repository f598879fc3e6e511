"""Where points come from."""

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from regression.batches import GlobalBatches
from regression.errors import UsageError

__all__ = ["SineLineDataModule"]


class SineLineDataModule(pl.LightningDataModule):
    """Points on ``y = 3 x + sin(6 x) + 1``, evenly spaced, with normal noise if wanted.

    The defaults are the textbook's ten float32 points, without noise, in one batch. The test set has the same x and
    noise of its own.

    Args:
        points: Number of points N.
        low: Smallest x.
        high: Largest x.
        noise: Standard deviation of the noise added to y, in y's unit.
        seed: Seed of the noise, of the choice of validation points and of the shuffling.
        batch_size: Rows per batch, counted over all devices; by default all rows are one batch.
        shuffle: Whether the rows of smaller batches are drawn in a new order each epoch, a function of seed and epoch.
        validation_fraction: Share of the points held out at random for validation, from 0 to below 1.

    Raises:
        UsageError: If a number is out of its range.
    """

    def __init__(
        self,
        points: int = 10,
        low: float = 0.0,
        high: float = 1.0,
        noise: float = 0.0,
        seed: int = 0,
        batch_size: int | None = None,
        shuffle: bool = True,
        validation_fraction: float = 0.0,
    ) -> None:
        super().__init__()
        _require(points >= 1, "points must be at least 1", points)
        _require(math.isfinite(low) and math.isfinite(high), "low and high must be finite", (low, high))
        _require(low <= high, "low must not be above high", (low, high))
        _require(math.isfinite(noise) and noise >= 0, "noise must be a finite number of at least 0", noise)
        _require(0 <= seed < 2**63 - 1, "seed must be from 0 to 2^63 - 2", seed)
        _require(batch_size is None or batch_size >= 1, "batch_size must be at least 1", batch_size)
        _require(0 <= validation_fraction < 1, "validation_fraction must be from 0 to below 1", validation_fraction)
        self.held_out = round(points * validation_fraction)
        _require(self.held_out < points, f"validation_fraction leaves no point of {points} to fit", validation_fraction)
        self.save_hyperparameters()
        self.points, self.low, self.high, self.noise, self.seed = points, low, high, noise, seed
        self.batch_size, self.shuffle = batch_size, shuffle

    def setup(self, stage: str) -> None:
        """Draw the points and choose the validation rows; every process draws the same."""
        self.x = torch.linspace(self.low, self.high, self.points)
        curve = 3 * self.x + torch.sin(6 * self.x) + 1
        self.y, self.y_test = curve + self._noise(0), curve + self._noise(1)
        shuffled = torch.randperm(self.points, generator=torch.Generator().manual_seed(self.seed))
        self.validation_rows = shuffled[: self.held_out].sort().values
        self.training_rows = shuffled[self.held_out :].sort().values

    def _noise(self, draw: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed + draw)
        return self.noise * torch.randn(self.points, generator=generator)

    def sample(self, limit: int) -> tuple[Tensor, Tensor]:
        """Return at most ``limit`` training points (x, y), evenly chosen, for a figure."""
        rows = self.training_rows[:: -(-len(self.training_rows) // limit)]
        return self.x[rows], self.y[rows]

    def train_dataloader(self) -> GlobalBatches:
        """Return this process's slices of the training batches."""
        return self._batches(self.x[self.training_rows], self.y[self.training_rows], shuffle=self.shuffle)

    def val_dataloader(self) -> GlobalBatches | list[Any]:
        """Return the validation batches; none during a fit if no point is held out, all points when validating."""
        assert self.trainer is not None
        if self.held_out:
            return self._batches(self.x[self.validation_rows], self.y[self.validation_rows])
        return [] if self.trainer.state.fn == "fit" else self._batches(self.x, self.y)

    def test_dataloader(self) -> GlobalBatches:
        """Return the batches of the test set: the same x, fresh noise."""
        return self._batches(self.x, self.y_test)

    def predict_dataloader(self) -> GlobalBatches:
        """Return the batches of all points, in order."""
        return self._batches(self.x, self.y)

    def _batches(self, x: Tensor, y: Tensor, shuffle: bool = False) -> GlobalBatches:
        trainer = self.trainer
        assert trainer is not None

        def order() -> Tensor:
            generator = torch.Generator().manual_seed(self.seed + trainer.current_epoch)
            return torch.randperm(len(x), generator=generator)

        return GlobalBatches(x, y, self.batch_size, trainer.global_rank, trainer.world_size, order if shuffle else None)

    def state_dict(self) -> dict[str, Any]:
        """Name the class in the checkpoint, so that a checkpoint alone is enough to build the module again."""
        return {"class_path": f"regression.{type(self).__name__}"}


def _require(condition: bool, expected: str, value: object) -> None:
    if not condition:
        raise UsageError(f"{expected}, got {value}")
