"""Where points come from."""

import difflib
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor

from regression.batches import GlobalBatches
from regression.errors import UsageError

__all__ = ["Points", "PointsDataModule", "SineLineDataModule", "TableDataModule"]


class Points(NamedTuple):
    """Points to fit: x and y of shape (N,), and the standard deviations of y, or ``None``."""

    x: Tensor
    y: Tensor
    sigma: Tensor | None = None

    def rows(self, chosen: Tensor) -> "Points":
        """Return the chosen rows."""
        return Points(self.x[chosen], self.y[chosen], None if self.sigma is None else self.sigma[chosen])


class PointsDataModule(pl.LightningDataModule, ABC):
    """Splits points into training and validation rows and serves them in global batches.

    Args:
        seed: Seed of the choice of validation points and of the shuffling.
        batch_size: Rows per batch, counted over all devices; by default all rows are one batch.
        shuffle: Whether the rows of smaller batches are drawn in a new order each epoch, a function of seed and epoch.
        validation_fraction: Share of the points held out at random for validation, from 0 to below 1.

    Raises:
        UsageError: If a number is out of its range.
    """

    def __init__(
        self,
        seed: int = 0,
        batch_size: int | None = None,
        shuffle: bool = True,
        validation_fraction: float = 0.0,
    ) -> None:
        super().__init__()
        _require(0 <= seed < 2**63 - 1, "seed must be from 0 to 2^63 - 2", seed)
        _require(batch_size is None or batch_size >= 1, "batch_size must be at least 1", batch_size)
        _require(0 <= validation_fraction < 1, "validation_fraction must be from 0 to below 1", validation_fraction)
        self.seed, self.batch_size, self.shuffle = seed, batch_size, shuffle
        self.validation_fraction = validation_fraction

    @abstractmethod
    def points(self) -> Points:
        """Return all points to fit; every process gets the same."""

    def test_points(self) -> Points:
        """Return the points to test on; by default the same, as they were read once."""
        return self.all

    def setup(self, stage: str) -> None:
        """Get the points and choose the validation rows; every process chooses the same."""
        self.all = self.points()
        rows = len(self.all.x)
        self.held_out = round(rows * self.validation_fraction)
        _require(
            self.held_out < rows, f"validation_fraction leaves no point of {rows} to fit", self.validation_fraction
        )
        shuffled = torch.randperm(rows, generator=torch.Generator().manual_seed(self.seed))
        self.validation = self.all.rows(shuffled[: self.held_out].sort().values)
        self.training = self.all.rows(shuffled[self.held_out :].sort().values) if self.held_out else self.all

    def sample(self, limit: int) -> Points:
        """Return at most ``limit`` training points, evenly chosen, for a figure."""
        rows = len(self.training.x)
        return self.training.rows(torch.arange(0, rows, -(-rows // limit)))

    def train_dataloader(self) -> GlobalBatches:
        """Return this process's slices of the training batches."""
        return self._batches(self.training, shuffle=self.shuffle)

    def val_dataloader(self) -> GlobalBatches | list[Any]:
        """Return the validation batches; none during a fit if no point is held out, all points when validating."""
        assert self.trainer is not None
        if self.held_out:
            return self._batches(self.validation)
        return [] if self.trainer.state.fn == "fit" else self._batches(self.all)

    def test_dataloader(self) -> GlobalBatches:
        """Return the batches of the test points."""
        return self._batches(self.test_points())

    def predict_dataloader(self) -> GlobalBatches:
        """Return the batches of all points, in order."""
        return self._batches(self.all)

    def _batches(self, points: Points, shuffle: bool = False) -> GlobalBatches:
        trainer = self.trainer
        assert trainer is not None

        def order() -> Tensor:
            generator = torch.Generator().manual_seed(self.seed + trainer.current_epoch)
            return torch.randperm(len(points.x), generator=generator)

        return GlobalBatches(
            *points, self.batch_size, trainer.global_rank, trainer.world_size, order if shuffle else None
        )

    def state_dict(self) -> dict[str, Any]:
        """Name the class in the checkpoint, so that a checkpoint alone is enough to build the module again."""
        return {"class_path": f"regression.{type(self).__name__}"}


class SineLineDataModule(PointsDataModule):
    """Points on ``y = 3 x + sin(6 x) + 1``, evenly spaced, with normal noise if wanted.

    The defaults are the textbook's ten float32 points, without noise, in one batch. The test set has the same x and
    noise of its own.

    Args:
        points: Number of points N.
        low: Smallest x.
        high: Largest x.
        noise: Standard deviation of the noise added to y, in y's unit; its draw follows from the seed.
    """

    def __init__(
        self, points: int = 10, low: float = 0.0, high: float = 1.0, noise: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        _require(points >= 1, "points must be at least 1", points)
        _require(math.isfinite(low) and math.isfinite(high), "low and high must be finite", (low, high))
        _require(max(abs(low), abs(high)) < 1e38, "low and high must be within float32's 1e38", (low, high))
        _require(low <= high, "low must not be above high", (low, high))
        _require(math.isfinite(noise) and noise >= 0, "noise must be a finite number of at least 0", noise)
        held_out = round(points * self.validation_fraction)
        _require(held_out < points, f"validation_fraction leaves no point of {points} to fit", self.validation_fraction)
        self.save_hyperparameters()
        self.number, self.low, self.high, self.noise = points, low, high, noise

    def points(self) -> Points:
        """Return the points with the training noise."""
        return self._draw(self.seed)

    def test_points(self) -> Points:
        """Return the same x with other noise."""
        return self._draw(self.seed + 1)

    def _draw(self, seed: int) -> Points:
        x = torch.linspace(self.low, self.high, self.number)
        noise = self.noise * torch.randn(self.number, generator=torch.Generator().manual_seed(seed))
        return Points(x, 3 * x + torch.sin(6 * x) + 1 + noise)


class TableDataModule(PointsDataModule):
    """Points from columns of a CSV file with a header row, as float64.

    Args:
        path: The file.
        x: Name of the column of x.
        y: Name of the column of y.
        sigma: Name of the column of the standard deviations of y; ``null`` for equal ones.
    """

    def __init__(self, path: str, x: str = "x", y: str = "y", sigma: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        _require(Path(path).is_file(), "path must be a CSV file", path)
        self.save_hyperparameters()
        self.path, self.columns = path, [x, y] if sigma is None else [x, y, sigma]

    def points(self) -> Points:
        """Read the columns.

        Raises:
            UsageError: If a column is missing, a cell is no number, or there is no row.
        """
        from pyarrow import ArrowInvalid, csv, float64  # a third of a second to import, and not every run needs it

        try:
            header = csv.open_csv(self.path).schema.names
            for column in self.columns:
                near = difflib.get_close_matches(column, header, n=1)
                hint = f", did you mean {near[0]!r}?" if near else ""
                _require(header.count(column) == 1, f"{self.path}: expected one column {column!r}{hint}", header)
            types = {column: float64() for column in self.columns}
            options = csv.ConvertOptions(column_types=types, include_columns=self.columns)
            table = csv.read_csv(self.path, convert_options=options)
        except (ArrowInvalid, UnicodeDecodeError) as error:
            raise UsageError(f"{self.path}: {error}") from None
        _require(table.num_rows > 0, f"{self.path}: expected at least one row", 0)
        values = [torch.tensor(table[column].to_numpy()) for column in self.columns]
        for column, numbers in zip(self.columns, values, strict=True):
            self._require_finite(column, numbers)
        return Points(*values)

    def _require_finite(self, column: str, numbers: Tensor) -> None:
        bad = ~numbers.isfinite()
        if bad.any():
            row = int(bad.int().argmax())
            raise UsageError(
                f"{self.path}: column {column!r} must hold finite numbers, got {numbers[row].item()} in data row "
                f"{row + 1}, and {int(bad.sum())} such rows in all"
            )


def _require(condition: bool, expected: str, value: object) -> None:
    if not condition:
        raise UsageError(f"{expected}, got {value}")
