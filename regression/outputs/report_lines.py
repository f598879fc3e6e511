"""Lines on the terminal during a fit and at its end."""

import math
import shutil
import sys
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from regression.common.points import Batch
from regression.common.rules import BOOLEAN, one_of, require_option, whole
from regression.common.text import shown_path
from regression.descent.updates import Trace
from regression.training.base import CurveModule
from regression.training.callbacks import callbacks_of
from regression.training.trainer_parts import as_curve_module

__all__ = ["Report", "has_full_report", "updates_to_print"]

LABEL_WIDTH, CELL_WIDTH = 8, 12  # characters
ReportedLoss = Literal["before", "after"]


def updates_to_print(trace: Trace | None, total: float, rows: int) -> Iterator[int]:
    """Yield the updates of a block that have a line: about ``rows`` in a run, evenly spaced from the first.

    In a run without an end they are 0, 1, 2, 5, 10, 20, 50, …
    """
    if trace is None or rows < 1:
        return
    if math.isfinite(total):
        every = max(1, round(total / rows))
        yield from range(-(-trace.first // every) * every, trace.end, every)
    else:
        for update in range(trace.first, trace.end):
            if update == 0 or update in (k * 10 ** int(math.log10(update)) for k in (1, 2, 5)):
                yield update


class Report(Callback):
    """Lines on the terminal: the loss and the coefficients during a fit, and the report at its end.

    Args:
        rows: About how many lines a run prints.
        loss: Whether a line shows the loss ``before`` its update or ``after`` it. The coefficients are always those
            after it. The last line is the state at the end.
        full: Whether the report shows intervals, tests and correlations of the coefficients too.
    """

    def __init__(self, rows: int = 10, loss: ReportedLoss = "before", full: bool = False) -> None:
        require_option("report.rows", rows, whole())
        require_option("report.loss", loss, one_of(ReportedLoss))
        require_option("report.full", full, BOOLEAN)
        self.rows, self.loss, self.full = rows, loss, full
        self._is_head_printed = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Print the lines that are due."""
        module = as_curve_module(pl_module)
        trace = module.trace
        for update in updates_to_print(trace, module.total_updates(), self.rows):
            assert trace is not None
            at = update - trace.first
            loss = trace.losses[at]
            if self.loss == "after":
                following = trace.losses[at + 1] if at + 1 < len(trace.losses) else trace.final_loss
                with torch.no_grad():
                    loss = module.batch_loss(batch) if following is None else following
            self._print_head(trainer, module)
            self._print(trainer, str(update), [float(loss), *trace.coefficients[at].tolist()])

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the final state and the report."""
        module = as_curve_module(pl_module)
        fit = module.result
        folder = trainer.log_dir  # read on all processes, because the first one broadcasts it
        if not trainer.is_global_zero:
            return
        if fit is None:
            limits = "--trainer.max_steps, max_epochs or limit_train_batches"
            line = f"nothing was trained: {limits} end the run at update {trainer.global_step}"
            warnings.warn(line, UserWarning, stacklevel=2)
            return
        if self.rows > 0 and fit.solver == "gradient":
            self._print_head(trainer, module)
            self._print(trainer, str(fit.updates), [fit.loss, *fit.params])
            print()
        print(fit.report(self.full, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
        if trainer.loggers and folder is not None:
            print(f"files in {shown_path(folder)}")

    def _print_head(self, trainer: pl.Trainer, module: CurveModule) -> None:
        if not self._is_head_printed:
            self._print(trainer, "update", [f"loss {self.loss}", *module.model.names])
        self._is_head_printed = True

    def _print(self, trainer: pl.Trainer, label: str, cells: list[Any]) -> None:
        if not trainer.is_global_zero:
            return
        width = (shutil.get_terminal_size().columns if sys.stdout.isatty() else 10**6) - LABEL_WIDTH
        shown = cells if len(cells) * CELL_WIDTH <= width else [*cells[: max(1, width // CELL_WIDTH - 1)], "…"]
        texts = [cell if isinstance(cell, str) else f"{cell:.7g}" for cell in shown]
        print(f"{label:>{LABEL_WIDTH}}" + "".join(f" {text:>{CELL_WIDTH - 1}}" for text in texts), flush=True)


def has_full_report(trainer: pl.Trainer) -> bool:
    """Tell whether the report of a run is the full one."""
    return any(callback.full for callback in callbacks_of(trainer) if isinstance(callback, Report))
