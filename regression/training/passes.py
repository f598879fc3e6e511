"""Further passes over the points of a run, for what is estimated beside least squares."""

from collections.abc import Iterator
from functools import partial

from regression.common.errors import UsageError
from regression.common.points import Points
from regression.data.batches import Shares
from regression.data.rows import SplitRows
from regression.fits.estimator import NEEDS_LINE
from regression.moments.passes import Passes
from regression.training.base import CurveModule

__all__ = ["passes_of", "require_usable_rows"]


def passes_of(module: CurveModule) -> Passes:
    """Return the passes over the training points of a module, of which each process takes its share."""
    return Passes(module.scan_all, partial(_in_order, module), module.device)


def require_usable_rows(module: CurveModule) -> None:
    """Refuse rows that cannot be used with the estimator: errors of x without a line, and times that are unknown."""
    least_squares, rows = module.least_squares, module.loader.rows
    estimator = least_squares.estimator
    if rows.has_sigma_x:
        if module.solver != "exact":
            raise UsageError("sigma_x needs --model.solver exact, got solver gradient")
        if module.model.powers != (0, 1):
            raise UsageError(f"{NEEDS_LINE}; got other coefficients: {', '.join(module.model.names)}")
        is_auto, is_constrained = least_squares.comparison is not None, module.model.constraints is not None
        estimator.require_compatible(is_auto, module.absolute_sigma, True, is_constrained)
    if estimator.cov_type != "HAC":
        return
    if module.has_plain_loader:
        raise UsageError(
            "cov_type HAC needs rows in the order of time, and a DataLoader may mix them: use "
            "regression.ArrayDataModule(x, y, sigma)"
        )
    if module.is_cut or isinstance(rows, SplitRows):
        raise UsageError(
            "cov_type HAC needs all rows in the order of time: leave out limit_train_batches and validation_fraction"
        )


def _in_order(module: CurveModule, before: int) -> Iterator[tuple[Points, int]]:
    assert isinstance(module.loader, Shares)
    return module.loader.pieces(before)
