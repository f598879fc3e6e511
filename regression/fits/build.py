"""Makes the ``Fit`` from the sums over points and their optimum."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import torch

from regression.common.points import Points
from regression.common.time_scale import TimeScale
from regression.curves.decimals import Vector, finite_float, precise, root
from regression.curves.polynomial import Polynomial
from regression.estimation.bands import curve_of
from regression.estimation.degree_choice import Choice
from regression.estimation.m_estimate import MEstimate
from regression.fits.fit import Fit
from regression.fits.notes import notes_on
from regression.moments.moments import Moments
from regression.solutions.convergence import distance_from_optimum, is_converged
from regression.solutions.criteria import Criteria, information_criteria
from regression.solutions.optimum import Optimum
from regression.solutions.solution import Solution
from regression.solutions.standard_errors import covariance, scale_of, standard_errors

__all__ = ["FitOptions", "build_fit"]

BEYOND = "cov_params are unknown: a variance is beyond float64's range"


@dataclass(frozen=True)
class FitOptions:
    """The facts about a fit that do not follow from the points and the curve; see ``Fit``.

    Attributes:
        loss: Loss of all training points, unless it follows from the sum of squares.
    """

    model: str
    solver: str = "exact"
    optimizer: str | None = None
    updates: int = 1
    loss_name: str = "MSELoss"
    loss: float | None = None
    val_loss: float | None = None
    absolute_sigma: bool = False
    level: float = 0.95
    axes: tuple[str, str] = ("x", "y")
    source: str | None = None
    x_time: TimeScale | None = None
    y_time: TimeScale | None = None
    sample: Points | None = None


def build_fit(
    moments: Moments,
    solution: Solution,
    model: Polynomial,
    options: FitOptions,
    *,
    omitted: int = 0,
    choice: Choice | None = None,
    at: Vector | None = None,
    optimum: Optimum | None = None,
    robust: MEstimate | None = None,
) -> Fit:
    """Make a fit.

    Args:
        moments: Moments of the training points.
        solution: Their least-squares optimum.
        model: The curve.
        options: How it was fitted.
        omitted: Number of rows that were left out.
        choice: How the degree was chosen, if it was.
        at: The fit's coefficients of T_k(u), shape (degree + 1,), if they are not those of the optimum.
        optimum: The optimum of the loss; by default that of the squares.
        robust: The M-estimate, if the fit is one.
    """
    optimum = optimum or Optimum.of_squares(solution, options.absolute_sigma)
    ssr = solution.ssr if at is None else solution.ssr_at(at)
    scale = scale_of(solution, ssr, options.absolute_sigma) if optimum.is_of_squares else optimum.scale
    errors, cov = standard_errors(solution, scale), [_floats(row) for row in covariance(solution, scale) or ()]
    is_shown = bool(np.isfinite(cov).all())
    params = solution.params_above_noise if at is None else solution.params_of(at)
    distance = 0.0 if at is None else distance_from_optimum(params, solution, optimum)
    df_resid = solution.nobs - solution.rank
    criteria = Criteria()
    if not solution.null and optimum.is_of_squares:
        criteria = information_criteria(solution, ssr, solution.columns, options.absolute_sigma)
    own: dict[str, Any] = vars(options) | {name: finite_float(value) for name, value in criteria._asdict().items()}
    names = tuple(name for power, name in zip(model.powers, model.names, strict=True) if power in solution.powers)
    own["loss"] = _squared_loss(options, ssr, solution.nobs)
    rounding = None if at is None else _rounding(model.coefficients.dtype, solution, optimum)
    notes = notes_on(solution, names, optimum, ssr, distance, options.absolute_sigma, omitted, at is None, rounding)
    notes += [] if is_shown else [BEYOND]
    notes += [*(choice.notes if choice else ()), *(robust.notes if robust else ())]
    with precise():
        return Fit(
            **own,
            degree=solution.degree, basis=model.basis, domain=model.domain, names=names,
            weighted=moments.is_weighted, nobs=solution.nobs, omitted=omitted, df_resid=df_resid,
            params=np.array(_floats(params)), bse=np.array(_floats(errors)) if errors else None,
            cov_params=np.array(cov) if cov and is_shown else None,
            sigma=float(root(ssr / df_resid)) if df_resid > 0 and optimum.is_of_squares else None,
            ssr=finite_float(ssr),
            ess=finite_float(solution.tss - ssr) if solution.tss > 0 else None,
            rsquared=float(1 - ssr / solution.tss) if solution.tss > 0 else None,
            rank=solution.rank, condition_number=solution.condition, opt_error_se=distance,
            converged=None if distance is None else is_converged(distance),
            x_range=(solution.frame.low, solution.frame.high),
            curve=curve_of(solution, solution.coefficients if at is None else at, scale),
            notes=tuple(notes),
            criterion=choice.criterion if choice else None,
            degree_table=tuple(map(asdict, choice.table)) if choice else (),
            **_kept(solution, names),
            robust=None if robust is None else robust.kind,
            scale=None if robust is None else robust.scale,
        )  # fmt: skip


def _kept(solution: Solution, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a fit for its constraints, if there are any."""
    if solution.within is None:
        return {}
    own = solution.within.constraints
    return {"fixed": {names[own.powers.index(k)]: value for k, value in own.fixed}, "through": own.through}


def _rounding(dtype: torch.dtype, solution: Solution, optimum: Optimum) -> float | None:
    """Return how far rounding to a dtype can move the optimum, in standard errors; ``None`` for float64."""
    if dtype == torch.float64 or optimum.coefficients is None:
        return None
    with precise():
        next_one = [value * (1 + Decimal(torch.finfo(dtype).eps)) for value in optimum.coefficients]
    return distance_from_optimum(solution.params_of(next_one), solution, optimum)


def _floats(values: Sequence[Decimal]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _squared_loss(options: FitOptions, ssr: Decimal, nobs: int) -> float | None:
    """Return the loss computed from the sum of squares if it follows from that, otherwise the given one."""
    mean = float(ssr) / nobs
    return finite_float({"MSELoss": mean, "NormLoss": math.sqrt(mean / nobs)}.get(options.loss_name, options.loss))
