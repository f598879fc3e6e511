"""Quantiles and tail probabilities.

``scipy.special`` is imported where it is used: that takes a tenth of a second, and not every run needs it.
"""

import math

from regression.common.rules import PROBABILITY, require_option

__all__ = ["chi2_tail", "f_tail", "quantile", "require_level", "scheffe", "two_sided"]


def require_level(level: float) -> None:
    """Refuse a level that is not between 0 and 1."""
    require_option("level", level, PROBABILITY)


def quantile(level: float, df_resid: int, is_normal: bool) -> float:
    """Return the half-width of a two-sided interval in standard errors: Student's t, normal for known sigma."""
    from scipy import special

    require_level(level)
    probability = 0.5 + level / 2
    return float(special.ndtri(probability) if is_normal else special.stdtrit(df_resid, probability))


def scheffe(level: float, count: int, df_resid: int, is_normal: bool) -> float:
    """Return the half-width ``√(K F)`` of a band that holds the whole curve, in standard errors (Scheffé 1959, §3.5).

    Args:
        level: Probability that the curve lies within its band at all x together.
        count: Number of coefficients K that the points determine.
        df_resid: Residual degrees of freedom.
        is_normal: Whether sigma is known; K F is then a quantile of χ².
    """
    from scipy import special

    require_level(level)
    if is_normal:
        return math.sqrt(float(special.chdtri(count, 1 - level)))
    return math.sqrt(count * float(special.fdtri(count, df_resid, level))) if df_resid > 0 else math.nan


def two_sided(t: float, df_resid: int, is_normal: bool) -> float:
    """Return the probability of a t, or of a normal number, that is at least as large in size."""
    from scipy import special

    return 2 * float(special.ndtr(-abs(t)) if is_normal else special.stdtr(df_resid, -abs(t)))


def f_tail(f: float, df_num: int, df_denom: int | None) -> float:
    """Return the probability of an F that is at least as large; ``df_denom`` is ``None`` if sigma is known."""
    from scipy import special

    return chi2_tail(f * df_num, df_num) if df_denom is None else float(special.fdtrc(df_num, df_denom, f))


def chi2_tail(chi2: float, df: int) -> float:
    """Return the probability of a χ² that is at least as large."""
    from scipy import special

    return float(special.chdtrc(df, chi2))
