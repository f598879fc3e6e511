"""How well a curve describes points that it was not fitted to.

Sums of squares are taken about the mean of each batch and merged by Chan's formula, in float64. The textbook's
``Σ y² − (Σ y)² / N`` loses all digits if y is large against its spread. No small constant is added to a denominator:
with small y the ratio would be wrong.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from regression.common.collectives import all_gather_rows

__all__ = ["Goodness"]


@dataclass(frozen=True)
class Goodness:
    """Statistics of residuals ``r = y − f(x)``.

    Attributes:
        nobs: Number of points N.
        weight: ``Σ w`` with ``w = 1 / sigma²``, or 1 without sigma.
        mean: Weighted mean ȳ.
        tss: ``Σ w (y − ȳ)²``.
        wssr: ``Σ w r²``.
        ssr: ``Σ r²``.
        sar: ``Σ |r|``.
        inside: Number of points inside the prediction band; NaN where the band is unknown.
    """

    nobs: float = 0.0
    weight: float = 0.0
    mean: float = 0.0
    tss: float = 0.0
    wssr: float = 0.0
    ssr: float = 0.0
    sar: float = 0.0
    inside: float = 0.0

    @classmethod
    def of(cls, y: Tensor, mean: Tensor, lower: Tensor, upper: Tensor, sigma: Tensor | None = None) -> "Goodness":
        """Return the statistics of a batch.

        Args:
            y: Values, shape (n,).
            mean: The curve f(x), shape (n,).
            lower: Lower end of the prediction band, shape (n,).
            upper: Upper end of the prediction band, shape (n,).
            sigma: Standard deviations of y, shape (n,), or ``None``.
        """
        if not len(y):
            return cls()
        y = y.double()
        weights = torch.ones_like(y) if sigma is None else sigma.double() ** -2
        residual = y - mean
        center = (weights * (y - y[0])).sum() / weights.sum() + y[0]
        inside = ((lower <= y) & (y <= upper)).double().sum() if not (lower + upper).isnan().any() else math.nan
        sums = (weights, weights * (y - center) ** 2, weights * residual**2, residual**2, residual.abs())
        weight, tss, wssr, ssr, sar = (float(term.sum()) for term in sums)
        return cls(len(y), weight, float(center), tss, wssr, ssr, sar, float(inside))

    def merge(self, other: "Goodness") -> "Goodness":
        """Return the statistics of both sets of points."""
        if not self.nobs or not other.nobs:
            return self if self.nobs else other
        weight, step = self.weight + other.weight, other.mean - self.mean
        return Goodness(
            nobs=self.nobs + other.nobs,
            weight=weight,
            mean=self.mean + step * (other.weight / weight),
            tss=self.tss + other.tss + step**2 * (self.weight * (other.weight / weight)),
            wssr=self.wssr + other.wssr,
            ssr=self.ssr + other.ssr,
            sar=self.sar + other.sar,
            inside=self.inside + other.inside,
        )

    def gather(self, device: torch.device) -> "Goodness":
        """Return the statistics of the points of all processes."""
        total = Goodness()
        for row in all_gather_rows(torch.tensor([list(vars(self).values())], dtype=torch.float64, device=device)):
            total = total.merge(Goodness(*row.tolist()))
        return total

    def metrics(self) -> dict[str, float]:
        """Return the numbers to log, NaN where unknown.

        ``rsquared`` is ``1 − Σ w r² / Σ w (y − ȳ)²``; ``rmse`` is ``√(Σ r² / N)`` and ``mae`` is ``Σ |r| / N``, in
        y's unit and without weights; ``coverage`` is the share of points inside the prediction band.
        """
        return {
            "rsquared": 1 - self.wssr / self.tss if self.tss > 0 else math.nan,
            "rmse": math.sqrt(self.ssr / self.nobs),
            "mae": self.sar / self.nobs,
            "coverage": self.inside / self.nobs,
        }
