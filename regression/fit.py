"""What a fit is: coefficients and how well they describe the points. Torch only."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from regression.basis import polynomial
from regression.batches import all_sum

__all__ = ["Fit", "residual_sums"]


@dataclass(frozen=True)
class Fit:
    """A fitted curve.

    Attributes:
        model: Class of the model.
        degree: Highest power of x.
        basis: Basis of the coefficients during the fit.
        domain: Interval of x mapped to [−1, 1] during the fit; ``None`` for raw x.
        solver: How the coefficients were found.
        optimizer: Class of the optimizer.
        updates: Number of optimizer updates made.
        loss_name: Name of the loss.
        loss: Loss of all training points at the final coefficients.
        val_loss: Loss of the held-out points, at the last validation; ``None`` where there are none.
        names: Names of the coefficients.
        params: Coefficients in ascending powers of x.
        nobs: Number of training points N.
        df_resid: Residual degrees of freedom, N − K for K coefficients.
        ssr: Sum of squared residuals ``Σ (y − f(x))²``.
        sigma: Residual standard deviation ``√(ssr / df_resid)``; ``None`` where df_resid is not positive.
        rsquared: ``1 − ssr / Σ (y − ȳ)²``; ``None`` where all y are equal.
        notes: What the reader should know, such as why a value is ``None``.
    """

    model: str
    degree: int
    basis: str
    domain: tuple[float, float] | None
    solver: str
    optimizer: str
    updates: int
    loss_name: str
    loss: float
    val_loss: float | None
    names: tuple[str, ...]
    params: tuple[float, ...]
    nobs: int
    df_resid: int
    ssr: float
    sigma: float | None
    rsquared: float | None
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls, *, names: tuple[str, ...], params: tuple[float, ...], sums: tuple[int, float, float], **facts: Any
    ) -> "Fit":
        """Make a fit from its coefficients and the sums of ``residual_sums``; ``facts`` are the other attributes."""
        nobs, ssr, tss = sums
        df_resid, notes = nobs - len(params), []
        if df_resid <= 0:
            notes.append(f"sigma is unknown: {nobs} points leave nothing over for {len(params)} coefficients")
        if tss == 0:
            notes.append("rsquared is unknown: all y are equal")
        return cls(
            names=names, params=params, nobs=nobs, df_resid=df_resid, ssr=ssr,
            sigma=math.sqrt(ssr / df_resid) if df_resid > 0 else None,
            rsquared=1 - ssr / tss if tss > 0 else None,
            notes=tuple(notes), degree=len(params) - 1, basis="power", domain=None, solver="gradient", **facts,
        )  # fmt: skip

    def predict(self, x: Tensor) -> Tensor:
        """Return f(x) in float64, shape (N,), for points x of shape (N,)."""
        return polynomial(self.params, x)

    def to_json(self) -> str:
        """Return the fit as strict JSON, floats with all their digits, unknown values as null."""
        return json.dumps(asdict(self), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        """Return the report."""
        width = max(map(len, self.names))
        rows = [f"  {name:<{width}}  {value: .8g}" for name, value in zip(self.names, self.params, strict=True)]
        known = {"residual sigma": self.sigma, "R²": self.rsquared}
        values = [f"{key} {value:.6g}" for key, value in known.items() if value is not None]
        return "\n".join(
            [
                f"{self.model}, degree {self.degree}: {self.nobs} points, {len(self.params)} coefficients, "
                f"{self.df_resid} degrees of freedom",
                f"{self.updates} updates by {self.optimizer}, {self.loss_name} {self.loss:.8g}",
                *rows,
                *([] if self.val_loss is None else [f"{self.loss_name} of the held-out points {self.val_loss:.8g}"]),
                ", ".join([f"sum of squared residuals {self.ssr:.6g}", *values]),
                *(f"note: {note}" for note in self.notes),
            ]
        )


def residual_sums(
    predict: Callable[[Tensor], Tensor], slices: Iterable[tuple[Tensor, Tensor]]
) -> tuple[int, float, float]:
    """Return N, ``Σ (y − f(x))²`` and ``Σ (y − ȳ)²`` over the points of all processes, in float64.

    Args:
        predict: The curve f, in float64.
        slices: This process's points (x, y), read twice.
    """
    count, total, ssr = 0.0, 0.0, 0.0
    for x, y in slices:
        count, total = count + len(y), total + float(y.double().sum())
        ssr += float((y.double() - predict(x)).square().sum())
    count, total, ssr = all_sum(torch.tensor([count, total, ssr], dtype=torch.float64)).tolist()
    tss = sum(float((y.double() - total / count).square().sum()) for _, y in slices)
    return int(count), ssr, float(all_sum(torch.tensor(tss, dtype=torch.float64)))
