"""From the sums over points and their optimum to the fit that is shown. Torch and scipy only."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from regression.curves.change_of_basis import u_in_powers
from regression.curves.decimals import Matrix, combine, logarithm, precise, root
from regression.fits.bands import Curve
from regression.fits.convergence import CONVERGED_SE
from regression.fits.degree_choice import Candidate
from regression.fits.notes import notes
from regression.fits.refinement import without_noise
from regression.fits.result import Fit
from regression.fits.solver import Solution
from regression.moments.moments import Moments

__all__ = ["build_fit"]


def build_fit(
    moments: Moments,
    solution: Solution,
    names: tuple[str, ...],
    at: list[Decimal] | None = None,
    given_loss: float | None = None,
    degree_table: Sequence[Candidate] = (),
    **facts: Any,
) -> Fit:
    """Make the record of a fit.

    Args:
        moments: Moments of the training points.
        solution: Their least-squares optimum.
        names: Names of the coefficients.
        at: The fit's own coefficients of T_k(u) where they are not the optimum's; shape (degree + 1,).
        given_loss: The loss at the coefficients where it is no function of the squares.
        degree_table: The degrees that were compared, if the degree was chosen.
        facts: The attributes that do not follow from these.
    """
    with precise():
        own = solution.coefficients if at is None else at
        missing = len(own) - len(names)  # one without an intercept
        rows = u_in_powers(solution.frame, len(own) - 1)
        params, best = (combine(rows, curve)[missing:] for curve in (own, solution.coefficients))
        if at is None and not solution.null:
            params = without_noise(params, rows, solution)
        ssr = solution.ssr if at is None else solution.ssr_at(own)
        df_resid = solution.nobs - solution.rank
        scale = Decimal(1) if facts["absolute_sigma"] else ssr / df_resid if df_resid > 0 else None
        cov = _scaled(solution.covariance_in(rows), scale)
        cov = None if cov is None else [row[missing:] for row in cov[missing:]]
        errors = None if cov is None else [root(abs(row[k])) for k, row in enumerate(cov)]
        # In units of the errors at the optimum: further off, ssr and with it the fit's own errors are larger.
        best_scale = Decimal(1) if facts["absolute_sigma"] or not ssr else root(solution.ssr / ssr)
        is_known = errors is not None and not solution.is_perfect
        distance = _distance(params, best, [e * best_scale for e in errors] if errors and is_known else None)
        aic, aicc, bic = _criteria(ssr, solution, len(names))
        said = notes(solution, ssr, distance, len(names), errors is not None, facts["omitted"], at is None)
        return Fit(
            degree=len(own) - 1, loss=_squared_loss(facts["loss_name"], ssr, solution.nobs, given_loss),
            nobs=solution.nobs, weighted=moments.is_weighted, df_resid=df_resid, names=names,
            params=_floats(params),
            bse=_floats(errors) if errors else None,
            cov_params=tuple(map(_floats, cov)) if cov else None,
            sigma=float(root(ssr / df_resid)) if df_resid > 0 else None, ssr=_within(float(ssr)),
            rsquared=float(1 - ssr / solution.tss) if solution.tss > 0 else None, aic=aic, aicc=aicc, bic=bic,
            rank=solution.rank, condition_number=solution.condition, opt_error_se=distance,
            converged=None if distance is None else distance <= CONVERGED_SE,
            x_range=(solution.frame.low, solution.frame.high), curve=Curve.of(solution, own, scale),
            degree_table=tuple(asdict(candidate) for candidate in degree_table),
            notes=tuple(said), **facts,
        )  # fmt: skip


def _floats(values: Sequence[Decimal]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _scaled(matrix: Matrix | None, scale: Decimal | None) -> Matrix | None:
    return None if matrix is None or scale is None else [[scale * value for value in row] for row in matrix]


def _squared_loss(name: str, ssr: Decimal, nobs: int, given: float | None) -> float | None:
    """Return the loss where it is a function of the squares, else the given one."""
    mean = float(ssr) / nobs
    return _within({"MSELoss": mean, "NormLoss": math.sqrt(mean / nobs)}.get(name, given))


def _within(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _criteria(ssr: Decimal, solution: Solution, size: int) -> tuple[float | None, float | None, float | None]:
    """Return AIC, AICc and BIC of ``size`` coefficients; ``None`` where the likelihood has no maximum."""
    nobs = solution.nobs
    if ssr <= 0 or solution.rank < size:
        return None, None, None
    log_likelihood = -nobs / 2 * (math.log(2 * math.pi) + logarithm(ssr / nobs) + 1) + solution.log_weights / 2
    aic, room = 2 * size - 2 * log_likelihood, nobs - size - 1
    aicc = aic + 2 * size * (size + 1) / room if room > 0 else None
    return aic, aicc, size * math.log(nobs) - 2 * log_likelihood


def _distance(own: list[Decimal], best: list[Decimal], errors: list[Decimal] | None) -> float | None:
    """Return ``max |c - ĉ| / se``, or ``None`` where a standard error is unknown or 0 and the coefficients differ."""
    if own == best:
        return 0.0
    if errors is None or not all(errors):
        return None
    return float(max(abs(a - b) / e for a, b, e in zip(own, best, errors, strict=True)))
