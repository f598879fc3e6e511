"""The LightningModule of a curve without its fitting: losses of global batches, and predictions."""

import math
from abc import ABC
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Literal, cast

import lightning.pytorch as pl
import torch
from torch import Tensor

from regression.common.collectives import all_max, all_sum, global_sum
from regression.common.errors import UsageError
from regression.common.points import Batch, Points, gathered
from regression.common.text import counted
from regression.curves.polynomial import Polynomial
from regression.data.batches import GlobalBatches, Share, Shares
from regression.data.plain_loaders import as_batch, read_pass
from regression.descent.losses import GlobalLoss
from regression.descent.updates import Trace
from regression.fits.fit import Fit
from regression.fits.fit_record import FitRecord, load_with_fit
from regression.fits.least_squares import LeastSquares
from regression.training.engine import Engine
from regression.training.resume import Progress

__all__ = ["SMALL_BATCH_ROWS", "CurveModule", "Solver", "Total"]

# Of a batch up to this size every process computes the update from all rows: that takes less time than one message
# between processes, and the result has the bits of a single process.
SMALL_BATCH_ROWS = 1 << 16

Solver = Literal["exact", "gradient"]
Total = Callable[[Tensor], Tensor]  # from this process's sum to that of all processes


class CurveModule(pl.LightningModule, ABC):
    """A curve, its loss over global batches, and predictions from its fit, for engines and callbacks.

    Args:
        model: The curve.
        solver: How it is fitted.
        loss: Name of the loss.
        loss_args: Its arguments.

    Attributes:
        engine: Fits the curve.
        record: The fit of the present weights.
        absolute_sigma: Whether the points' sigma are in y's unit, not only relative.
        trace: Losses and coefficients of the latest updates.
        progress: The position of the run within its epochs.
        evaluated_loss: The loss of the points that were validated or tested last.
        is_fitting: Whether the latest ``setup`` was for a fit.
        has_small_batches: Whether every process computes each update from all rows of the batch.
        is_stopped: Called after each span of updates of a block: whether to end it early, the same on all processes.
        on_scanned: Called after each batch of a pass before the first update, with its number, the number of batches,
            and its rows.
    """

    engine: Engine
    record: FitRecord
    absolute_sigma: bool

    def __init__(self, model: Polynomial, solver: Solver, loss: str, loss_args: dict[str, float] | None) -> None:
        super().__init__()
        self.model, self.solver, self.loss = model, solver, GlobalLoss(loss, loss_args)
        self.trace: Trace | None = None
        self.progress = Progress()
        self.evaluated_loss = math.nan
        self.is_fitting = False
        self.has_small_batches = False
        self.is_stopped: Callable[[], bool] = never
        self.on_scanned: Callable[[int, int, int], None] = ignore_scanned
        self._sums = torch.zeros(2, dtype=torch.float64)  # loss sum and rows of an evaluation epoch
        self._is_whole = False  # whether every process adds all rows of each batch of that epoch
        self._plain_batches: GlobalBatches | None = None  # the points read from a loader that is not of this package
        self._left_out = 0  # rows that this loader leaves out
        load_with_fit(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy or a pickle, without what belongs to a Trainer and its callbacks."""
        run = {"is_stopped": never, "on_scanned": ignore_scanned, "trace": None, "_plain_batches": None}
        return super().__getstate__() | run

    @property
    def least_squares(self) -> LeastSquares:
        """The sums and the optimum of the training points."""
        return self.record.least_squares

    @property
    def result(self) -> Fit | None:
        """The fit of the present weights, whether they were trained or loaded; ``None`` before there is one."""
        return self.record.fit()

    def required_result(self) -> Fit:
        """Return the fit, or refuse where there is none."""
        if (fit := self.result) is None:
            raise UsageError(
                "predictions need a fit, and these weights came without one: fit the module, or load all of the "
                "state_dict or the checkpoint of a fit"
            )
        return fit

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state of the fit, which the ``state_dict`` contains besides the weights."""
        return self.record.state()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the fit from a ``state_dict``."""
        self.record.load(state)

    @property
    def needs_order(self) -> bool:
        """Whether the order of the points and their division into batches matter: not for the exact solver's sums."""
        return self.solver == "gradient"

    @property
    def loader(self) -> GlobalBatches | Shares:
        """The training batches, or the share of the rows whose sums this process takes."""
        return self._plain_batches or cast("GlobalBatches | Shares", self.trainer.train_dataloader)

    def read_plain_loader(self) -> None:
        """Read all points of a training loader that is not of this package."""
        loader, self._plain_batches, self._left_out = self.trainer.train_dataloader, None, 0
        if not isinstance(loader, GlobalBatches | Shares):
            self._require_one_process()
            self._plain_batches, self._left_out = read_pass(loader, self.trainer.num_training_batches)

    @property
    def has_plain_loader(self) -> bool:
        """Whether the training batches come from a loader that is not of this package."""
        return self._plain_batches is not None

    def _require_one_process(self) -> None:
        if self.trainer.world_size > 1:
            raise UsageError(
                f"{self.trainer.world_size} processes need batches that they share without counting a row twice, which "
                "those of a DataLoader are not: use regression.ArrayDataModule(x, y, sigma), or one process"
            )

    def convert_batch(self, batch: Any) -> Batch:
        """Return a batch of any loader as a ``Batch``."""
        # Lightning has a hook for this, on_before_batch_transfer, but warns of it in each run with a data module.
        if isinstance(batch, Batch):
            return batch
        self._require_one_process()
        return as_batch(batch, needs_y=not self.trainer.predicting).to(self.device)

    def left_out_notes(self) -> tuple[str, ...]:
        """Return a note if the run left out rows for another reason than a missing number."""
        nobs = self.least_squares.moments.nobs
        rows = self._left_out + len(self.loader.rows) - nobs
        why = "limit_train_batches, or drop_last of the DataLoader," if self.has_plain_loader else "limit_train_batches"
        return (
            (f"{why} left out {rows:,} of {counted(rows + nobs, 'row')}: this is a fit of the others",) if rows else ()
        )

    def total_updates(self) -> float:
        """Return the largest number of updates that this run can make, infinite if nothing limits it."""
        return self.engine.total_updates()

    @property
    def is_cut(self) -> bool:
        """Whether the exact solver's pass ends before the last step, by ``limit_train_batches``."""
        return isinstance(self.loader, Shares) and self.trainer.num_training_batches < len(self.loader)

    def scan_all(self, work: Callable[[Points], None]) -> None:
        """Call ``work`` with parts of this process's share of all points that the run takes, from several threads."""
        shares = self.loader.shares()
        self.scan(list(islice(shares, int(self.trainer.num_training_batches))) if self.is_cut else shares, work)

    def scan(self, batches: Shares | Sequence[Batch | Share], work: Callable[[Points], None]) -> None:
        """Call ``work`` with parts of some batches, from several threads, and call ``on_scanned`` after each batch."""
        for done, batch in enumerate(cast("Iterable[Batch | Share]", batches), start=1):
            batch.scan(work, is_checked_by_work=True)
            self.on_scanned(done, len(batches), batch.rows)

    def sum_over_points(self, work: Callable[[Points], Tensor]) -> Tensor:
        """Return the sum of a function over all training points, always in the same order."""
        assert isinstance(self.loader, GlobalBatches)
        parts = []
        for slices in self.loader.in_order():
            batch, total = self.assign_rows(slices.to(self.device), all_sum)
            parts.append(total(work(batch.points)))
        return torch.stack(parts).sum(dim=0)

    def log_update(self, update: int, values: dict[str, float], params: Sequence[float]) -> None:
        """Log the values of an update, and the coefficients in powers of x."""
        named = {f"coefficients/{name}": value for name, value in zip(self.model.names, params, strict=False)}
        for logger in self.trainer.loggers:
            logger.log_metrics(values | named, step=update)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) for points x of shape (N,)."""
        prediction: Tensor = self.model(x)
        return prediction

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the one optimizer, without the Trainer's wrapper."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def loss_sum(self, batch: Batch) -> Tensor:
        """Return this process's sum of the points' losses, residuals in units of sigma where there is one."""
        prediction, target = self.model(batch.x), batch.y.to(self.model.coefficients.dtype)
        if batch.sigma is not None:
            prediction, target = prediction / batch.sigma.to(target), target / batch.sigma.to(target)
        return self.loss.sum(prediction, target)

    def batch_loss(self, batch: Any) -> Tensor:
        """Return the loss of a global batch; every process must call it with its own slice."""
        batch, total = self.assign_rows(self.convert_batch(batch), global_sum)
        return self.loss.value(total(self.loss_sum(batch)), batch.rows)

    def assign_rows(self, batch: Batch, total: Total) -> tuple[Batch, Total]:
        """Return the rows that this process adds up, all of a small batch, and what makes its sum the batch's."""
        return (gathered(batch), _identity) if self.has_small_batches else (batch, total)

    def measure_loss(self, batches: Iterable[Batch]) -> float:
        """Return the loss of all rows of the batches; every process must call it with its own slices."""
        with torch.no_grad():
            for index, batch in enumerate(batches):
                self._add(batch.to(self.device), index)
        loss, _ = self._evaluated()
        return float(loss)

    def setup(self, stage: str) -> None:
        """Give the model the run's number type before a checkpoint is loaded; Lightning does so only later."""
        self.is_fitting, self.is_stopped = stage == "fit", self._has_received_sigterm
        if str(self.trainer.precision).startswith("64"):
            self.model.double()

    def _has_received_sigterm(self) -> bool:
        """Tell whether any process has received SIGTERM; Lightning checks this only after a whole batch of updates."""
        return bool(all_max(torch.tensor(int(self.trainer.received_sigterm), device=self.device)))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Add the batch to the validation loss."""
        self._add(self.convert_batch(batch), batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Add the batch to the test loss."""
        self._add(self.convert_batch(batch), batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the loss of all validation rows."""
        self._log_epoch("val_loss")

    def on_test_epoch_end(self) -> None:
        """Log the loss of all test rows."""
        self._log_epoch("test_loss")

    def _add(self, batch: Batch, index: int) -> None:
        if index == 0:  # no later one is larger
            self._is_whole = batch.rows <= SMALL_BATCH_ROWS
        batch = gathered(batch) if self._is_whole else batch
        self._sums += torch.tensor([float(self.loss_sum(batch)), len(batch.y)], dtype=torch.float64)

    def _evaluated(self) -> tuple[Tensor, int]:
        """Return the loss of the batches that were added and their number of rows, and reset the sums."""
        sums = self._sums.to(self.device, copy=True)
        self._sums.zero_()
        total, rows = sums if self._is_whole else all_sum(sums)
        return self.loss.value(total, int(rows)), int(rows)

    def _log_epoch(self, key: str) -> None:
        loss, rows = self._evaluated()
        self.evaluated_loss = float(loss)
        self.log_loss(key, loss, rows, logger=True)

    def log_loss(self, key: str, value: Tensor, rows: int, logger: bool = False) -> None:
        """Log a loss over ``rows`` rows, which must be the same on every process, at the end of the epoch."""
        # The maximum over equal numbers keeps their bits; the mean might round.
        self.log(
            key, value, on_step=False, on_epoch=True, prog_bar=True, batch_size=rows, reduce_fx="max", sync_dist=True,
            logger=None if logger else False,  # None: logs if there is a logger, and does not warn if there is none
        )  # fmt: skip

    def predict_step(self, batch: Any, batch_idx: int) -> tuple[Tensor, ...]:
        """Return the points, the curve with its bands, and which points lie outside the fitted range, each (n,)."""
        own = self.convert_batch(batch)
        bands = self.required_result().predict(own.x, sigma=own.sigma)
        return (own.x.double(), *(column.to(self.device) for column in bands))


def never() -> bool:
    """Return False: without a callback for signals nothing ends a block early."""
    return False


def ignore_scanned(done: int, batches: int, rows: int) -> None:
    """Do nothing: without a progress bar nothing shows the pass."""


def _identity(value: Tensor) -> Tensor:
    """Return the value: where every process has all rows, its sum is that of the batch."""
    return value
