"""Diagnostics of a fit: residual, leverage and influence of each row, and tests of the residuals."""

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from regression.common.arrays import as_columns, require_complete
from regression.common.data_frames import as_frame
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.curves.basis import design
from regression.inference.distributions import chi2_tail, f_tail
from regression.inference.fitted import Fitted

__all__ = ["Diagnostics", "ResidualTest", "diagnose"]

SAME, ROUNDING = 1e-6, 1e-28  # shares of the sums of squares of residuals and y; larger differences are of other rows


class ResidualTest(NamedTuple):
    """A test of residuals.

    Attributes:
        statistic: The statistic.
        pvalue: Probability of one as large or larger under the null hypothesis.
        df: The degrees of freedom.
    """

    statistic: float
    pvalue: float
    df: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """The rows that were fitted, in their order, each a float64 tensor of shape (N,); the formulas are those of R.

    Attributes:
        x: Points.
        y: Values.
        fitted: The curve f(x).
        residual: ``r = y − f(x)``.
        leverage: ``h = w se(f(x))² / s²``, the share of a row in its own fitted value (``hatvalues``).
        standardized: ``√w r / (s √(1 − h))`` (``rstandard``).
        studentized: The same with the s of the other rows (``rstudent``), a t with one degree of freedom less.
        cook: Cook's distance, ``standardized² h / ((1 − h) K)`` (``cooks.distance``).
        outside: Whether y lies outside the prediction band; a boolean tensor.
        weight: ``w = 1 / sigma²``, or 1.
        scaled: ``√w r``.
        rank: Number of coefficients K.
        degree: Highest power of x.
    """

    x: Tensor
    y: Tensor
    fitted: Tensor
    residual: Tensor
    leverage: Tensor
    standardized: Tensor
    studentized: Tensor
    cook: Tensor
    outside: Tensor
    weight: Tensor
    scaled: Tensor
    rank: int
    degree: int

    @classmethod
    def of(cls, fit: Fitted, points: Points) -> "Diagnostics":
        """Return the diagnostics of some or all of the fitted rows.

        Raises:
            UsageError: If the errors of the fit are unknown or 0, or do not assume equal scatter.
        """
        unit = torch.ones_like(points.x, dtype=torch.float64)
        scale = unit if points.sigma is None else points.sigma.double()
        spread = fit.spread(scale)
        if fit.cov_type != "nonrobust":
            raise UsageError(f"diagnostics need errors by residual σ, not those of {fit.cov_type}")
        band = fit.predict(points.x.double(), sigma=scale if fit.weighted else None)
        leverage = (band.mean_se / spread).square()
        if not leverage.isfinite().all() or not spread.all() or not fit.sigma:
            raise UsageError("diagnostics need the errors of the fit, which are unknown or 0; its notes say why")
        y, df = points.y.double(), fit.df_resid
        residual, rest = y - band.mean, (1 - leverage).clamp(min=torch.finfo(torch.float64).eps)  # f is y at leverage 1
        own = residual / spread / rest.sqrt()
        by_s = own * (spread / scale / fit.sigma)  # by residual σ also where sigma are absolute
        return cls(
            x=points.x.double(), y=y, fitted=band.mean, residual=residual, leverage=leverage, standardized=own,
            studentized=by_s * ((df - 1) / (df - by_s.square()).clamp_min(0)).sqrt(),
            cook=own.square() * leverage / rest / fit.rank,
            outside=(y < band.obs_ci_lower) | (y > band.obs_ci_upper),
            weight=1 / scale.square(), scaled=residual / scale, rank=fit.rank, degree=fit.degree,
        )  # fmt: skip

    @property
    def press(self) -> float:
        """``Σ w (r / (1 − h))²``, from the distance of each row from the curve of all others."""
        return math.fsum(((self.scaled / (1 - self.leverage)) ** 2).tolist())

    @property
    def loo(self) -> float:
        """``press / N``: the exact cross-validation that leaves one row out at a time."""
        return self.press / len(self.x)

    @property
    def durbin_watson(self) -> float:
        """``Σ (r_t − r_{t−1})² / Σ r_t²``, of √w r in the order of the rows: near 2 without autocorrelation."""
        return math.fsum((self.scaled.diff() ** 2).tolist()) / math.fsum((self.scaled**2).tolist())

    @property
    def breusch_pagan(self) -> ResidualTest | None:
        """Koenker's test of equal scatter: ``N R²`` of w r² against a polynomial of the fit's degree, χ² (1981)."""
        low, high = float(self.x.min()), float(self.x.max())
        squares = (self.scaled**2).numpy()
        centred = squares - squares.mean()
        if not self.degree or low == high or not centred.any():
            return None
        u = (self.x - (low / 2 + high / 2)) / (high / 2 - low / 2)
        columns = design(u, self.degree, "chebyshev").numpy()
        left = centred - columns @ np.linalg.lstsq(columns, centred, rcond=None)[0]
        statistic = len(squares) * float(1 - (left @ left) / (centred @ centred))
        return ResidualTest(statistic, chi2_tail(statistic, self.degree), (self.degree,))

    @property
    def lack_of_fit(self) -> ResidualTest | None:
        """The F test of the curve against the means of rows of equal x; ``None`` where too few are equal.

        ``F = (Σ_levels W m² / (levels − K)) / (Σ w (r − m)² / (N − levels))``, m the mean residual of a level.
        """
        levels, of = np.unique(self.x.numpy(), return_inverse=True)
        residual, weight = self.residual.numpy(), self.weight.numpy()
        weights = np.bincount(of, weight)
        means = np.bincount(of, weight * residual) / weights
        pure = math.fsum(weight * (residual - means[of]) ** 2)
        df_num, df_denom = len(levels) - self.rank, len(residual) - len(levels)
        if df_num <= 0 or df_denom <= 0 or pure == 0:
            return None
        statistic = math.fsum(weights * means**2) / df_num / (pure / df_denom)
        return ResidualTest(statistic, f_tail(statistic, df_num, df_denom), (df_num, df_denom))

    def to_dict(self) -> dict[str, Any]:
        """Return the rows as arrays of numpy, each of shape (N,)."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: values.numpy() for name, values in columns.items() if isinstance(values, Tensor)}

    def to_frame(self) -> Any:
        """Return the rows as a ``pandas.DataFrame``."""
        return as_frame(self.to_dict())


def diagnose(fit: Fitted, x: Any, y: Any, sigma: Any = None) -> Diagnostics:
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
    found = Diagnostics.of(fit, Points(*columns))
    ssr, total = (math.fsum((values * values).tolist()) for values in (found.scaled, found.weight.sqrt() * found.y))
    slack = SAME * max(ssr, fit.ssr or 0) + ROUNDING * total
    if len(found.x) != fit.nobs or abs(ssr - (fit.ssr or 0)) > slack:
        raise UsageError(
            f"diagnostics need the rows that were fitted: {fit.nobs:,} rows, sum of squares {fit.ssr:.6g}, got "
            f"{len(found.x):,} and {ssr:.6g}"
        )
    return found
