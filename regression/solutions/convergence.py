"""How far coefficients are from the optimum, in standard errors, and how long a step of gradient descent may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import torch
from torch import Tensor

from regression.curves.chart import Chart, as_tensor
from regression.curves.decimals import Vector, gram, precise
from regression.solutions.optimum import Optimum
from regression.solutions.solution import Solution
from regression.solutions.standard_errors import standard_errors

__all__ = ["OptimumDistance", "distance_from_optimum", "is_converged", "safe_rate"]

CONVERGED_SE = 0.1  # largest distance from the optimum, in standard errors, of a fit that counts as converged


def is_converged(distance: float) -> bool:
    """Tell whether a fit counts as converged; a test holds that no other place decides it.

    Args:
        distance: Largest distance of a coefficient from the optimum, in standard errors.
    """
    return distance <= CONVERGED_SE


def optimum_errors(solution: Solution, optimum: Optimum) -> Vector | None:
    """Return the standard errors of the optimum, the unit of distances from it; ``None`` if unknown, or if one is 0.

    Coefficients that constraints determine are left out. The errors are not those of the fit itself, because its
    residuals, and so its errors, grow with its distance from the optimum.
    """
    if solution.is_perfect:
        return None
    errors = _free(standard_errors(solution, optimum.scale) or [], solution)
    return errors if errors and all(errors) else None


def _free(values: Sequence[Decimal], solution: Solution) -> Vector:
    """Return the values, one for each coefficient in powers of x, of the coefficients that constraints leave free."""
    return [value for power, value in zip(solution.powers, values, strict=False) if power not in solution.kept]


def distance_from_optimum(params: Sequence[Decimal], solution: Solution, optimum: Optimum) -> float | None:
    """Return ``max |c - ĉ| / se`` of coefficients in powers of x; ``None`` where ĉ or se are unknown, or se is 0."""
    if optimum.coefficients is None:
        return None
    best = solution.params_of(optimum.coefficients)
    if list(params) == best:
        return 0.0
    errors = optimum_errors(solution, optimum)
    if errors is None:
        return None
    with precise():
        own = zip(_free(params, solution), _free(best, solution), errors, strict=True)
        return float(max(abs(a - b) / e for a, b, e in own))


@dataclass(frozen=True)
class OptimumDistance:
    """Computes ``distance_from_optimum`` of a model's coefficients in float64, for use at every update.

    Attributes:
        optimum: The optimum in the model's own basis, shape (K,), float64.
        params: Matrix from these to powers of x, with a column for each free coefficient, shape (K, J).
        errors: Standard errors of the free coefficients, shape (J,).
    """

    optimum: Tensor
    params: Tensor
    errors: Tensor

    @classmethod
    def of(cls, chart: Chart, solution: Solution, optimum: Optimum, device: torch.device) -> "OptimumDistance | None":
        """Return the distance function, or ``None`` if the optimum or its errors are unknown, or an error is 0."""
        errors = optimum_errors(solution, optimum)
        if errors is None or optimum.coefficients is None:
            return None
        best = torch.tensor(chart.from_curve(optimum.coefficients), dtype=torch.float64)
        rows = [_free(solution.error_in_terms(function), solution) for function in chart.in_u]
        known = (best, as_tensor(rows), as_tensor([errors])[0])
        return cls(*(numbers.to(device) for numbers in known))

    def at(self, coefficients: Tensor) -> Tensor:
        """Return ``max |c - ĉ| / se`` over the coefficients, a scalar, for model coefficients of shape (K,)."""
        return (((coefficients.double() - self.optimum) @ self.params).abs() / self.errors).max()


def safe_rate(chart: Chart, solution: Solution, mini_batches: bool = False) -> float:
    """Return the default learning rate of SGD: a step for the mean squared error that does not diverge.

    With the extreme eigenvalues of the Hessian ``H = 2 AᵀWA / N`` it is ``2 / (λmin + λmax)``, the best constant step,
    but at most ``1.9 / λmax``: at 2 / λmax rounding alone can make the steps grow. A mini-batch can have a larger λmax
    than all points. Its λmax is at most twice the largest sum of squares of a row of A: K functions of size 1 give
    2 K, and orthonormal combinations of them no more; the trace of H is twice the mean sum of squares; the step is 1
    over the larger of both.

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
        return 1 / max(float(hessian.trace()), 2.0 * chart.width)
    return min(2 / (low + high), 1.9 / high)
