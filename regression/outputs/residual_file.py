"""Writes the fitted rows with their diagnostics, and tests their residuals, in one more pass over the rows."""

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from regression.common.atomic_files import saving
from regression.common.collectives import all_gather_rows
from regression.common.errors import UsageError
from regression.common.text import shown_path
from regression.data.batches import GlobalBatches
from regression.estimation.residual_tests import ResidualTotals
from regression.fits.fit import Fit
from regression.inference.row_diagnostics import RowDiagnostics
from regression.outputs.report_lines import has_full_report
from regression.outputs.table_file import arrow_rows, open_table, require_table_name, schema_of_rows
from regression.training.base import CurveModule
from regression.training.trainer_parts import as_curve_module

__all__ = ["ResidualFile"]

COLUMNS = ("x", "y", "fitted", "residual", "leverage", "standardized", "studentized", "cook", "outside")
ROWS_PER_BATCH = 1 << 18  # over all processes


class ResidualFile(Callback):
    """Writes the rows that were fitted, in their order, with their diagnostics, as ``Fit.diagnostics`` returns them.

    The columns are ``x, y, fitted, residual, leverage, standardized, studentized, cook, outside``, of an M-estimate
    with ``robust_weight`` after ``residual``. Where the errors of the fit are unknown, or do not go by residual σ,
    those from ``leverage`` on are empty cells (CSV) or null (Parquet). The same pass over the rows tests the residuals,
    for ``fit.json`` and the full report; without a file it is made for ``report.full`` alone.

    Args:
        file: Name of the file in the run's folder; its ending, .csv or .parquet, decides the kind. By default there is
            none.
    """

    def __init__(self, file: str | None = None) -> None:
        if file is not None:
            require_table_name("residuals.file", file)
        self.file = file

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse to run without a folder for the file, or if the file exists."""
        as_curve_module(pl_module)
        if self.file is None:
            return
        if not trainer.loggers:
            raise UsageError("residuals.file needs a folder: leave --trainer.logger as it is, or give a logger")
        if (path := Path(trainer.log_dir or "") / self.file).exists():
            raise UsageError(f"ResidualFile writes over nothing, and {shown_path(path)} is there: give another name")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the pass, and add the tests to the fit, before other callbacks report it."""
        module, folder = as_curve_module(pl_module), trainer.log_dir
        if (fit := module.result) is None or not (self.file or has_full_report(trainer)):
            return
        if module.left_out_notes():
            what = f"no {self.file} and no tests" if self.file else "no tests"
            warnings.warn(f"there are {what} of residuals: the run left rows out", UserWarning, stacklevel=2)
            return
        path = Path(folder or "", self.file) if self.file else None
        batches = GlobalBatches(module.loader.rows, ROWS_PER_BATCH, trainer.global_rank, trainer.world_size)
        tests = write_rows(path if trainer.is_global_zero else None, fit, module, batches, path is not None)
        module.record.set_fit(replace(fit, residual_tests=tests))


def write_rows(
    path: Path | None, fit: Fit, module: CurveModule, batches: GlobalBatches, has_file: bool
) -> dict[str, Any]:
    """Write the rows of all processes, and return the tests of their residuals; all processes must call it.

    Args:
        path: The file to write, on the process that does; ``None`` on others.
        fit: The fit.
        module: Its module.
        batches: The rows, in order.
        has_file: Whether any process writes the file.
    """
    columns = COLUMNS if fit.robust is None else (*COLUMNS[:4], "robust_weight", *COLUMNS[4:])
    totals = ResidualTotals(fit, 2.0**module.least_squares.moments.frame.sigma_exponent)
    with ExitStack() as files:
        writer: Any = None
        if path is not None:
            files.enter_context(saving(path))
            writer = open_table(path, files, schema_of_rows(columns, fit.x_time))
        for batch in batches:
            rows = RowDiagnostics.of(fit, batch.points.to_cpu())
            totals.add(rows, module.device)
            if has_file:
                table = all_gather_rows(_numbers(rows, columns).to(module.device)).cpu()
                if writer is not None:
                    writer.write_table(arrow_rows(table, columns, fit.x_time))
    return totals.tests(module.device).to_dict()


def _numbers(rows: RowDiagnostics, columns: Sequence[str]) -> torch.Tensor:
    """Return columns, shape (n, C); ``outside``, the last one, is NaN where the leverage is unknown."""
    found = torch.stack([getattr(rows, name).double() for name in columns], dim=1)
    found[:, -1] = found[:, -1].where(rows.leverage.isfinite(), torch.nan)
    return found
