"""Akaike's and Schwarz's criteria of a fit, for the report and for the choice of a degree."""

import math
from decimal import Decimal
from typing import NamedTuple

from regression.curves.decimals import logarithm, precise
from regression.solutions.solution import Solution

__all__ = ["Criteria", "information_criteria"]


class Criteria(NamedTuple):
    """AIC, AICc and BIC; see ``Fit``."""

    aic: Decimal | None = None
    aicc: Decimal | None = None
    bic: Decimal | None = None


def information_criteria(solution: Solution, ssr: Decimal, size: int, absolute_sigma: bool) -> Criteria:
    """Return the criteria of a fit; ``None`` if the likelihood has no maximum.

    With known sigma, ``-2 log L`` is χ² = ssr plus a constant. Otherwise the variance is estimated by maximum
    likelihood, and AICc corrects for the estimate.

    Args:
        solution: The optimum, for the number of points and their weights.
        ssr: ``Σ w (y - f(x))²`` of the fit.
        size: Number of coefficients K, without sigma.
        absolute_sigma: Whether the points' sigma are known.
    """
    nobs, is_known = solution.nobs, absolute_sigma
    if not is_known and ssr <= 0:
        return Criteria()
    with precise():
        constant = Decimal(nobs * math.log(2 * math.pi) - solution.log_weights)
        deviance = constant + (ssr if is_known else nobs * (logarithm(ssr / nobs) + 1))
        aic, df = deviance + 2 * size, nobs - size - 1
        correction = 0 if is_known else Decimal(2 * size * (size + 1)) / df if df > 0 else None
        aicc = None if correction is None else aic + correction
        return Criteria(aic, aicc, deviance + Decimal(size * math.log(nobs)))
