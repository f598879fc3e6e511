"""Sandwich covariance, for residuals of unequal scatter, or that depend on each other.

In functions q that are orthonormal over the points, ``Σ w q qᵀ = 1``, the covariance of the coefficients is the middle
of the sandwich itself, ``Σ w² r² q qᵀ`` (White 1980). It takes one more pass over the points.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.rules import or_null, require_option, whole
from regression.estimation.residuals import LEAST_LEFT, Residuals, exponent_of, symmetric
from regression.moments.passes import ExactSums, Passes
from regression.solutions.optimum import orthonormal
from regression.solutions.solution import Solution

__all__ = ["CovType", "ScoreCovariance", "covariance_of_scores"]

CovType = Literal["nonrobust", "HC0", "HC1", "HC3", "HAC"]
Array = NDArray[np.float64]


class ScoreCovariance(NamedTuple):
    """A covariance whose numbers may be beyond float64's range.

    Attributes:
        matrix: The covariance in units of ``4^exponent``, shape (rank, rank).
        exponent: That of a power of two near the size of the residuals.
    """

    matrix: Array
    exponent: int


def covariance_of_scores(solution: Solution, cov_type: CovType, maxlags: int | None, passes: Passes) -> ScoreCovariance:
    """Return the covariance of the coefficients of the functions of ``optimum.orthonormal``.

    - ``HC0``: ``Σ w² r² q qᵀ`` (White 1980).
    - ``HC1``: times ``N / (N - K)`` (Hinkley 1977).
    - ``HC3``: with ``r / (1 - h)``, h the leverage (MacKinnon and White 1985); the one for few points.
    - ``HAC``: with the products of residuals up to ``maxlags`` rows apart, weighted by ``1 - lag / (maxlags + 1)``
      (Newey and West 1987), for rows in the order of time.

    Args:
        solution: The optimum.
        cov_type: Name of the errors.
        maxlags: Largest lag of ``HAC``; by default ``4 (N / 100)^(2/9)``, rounded down.
        passes: The passes over all points.

    Raises:
        UsageError: If the errors are unknown for these points.
    """
    nobs = solution.nobs
    require_option("maxlags", maxlags, or_null(whole(0, max(nobs - 1, 0))))
    scores = _Scores(solution, cov_type == "HC3")
    if cov_type == "HAC":
        lags = int(4 * (nobs / 100) ** (2 / 9)) if maxlags is None else maxlags
        for points, before in passes.in_order(lags):
            scores.add_products(scores.of(points.to_cpu())[0], before, lags)
    else:
        passes.scan(lambda points: scores.add_squares(points.to_cpu()))
    *lower, alone = scores.sums.values()
    if alone:
        raise UsageError("cov_type HC3 is unknown: a point alone decides the curve there (its leverage is 1)")
    factor = nobs / (nobs - solution.rank) if cov_type == "HC1" else 1.0
    return ScoreCovariance(factor * symmetric(lower, solution.rank), scores.exponent)


class _Scores:
    """Scores ``w r q``, and exact sums of their products, which are the same for every division of the rows."""

    def __init__(self, solution: Solution, are_left_out: bool) -> None:
        self.exponent, self.functions = exponent_of(solution.ssr / solution.nobs), orthonormal(solution)
        self.residuals = Residuals(solution, solution.coefficients, self.exponent)
        self.are_left_out = are_left_out
        self.places = torch.tril_indices(solution.rank, solution.rank)
        self.sums = ExactSums(self.places.shape[1] + 1)  # the last one counts points of leverage 1

    def of(self, points: Points) -> tuple[Tensor, Tensor]:
        """Return the scores, shape (n, K), and where h is 1; with ``are_left_out``, r is that of a point left out."""
        columns, residual = self.residuals.columns(self.functions, points), self.residuals.at(points)
        is_alone = torch.zeros_like(residual, dtype=torch.bool)
        if self.are_left_out:
            leverage = torch.zeros_like(residual)
            for column in columns.T:
                leverage += column * column
            is_alone = leverage > 1 - LEAST_LEFT
            residual = residual / (1 - leverage).where(~is_alone, 1.0)
        return residual[:, None] * columns, is_alone

    def add_squares(self, points: Points) -> None:
        """Add the products of the scores of each point."""
        scores, is_alone = self.of(points)
        self._add(scores[:, self.places[0]] * scores[:, self.places[1]], is_alone)

    def add_products(self, scores: Tensor, before: int, lags: int) -> None:
        """Add weighted products of the scores of rows up to ``lags`` apart; the first ``before`` rows precede these."""
        missing = scores.new_zeros(lags - before, scores.shape[1])  # before the first row of all
        scores = torch.cat([missing, scores])
        own = scores[lags:]
        near = own / 2
        for lag in range(1, lags + 1):
            near = near + (1 - lag / (lags + 1)) * scores[lags - lag : len(scores) - lag]
        i, j = self.places
        self._add(own[:, i] * near[:, j] + near[:, i] * own[:, j], torch.zeros(len(own), dtype=torch.bool))

    def _add(self, products: Tensor, is_alone: Tensor) -> None:
        self.sums.add(torch.cat([products, is_alone[:, None].double()], dim=1))
