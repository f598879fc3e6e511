"""The module and the data of a Trainer, with the types that this package needs."""

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, TypeGuard, cast

import lightning.pytorch as pl

from regression.common.errors import UsageError
from regression.data.batches import GlobalBatches, Shares
from regression.data.data_modules import PointsDataModule
from regression.data.plain_loaders import as_batch
from regression.training.base import CurveModule

__all__ = ["as_curve_module", "makes_updates", "run_data", "validation_batches"]


def as_curve_module(module: pl.LightningModule) -> CurveModule:
    """Return the module of a Trainer as a ``CurveModule``, which the callbacks of this package need, or refuse it."""
    if not isinstance(module, CurveModule):
        raise UsageError(
            f"expected a LineRegression or PolynomialRegression with this callback, got {type(module).__name__}"
        )
    return module


def makes_updates(module: pl.LightningModule) -> TypeGuard[CurveModule]:
    """Tell whether a module is fitted by one update after another."""
    return isinstance(module, CurveModule) and module.solver == "gradient"


def run_data(trainer: pl.Trainer) -> PointsDataModule | None:
    """Return the data module that the batches of a run come from, if it is of this package."""
    # The loader is checked because a Trainer keeps its data module when a later run is given loaders instead.
    evaluated = (
        (trainer.predicting, trainer.predict_dataloaders),
        (trainer.testing, trainer.test_dataloaders),
        (trainer.validating, trainer.val_dataloaders),
    )
    loader = next((loaders for is_now, loaders in evaluated if is_now), trainer.train_dataloader)
    data = trainer.datamodule  # type: ignore[attr-defined]
    is_own = isinstance(data, PointsDataModule) and isinstance(loader, GlobalBatches | Shares)
    return cast("PointsDataModule", data) if is_own else None


def validation_batches(trainer: pl.Trainer) -> Iterable[Any]:
    """Return the batches of all validation rows of a fit."""
    if (data := run_data(trainer)) is not None:
        return data.val_dataloader()
    (batches,) = trainer.num_val_batches
    loaders: Any = trainer.val_dataloaders
    loader = loaders[0] if isinstance(loaders, list) else loaders
    return map(as_batch, islice(loader, None if math.isinf(batches) else int(batches)))
