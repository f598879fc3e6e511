"""Standard errors of coefficients, for the report and for the distance of a descent from its optimum."""

from decimal import Decimal

from regression.curves.decimals import Matrix, Vector, precise, root
from regression.solutions.solution import Solution

__all__ = ["covariance", "scale_of", "standard_errors"]


def scale_of(solution: Solution, ssr: Decimal, absolute_sigma: bool) -> Decimal | None:
    """Return s², the factor from ``(AᵀWA)⁻¹`` to the covariance; ``None`` without residual degrees of freedom.

    Args:
        solution: The optimum of the points.
        ssr: ``Σ w (y - f(x))²`` of the fit, which need not be that of the optimum.
        absolute_sigma: Whether the points' sigma are in y's unit: then the covariance is ``(AᵀWA)⁻¹`` itself.
    """
    if absolute_sigma:
        return Decimal(1)
    df_resid = solution.nobs - solution.rank
    with precise():
        return ssr / df_resid if df_resid > 0 else None


def covariance(solution: Solution, scale: Decimal | None) -> Matrix | None:
    """Return ``(AᵀWA)⁻¹ s²`` of the coefficients in powers of x, shape (K, K); ``None`` if it is unknown."""
    if solution.inverse is None or scale is None:
        return None
    with precise():
        return [[scale * value for value in row] for row in solution.inverse]


def standard_errors(solution: Solution, scale: Decimal | None) -> Vector | None:
    """Return the square roots of the covariance's diagonal, shape (K,)."""
    cov = covariance(solution, scale)
    with precise():
        return None if cov is None else [root(abs(row[k])) for k, row in enumerate(cov)]
