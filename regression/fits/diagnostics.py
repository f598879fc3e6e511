"""The rows of a fit with their diagnostics, and the tests of their residuals."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from regression.common.arrays import as_columns, require_complete
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.estimation.residual_tests import ResidualTests, ResidualTotals
from regression.fits.result import FitResult
from regression.inference.row_diagnostics import RowDiagnostics

__all__ = ["Diagnostics", "diagnose"]

SAME, ROUNDING = 1e-6, 1e-14  # shares of the sizes of residuals and of y: larger differences mean other rows
ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Diagnostics(RowDiagnostics, ResidualTests):
    """The rows that were fitted, in their order, each a float64 tensor of shape (N,), and the tests of their residuals.

    The attributes are those of ``RowDiagnostics`` and of ``ResidualTests``.
    """


def diagnose(fit: FitResult, x: Any, y: Any, sigma: Any = None) -> Diagnostics:
    """Return the rows of a fit with their diagnostics.

    Args:
        fit: The fit.
        x: The points that were fitted, in their order.
        y: Their values.
        sigma: Their sigma, if they have one.

    Raises:
        UsageError: If these are other rows, or the errors are unknown or 0, or do not assume equal scatter.
    """
    names = ["x", "y", *([] if sigma is None else ["sigma"])]
    columns = as_columns(names, [x, y, *([] if sigma is None else [sigma])])
    require_complete(names, columns, can_omit=False)
    rows = RowDiagnostics.known(fit, Points(*columns))
    if len(rows.x) != fit.nobs or not _are_same(fit, rows):
        size = math.hypot(*rows.scaled.tolist()) / math.sqrt(max(fit.df_resid, 1))
        raise UsageError(
            f"diagnostics need the rows that were fitted: {fit.nobs:,} rows, residual σ {_sigma(fit):.6g}, got "
            f"{len(rows.x):,} and {size:.6g}"
        )
    totals = ResidualTotals(fit, 1.0 if sigma is None else float(columns[-1].min()))
    for start in range(0, fit.nobs, ROWS_AT_ONCE):
        totals.add(rows.chosen(slice(start, start + ROWS_AT_ONCE)), torch.device("cpu"))
    return Diagnostics(**vars(rows), **vars(totals.tests(torch.device("cpu"))))


def _sigma(fit: FitResult) -> float:
    """Return residual σ, also of an M-estimate; 0 if its square is beyond float64's range."""
    return math.sqrt((fit.ssr or 0.0) / max(fit.df_resid, 1)) if fit.sigma is None else fit.sigma


def _are_same(fit: FitResult, rows: RowDiagnostics) -> bool:
    """Tell whether the residuals are as large as those of the fit; ``hypot`` does not leave float64's range."""
    size, y = (math.hypot(*values.tolist()) for values in (rows.scaled, rows.weight.sqrt() * rows.y))
    if fit.sigma is None and not fit.ssr:
        return True  # the sum of squares of an M-estimate is beyond float64's range: it cannot be compared
    own = _sigma(fit) * math.sqrt(max(fit.df_resid, 1))
    return abs(size - own) <= SAME * max(size, own) + ROUNDING * y
