"""The notes of a fit: what the reader of its report should know about the numbers."""

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from operator import mul

from regression.common.text import UNDETERMINED, counted, left_out, shortest
from regression.curves.basis import recur
from regression.curves.change_of_basis import center_and_scale
from regression.curves.decimals import dot, precise, times
from regression.solutions.convergence import is_converged
from regression.solutions.optimum import Optimum
from regression.solutions.solution import SHOWN_DIGITS, Solution

FLOAT_RANGE = Decimal("2.3e-308"), Decimal("1.7e308")
MOST_ROUNDING_SE = 0.01  # standard errors, a tenth of the distance up to which a fit counts as converged
MOST_CANCELLED = 10**6  # largest ratio of the terms of a variance to their sum without a note

__all__ = ["notes_on"]


def notes_on(
    solution: Solution,
    names: Sequence[str],
    optimum: Optimum,
    ssr: Decimal,
    distance: float | None,
    absolute_sigma: bool,
    omitted: int,
    is_optimum: bool,
    rounding: float | None = None,
) -> list[str]:
    """Return the notes of a fit.

    Args:
        solution: The least-squares optimum.
        names: The names of its coefficients.
        optimum: The optimum of the loss.
        ssr: ``Σ w (y − f(x))²`` of the fit.
        distance: Its distance from the optimum in standard errors.
        absolute_sigma: Whether the points' sigma are in y's unit.
        omitted: Number of rows that were left out.
        is_optimum: Whether the coefficients are those of the solution.
        rounding: How far rounding to the fit's dtype can move the optimum, in standard errors; ``None`` for float64.
    """
    found = [left_out(omitted)] if omitted else []
    found += _kept_notes(solution, names)
    size = solution.columns
    if solution.null:
        which = "the ones of least norm" if is_optimum else "some of many that fit alike"
        found.append(
            f"{UNDETERMINED}the points fix {solution.rank} of {counted(size, 'coefficient')} because "
            f"{_cause(solution)}; these are {which}, and their errors are unknown"
        )
    elif solution.nobs == size and not absolute_sigma:
        leave = "leaves" if size == 1 else "leave"
        found.append(
            f"errors are unknown: {counted(size, 'point')} {leave} nothing over for {counted(size, 'coefficient')}"
        )
    elif ssr == 0:
        so = "" if absolute_sigma else ", so AIC, AICc and BIC are unknown"
        found.append(f"the curve goes through every point{so}")
    if ssr and not FLOAT_RANGE[0] < ssr < FLOAT_RANGE[1]:
        found.append(f"the sum of squared residuals is {ssr:.6e}, beyond float64's range")
    if solution.tss <= 0:
        found.append("R² is unknown: y does not vary, or too little against its size")
    found += _digit_notes(solution) + _covariance_notes(solution) + _loss_notes(solution, optimum, absolute_sigma)
    if solution.condition is not None and solution.condition > 1e8:
        found.append(f"condition {solution.condition:.2g}: the highest powers are nearly indistinguishable here")
    if distance is not None and not is_converged(distance):
        whose = "" if optimum.is_of_squares else f" of {optimum.loss}"
        advice, use = "make more updates or let x be mapped (--model.domain data)", "use "
        if rounding is not None and rounding > MOST_ROUNDING_SE:  # more updates would not help
            advice, use = f"rounding alone makes {rounding:.2g}: use --trainer.precision 64-true", ""
        if optimum.is_of_squares:
            advice += f", or {use}--model.solver exact"
        found.append(f"not converged: {distance:.2g} standard errors from the optimum{whose}; {advice}")
    return found


def _loss_notes(solution: Solution, optimum: Optimum, absolute_sigma: bool) -> list[str]:
    """Return notes on the errors of a fit that does not minimise squares, and on its unknown numbers."""
    if optimum.is_of_squares:
        return []
    without = "AIC, AICc and BIC are unknown: they are for squares"
    if not absolute_sigma:
        without = f"residual σ and prediction bands are unknown: they would contain the outliers; {without}"
    if optimum.coefficients is None:
        what = "converged and the distance from it are" if solution.null else "errors, bands and converged are"
        return [f"the optimum of {optimum.loss} is unknown, so {what} too: {optimum.reason}", without]
    beyond = f"{optimum.beyond:,} of {counted(solution.nobs, 'point')} beyond its threshold"
    return [f"errors are those of {optimum.loss}, with {beyond} (Huber 1981)", without]


def _kept_notes(solution: Solution, names: Sequence[str]) -> list[str]:
    """Return a note on coefficients and points that were given instead of fitted."""
    if solution.within is None or not solution.within.constraints.count:
        return []
    own, name_of = solution.within.constraints, dict(zip(solution.powers, names, strict=True))
    equations = [f"{name_of[power]} = {shortest(value)}" for power, value in own.fixed]
    equations += [f"f({shortest(x)}) = {shortest(y)}" for x, y in own.through]
    return [f"kept and not fitted: {', '.join(equations)}"]


def _cause(solution: Solution) -> str:
    """Return why the points do not determine all coefficients."""
    if solution.rank == solution.nobs:
        return f"there {'is' if solution.nobs == 1 else 'are'} only {counted(solution.nobs, 'point')}"
    if solution.frame.low == solution.frame.high:
        return "all x are equal"
    return "there are too few distinct x, or some too close, or the weights too unequal, for this degree"


def _digit_notes(solution: Solution) -> list[str]:
    """Return a note on numbers with fewer certain digits than float64 shows."""
    digits = {} if solution.null else solution.certain_digits
    few = {name: value for name, value in digits.items() if value < SHOWN_DIGITS}
    if not few:
        return []
    parts = [f"about {max(value, 0):.0f} of the {name}" for name, value in few.items()]
    return [f"few digits are certain: {', '.join(parts)}; the others are rounding"]


def _covariance_notes(solution: Solution) -> list[str]:
    """Return a note if errors of the curve lose digits when computed from ``cov_params``, whose terms nearly cancel."""
    if solution.inverse is None:
        return []
    with precise():
        variance, u = max((_variance(solution, u), u) for u in _candidates(solution))
        center, scale = center_and_scale(solution.frame)
        every = list(accumulate([abs(center + scale * u)] * solution.degree, mul, initial=Decimal(1)))
        powers = [every[k] for k in solution.powers]
        sizes = dot(powers, times([list(map(abs, row)) for row in solution.inverse], powers))
        if variance * MOST_CANCELLED >= sizes:
            return []
        lost = math.ceil((sizes / variance).log10())
    return [
        f"cov_params in powers of x lose {min(lost, 16)} digits in errors of the curve: ask predict for them, or fit "
        f"to x - {solution.frame.center:g}"
    ]


def _candidates(solution: Solution) -> list[Decimal]:
    """Return u at which to look for errors: the middle of the points, or several if the curve has no error at some."""
    if solution.within is None or not solution.within.constraints.through:
        return [Decimal(0)]
    last = solution.degree + 1
    return [Decimal(2 * k - last) / last for k in range(last + 1)]


def _variance(solution: Solution, u: Decimal) -> Decimal:
    """Return the variance of the curve at u, without the factor s²."""
    values = recur(Decimal(1), u.__mul__, solution.degree, "chebyshev")
    parts = [dot(function, values) for function in solution.functions]
    return sum((part * part / square for part, square in zip(parts, solution.squares, strict=True)), Decimal(0))
