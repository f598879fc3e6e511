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
        din_decision: ``x_NG = t s / |b| √(1/m + h(0))``, t one-sided: a larger x counts as more than 0 (DIN 32645).
        din_detection: ``x_EG = 2 x_NG``, which is missed with the probability alpha.
        din_quantification: ``x_BG = k t s / |b| √(1/m + h(x_BG))``, t two-sided: the smallest x with a relative error
            of at most 1 / k; ``None`` if there is none.
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
        alpha: Probability of a false detection, and of a missed one.
        k: Reciprocal of the relative error at the limit of quantification.
        m: Number of observations whose mean is a later measurement.

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
        # The positive root of (b x)² - (k t)² (s² / m + se(x)²) = 0.
        factor = Decimal(k * quantile(1 - alpha, df_resid or 0, df_resid is None))
        variance = square([factor * Decimal(sigma) / Decimal(m).sqrt()])
        for row in curve.errors:
            variance = add(variance, square([factor * part for part in row]))
        signal = square([slope * curve.center, slope * curve.scale])
        roots = [float(curve.x(u)) for u in real_roots(add(signal, [-part for part in variance]), Decimal("1e-60"))]
    positive = [x for x in roots if x > 0]
    b = float(slope)
    return DetectionLimits(
        3.3 * sigma / b, 10 * sigma / b, decision / b, 2 * decision / b, min(positive) if positive else None
    )
