"""What the moments tell a gradient descent: how long a step may be, and how far away the optimum still is."""

from dataclasses import dataclass
from decimal import Decimal

import torch
from torch import Tensor

from regression.curves.change_of_basis import Chart, u_in_powers
from regression.curves.decimals import gram, precise, root
from regression.fits.solver import Solution

__all__ = ["CONVERGED_SE", "OptimumDistance", "safe_rate"]

CONVERGED_SE = 0.1  # a gradient fit this close to the optimum, in standard errors, counts as converged


def safe_rate(chart: Chart, solution: Solution, mini_batches: bool = False) -> float:
    """Return a step size for plain gradient descent on the mean squared error that does not diverge.

    With the extreme eigenvalues of the Hessian ``H = 2 AᵀWA / N`` it is ``2 / (λmin + λmax)``, the best constant step,
    but at most ``1.9 / λmax``: at 2 / λmax rounding alone can make the steps grow. A mini-batch can have a larger
    λmax than the whole; it is bounded by the largest sum of squares of a row, here by the trace or 2 K.

    Args:
        chart: The model's functions.
        solution: The optimum of the points.
        mini_batches: Whether a step sees only a part of the points.
    """
    with precise():
        scale = Decimal(2) / solution.nobs
        rows = [[float(scale * value) for value in row] for row in gram(solution.matrix, chart.in_u)]
    hessian = torch.tensor(rows, dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh(hessian)  # ascending
    low, high = float(eigenvalues[0]), float(eigenvalues[-1])
    if mini_batches:
        return 1 / max(float(hessian.trace()), 2.0 * len(hessian))
    return min(2 / (low + high), 1.9 / high)


@dataclass(frozen=True)
class OptimumDistance:
    """Measures coefficients by their distance from the least-squares optimum.

    Attributes:
        optimum: The optimum in the model's own basis, shape (K,), float64.
        params: Matrix from there to powers of x, shape (K, K).
        errors: Standard errors of the coefficients in powers of x, shape (K,).
    """

    optimum: Tensor
    params: Tensor
    errors: Tensor

    @classmethod
    def of(
        cls, chart: Chart, solution: Solution, absolute_sigma: bool, device: torch.device
    ) -> "OptimumDistance | None":
        """Return the measure, or ``None`` where the standard errors are unknown or 0."""
        df_resid = solution.nobs - solution.rank
        if solution.null or df_resid <= 0 or solution.is_perfect:
            return None
        params = chart.params_matrix()
        cov = solution.covariance_in(u_in_powers(solution.frame, chart.model.degree))
        assert cov is not None
        with precise():
            scale = Decimal(1) if absolute_sigma else solution.ssr / df_resid
            free = range(len(cov) - len(params), len(cov))  # an intercept that is not there has no error
            errors = [float(root(scale * cov[k][k])) for k in free]
        optimum = torch.tensor(chart.from_curve(solution.coefficients), dtype=torch.float64)
        return cls(*(t.to(device) for t in (optimum, params, torch.tensor(errors, dtype=torch.float64))))

    def at(self, coefficients: Tensor) -> Tensor:
        """Return ``max |c - ĉ| / se`` over the coefficients, a scalar, for model coefficients of shape (K,)."""
        return (((coefficients.double() - self.optimum) @ self.params).abs() / self.errors).max()
