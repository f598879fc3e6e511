"""The optimum of the loss that a fit minimises, from which the fit's distance and standard errors are computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from regression.curves.decimals import Matrix, Vector, combine, precise, root
from regression.solutions.solution import Solution
from regression.solutions.standard_errors import scale_of

__all__ = ["Optimum", "move", "orthonormal"]


@dataclass(frozen=True)
class Optimum:
    """The optimum of a loss.

    Attributes:
        coefficients: Coefficients of T_k(u), shape (degree + 1,); ``None`` if they are unknown.
        scale: The factor from ``(AᵀWA)⁻¹`` to their covariance; ``None`` if it is unknown.
        loss: Name of the loss; ``None`` for least squares.
        beyond: Number of points whose residuals are beyond the loss's threshold.
        reason: Why the coefficients are unknown.
    """

    coefficients: Vector | None
    scale: Decimal | None
    loss: str | None = None
    beyond: int = 0
    reason: str = ""

    @classmethod
    def of_squares(cls, solution: Solution, absolute_sigma: bool) -> "Optimum":
        """Return the least-squares optimum."""
        return cls(solution.coefficients, scale_of(solution, solution.ssr, absolute_sigma))

    @property
    def is_of_squares(self) -> bool:
        """Whether this is the least-squares optimum."""
        return self.loss is None

    def state(self) -> dict[str, Any]:
        """Return the optimum as plain numbers and strings, for a checkpoint."""
        coefficients = None if self.coefficients is None else list(map(str, self.coefficients))
        scale = None if self.scale is None else str(self.scale)
        return vars(self) | {"coefficients": coefficients, "scale": scale}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Optimum":
        """Return the optimum of a stored state."""
        coefficients = None if state["coefficients"] is None else list(map(Decimal, state["coefficients"]))
        scale = None if state["scale"] is None else Decimal(state["scale"])
        if scale is not None and not (scale.is_finite() and scale >= 0):
            raise ValueError(f"optimum.scale must be a finite number of at least 0, got {scale}")
        if not all(value.is_finite() for value in coefficients or ()):
            raise ValueError("optimum.coefficients must be finite numbers")
        return cls(**state | {"coefficients": coefficients, "scale": scale})


def orthonormal(solution: Solution) -> Matrix:
    """Return functions ``q_j = f_j / √(Σ w f_j²)`` in T_k(u), orthonormal over the points, shape (rank, degree + 1)."""
    with precise():
        sizes = [root(square) for square in solution.squares]
        return [[value / size for value in row] for row, size in zip(solution.functions, sizes, strict=True)]


def move(coefficients: Vector, functions: Matrix, steps: Sequence[float]) -> Vector:
    """Return ``c + Σ z_j q_j`` in T_k(u), shape (degree + 1,), for steps z of shape (rank,)."""
    with precise():
        change = combine(functions, [Decimal(step) for step in steps])
        return [value + step for value, step in zip(coefficients, change, strict=True)]
