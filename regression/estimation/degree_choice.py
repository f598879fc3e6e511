"""Chooses the degree of a polynomial: the fits of all degrees follow from nested blocks of the same sums.

Plain AIC is not offered: on few points it prefers degrees that are too high.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from regression.common.errors import UsageError
from regression.common.rules import one_of, require_option, whole
from regression.curves.decimals import Vector, finite_float, precise
from regression.inference.distributions import f_tail
from regression.solutions.criteria import information_criteria
from regression.solutions.solution import Solution

__all__ = ["Candidate", "Choice", "Comparison", "Criterion", "choose_degree"]

Criterion = Literal["aicc", "gcv", "cv", "loo"]
UNDETERMINED_BY = {"cv": "the points outside of some fold do", "loo": "without some point the others do"}
FLOOR = Decimal("1e-28")  # share of the total sum of squares below which the residuals are rounding of the points


@dataclass(frozen=True)
class Comparison:
    """How degrees are compared.

    Attributes:
        criterion: The criterion that the chosen degree minimises.
        folds: Number of folds for ``cv``.
        absolute_sigma: Whether the points' sigma are in y's unit, which AICc uses.

    Raises:
        UsageError: If there is no such criterion, or the number of folds is not a whole number from 2.
    """

    criterion: Criterion = "aicc"
    folds: int = 5
    absolute_sigma: bool = False

    def __post_init__(self) -> None:
        require_option("criterion", self.criterion, one_of(Criterion))
        require_option("folds", self.folds, whole(2))


@dataclass(frozen=True)
class Candidate:
    """One degree and its criteria; ``None`` for numbers that are unknown or beyond float64's range.

    Attributes:
        degree: The degree.
        ssr: ``Σ w (y - f(x))²`` of its best fit.
        aicc: Akaike's criterion for small samples, ``-2 log L + 2 K N / (N - K - 1)``, of K coefficients without
            sigma; ``χ² + 2 K`` plus a constant if sigma are absolute.
        gcv: Generalised cross-validation, ``N ssr / (N - K)²``.
        cv: ``Σ w (y - f(x))² / N``, with f fitted without the point's fold; ``None`` for other criteria.
        fvalue: F of this degree against the one below, ``(ssr_{k-1} - ssr_k) / s²``, with s² of the highest degree of
            the table, or 1 if sigma are absolute; ``None`` for degree 0, and in checkpoints of release 0.1.
        f_pvalue: Probability of such an F if this degree's coefficient were 0.
        loo: ``Σ w (y - f(x))² / N``, with f fitted without the point; ``None`` for other criteria.
    """

    degree: int
    ssr: float | None
    aicc: float | None
    gcv: float | None
    cv: float | None
    fvalue: float | None = None
    f_pvalue: float | None = None
    loo: float | None = None


@dataclass(frozen=True)
class Choice:
    """How a degree was chosen.

    Attributes:
        degree: The degree with the lowest criterion, the lower one of equals.
        criterion: Name of the criterion.
        table: All degrees that were compared.
        notes: Notes for the report.
    """

    degree: int
    criterion: Criterion
    table: tuple[Candidate, ...]
    notes: tuple[str, ...]


def choose_degree(solution: Solution, comparison: Comparison, leave_out: Callable[[], Vector] | None) -> Choice:
    """Compare the degrees up to that of a solution.

    Degrees that leave fewer than two degrees of freedom, or that the points do not determine, are not compared. If the
    residuals of a degree are no larger than the rounding of the points to float64, no higher degree is chosen.

    Args:
        solution: The least-squares optimum of the highest degree.
        comparison: The criterion and its options.
        leave_out: For ``cv`` and ``loo``: returns ``Σ w (y - f(x))²``, with f fitted without the point's fold or the
            point, for each degree that all the others determine.

    Raises:
        UsageError: If there are too few points to compare anything.
    """
    nobs, notes = solution.nobs, []
    last = min(solution.degree, nobs - 3, solution.rank - 1)
    if last < 0:
        raise UsageError(f"degree auto needs at least 3 points, got {nobs}")
    left_out, criterion = [] if leave_out is None else leave_out(), comparison.criterion
    if leave_out is not None and len(left_out) <= last:
        last = len(left_out) - 1
        if last < 0:
            raise UsageError(
                f"criterion {criterion} compares no degree: {UNDETERMINED_BY[criterion]} not determine a constant"
            )
        notes.append(f"degrees above {last} were not compared: {UNDETERMINED_BY[criterion]} not determine them")
    table, own = [], []
    with precise():
        floor = max(FLOOR * solution.tss, solution.rounding)
        for k, ssr in enumerate(solution.ssr_by_degree[: last + 1]):
            known = max(ssr, floor)
            values = {
                "aicc": information_criteria(solution, known, k + 1, comparison.absolute_sigma).aicc,
                "gcv": nobs * known / (nobs - k - 1) ** 2,
                **{name: left_out[k] / nobs if name == criterion else None for name in UNDETERMINED_BY},
            }
            shown = {name: _in_range(value) for name, value in [("ssr", ssr), *values.items()]}
            table.append(Candidate(k, **shown, **_f_test(solution, k, last, floor, comparison.absolute_sigma)))
            if k == 0 or solution.ssr_by_degree[k - 1] > floor:  # otherwise a lower degree already fits to rounding
                own.append(values[criterion] or Decimal(0))  # AICc is None if all y are 0
    return Choice(own.index(min(own)), criterion, tuple(table), tuple(notes))


def _in_range(value: Decimal | None) -> float | None:
    """Return a number as float64, ``None`` if it is too large or too small for that."""
    found = finite_float(value)
    return None if value and not found else found


def _f_test(solution: Solution, degree: int, top: int, floor: Decimal, absolute_sigma: bool) -> dict[str, float | None]:
    """Return the sequential F test of a degree, as R's ``anova`` gives it; empty if no residual variance is left."""
    df_denom = None if absolute_sigma else solution.nobs - top - 1
    left = solution.ssr_by_degree[top]
    if degree == 0 or (df_denom and left <= floor):
        return {}
    gain = solution.ssr_by_degree[degree - 1] - solution.ssr_by_degree[degree]
    f = finite_float(gain if df_denom is None else gain / (left / df_denom))
    return {} if f is None else {"fvalue": f, "f_pvalue": f_tail(f, 1, df_denom)}
