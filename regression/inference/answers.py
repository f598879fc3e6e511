"""Tests and answers that follow from a fitted curve, as methods of a fit."""

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regression.common.arrays import as_column, as_number, as_points
from regression.common.errors import UsageError
from regression.common.number_arrays import Numbers
from regression.common.rules import POSITIVE, PROBABILITY, Rule, require_option, whole
from regression.common.time_scale import shown_by
from regression.common.times import in_scale
from regression.curves.equation import power_of
from regression.inference import hypotheses, places
from regression.inference.detection import DetectionLimits, detection_limits
from regression.inference.distributions import chi2_tail, f_tail, quantile, scheffe, two_sided
from regression.inference.exact_curve import Estimate, ExactCurve
from regression.inference.fitted import Array, Fitted
from regression.inference.hypotheses import WaldTest
from regression.inference.inverse import inverse
from regression.inference.places import Places

__all__ = ["Answers"]

ERROR_PROBABILITY = Rule("between 0 and 0.5", lambda value: PROBABILITY.holds(value) and value < 0.5)


class Answers(Fitted):
    """What follows from a fitted curve and its errors alone, as methods of ``Fit``, whose attributes these are.

    Errors of numbers that are not linear in the coefficients are of first order (the delta method). They are computed
    in Chebyshev polynomials over the range of the points, because in powers of x terms of the covariance may cancel. An
    unknown error is NaN in tensors and ``None`` elsewhere.
    """

    @property
    def powers(self) -> tuple[int, ...]:
        """The power of x that each coefficient belongs to."""
        return tuple(power_of(name) or 0 for name in self.names)

    @property
    def has_intercept(self) -> bool:
        """Whether there is a constant term that is fitted."""
        return self.powers[0] == 0 and self.names[0] not in self.fixed and not self.through

    @property
    def is_about_mean(self) -> bool:
        """Whether R² compares to the mean of y, not to 0."""
        return bool(self.has_intercept or self.fixed or self.through)

    @property
    def _df_denom(self) -> int | None:
        return None if self.absolute_sigma else self.df_resid

    @cached_property
    def tvalues(self) -> Array | None:
        """The coefficients in standard errors, ``params / bse``; NaN for those that were given and not fitted."""
        if self.bse is None:
            return None
        values = np.array(hypotheses.t_values(self.params.tolist(), self.bse.tolist()))
        return Numbers.of(np.where((self.bse == 0) & bool(self.fixed or self.through), math.nan, values))

    @cached_property
    def pvalues(self) -> Array | None:
        """Probability of a t at least as large in size if the coefficient were 0; normal if ``absolute_sigma``."""
        if self.tvalues is None:
            return None
        return Numbers.of([two_sided(t, self.df_resid, self.absolute_sigma) for t in self.tvalues.tolist()])

    @cached_property
    def corr_params(self) -> Array | None:
        """Correlation of the coefficients, ``cov_params[i, j] / (bse[i] bse[j])``."""
        if self.cov_params is None or self.bse is None or 0 in self.bse:
            return None
        correlations: Array = self.cov_params / self.bse[:, None] / self.bse
        np.fill_diagonal(correlations, 1.0)
        return Numbers.of(correlations)

    @property
    def df_model(self) -> int:
        """Number of coefficients that the points determine, without the constant term."""
        return self.rank - int(self.has_intercept)

    @property
    def rsquared_adj(self) -> float | None:
        """``1 − (1 − R²) (N − c) / df_resid``, with c = 1 where R² is about the mean, 0 where it is about 0."""
        if self.rsquared is None or self.df_resid <= 0:
            return None
        return 1 - (1 - self.rsquared) * (self.nobs - self.is_about_mean) / self.df_resid

    @property
    def fvalue(self) -> float | None:
        """F of all coefficients but the constant: ``(ess / df_model) / s²``, s² being 1 if ``absolute_sigma``.

        ``None`` with fixed coefficients or points to go through, because no simpler curve meets them; computed by
        ``wald_test`` if the errors do not assume equal scatter.
        """
        if self.fixed or self.through or self.ess is None or self.sigma is None or self.df_model <= 0:
            return None
        if self.cov_type != "nonrobust":
            return self.wald_test(np.eye(len(self.params))[int(self.has_intercept) :]).fvalue
        square = 1.0 if self.absolute_sigma else self.sigma * self.sigma
        return self.ess / self.df_model / square if square else None

    @property
    def f_pvalue(self) -> float | None:
        """Probability of an F (a χ² if ``absolute_sigma``) at least as large if these coefficients were 0."""
        return None if self.fvalue is None else f_tail(self.fvalue, self.df_model, self._df_denom)

    @property
    def llf(self) -> float | None:
        """Logarithm of the likelihood, see ``aic``."""
        return None if self.aic is None else self.rank - self.aic / 2

    @property
    def chi2(self) -> float | None:
        """``Σ (y − f(x))² / sigma²`` where ``absolute_sigma``: about ``df_resid`` if curve and sigma are right."""
        return self.ssr if self.absolute_sigma else None

    @property
    def chi2_pvalue(self) -> float | None:
        """Probability of a χ² at least as large if curve and sigma are right."""
        return None if self.chi2 is None or self.df_resid <= 0 else chi2_tail(self.chi2, self.df_resid)

    @property
    def tests(self) -> dict[str, Any]:
        """The numbers of the tests by their names in ``fit.json``."""
        names = ("tvalues", "pvalues", "rsquared_adj", "fvalue", "f_pvalue", "llf", "chi2", "chi2_pvalue")
        return {name: getattr(self, name) for name in names}

    def wald_test(self, weights: Any, goals: Any = None) -> WaldTest:
        """Test linear hypotheses on the coefficients, ``R c = q``, jointly.

        Args:
            weights: R, shape (J, K), or (K,) for a single one.
            goals: q, shape (J,) or one number for all; by default 0.

        Raises:
            UsageError: If shapes differ, hypotheses depend on each other, or the errors are unknown.
        """
        r = as_column("weights", weights)
        r = r.unsqueeze(0) if r.ndim == 1 else r
        q = as_column("goals", 0.0 if goals is None else goals).flatten()
        if r.ndim != 2 or r.shape[1] != len(self.params) or len(q) not in (1, len(r)) or not r.isfinite().all():
            raise UsageError(
                f"weights must be finite, with a row of {len(self.params)} numbers for each of the goals, got shapes "
                f"{tuple(r.shape)} and {tuple(q.shape)}"
            )
        goal = q.expand(len(r)).tolist()
        return hypotheses.wald_test(self._exact, r.tolist(), goal, self.powers, self._df_denom)

    @cached_property
    def _exact(self) -> ExactCurve:
        return ExactCurve.of(self.curve)

    def _factor(self, level: float | None = None, simultaneous: bool = False) -> float:
        """Return the half-width of an interval, or of a band that holds the whole curve, in standard errors."""
        level = self.level if level is None else level
        if simultaneous:
            return scheffe(level, self.rank, self.df_resid, self.absolute_sigma)
        return quantile(level, self.df_resid, self.absolute_sigma)

    def derivative(self, x: Any, order: int = 1, level: float | None = None) -> Estimate[Tensor]:
        """Return a derivative of the curve by x with its error, which is linear in the coefficients.

        Args:
            x: Points, as in ``predict``.
            order: Order of the derivative, 1 for the slope.
            level: Probability of the interval, by default that of the fit.
        """
        require_option("order", order, whole(1))
        points, factor = as_points("x", in_scale("x", x, self.x_time)), self._factor(level)
        curve = replace(self.curve, **self._exact.slope(int(order)).rounded())  # type: ignore[type-var]
        mean, error = (column.reshape(points.shape) for column in curve.at(points.flatten()))
        return Estimate.of(mean, error, factor)

    def integral(self, a: float, b: float, level: float | None = None) -> Estimate[float]:
        """Return the integral of the curve over x from a to b with its error, which is linear in the coefficients.

        Args:
            a: Lower end; if it is above b, the integral changes its sign.
            b: Upper end.
            level: Probability of the interval, by default that of the fit.
        """
        low, high = (as_number(name, in_scale(name, end, self.x_time)) for name, end in (("a", a), ("b", b)))
        area, error = self._exact.area(low, high)
        return Estimate.of(float(area), math.nan if error is None else float(error), self._factor(level))

    def roots(self, level: float = 0.0) -> Places:
        """Return all x, within and beyond the points, at which the curve has a value: ``se(x) = se(f(x)) / |f'(x)|``.

        Args:
            level: The value.

        Returns:
            The places; an empty list has a note that says why.
        """
        value, shown = as_number("level", level), shown_by(self.x_time)
        return places.roots(self._exact, value, self._factor(), self.x_range, shown)

    def extrema(self) -> Places:
        """Return all x, within and beyond the points, at which the curve turns: ``se(x) = se(f'(x)) / |f''(x)|``.

        Returns:
            The places; an empty list has a note that says why. ``predict`` gives the values there and their errors.
        """
        return places.extrema(self._exact, self._factor(), self.x_range, shown_by(self.x_time))

    def inverse(
        self, y0: float, replicates: int | None = None, level: float | None = None, sigma: float | None = None
    ) -> Places:
        """Return the x of a value of y (calibration), with intervals by Fieller's method.

        An interval holds the x with ``(f(x) − y0)² ≤ t² (se(f(x))² + s² / m)``, see Draper and Smith (1998, §3.2).

        Args:
            y0: A value of the curve, or the mean of m observations.
            replicates: The number of observations m; without it y0 is a value of the curve, and only the errors of the
                curve count.
            level: Probability of the intervals, by default that of the fit.
            sigma: Of a weighted fit, the sigma of each of these observations, on the scale of the points' sigma.

        Returns:
            Each x with its interval; of a curve of degree 2 or more only those whose intervals reach into the range of
            the points. An interval without an end is infinite there; notes explain unusual intervals.
        """
        spread, factor = 0.0, self._factor(level)
        if replicates is not None:
            require_option("replicates", replicates, whole(1))
            spread = self._scatter(sigma) / math.sqrt(replicates)
        why = self._why_no_scatter()
        return inverse(self._exact, as_number("y0", y0), spread, factor, self.x_range, why, shown_by(self.x_time))

    def detection_limits(
        self, alpha: float = 0.01, k: float = 3, replicates: int = 1, sigma: float | None = None
    ) -> DetectionLimits:
        """Return the limits of detection and quantification of a calibration line (ICH Q2, DIN 32645).

        Args:
            alpha: Probability of a false detection at x = 0, and of a missed one at the limit of detection.
            k: Reciprocal of the relative error at DIN's limit of quantification.
            replicates: Number of observations whose mean is a measurement.
            sigma: Of a weighted fit, the sigma of an observation near 0.
        """
        if self.degree != 1:
            raise UsageError(f"detection limits need a line, got a curve of degree {self.degree}")
        require_option("alpha", alpha, ERROR_PROBABILITY)
        require_option("k", k, POSITIVE)
        require_option("replicates", replicates, whole(1))
        scatter = self._scatter(sigma)
        if math.isnan(scatter):
            why = self._why_no_scatter().removesuffix(", so leave replicates out")
            raise UsageError(f"detection limits need the scatter of an observation: {why}")
        return detection_limits(self._exact, scatter, self._df_denom, float(alpha), float(k), int(replicates))

    def _scatter(self, sigma: float | None) -> float:
        """Return the standard deviation of an observation with this sigma; NaN if it is unknown."""
        scale = (math.nan if self.weighted else 1.0) if sigma is None else as_number("sigma", sigma)
        if scale <= 0:
            raise UsageError(f"sigma must be positive, got {scale:g}")
        return float(self.spread(torch.tensor(scale, dtype=torch.float64)))

    def _why_no_scatter(self) -> str:
        """Say why the scatter of a new observation is unknown, where it is."""
        if self.robust:
            return "an M-estimate has no scatter for new observations, so leave replicates out"
        if self.sigma is None and not self.absolute_sigma:
            return "residual σ is unknown, so leave replicates out"
        return "a weighted fit needs the sigma of these observations, sigma=…"
