"""The data modules: points of a program, and the textbook's example."""

from abc import ABC, abstractmethod
from typing import Any

import lightning.pytorch as pl
import torch

from regression.common.arrays import NanPolicy, as_plain, complete_columns, require_complete
from regression.common.data_frames import column_name
from regression.common.errors import UsageError
from regression.common.points import Points, unknown_y
from regression.common.rules import BOOLEAN, NOT_NEGATIVE, NUMBER, Rule, or_null, require_option, whole
from regression.common.time_scale import TimeScale, TimeUnit, headed
from regression.common.times import timed_columns
from regression.data.batches import GlobalBatches, Shares
from regression.data.rows import MemoryRows, Rows, SplitRows
from regression.readers.columns import BLOCK, LARGE_BATCH

__all__ = ["ArrayDataModule", "PointsDataModule", "SineLineDataModule"]

SEED = Rule("a whole number from 0 to 2^32 - 1", whole(0, 2**32 - 1).holds)
FRACTION = Rule("from 0 to below 1", lambda value: NOT_NEGATIVE.holds(value) and value < 1)


class PointsDataModule(pl.LightningDataModule, ABC):
    """Splits points into training and validation rows and serves them in global batches.

    Args:
        seed: Seed of the choice of validation points and of the shuffling.
        batch_size: Rows per batch, counted over all devices. By default all rows are one batch; a streamed table is
            read in batches of 4,194,304 rows, in the order of the data.
        shuffle: Whether mini-batches are drawn in a new order each epoch, which follows from seed and epoch. A streamed
            table is shuffled in blocks of about a million rows: the blocks, and the rows within each.
        validation_fraction: Share of the points held out at random for validation, from 0 to below 1.

    Attributes:
        axes: Names of x and y.
        x_time: What the numbers of x mean where x holds times.
        y_time: The same of y.
        all: All rows.
        training: The rows to fit.
        validation: The held-out rows, or ``None``.

    Raises:
        UsageError: If a number is out of its range.
    """

    axes: tuple[str, str] = ("x", "y")
    x_time: TimeScale | None = None
    y_time: TimeScale | None = None

    def __init__(
        self, seed: int = 0, batch_size: int | None = None, shuffle: bool = True, validation_fraction: float = 0.0
    ) -> None:
        super().__init__()
        require_option("seed", seed, SEED)
        require_option("batch_size", batch_size, or_null(whole(1)))
        require_option("shuffle", shuffle, BOOLEAN)
        require_option("validation_fraction", validation_fraction, FRACTION)
        self.seed, self.batch_size, self.shuffle = as_plain((seed, batch_size, shuffle))
        self.validation_fraction = validation_fraction

    @abstractmethod
    def rows(self, stage: str) -> Rows:
        """Return all rows of a stage (``fit``, ``validate``, ``test`` or ``predict``), the same on every process."""

    def validation_rows(self) -> Rows | None:
        """Return separate rows for validation, or ``None`` if there are none."""
        return None

    def setup(self, stage: str) -> None:
        """Get the rows and choose the validation rows, the same on every process."""
        self.all = self.rows(stage)
        self.training, self.validation = self.all, None if stage == "predict" else self.validation_rows()
        if self.validation_fraction and stage != "predict":
            self.training, share = (SplitRows(self.all, self.validation_fraction, self.seed, k) for k in (True, False))
            _require_rest(self.validation_fraction, len(self.all), len(self.training))
            self.validation = share if len(share) else None

    @property
    def provenance(self) -> str | None:
        """Where the points came from, such as ``24 rows of meas.csv``, or ``None``."""
        return None

    @property
    def origin_fields(self) -> dict[str, Any]:
        """Names, times and source of the columns, as fields of a fit's ``Origin``."""
        source = self.provenance
        return {"axes": self.axes, "source": source, "x_time": self.x_time, "y_time": self.y_time}

    @property
    def held_out(self) -> int:
        """Number of rows held out for validation."""
        return 0 if self.validation is None else len(self.validation)

    def source(self) -> dict[str, Any] | None:
        """Return the class and options that build the module, in the form of a configuration, or ``None``."""
        return {**self.state_dict(), "init_args": as_plain(dict(self.hparams_initial))}

    def train_dataloader(self) -> GlobalBatches | Shares:
        """Return this process's slices of the training batches, those of a block of updates joined.

        For a model that needs neither batches nor their order, return this process's share of all rows, in large steps.
        """
        trainer = self.trainer
        assert trainer is not None
        if not getattr(trainer.lightning_module, "needs_order", True):
            return Shares(self.training, self.batch_size, trainer.global_rank, trainer.world_size)
        joined = getattr(trainer.lightning_module, "updates_per_batch", 1)
        return self._batches(self.training, shuffle=self.shuffle and self.batch_size is not None, joined=joined)

    def val_dataloader(self) -> GlobalBatches | list[Any]:
        """Return the validation batches; none during a fit if no point is held out, all points when validating."""
        assert self.trainer is not None
        if self.validation is not None:
            return self._batches(self.validation)
        return [] if self.trainer.state.fn == "fit" else self._batches(self.all)

    def test_dataloader(self) -> GlobalBatches:
        """Return the batches of the held-out points, or of all points if none are held out."""
        return self._batches(self.validation or self.all)

    def predict_dataloader(self) -> GlobalBatches:
        """Return the batches of all points, in order."""
        return self._batches(self.all, streamed_batch=BLOCK)

    def _batches(
        self, rows: Rows, shuffle: bool = False, streamed_batch: int = LARGE_BATCH, joined: int = 1
    ) -> GlobalBatches:
        trainer = self.trainer
        assert trainer is not None
        size = self.batch_size or (streamed_batch if len(rows.counts) > 1 else None)
        seed = (lambda: self.seed + trainer.current_epoch) if shuffle else None
        return GlobalBatches(rows, size, trainer.global_rank, trainer.world_size, seed, joined)

    def state_dict(self) -> dict[str, Any]:
        """Return the class, for a checkpoint, from which the module can then be built."""
        return {"class_path": f"regression.{type(self).__name__}"}


class ArrayDataModule(PointsDataModule):
    """Points in memory, from a Python program; several devices share their batches like those of a table.

    Args:
        x: Points, shape (N,) or (N, 1): a list, an array, a tensor, or a column of pandas, polars or pyarrow, taken by
            its values; labels are ignored.
        y: Values, likewise; ``None`` for points to predict.
        sigma: Standard deviations of y, likewise, or one number for all.
        nan_policy: Whether rows with a missing, masked or infinite number are refused (``raise``), or left out and
            counted (``omit``).
        time_unit: Unit of x or y where they hold times, as in ``fit``.
        time_origin: The instant at which x is 0; by default the first one. To predict, that of the fit.
        sigma_x: Standard deviations of x, likewise, for an exact line through points with errors in x and y.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sigma: Any = None,
        nan_policy: NanPolicy = "raise",
        sigma_x: Any = None,
        time_unit: TimeUnit | None = None,
        time_origin: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if sigma_x is not None and sigma is None:
            raise UsageError("sigma_x needs the sigma of y, got none")
        axes = column_name(x, "x"), column_name(y, "y")
        more = {"y": y, "sigma": sigma, "sigma_x": sigma_x}
        named = {"x": x, **{name: given for name, given in more.items() if given is not None}}
        named, self.x_time, self.y_time = timed_columns(named, time_unit, time_origin)
        values, is_complete = complete_columns(list(named), list(named.values()), nan_policy)
        require_complete(list(named), values)
        columns = dict(zip(named, values, strict=True))
        _require(len(values[0]) > 0, "expected at least one point", 0)
        self.has_y = y is not None
        self.axes = headed(axes[0], self.x_time), headed(axes[1], self.y_time)
        y_values, scale = columns.get("y", unknown_y(columns["x"])), columns.get("sigma")
        points = Points(columns["x"], y_values, scale, sigma_x=columns.get("sigma_x"))
        self._rows = MemoryRows(points, omitted=int((~is_complete).sum()))

    def rows(self, stage: str) -> MemoryRows:
        """Return the points."""
        if stage != "predict" and not self.has_y:
            raise UsageError(f"expected ArrayDataModule(x, y) to {stage}, got x alone")
        return self._rows

    def source(self) -> None:
        """Return nothing: no configuration holds the arrays."""

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: a checkpoint does not hold the arrays."""
        return {}


class SineLineDataModule(PointsDataModule):
    """Points on ``y = 3 x + sin(6 x) + 1``, evenly spaced, with or without normal noise.

    The defaults are the textbook's ten float32 points, without noise, in one batch. The test set has the same x and
    other noise.

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
        require_option("points", points, whole(1))
        require_option("low", low, NUMBER)
        require_option("high", high, NUMBER)
        require_option("noise", noise, NOT_NEGATIVE)
        _require(max(abs(low), abs(high)) < 1e38, "low and high must be within float32's 1e38", (low, high))
        _require(low <= high, "low must not be above high", (low, high))
        _require_rest(self.validation_fraction, points, points - round(points * self.validation_fraction))
        self.save_hyperparameters()
        self.number, self.low, self.high, self.noise = as_plain((points, low, high, noise))

    def rows(self, stage: str) -> MemoryRows:
        """Return the points; for a test the same x with other noise."""
        seed = self.seed + (stage == "test")
        x = torch.linspace(self.low, self.high, self.number)
        noise = self.noise * torch.randn(self.number, generator=torch.Generator().manual_seed(seed))
        return MemoryRows(Points(x, 3 * x + torch.sin(6 * x) + 1 + noise))

    def test_dataloader(self) -> GlobalBatches:
        """Return the batches of all test points."""
        return self._batches(self.all)


def _require_rest(fraction: float, points: int, rest: int) -> None:
    _require(rest > 0, f"validation_fraction leaves no point of {points} to fit", fraction)


def _require(condition: bool, expected: str, value: object) -> None:
    if not condition:
        raise UsageError(f"{expected}, got {value}")
