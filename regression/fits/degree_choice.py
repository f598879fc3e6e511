"""Choosing the degree of a polynomial from the moments of one pass. Torch and the standard library only.

All degrees come from nested blocks of the same moments, and the folds of cross-validation by exact subtraction. Plain
AIC is not offered: on few points it prefers degrees that are too high.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

import torch
from torch import Tensor

from regression.common.errors import UsageError
from regression.curves.decimals import logarithm
from regression.fits.solution import Solution
from regression.fits.solver import solve, ssr_at
from regression.moments.moments import Moments

__all__ = ["Candidate", "Choice", "Criterion", "choose_degree", "fold_of", "require_criterion"]

Criterion = Literal["aicc", "gcv", "cv"]
FLOOR = Decimal("1e-28")  # of the total sum of squares: what is left below is rounding of the points


@dataclass(frozen=True)
class Candidate:
    """One degree and how well it does.

    Attributes:
        degree: The degree.
        ssr: ``Σ w (y - f(x))²`` of its best fit.
        aicc: Akaike's criterion for small samples, ``-2 log L + 2 K N / (N - K - 1)``.
        gcv: Generalised cross-validation, ``N ssr / (N - K)²``.
        cv: Mean squared error of points left out, by k-fold cross-validation; ``None`` where not asked for.
    """

    degree: int
    ssr: float
    aicc: float
    gcv: float
    cv: float | None


@dataclass(frozen=True)
class Choice:
    """How a degree was chosen.

    Attributes:
        degree: The degree with the lowest criterion.
        criterion: Name of the criterion.
        table: All degrees that were compared.
    """

    degree: int
    criterion: Criterion
    table: tuple[Candidate, ...]


def choose_degree(moments: Moments, solution: Solution, criterion: Criterion, folds: Sequence[Moments] = ()) -> Choice:
    """Compare the degrees up to that of the solution, and choose the one with the lowest criterion.

    Degrees that leave fewer than two degrees of freedom, or that the points do not determine, are not compared.

    Args:
        moments: Moments of all points, of the highest degree to consider.
        solution: Their least-squares optimum at that degree.
        criterion: What to go by.
        folds: Moments of each fold's points, for ``cv``.

    Raises:
        UsageError: If there are too few points to compare anything.
    """
    nobs = solution.nobs
    last = min(moments.degree, nobs - 3, solution.rank - 1)
    if last < 0:
        raise UsageError(f"degree auto needs at least 3 points, got {nobs}")
    table, constant = [], math.log(2 * math.pi) + 1
    for degree in range(last + 1):
        size, ssr = degree + 1, max(solution.ssr_by_degree[degree], FLOOR * solution.tss)
        log_mean = logarithm(ssr / nobs) if ssr else -math.inf
        table.append(
            Candidate(
                degree=degree,
                ssr=float(solution.ssr_by_degree[degree]),
                aicc=nobs * (log_mean + constant) + 2 * size * nobs / (nobs - size - 1) - solution.log_weights,
                gcv=float(nobs * ssr / (nobs - size) ** 2),
                cv=_left_out_error(moments, folds, degree) if criterion == "cv" else None,
            )
        )
    best = min(table, key=lambda candidate: getattr(candidate, criterion))
    return Choice(best.degree, criterion, tuple(table))


def _left_out_error(moments: Moments, folds: Sequence[Moments], degree: int) -> float:
    errors = Decimal(0)
    for fold in folds:
        if fold.nobs:
            rest = solve(moments.without(fold), degree)
            errors += ssr_at(fold, rest.coefficients)
    return float(errors) / moments.nobs


def require_criterion(criterion: str, folds: int) -> None:
    """Refuse a criterion that there is not, and a number of folds that is none."""
    if criterion not in get_args(Criterion):
        raise UsageError(f"criterion must be one of {', '.join(get_args(Criterion))}, got {criterion!r}")
    if criterion == "cv" and (not isinstance(folds, int) or folds < 2):
        raise UsageError(f"folds must be a whole number of at least 2, got {folds}")


def fold_of(x: Tensor, y: Tensor, folds: int) -> Tensor:
    """Return the fold of each point, shape (n,), as a function of its numbers alone: the same in any order or batch."""
    mixed = x.double().view(torch.int64) * 0x1E3779B97F4A7C15 + y.double().view(torch.int64)
    mixed = (mixed ^ (mixed >> 29)) * 0x3F58476D1CE4E5B9
    return (mixed ^ (mixed >> 32)).remainder(folds)
