"""Diagnostics of a fit: residual, leverage and influence of each row."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from regression.common.data_frames import as_frame
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.inference.fitted import Fitted
from regression.inference.robust_weights import weights_of

__all__ = ["UNKNOWN", "RowDiagnostics", "untested"]

UNKNOWN = "that needs errors by residual σ, which are unknown or 0"


def untested(fit: Fitted) -> str:
    """Return why the residuals of a fit are not tested; empty where they are."""
    if fit.errors_in_x:
        return "errors are York's, of points with errors in x; tests need a fit without sigma_x"
    if fit.robust:
        return f"errors are those of the {fit.robust} M-estimate; tests need least squares"
    if fit.cov_type != "nonrobust":
        return f"errors are those of {fit.cov_type}; tests need cov_type nonrobust"
    if not fit.sigma:
        return UNKNOWN
    return "the fit has not converged" if fit.converged is False else ""


@dataclass(frozen=True, eq=False)
class RowDiagnostics:
    """Rows that were fitted, in their order, each a float64 tensor of shape (N,); the formulas are those of R.

    A number that is unknown is NaN.

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
        robust_weight: ``ψ(u) / u`` of an M-estimate, ``u = √w r`` over its scale; 1 of other fits.
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
    robust_weight: Tensor
    scaled: Tensor
    rank: int
    degree: int

    @classmethod
    def known(cls, fit: Fitted, points: Points) -> Self:
        """Return the diagnostics of some or all of the fitted rows, or refuse where leverages are unknown.

        Raises:
            UsageError: If the errors of the fit are unknown or 0, or do not assume equal scatter.
        """
        rows = cls.of(fit, points)
        if fit.cov_type != "nonrobust":
            raise UsageError(f"diagnostics need errors by residual σ, not those of {fit.cov_type}")
        if fit.errors_in_x:
            raise UsageError("diagnostics need a fit to x without errors, got one with sigma_x")
        if not rows.are_known and fit.robust is None:
            raise UsageError("diagnostics need the errors of the fit, which are unknown or 0; its notes say why")
        return rows

    @classmethod
    def of(cls, fit: Fitted, points: Points) -> Self:
        """Return the diagnostics of some or all of the fitted rows.

        Leverages, and what needs them, are known where the errors of the fit are, are not 0, and go by residual σ; not
        with errors in x.
        """
        unit = torch.ones_like(points.x, dtype=torch.float64)
        scale = unit if points.sigma is None else points.sigma.double()
        spread = fit.spread(scale)
        band = fit.predict(points.x.double(), sigma=scale if fit.weighted else None)
        is_known = bool(fit.sigma) and fit.cov_type == "nonrobust" and not fit.errors_in_x
        leverage = (band.mean_se / spread).square() * (1.0 if is_known else math.nan)
        y, df = points.y.double(), fit.df_resid
        residual, rest = y - band.mean, (1 - leverage).clamp(min=torch.finfo(torch.float64).eps)  # f is y at leverage 1
        own = residual / spread / rest.sqrt()
        by_s = own * (spread / scale / (fit.sigma or math.nan))  # by residual σ also where sigma are absolute
        return cls(
            x=points.x.double(), y=y, fitted=band.mean, residual=residual, leverage=leverage, standardized=own,
            studentized=by_s * ((df - 1) / (df - by_s.square()).clamp_min(0)).sqrt(),
            cook=own.square() * leverage / rest / fit.rank,
            outside=(y < band.obs_ci_lower) | (y > band.obs_ci_upper),
            weight=1 / scale.square(), robust_weight=_robust_weights(fit, residual / scale),
            scaled=residual / scale, rank=fit.rank, degree=fit.degree,
        )  # fmt: skip

    def chosen(self, rows: slice) -> Self:
        """Return some of the rows."""
        columns: dict[str, Any] = {k: values[rows] for k, values in vars(self).items() if isinstance(values, Tensor)}
        return replace(self, **columns)

    @property
    def are_known(self) -> bool:
        """Whether all leverages are known."""
        return bool(self.leverage.isfinite().all())

    def to_dict(self) -> dict[str, Any]:
        """Return the rows as arrays of numpy, each of shape (N,)."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: values.numpy() for name, values in columns.items() if isinstance(values, Tensor)}

    def to_frame(self) -> Any:
        """Return the rows as a ``pandas.DataFrame``."""
        return as_frame(self.to_dict())


def _robust_weights(fit: Fitted, scaled: Tensor) -> Tensor:
    if fit.robust is None:
        return torch.ones_like(scaled)
    return torch.full_like(scaled, math.nan) if fit.scale is None else weights_of(scaled / fit.scale, fit.robust)
