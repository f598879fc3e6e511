"""Standard errors without the assumption of equal scatter, or of independent residuals, by one more pass.

In functions q that are orthonormal over the points, ``Σ w q qᵀ = 1``, the covariance of the coefficients is the sum
``Σ w² r² q qᵀ`` itself (White 1980).
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.rules import one_of, or_null, require_option, whole
from regression.curves.decimals import Matrix, combine, dot, pairs, precise, root
from regression.estimation.optimum import orthonormal
from regression.estimation.solution import Solution
from regression.fits.fit import Fit
from regression.moments.curve import Curve

__all__ = ["CovType", "with_errors_of"]

CovType = Literal["nonrobust", "HC0", "HC1", "HC3", "HAC"]
ROWS_AT_ONCE = 1 << 11
COARSE_BITS, FINE_BITS = 16, 50  # of a term, so that its sum over ROWS_AT_ONCE rows fits into 64 bits
LEAST_LEFT = 2.0**-30  # smallest 1 - h for leverages h: no term is above ssr / (1 - h)
UNEQUAL = "errors are those of {}; prediction bands take the scatter of new points for equal nevertheless"

Scan = Callable[[Callable[[Points], None]], None]


def with_errors_of(
    fit: Fit, solution: Solution, cov_type: CovType, maxlags: int | None, points: Points, scan: Scan
) -> Fit:
    """Return a fit with other standard errors, from which its intervals, bands, tests and answers follow.

    - ``HC0``: ``Σ w² r² q qᵀ`` (White 1980).
    - ``HC1``: times ``N / (N - K)`` (Hinkley 1977).
    - ``HC3``: with ``r / (1 - h)``, h the leverage (MacKinnon and White 1985); the one for few points.
    - ``HAC``: with the products of residuals up to ``maxlags`` rows apart, weighted by ``1 - lag / (maxlags + 1)``
      (Newey and West 1987), for rows in the order of time.

    Args:
        fit: The fit.
        solution: Its optimum.
        cov_type: Name of the errors.
        maxlags: Largest lag of ``HAC``; by default ``4 (N / 100)^(2/9)``, rounded down.
        points: The points, in order.
        scan: Calls a function with parts of all observations.

    Raises:
        UsageError: If there are no such errors, or they are unknown for these points.
    """
    require_option("cov_type", cov_type, one_of(CovType))
    require_option("maxlags", maxlags, or_null(whole(0, max(fit.nobs - 1, 0))))
    if maxlags is not None and cov_type != "HAC":
        raise UsageError(f"maxlags is for cov_type HAC, got {cov_type}")
    if cov_type == "nonrobust" or fit.bse is None or fit.curve.error_functions is None:
        return fit
    rows = orthonormal(solution)
    own = _Residuals(fit, rows)
    if cov_type == "HAC":
        if fit.nobs != len(points.x):
            raise UsageError("cov_type HAC needs the rows in the order of time, got counts of them")
        lags = int(4 * (fit.nobs / 100) ** (2 / 9)) if maxlags is None else maxlags
        meat = _newey_west(own.scores(points.to_cpu(), False).numpy(), lags)
    else:
        total = _ExactSum(len(rows), float(fit.ssr or 0))
        scan(lambda part: total.add(own.scores(part.to_cpu(), cov_type == "HC3")))
        meat = total.matrix() * (fit.nobs / fit.df_resid if cov_type == "HC1" else 1.0)
    return _with_covariance(fit, solution, rows, meat, cov_type)


class _Residuals:
    """The residuals of a fit's points, times functions."""

    def __init__(self, fit: Fit, rows: Matrix) -> None:
        curve = fit.curve
        frame = (curve.center, curve.exponent, curve.stretch)
        self.curve = replace(curve, error_functions=None)
        self.functions = [Curve(*frame, 0, pairs(row), None) for row in rows]

    def scores(self, points: Points, are_left_out: bool) -> Tensor:
        """Return ``w r q`` of points, shape (n, K); r is from the curve without the point if ``are_left_out``."""
        columns = torch.stack([function.at(points.x.double())[0] for function in self.functions], dim=1)
        residual = points.y.double() - self.curve.at(points.x.double())[0]
        if points.sigma is not None:
            columns, residual = columns / points.sigma[:, None].double(), residual / points.sigma.double()
        if are_left_out:
            leverage = torch.zeros_like(residual)
            for column in columns.T:
                leverage += column * column
            if bool((leverage > 1 - LEAST_LEFT).any()):
                raise UsageError("cov_type HC3 is unknown: a point alone decides the curve there (its leverage is 1)")
            residual = residual / (1 - leverage)
        return residual[:, None] * columns


class _ExactSum:
    """A sum of products of scores as whole numbers, with the same bits for every order and division of the rows."""

    def __init__(self, size: int, scale: float) -> None:
        self.size, self.exponent = size, int(np.frexp(scale)[1])
        self.totals = [0] * (size * (size + 1) // 2)
        self.lock = threading.Lock()

    def add(self, scores: Tensor) -> None:
        """Add the products of the rows' scores, shape (n, K)."""
        places = torch.tril_indices(self.size, self.size)
        for part in torch.split(scores, ROWS_AT_ONCE):
            terms = torch.ldexp(part[:, places[0]] * part[:, places[1]], torch.tensor(-self.exponent))
            terms = terms * 2.0**COARSE_BITS
            coarse = terms.trunc()
            fine = ((terms - coarse) * 2.0**FINE_BITS).trunc()
            sums = zip(coarse.long().sum(0).tolist(), fine.long().sum(0).tolist(), strict=True)
            with self.lock:
                self.totals = [old + (a << FINE_BITS) + b for old, (a, b) in zip(self.totals, sums, strict=True)]

    def matrix(self) -> NDArray[np.float64]:
        """Return the sums, shape (K, K)."""
        result = np.zeros((self.size, self.size))
        unit = self.exponent - COARSE_BITS - FINE_BITS
        lower = np.tril_indices(self.size)
        result[lower] = [float(np.ldexp(float(total), unit)) for total in self.totals]
        return result + np.tril(result, -1).T


def _newey_west(scores: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    """Return the middle of the sandwich ``B M B``: sums of products of scores up to so many rows apart (1987)."""
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (lags + 1)) * (product + product.T)
    return meat


def _with_covariance(fit: Fit, solution: Solution, rows: Matrix, meat: Any, cov_type: str) -> Fit:
    """Return a fit with the covariance that follows from that of the coefficients of orthonormal functions."""
    sizes, vectors = np.linalg.eigh(meat)
    factors = (vectors * np.sqrt(np.maximum(sizes, 0))).T
    with precise():
        errors = [combine(rows, [Decimal(factor) for factor in part]) for part in factors.tolist()]
        columns = list(zip(*(solution.error_in_terms(row) for row in errors), strict=True))
        covariance = [[dot(a, b) for b in columns] for a in columns]
        unit = Decimal(2) ** -fit.curve.y_exponent
        functions = tuple(pairs([unit * value for value in row]) for row in errors)
    return replace(
        fit,
        bse=np.array([float(root(row[k])) for k, row in enumerate(covariance)]),
        cov_params=np.array([list(map(float, row)) for row in covariance]),
        curve=replace(fit.curve, error_functions=functions),
        cov_type=cov_type,
        notes=(*fit.notes, UNEQUAL.format(cov_type)),
    )
