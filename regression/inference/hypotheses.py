"""t, F, χ² and Wald tests of what was fitted."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from regression.common.errors import UsageError
from regression.curves.decimals import Matrix, combine, dot, orthogonalize, precise
from regression.inference.distributions import f_tail
from regression.inference.exact_curve import ExactCurve

__all__ = ["WaldTest", "in_powers", "t_values", "wald_test"]


class WaldTest(NamedTuple):
    """A test of linear hypotheses.

    Attributes:
        fvalue: ``(R c - q)ᵀ (R C Rᵀ)⁻¹ (R c - q) / J``.
        pvalue: Probability of a value as large or larger where the hypotheses hold.
        df_num: Number of hypotheses J.
        df_denom: Residual degrees of freedom; ``None`` where sigma is known, and J F is χ².
    """

    fvalue: float
    pvalue: float
    df_num: int
    df_denom: int | None


def t_values(params: Sequence[float], errors: Sequence[float]) -> tuple[float, ...]:
    """Return the coefficients in standard errors; infinite where the error is 0, NaN where both are."""
    return tuple(
        p / e if e else math.copysign(math.inf, p) if p else math.nan for p, e in zip(params, errors, strict=True)
    )


def in_powers(curve: ExactCurve) -> Matrix:
    """Return T_0(u) … T_d(u) in ascending powers of x, a row for each."""
    size = len(curve.coefficients)
    rows: Matrix = []
    for k in range(size):
        before = rows[-1] if rows else [Decimal(1)] + [Decimal(0)] * (size - 1)
        raised = [
            (low - curve.center * own) / curve.scale for low, own in zip([Decimal(0), *before], before, strict=False)
        ]
        if k < 2:
            rows.append(raised if k else before)
        else:
            rows.append([2 * value - last for value, last in zip(raised, rows[-2], strict=True)])
    return rows


def wald_test(
    curve: ExactCurve,
    weights: Sequence[Sequence[float]],
    goals: Sequence[float],
    kept: Sequence[int],
    df_denom: int | None,
) -> WaldTest:
    """Test ``R c = q``, from the curve's own errors: in the covariance of powers of x they may cancel.

    Args:
        curve: The curve and its errors.
        weights: R, a row for each hypothesis, shape (J, K).
        goals: q, shape (J,).
        kept: The power of x that each coefficient belongs to.
        df_denom: Residual degrees of freedom; ``None`` where sigma is known.

    Raises:
        UsageError: If the hypotheses depend on each other, or the errors are unknown.
    """
    if curve.errors is None:
        raise UsageError("a Wald test needs the errors of the coefficients, which are unknown")
    with precise():
        powers = in_powers(curve)
        own = [value for k, value in enumerate(combine(powers, curve.coefficients)) if k in kept]
        errors = [[value for k, value in enumerate(combine(powers, row)) if k in kept] for row in curve.errors]
        rows = [list(map(Decimal, row)) for row in weights]
        misses = [dot(row, own) - Decimal(goal) for row, goal in zip(rows, goals, strict=True)]
        images = [[dot(row, error) for error in errors] for row in rows]
        covariance = [[dot(a, b) for b in images] for a in images]
        noise = max(abs(row[i]) for i, row in enumerate(covariance)) * Decimal("1e-25")
        units = [[Decimal(int(i == j)) for j in range(len(rows))] for i in range(len(rows))]
        steps, squares, null = orthogonalize(units, covariance, noise)
        if null:
            raise UsageError("hypotheses must be independent of each other and of what is certain")
        total = sum((dot(step, misses) ** 2 / size for step, size in zip(steps, squares, strict=True)), Decimal(0))
        f = float(total / len(rows))
    return WaldTest(f, f_tail(f, len(rows), df_denom), len(rows), df_denom)
