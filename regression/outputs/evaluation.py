"""Logs and prints how well a fit describes the points of ``validate`` and ``test``."""

import math
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from regression.common.text import counted
from regression.outputs.goodness import Goodness
from regression.training.trainer_parts import as_curve_module

__all__ = ["Evaluation"]


class Evaluation(Callback):
    """Compares the points of ``validate`` and ``test`` with the fit, over all devices.

    Logs ``rsquared``, ``rmse``, ``mae`` and ``coverage``, each after ``val_`` or ``test_``, and prints them. The
    validations during a fit log their loss alone.
    """

    def __init__(self) -> None:
        self._goodness = Goodness()

    def _begin(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._goodness = Goodness()

    on_validation_epoch_start = on_test_epoch_start = _begin

    def _add(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: int) -> None:
        module = as_curve_module(pl_module)
        if trainer.state.fn == "fit" or (fit := module.result) is None:
            return
        batch = module.convert_batch(batch)
        curve = fit.predict(batch.x, sigma=batch.sigma)
        sigma = None if batch.sigma is None else batch.sigma.cpu()
        part = Goodness.of(batch.y.cpu(), curve.mean, curve.obs_ci_lower, curve.obs_ci_upper, sigma)
        self._goodness = self._goodness.merge(part)

    on_validation_batch_end = on_test_batch_end = _add  # type: ignore[assignment]

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the numbers of the validation points."""
        self._log(trainer, pl_module, "val_")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the numbers of the test points."""
        self._log(trainer, pl_module, "test_")

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if trainer.state.fn == "fit" or as_curve_module(pl_module).result is None:
            return
        self._goodness = self._goodness.gather(pl_module.device)
        for name, value in self._goodness.metrics().items():
            unrounded = torch.tensor(value, dtype=torch.float64)  # Lightning would round a plain number to float32
            pl_module.log(stage + name, unrounded, on_step=False, on_epoch=True)  # the same on every process

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the numbers, unless this is a validation during a fit."""
        self._print(trainer, pl_module, "val_")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the numbers."""
        self._print(trainer, pl_module, "test_")

    def _print(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        module = as_curve_module(pl_module)
        goodness = self._goodness
        if trainer.state.fn == "fit" or not trainer.is_global_zero or (fit := module.result) is None:
            return
        values = {"loss": module.evaluated_loss, **goodness.metrics()}
        shown = ", ".join(f"{stage}{name} {value:.8g}" for name, value in values.items() if math.isfinite(value))
        print(f"{counted(int(goodness.nobs), 'point')}: {shown}")
        if math.isfinite(goodness.inside):
            share = 100 * goodness.inside / goodness.nobs
            print(
                f"{int(goodness.inside):,} of {counted(int(goodness.nobs), 'point')} ({share:.1f} %) inside the "
                f"{100 * fit.level:g} % prediction band"
            )
