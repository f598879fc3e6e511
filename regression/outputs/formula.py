"""A fitted curve in operations that every exporter knows. Torch only."""

import math

import torch
from torch import Tensor, nn

from regression.common.errors import UsageError
from regression.curves.basis import Basis, design
from regression.curves.polynomial import Polynomial
from regression.fits.result import Fit

__all__ = ["Formula"]


class Formula(nn.Module):
    """``f(x) = Σ a_k φ_k(t)`` with ``t = (x - center) / scale``, in operations that both formats have.

    They are those of ``Polynomial.forward`` in the same order, so the result has the same bits.

    Args:
        coefficients: The coefficients a, shape (K,), float32 or float64; the result has their type.
        basis: The functions φ.
        mapping: Center and scale, or ``None`` for raw x.
        fit_intercept: Whether there is a constant term.
        has_column: Whether the sum is the product with a matrix of one column. It has other last bits; runtimes of ONNX
            refuse the product of a matrix without rows and a vector.

    Raises:
        UsageError: If the numbers give no curve.
    """

    coefficients: Tensor
    center: Tensor
    scale: Tensor

    def __init__(
        self,
        coefficients: Tensor,
        basis: Basis = "chebyshev",
        mapping: tuple[float, float] | None = None,
        fit_intercept: bool = True,
        has_column: bool = False,
    ) -> None:
        super().__init__()
        if coefficients.dtype not in (torch.float32, torch.float64):
            raise UsageError(
                f"the coefficients must be float32 or float64, got {coefficients.dtype}: convert the model"
            )
        if not len(coefficients) or not coefficients.isfinite().all() or not all(map(math.isfinite, mapping or ())):
            raise UsageError(f"the coefficients must be finite numbers, got {coefficients.tolist()}: nothing to export")
        self.basis, self.fit_intercept, self.is_mapped = basis, fit_intercept, mapping is not None
        self.has_column = has_column
        self.register_buffer("coefficients", coefficients.detach().cpu().clone())
        for name, value in zip(("center", "scale"), mapping or (), strict=False):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    @classmethod
    def of(cls, model: Polynomial | Fit, has_column: bool = False) -> "Formula":
        """Return the formula of a model, or of a fit in its well-conditioned form in float64."""
        if isinstance(model, Fit):
            curve = model.curve
            mapping = (curve.center, curve.scale)
            return cls(torch.tensor(curve.in_y_unit, dtype=torch.float64), mapping=mapping, has_column=has_column)
        low, high = model.domain or (-1.0, 1.0)
        own = None if model.domain is None else (low / 2 + high / 2, high / 2 - low / 2)
        return cls(model.coefficients, model.basis, own, model.fit_intercept, has_column)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (N,), for float64 points x of shape (N,)."""
        if self.is_mapped:
            x = (x - self.center) / self.scale
        t = x.to(self.coefficients.dtype)
        highest = len(self.coefficients) - 1
        columns = design(t, highest, self.basis)
        matrix = columns if self.fit_intercept else t[:, None] * columns
        return (matrix @ self.coefficients[:, None])[:, 0] if self.has_column else matrix @ self.coefficients
