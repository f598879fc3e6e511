"""The rows of a fit with their diagnostics, and the tests of their residuals."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from regression.common.arrays import as_columns, require_complete
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.estimation.residual_tests import ResidualTest, ResidualTests, ResidualTotals
from regression.fits.result import FitResult
from regression.inference.row_diagnostics import RowDiagnostics

__all__ = ["Diagnostics", "diagnose"]

SAME, ROUNDING = 1e-6, 1e-14  # shares of the sizes of residuals and y; larger differences are of other rows
ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Diagnostics(RowDiagnostics):
    """The rows that were fitted, in their order, each a float64 tensor of shape (N,), and what their residuals say.

    Attributes:
        tests: The tests; ``press``, ``loo``, ``durbin_watson``, ``breusch_pagan`` and ``lack_of_fit`` are theirs.
    """

    tests: ResidualTests

    @property
    def press(self) -> float | None:
        """See ``ResidualTests``."""
        return self.tests.press

    @property
    def loo(self) -> float | None:
        """See ``ResidualTests``."""
        return self.tests.loo

    @property
    def durbin_watson(self) -> float | None:
        """See ``ResidualTests``."""
        return self.tests.durbin_watson

    @property
    def breusch_pagan(self) -> ResidualTest | None:
        """See ``ResidualTests``."""
        return self.tests.breusch_pagan

    @property
    def lack_of_fit(self) -> ResidualTest | None:
        """See ``ResidualTests``."""
        return self.tests.lack_of_fit


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
    return Diagnostics(**vars(rows), tests=totals.tests(torch.device("cpu")))


def _sigma(fit: FitResult) -> float:
    """Return residual σ, of an M-estimate too, 0 where float64 lacks its square."""
    return math.sqrt((fit.ssr or 0.0) / max(fit.df_resid, 1)) if fit.sigma is None else fit.sigma


def _are_same(fit: FitResult, rows: RowDiagnostics) -> bool:
    """Tell whether the residuals are as large as those of the fit, by roots of sums that do not leave float64."""
    size, y = (math.hypot(*values.tolist()) for values in (rows.scaled, rows.weight.sqrt() * rows.y))
    if fit.sigma is None and not fit.ssr:
        return True  # an M-estimate whose sum of squares float64 lacks: there is nothing to compare
    own = _sigma(fit) * math.sqrt(max(fit.df_resid, 1))
    return abs(size - own) <= SAME * max(size, own) + ROUNDING * y
