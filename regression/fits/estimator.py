"""Estimates that take further passes: M-estimates, errors for unequal scatter, and lines with errors in x."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from regression.common.errors import UsageError
from regression.common.rules import NUMBER, list_of, one_of, or_null, require_option, require_stored, whole
from regression.curves.decimals import Matrix, Vector, combine, dot, finite_float, pairs, precise, root
from regression.estimation.bands import curve_of
from regression.estimation.errors_in_x import LineWithErrors, find_line
from regression.estimation.m_estimate import MEstimate, estimate
from regression.estimation.sandwich import CovType, ScoreCovariance, covariance_of_scores
from regression.fits.fit import Fit
from regression.inference.robust_weights import Robust
from regression.moments.passes import Passes
from regression.solutions.optimum import orthonormal
from regression.solutions.solution import Solution

__all__ = ["NEEDS_LINE", "Estimator", "FurtherEstimates"]

NEEDS_LINE = "sigma_x needs a line through at least 3 points of different x"

UNEQUAL = "errors are those of {}; prediction bands take the scatter of new points for equal nevertheless"
MOST_EXPONENT = 1 << 12  # of a power of two near the size of residuals over sigma
TOO_FEW = "errors are not those of {}, which need more points than coefficients"
ERRORS_IN_X = "x has errors too (York et al. 2004); prediction bands are those of y at an x without error"


@dataclass(frozen=True)
class Estimator:
    """What a fit estimates by further passes over the points.

    Attributes:
        robust: Which M-estimate the curve is; ``None`` for least squares.
        cov_type: Kind of its standard errors.
        maxlags: Largest distance in rows of residuals that depend on each other, for ``HAC``.

    Raises:
        UsageError: If an option has a wrong value, or two contradict each other.
    """

    robust: Robust | None = None
    cov_type: CovType = "nonrobust"
    maxlags: int | None = None

    def __post_init__(self) -> None:
        """Refuse wrong values."""
        require_option("robust", self.robust, or_null(one_of(Robust)))
        require_option("cov_type", self.cov_type, one_of(CovType))
        require_option("maxlags", self.maxlags, or_null(whole()))
        if self.maxlags is not None and self.cov_type != "HAC":
            raise UsageError(f"maxlags is for cov_type HAC, got {self.cov_type}")

    @property
    def is_plain(self) -> bool:
        """Whether it is least squares with errors that assume equal scatter."""
        return self == Estimator()

    def require_compatible(
        self, is_auto: bool, absolute_sigma: bool, has_sigma_x: bool = False, is_constrained: bool = False
    ) -> None:
        """Refuse other options that contradict the estimator.

        Args:
            is_auto: Whether the degree is to be chosen.
            absolute_sigma: Whether the points' sigma are in y's unit.
            has_sigma_x: Whether x has errors too.
            is_constrained: Whether there are constraints on the curve.
        """
        if self.robust and (is_auto or absolute_sigma or has_sigma_x or self.cov_type != "nonrobust"):
            raise UsageError(
                "robust has a scale and errors of its own: give a degree, and no absolute_sigma, cov_type or sigma_x"
            )
        if has_sigma_x and (is_auto or is_constrained or self.cov_type != "nonrobust"):
            raise UsageError("sigma_x is for a line: leave out auto, terms, fix, through and cov_type")

    def find(self, solution: Solution, has_sigma_x: bool, passes: Passes) -> "FurtherEstimates":
        """Return the results of further passes; all processes must call it.

        Raises:
            UsageError: If these points do not determine them.
        """
        if has_sigma_x:
            if solution.degree != 1 or not solution.has_intercept or solution.null or solution.nobs < 3:
                raise UsageError(NEEDS_LINE)
            return FurtherEstimates(line=find_line(solution, passes))
        if self.robust is not None:
            return FurtherEstimates(estimate(solution, self.robust, passes))
        if self.cov_type == "nonrobust" or solution.null or solution.nobs <= solution.rank:
            return FurtherEstimates(cov_type=self.cov_type)
        found = covariance_of_scores(solution, self.cov_type, self.maxlags, passes)
        return FurtherEstimates(cov_type=self.cov_type, covariance=found)


@dataclass(frozen=True)
class FurtherEstimates:
    """The results of further passes.

    Attributes:
        m_estimate: The M-estimate, if the curve is one.
        cov_type: Kind of the standard errors.
        covariance: Covariance of the coefficients of ``optimum.orthonormal``, if it does not assume equal scatter.
        line: The line, if x has errors too.
    """

    m_estimate: MEstimate | None = None
    cov_type: str = "nonrobust"
    covariance: ScoreCovariance | None = None
    line: LineWithErrors | None = None

    @property
    def coefficients(self) -> Vector | None:
        """The coefficients of T_k(u), shape (d + 1,), if they are not those of the least-squares optimum."""
        if self.line is not None:
            return self.line.coefficients
        if self.m_estimate is None:
            return None
        return self.m_estimate.optimum.coefficients or self.m_estimate.coefficients

    def apply_to(self, fit: Fit, solution: Solution) -> Fit:
        """Return a fit with the line, or the errors, that were found; ``build_fit`` has used the M-estimate."""
        if self.line is not None:
            return _with_line(fit, solution, self.line)
        if self.cov_type == "nonrobust" or fit.bse is None:
            return fit
        if self.covariance is None:
            return replace(fit, notes=(*fit.notes, TOO_FEW.format(self.cov_type)))
        sizes, vectors = np.linalg.eigh(self.covariance.matrix)
        factors = (vectors * np.sqrt(np.maximum(sizes, 0))).T.tolist()
        rows = orthonormal(solution)
        with precise():
            unit = Decimal(2) ** self.covariance.exponent
            errors = [combine(rows, [unit * Decimal(value) for value in part]) for part in factors]
        own = _with_errors(fit, solution, solution.coefficients, errors)
        return replace(own, cov_type=self.cov_type, notes=(*fit.notes, UNEQUAL.format(self.cov_type)))

    def state(self) -> dict[str, Any] | None:
        """Return the results as plain numbers and strings, for a checkpoint; ``None`` if there are none."""
        if self.m_estimate is None and self.line is None and self.cov_type == "nonrobust":
            return None
        return {
            "m_estimate": None if self.m_estimate is None else self.m_estimate.state(),
            "cov_type": self.cov_type,
            "covariance": None if self.covariance is None else self.covariance.matrix.tolist(),
            "exponent": 0 if self.covariance is None else self.covariance.exponent,
            "line": None if self.line is None else self.line.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | None, rank: int) -> "FurtherEstimates":
        """Return the results of a state; that of an older release is ``None``."""
        if state is None:
            return cls()
        matrices, exponents = or_null(list_of(list_of(NUMBER, rank), rank)), whole(-MOST_EXPONENT, MOST_EXPONENT)
        state = {"exponent": 0, **state}  # older states have no exponent
        require_stored(state, {"cov_type": one_of(CovType), "covariance": matrices, "exponent": exponents}, "further.")
        matrix, line, found = state["covariance"], state["line"], state["m_estimate"]
        return cls(
            m_estimate=None if found is None else MEstimate.from_state(found),
            cov_type=state["cov_type"],
            covariance=None if matrix is None else ScoreCovariance(np.array(matrix), state["exponent"]),
            line=None if line is None else LineWithErrors.from_state(line),
        )


def _with_line(fit: Fit, solution: Solution, line: LineWithErrors) -> Fit:
    """Return the fit of a line through points with errors in x; its errors are scaled like those of other fits."""
    with precise():
        square = line.chi2 / fit.df_resid
        spread = Decimal(1) if fit.absolute_sigma else root(square)
        value, tilt = spread * root(line.value_variance), spread * root(line.slope_variance)
        own = _with_errors(fit, solution, line.coefficients, [[value, Decimal(0)], [-tilt * line.middle, tilt]])
        unknown: dict[str, Any] = dict.fromkeys(("ess", "rsquared", "aic", "aicc", "bic"))
        return replace(
            own,
            **unknown,
            params=np.array(list(map(float, solution.params_of(line.coefficients)))),
            ssr=finite_float(line.chi2),
            loss=finite_float(line.chi2 / fit.nobs),
            sigma=float(root(square)),
            errors_in_x=True,
            notes=(*fit.notes, ERRORS_IN_X),
        )


def _with_errors(fit: Fit, solution: Solution, coefficients: Vector, errors: Matrix) -> Fit:
    """Return a fit with other coefficients of T_k(u), and the errors of a sum of independent errors, a row for each."""
    curve = curve_of(solution, coefficients, None)
    with precise():
        columns = list(zip(*(solution.error_in_terms(row) for row in errors), strict=True))
        covariance = [[dot(a, b) for b in columns] for a in columns]
        unit, cov = Decimal(2) ** -curve.y_exponent, np.array([list(map(float, row)) for row in covariance])
        functions = tuple(pairs([unit * value for value in row]) for row in errors)
        return replace(
            fit,
            bse=np.array([float(root(row[k])) for k, row in enumerate(covariance)]),
            cov_params=cov if np.isfinite(cov).all() else None,  # the fit has a note on it
            curve=replace(curve, error_functions=functions),
        )
