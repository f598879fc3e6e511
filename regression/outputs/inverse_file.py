"""Writes the x of observed values of y, batch by batch: ``predict --inverse``."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from regression.common.collectives import all_gather_objects
from regression.common.errors import DataError, UsageError
from regression.common.points import Batch
from regression.common.rules import or_null, require_option, whole
from regression.common.text import counted
from regression.common.time_scale import TimeScale
from regression.data.data_modules import PointsDataModule
from regression.data.table_module import TableDataModule
from regression.fits.fit import Fit
from regression.inference.places import Place
from regression.outputs.predictions import print_row_notes
from regression.outputs.table_file import PredictedTable, x_array, x_type

__all__ = ["InverseFile", "InverseModule", "read_y_alone"]

COLUMNS = ("row", "y", *Place._fields, "note")
X_COLUMNS = ("x", "ci_lower", "ci_upper")
ROWS_PER_BATCH = 1 << 12  # over all processes; they take some seconds
Row = tuple[Any, ...]


def read_y_alone(data: pl.LightningDataModule, has_scatter: bool, y_time: TimeScale | None) -> None:
    """Make a table's data module read the column of y alone, and that of sigma if the observations have scatter.

    Raises:
        UsageError: If the points are not those of a table.
    """
    if not isinstance(data, TableDataModule):
        raise UsageError("--inverse needs a file with a column of y: give it as in predict FILE --y NAME --inverse")
    data.x = data.y  # for predictions a data module reads the column of x alone
    data.sigma, data.weights = (data.sigma, data.weights) if has_scatter else (None, None)
    data.time_unit, data.time_origin = None if y_time is None else y_time.unit, None
    data.batch_size = min(data.batch_size or ROWS_PER_BATCH, ROWS_PER_BATCH)


class InverseModule(pl.LightningModule):
    """Finds the x of values of y, as ``Fit.inverse`` does.

    Args:
        fit: The fit.
        replicates: Number of observations that each y is the mean of; ``None`` for values of the curve itself.
    """

    def __init__(self, fit: Fit, replicates: int | None) -> None:
        super().__init__()
        require_option("replicates", replicates, or_null(whole(1)))
        self.result, self.replicates = fit, replicates

    def setup(self, stage: str) -> None:
        """Refuse a column of y with numbers for a fit of times, with times for a fit of numbers, or other times."""
        data, fitted = self.trainer.datamodule, self.result.y_time  # type: ignore[attr-defined]
        got = data.x_time  # the column of y is read in place of x
        if (got and got.kind) != (fitted and fitted.kind):
            expected = "numbers" if fitted is None else f"{fitted.kind} ({fitted.words})"
            given = got.kind if got else "numbers"
            raise DataError(
                f"y must hold {expected}, as the points of the fit do, got {given}: choose another column with --data.y"
            )

    def predict_step(self, batch: Batch, batch_idx: int) -> list[tuple[float, list[Row]]]:
        """Return each y with its places and their note; a y without a place has an empty one."""
        sigma = [None] * len(batch.x) if batch.sigma is None else batch.sigma.tolist()
        return [(y, list(self._places(y, own))) for y, own in zip(batch.x.tolist(), sigma, strict=True)]

    def _places(self, y: float, sigma: float | None) -> Iterator[Row]:
        found = self.result.inverse(y, self.replicates, sigma=sigma if self.replicates else None)
        note = "; ".join(found.notes) or None
        for place in found or [(None,) * len(Place._fields)]:
            yield (*place, note)


class InverseFile(Callback):
    """Writes the x of each y with their intervals, one row for each x: ``row, y, x, se, ci_lower, ci_upper, …``.

    Args:
        file: As for ``PredictionFile``.
    """

    def __init__(self, file: str) -> None:
        self._table = PredictedTable(file)
        self._rows, self._counts = 0, Counter[str]()

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open a temporary file in the run's folder."""
        import pyarrow as pa  # imported here because it takes a third of a second and not every run needs it

        kinds = {"row": pa.int64(), "kind": pa.string(), "extrapolated": pa.bool_(), "note": pa.string()}
        kinds |= dict.fromkeys(X_COLUMNS, x_type(cast("InverseModule", pl_module).result.x_time))
        self._schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in COLUMNS])
        self._table.open(trainer, self._schema)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the places of all processes, whose slices of a global batch are consecutive."""
        answers = [answer for part in all_gather_objects(outputs) for answer in part]
        if not self._table.is_open:
            return
        import pyarrow as pa

        rows: list[Row] = []
        for y, places in answers:
            self._rows += 1
            self._count(places)
            rows += [(self._rows, y, *place) for place in places]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in COLUMNS]
        x_time = cast("InverseModule", pl_module).result.x_time
        arrays = [
            x_array(column, x_time) if field.name in X_COLUMNS else pa.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._table.write(pa.table(arrays, schema=self._schema))

    def _count(self, places: list[Row]) -> None:
        known = [Place(*place[:-1]) for place in places]
        self._counts["x"] += sum(place.x is not None for place in known)
        self._counts["none"] += all(place.x is None for place in known)
        self._counts["several"] += len(known) > 1
        self._counts["open"] += any(math.isinf(end or 0) for place in known for end in (place.ci_lower, place.ci_upper))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Rename the complete file, and print where it is, and how many y have no x or more than one."""
        if not self._table.is_open:
            return
        print(f"{self._counts['x']:,} x of {counted(self._rows, 'y', 'y')} in {self._table.finish()}")
        kinds = {"none": "without an x", "several": "with more than one", "open": "with an interval that has no end"}
        parts = [f"{self._counts[key]:,} {words}" for key, words in kinds.items() if self._counts[key]]
        if parts:
            print(f"{', '.join(parts)}: the column note says why")
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, PointsDataModule)
        print_row_notes(data, cast("InverseModule", pl_module).result)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the partial file."""
        self._table.discard(exception)
