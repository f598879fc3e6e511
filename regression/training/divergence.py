"""A loss or a coefficient that is no longer finite ends the run, with what to try."""

from typing import TYPE_CHECKING

from torch import Tensor

from regression.common.errors import DivergenceError, UsageError

if TYPE_CHECKING:
    from regression.training.regression import Regression

__all__ = ["require_finite_coefficients", "require_finite_losses"]


def require_finite_losses(module: "Regression", losses: Tensor, update: int, is_new: bool = True) -> None:
    """Stop the run at the first loss that is not finite.

    Args:
        module: The regression.
        losses: Losses before consecutive updates, shape (U,).
        update: Number of the first of them.
        is_new: Whether no step has been tried from these coefficients yet.

    Raises:
        UsageError: If it is that of the coefficients that the run began with.
        DivergenceError: If it is a later one.
    """
    finite = losses.isfinite()
    if not finite[0] and update == 0 and is_new:
        kind = str(module.model.coefficients.dtype).removeprefix("torch.")
        wider = "--trainer.precision 64-true, " if kind != "float64" else ""
        raise UsageError(
            f"the loss of the first coefficients is beyond {kind}: y is too large for this loss; "
            f"use {wider}--model.solver exact, or another unit of y"
        )
    if not finite.all():
        raise _diverged(module, update + int(finite.int().argmin()), "the loss")


def require_finite_coefficients(module: "Regression", coefficients: Tensor, update: int) -> None:
    """Stop the run where an update has left a coefficient that is not finite.

    Args:
        module: The regression.
        coefficients: Coefficients after the update, shape (K,).
        update: Its number.

    Raises:
        DivergenceError: If one is not finite.
    """
    if not coefficients.isfinite().all():
        raise _diverged(module, update, "a coefficient")


def _diverged(module: "Regression", update: int, what: str) -> DivergenceError:
    rate = float(module.optimizer().param_groups[0]["lr"])
    return DivergenceError(
        f"{what} stopped being finite at update {update} with learning rate {rate:g}: "
        f"try a smaller rate, such as {rate / 10:g}, or check the data for huge values"
    )
