"""t values and Wald tests of fitted coefficients."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from regression.common.errors import UsageError
from regression.curves.decimals import Matrix, combine, dot, orthogonalize, precise, unit_vectors
from regression.inference.distributions import f_tail
from regression.inference.exact_curve import ExactCurve

__all__ = ["WaldTest", "in_powers", "t_values", "wald_test"]


class WaldTest(NamedTuple):
    """A test of linear hypotheses.

    Attributes:
        fvalue: ``(R c - q)ᵀ (R C Rᵀ)⁻¹ (R c - q) / J``.
        pvalue: Probability of a value at least as large if the hypotheses hold.
        df_num: Number of hypotheses J.
        df_denom: Residual degrees of freedom; ``None`` if sigma is known, when J F is χ².
    """

    fvalue: float
    pvalue: float
    df_num: int
    df_denom: int | None


def t_values(params: Sequence[float], errors: Sequence[float]) -> tuple[float, ...]:
    """Return the coefficients in standard errors: infinite if the error is 0, NaN if the coefficient is 0 too."""
    return tuple(
        p / e if e else math.copysign(math.inf, p) if p else math.nan for p, e in zip(params, errors, strict=True)
    )


def in_powers(curve: ExactCurve) -> Matrix:
    """Return T_0(u) … T_d(u) in ascending powers of x, a row for each."""
    size = len(curve.coefficients)
    rows: Matrix = []
    for k in range(size):
        last = rows[-1] if rows else [Decimal(1)] + [Decimal(0)] * (size - 1)
        times_u = [
            (lower - curve.center * part) / curve.scale for lower, part in zip([Decimal(0), *last], last, strict=False)
        ]
        if k < 2:
            rows.append(times_u if k else last)
        else:
            rows.append([2 * value - before for value, before in zip(times_u, rows[-2], strict=True)])
    return rows


def wald_test(
    curve: ExactCurve,
    weights: Sequence[Sequence[float]],
    goals: Sequence[float],
    powers: Sequence[int],
    df_denom: int | None,
) -> WaldTest:
    """Test ``R c = q`` by the error functions of the curve: terms of the covariance of powers of x may cancel.

    Args:
        curve: The curve and its errors.
        weights: R, a row for each hypothesis, shape (J, K).
        goals: q, shape (J,).
        powers: The power of x of each coefficient.
        df_denom: Residual degrees of freedom; ``None`` if sigma is known.

    Raises:
        UsageError: If the hypotheses depend on each other, or the errors are unknown.
    """
    if curve.errors is None:
        raise UsageError("a Wald test needs the errors of the coefficients, which are unknown")
    with precise():
        basis = in_powers(curve)
        params = [value for k, value in enumerate(combine(basis, curve.coefficients)) if k in powers]
        errors = [[value for k, value in enumerate(combine(basis, row)) if k in powers] for row in curve.errors]
        rows = [list(map(Decimal, row)) for row in weights]
        misses = [dot(row, params) - Decimal(goal) for row, goal in zip(rows, goals, strict=True)]
        images = [[dot(row, error) for error in errors] for row in rows]
        covariance = [[dot(a, b) for b in images] for a in images]
        noise = max(abs(row[i]) for i, row in enumerate(covariance)) * Decimal("1e-25")
        steps, squares, null = orthogonalize(unit_vectors(len(rows)), covariance, noise)
        if null:
            raise UsageError("hypotheses must be independent of each other and of coefficients without error")
        total = sum((dot(step, misses) ** 2 / size for step, size in zip(steps, squares, strict=True)), Decimal(0))
        f = float(total / len(rows))
    return WaldTest(f, f_tail(f, len(rows), df_denom), len(rows), df_denom)
