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

SAME, ROUNDING = 1e-6, 1e-28  # shares of the sums of squares of residuals and y; larger differences are of other rows
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
    ssr, total = (math.fsum((values * values).tolist()) for values in (rows.scaled, rows.weight.sqrt() * rows.y))
    slack = SAME * max(ssr, fit.ssr or 0) + ROUNDING * total
    if len(rows.x) != fit.nobs or abs(ssr - (fit.ssr or 0)) > slack:
        raise UsageError(
            f"diagnostics need the rows that were fitted: {fit.nobs:,} rows, sum of squares {fit.ssr:.6g}, got "
            f"{len(rows.x):,} and {ssr:.6g}"
        )
    totals = ResidualTotals(fit, 1.0 if sigma is None else float(columns[-1].min()))
    for start in range(0, fit.nobs, ROWS_AT_ONCE):
        totals.add(rows.chosen(slice(start, start + ROWS_AT_ONCE)), torch.device("cpu"))
    return Diagnostics(**vars(rows), tests=totals.tests(torch.device("cpu")))
