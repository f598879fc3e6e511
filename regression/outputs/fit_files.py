"""Writes the files of a fit, and its text and figures for TensorBoard."""

import math
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from regression.common.atomic_files import write_whole
from regression.common.errors import Stopped, UsageError
from regression.common.points import Batch
from regression.common.rules import PATH, or_null, require_option, whole
from regression.common.text import counted, shown_path
from regression.descent.updates import Trace
from regression.fits.fit import Fit
from regression.outputs.figure_options import FigureOptions, draw_fit, draw_update, write_pictures
from regression.outputs.report_lines import has_full_report
from regression.outputs.tensorboard import add_png, tensorboards
from regression.training.base import CurveModule
from regression.training.trainer_parts import as_curve_module, run_data

__all__ = ["FitFiles", "updates_to_draw"]

# Options in TensorBoard's table of runs, besides model, optimizer, rate and loss.
LOGGED_OPTIONS = ("solver", "degree", "basis", "batch_size", "path", "points")
FEWEST_UPDATES = 1000  # of a run whose figure is also drawn before the end


def updates_to_draw(total: float) -> tuple[int, ...]:
    """Return after which updates of a run a figure is drawn; few, because each figure takes a fifth of a second.

    Args:
        total: The number of updates of the run, which may be infinite.
    """
    if math.isinf(total):
        return (FEWEST_UPDATES, 10 * FEWEST_UPDATES, 100 * FEWEST_UPDATES)
    return tuple(int(total * k / 4) for k in (1, 2, 3)) if total >= FEWEST_UPDATES else ()


class FitFiles(Callback):
    """The files of a fit, ``fit.json``, ``fit.txt`` and ``fit.png``, and the same in TensorBoard.

    TensorBoard gets the figure at the end, in a run of 1,000 updates or more also at three updates before, the report
    as text, and the options of the run, with R², σ, loss and distance from the optimum as their metrics.

    Args:
        points: Number of losses kept for the figure, and of data points drawn in it, at most.
        folder: Where to write; by default the folder of the Trainer's logger.
        figure: How the figure looks, and which other files it has; by default ``fit.png`` alone.

    Attributes:
        losses: The losses kept, by the number of updates made before each.
    """

    def __init__(
        self, points: int = 2000, folder: str | Path | None = None, figure: FigureOptions | None = None
    ) -> None:
        require_option("points", points, whole(1))
        require_option("folder", folder, or_null(PATH))
        self.points, self.folder, self.figure = points, folder, figure or FigureOptions()
        self._stride = 1
        self._folder: Path | None = None
        self.losses: dict[int, float] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse to run without a folder, or with one that has the files of a fit."""
        if self.folder is None and not trainer.loggers:
            raise UsageError("FitFiles needs a folder to write to: give FitFiles(folder=...), or a logger")
        if self.folder is not None and (path := Path(self.folder) / "fit.json").exists():
            raise UsageError(f"FitFiles writes over nothing, and {shown_path(path)} is there: give another folder")
        folder = self.folder or trainer.log_dir  # read on all processes, because the first one broadcasts it
        self._folder = None if folder is None else Path(folder)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Keep the losses of the updates, and draw the figure if one is due."""
        module = as_curve_module(pl_module)
        trace = module.trace
        if trace is None:
            return
        self.keep(trace)
        loggers, total = tensorboards(trainer), module.total_updates()
        is_due = any(trace.first < update <= trace.end for update in updates_to_draw(total))
        if loggers and is_due and trace.end < total:  # after the last update, on_fit_end draws it
            losses = [*self.losses.items(), (trace.end, None if trace.final_loss is None else float(trace.final_loss))]
            with suppress(Exception):  # on_fit_end reports it
                own = trace.coefficients[-1].tolist()
                picture = draw_update(self.figure, module, own, run_data(trainer), losses, self.points)
                for logger in loggers:
                    add_png(logger, "fit", picture, trace.end)

    def keep(self, trace: Trace) -> None:
        """Keep the losses of a block, evenly thinned to at most ``points`` over the whole run."""
        first = -(-trace.first // self._stride) * self._stride
        kept = trace.losses[first - trace.first :: self._stride].tolist()
        self.losses.update(zip(range(first, trace.end, self._stride), kept, strict=True))
        while len(self.losses) > self.points:
            self._stride *= 2
            self.losses = {update: loss for update, loss in self.losses.items() if update % self._stride == 0}

    def state_dict(self) -> dict[str, Any]:
        """Return the losses kept, so that a run resumed from the checkpoint draws those of the whole run."""
        losses = torch.tensor(list(self.losses.values()), dtype=torch.float64)
        return {"stride": self._stride, "updates": torch.tensor(list(self.losses)), "losses": losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the losses of the run that is resumed.

        Args:
            state_dict: What ``state_dict`` returned.
        """
        self._stride = state_dict["stride"]
        self.losses = dict(zip(state_dict["updates"].tolist(), state_dict["losses"].tolist(), strict=True))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the files, and report and figure to TensorBoard; an error in drawing does not fail the run."""
        module = as_curve_module(pl_module)
        fit, folder = module.result, self._folder
        if fit is None or folder is None or not trainer.is_global_zero:
            return
        data = run_data(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        source = None if data is None else data.source()
        write_whole(folder / "fit.json", fit.to_json(data=source).encode())
        report = fit.report(has_full_report(trainer))
        write_whole(folder / "fit.txt", f"{report}\n".encode())
        picture = self._write_pictures(folder, fit, module, data)
        for logger in tensorboards(trainer):
            if picture is not None:
                add_png(logger, "fit", picture, fit.updates)
            logger.experiment.add_text("report", f"```\n{report}\n```", fit.updates)
            _log_options(logger, fit, module, data)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write ``fit.txt`` and ``fit.png`` of the latest coefficients of a run that Ctrl-C stopped."""
        if not isinstance(exception, Stopped) or exception.signum != signal.SIGINT or not trainer.training:
            return
        module = as_curve_module(pl_module)
        fit, folder = module.result, self._folder
        if fit is None or folder is None or not trainer.is_global_zero:
            return
        fit = replace(fit, notes=(f"stopped by Ctrl-C after {counted(fit.updates, 'update')}", *fit.notes))
        write_whole(folder / "fit.txt", f"{fit.report(has_full_report(trainer))}\n".encode())
        self._write_pictures(folder, fit, module, run_data(trainer))

    def _write_pictures(self, folder: Path, fit: Fit, module: CurveModule, data: Any) -> bytes | None:
        losses = [*self.losses.items(), (fit.updates, fit.loss)]
        return write_pictures(folder, lambda: draw_fit(self.figure, fit, module.loader.rows, data, losses, self.points))


def _log_options(logger: TensorBoardLogger, fit: Fit, module: CurveModule, data: Any) -> None:
    """Log the user's options, with the goodness of the fit as their metrics."""
    given = {**({} if data is None else data.hparams_initial), **module.hparams_initial}
    options: dict[str, Any] = {"model": fit.model, "loss": module.loss.name}
    if fit.solver == "gradient":
        options |= {"optimizer": fit.optimizer, "lr": float(module.optimizer().param_groups[0]["lr"])}
    options |= {name: given[name] for name in LOGGED_OPTIONS if given.get(name) is not None}
    found = {name: getattr(fit, name) for name in ("rsquared", "sigma", "loss", "opt_error_se", "updates")}
    if not math.isnan(module.evaluated_loss):
        found["val_loss"] = module.evaluated_loss
    # An unknown number is left out; TensorBoard then shows an empty cell.
    metrics = {f"result/{name}": value for name, value in found.items() if value is not None}
    logger.log_hyperparams(options, metrics, step=fit.updates)
