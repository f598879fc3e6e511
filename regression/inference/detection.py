"""Limits of detection and quantification of a calibration line."""

import math
from decimal import Decimal
from typing import NamedTuple

from regression.common.errors import UsageError
from regression.curves.decimals import precise
from regression.inference.distributions import quantile
from regression.inference.exact_curve import ExactCurve
from regression.inference.inverse import add, square
from regression.inference.real_roots import real_roots

__all__ = ["DetectionLimits", "detection_limits"]


class DetectionLimits(NamedTuple):
    """Limits of x, for which the blank is the line at x = 0.

    Attributes:
        ich_detection: ``3.3 s / |b|`` (ICH Q2).
        ich_quantification: ``10 s / |b|`` (ICH Q2).
        din_decision: ``x_NG = t s / |b| √(1/m + h(0))``, t one-sided, from which on x is told from 0 (DIN 32645).
        din_detection: ``x_EG = 2 x_NG``, which is missed with the probability alpha only.
        din_quantification: ``x_BG = k t s / |b| √(1/m + h(x_BG))``, t two-sided: known to a relative 1 / k; ``None``
            where no x is.
    """

    ich_detection: float
    ich_quantification: float
    din_decision: float
    din_detection: float
    din_quantification: float | None


def detection_limits(
    curve: ExactCurve, sigma: float, df_resid: int | None, alpha: float, k: float, m: int
) -> DetectionLimits:
    """Return the limits of a line ``a + b x``, with s² h(x) its variance at x.

    Args:
        curve: The line and its errors.
        sigma: Residual standard deviation s of one observation.
        df_resid: Residual degrees of freedom; ``None`` where sigma is known.
        alpha: Probability of either error.
        k: Reciprocal of the relative error at the limit of quantification.
        m: Number of observations that a later measurement is the mean of.

    Raises:
        UsageError: If the line is flat.
    """
    with precise():
        slope = abs(curve.slope().coefficients[0])
        if not slope or curve.errors is None:
            raise UsageError("detection limits need a line with a slope and errors, got one without")
        error = curve.at(curve.u(0.0))[1]
        assert error is not None
        t = quantile(1 - 2 * alpha, df_resid or 0, df_resid is None)
        decision = t * math.hypot(float(error), sigma / math.sqrt(m))
        # (b x)² - (k t)² (s² / m + se(x)²) = 0, of which the positive root is asked for
        factor = Decimal(k * quantile(1 - alpha, df_resid or 0, df_resid is None))
        loose = square([factor * Decimal(sigma) / Decimal(m).sqrt()])
        for row in curve.errors:
            loose = add(loose, square([factor * part for part in row]))
        own = square([slope * curve.center, slope * curve.scale])
        found = [float(curve.x(u)) for u in real_roots(add(own, [-part for part in loose]), Decimal("1e-60"))]
    positive = [x for x in found if x > 0]
    b = float(slope)
    return DetectionLimits(
        3.3 * sigma / b, 10 * sigma / b, decision / b, 2 * decision / b, min(positive) if positive else None
    )
