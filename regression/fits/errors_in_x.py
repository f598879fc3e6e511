"""Lines through points of which x has errors too (York et al. 2004); with equal errors, those of Deming (1943)."""

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regression.common.arrays import require_complete, require_each
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.curves.decimals import pairs, precise
from regression.fits.fit import Fit

__all__ = ["with_errors_in_x"]

Array = NDArray[np.float64]
MOST_STEPS = 1000
SETTLED = 4e-15  # relative change of the slope
NOTE = "x has errors too (York et al. 2004); prediction bands are those of y at an x without error"


class _Line(NamedTuple):
    """A line ``y = mean_y + slope (x - mean_x)``, and what its errors are made of; x and y from some middle.

    Attributes:
        middle: Weighted mean of the adjusted x, at which slope and value do not depend on each other.
        value_variance: Variance of the value there.
        slope_variance: Variance of the slope.
        chi2: ``Σ W (y - f(x))²`` with ``W = 1 / (sigma² + slope² sigma_x²)``.
    """

    slope: float
    mean_x: float
    mean_y: float
    middle: float
    value_variance: float
    slope_variance: float
    chi2: float


def with_errors_in_x(fit: Fit, points: Points, sigma_x: Tensor) -> Fit:
    """Return the line that is nearest to points in units of the errors of both x and y.

    York's equations for errors that do not depend on each other, repeated until the slope stands. The errors are his,
    for sigma that are known; else they are multiplied by ``√(χ² / (N - 2))`` as those of every fit.

    Args:
        fit: The line without errors of x, where the search begins.
        points: The points, with their sigma.
        sigma_x: Standard deviations of x, shape (N,).

    Raises:
        UsageError: If a sigma_x is not positive, the fit is no line with errors, or nothing settles.
    """
    require_complete(["sigma_x"], [sigma_x])
    require_each("sigma_x", sigma_x, sigma_x > 0, "positive")
    if fit.degree != 1 or len(fit.params) != 2 or fit.bse is None or points.sigma is None:
        raise UsageError("sigma_x needs a line through at least 3 points of different x, and the sigma of y")
    rows = np.stack([column.double().cpu().numpy() for column in (points.x, points.y, points.sigma, sigma_x)])
    middle_y = float(np.median(rows[1]))
    rows[0], rows[1] = rows[0] - fit.curve.center, rows[1] - middle_y  # exact where they are far from 0
    line = _york(rows[:, np.lexsort(rows)], float(fit.params[1]))
    spread = 1.0 if fit.absolute_sigma else math.sqrt(line.chi2 / fit.df_resid)
    value_se, slope_se = spread * math.sqrt(line.value_variance), spread * math.sqrt(line.slope_variance)
    curve = fit.curve
    with precise():
        slope, unit = Decimal(line.slope), Decimal(2) ** -curve.y_exponent
        center, scale = Decimal(curve.center), Decimal(2) ** curve.exponent / Decimal(curve.stretch)
        at_center = Decimal(middle_y) + Decimal(line.mean_y) - slope * Decimal(line.mean_x)
        intercept, middle, tilt = at_center - slope * center, center + Decimal(line.middle), Decimal(slope_se)
        own = [at_center, slope * scale]
        errors = [[Decimal(value_se), Decimal(0)], [-tilt * Decimal(line.middle), tilt * scale]]
        coefficients, functions = pairs([unit * v for v in own]), tuple(pairs([unit * v for v in e]) for e in errors)
    covariance = -float(middle) * slope_se**2
    variance = value_se**2 + (float(middle) * slope_se) ** 2
    changes: dict[str, Any] = dict.fromkeys(("loss", "ess", "rsquared", "aic", "aicc", "bic"))
    return replace(
        fit,
        **changes,
        params=np.array([float(intercept), line.slope]),
        bse=np.array([math.sqrt(variance), slope_se]),
        cov_params=np.array([[variance, covariance], [covariance, slope_se**2]]),
        curve=replace(curve, coefficients=coefficients, error_functions=functions),
        ssr=line.chi2,
        sigma=math.sqrt(line.chi2 / fit.df_resid),
        notes=(*fit.notes, NOTE),
    )


def _york(rows: Array, start: float) -> _Line:
    """Return the line of York's equations for x, y, sigma and sigma_x, shape (4, N), from a slope on."""
    (x, y, sigma, sigma_x), slope = rows, start
    for _ in range(MOST_STEPS):
        weight = 1 / (sigma**2 + slope * slope * sigma_x**2)
        total = weight.sum()
        mean_x, mean_y = float(weight @ x / total), float(weight @ y / total)
        u, v = x - mean_x, y - mean_y
        step = weight * (u * sigma**2 + slope * v * sigma_x**2)
        before, slope = slope, float((weight * step) @ v / ((weight * step) @ u))
        if not math.isfinite(slope):
            break
        if abs(slope - before) <= SETTLED * abs(slope):
            middle = float(weight @ step / total)
            left = v - slope * u
            return _Line(
                slope, mean_x, mean_y, mean_x + middle, float(1 / total),
                float(1 / (weight @ (step - middle) ** 2)), float(weight @ left**2),
            )  # fmt: skip
    raise UsageError(
        f"the line with errors in x did not settle in {MOST_STEPS} steps: the points may have no direction"
    )
