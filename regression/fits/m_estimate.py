"""M-estimates with an estimated scale, by reweighted least squares: outliers move them little or not at all."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from regression.common.points import Points
from regression.common.text import counted
from regression.curves.decimals import Matrix, Vector, pairs
from regression.estimation.bands import curve_of
from regression.estimation.optimum import Optimum, moved, orthonormal
from regression.estimation.solution import Solution
from regression.moments.curve import Curve

__all__ = ["MEstimate", "Robust", "estimate"]

Robust = Literal["huber", "bisquare"]
Array = NDArray[np.float64]
HUBER, BISQUARE = 1.345, 4.685  # thresholds with 95 % of the efficiency of least squares for normal errors
MAD = 0.6745  # median of |r| of normal errors of standard deviation 1, with the digits that R and others use
MOST_STEPS = 500
NEGLIGIBLE = 1e-13  # length of a step, in units of the scale, up to which it is the last
SUSPECT, MOST_NAMED = 0.5, 10  # weight below which a row is named in a note, and number of rows that are named


@dataclass(frozen=True)
class MEstimate:
    """An M-estimate.

    Attributes:
        optimum: The coefficients, and the scale of their errors.
        scale: Median of the residuals' sizes over 0.6745; ``None`` if the iteration did not converge.
        notes: Notes on rows with a small weight.
    """

    optimum: Optimum
    scale: float | None
    notes: tuple[str, ...]


def estimate(solution: Solution, kind: Robust, scan: Callable[[Callable[[Points], None]], None]) -> MEstimate:
    """Return the M-estimate to which reweighted least squares converges from the least-squares optimum.

    The weights are ``ψ(u) / u`` with ``u = r / s``, and the scale s is the median of ``|r|`` over 0.6745, updated at
    each step, as in ``rlm`` of R's MASS. For ``huber``, ``ψ = min(max(u, -1.345), 1.345)``; for ``bisquare``, ``ψ =
    u (1 - (u / 4.685)²)²`` within 4.685, and 0 beyond. The covariance is that of R's ``summary``: ``(AᵀWA)⁻¹`` times
    ``κ² [Σ (s ψ)² / (N - K)] / mean(ψ')²`` with ``κ = 1 + K var(ψ') / (N mean(ψ')²)`` (Huber 1981, section 7.6).

    Args:
        solution: The least-squares optimum.
        kind: Name of ψ.
        scan: Calls a function with parts of all observations.
    """
    name = f"the {kind} M-estimate"
    if solution.null or solution.nobs <= solution.rank:
        return MEstimate(Optimum(None, None, name, reason="the points leave it open"), None, ())
    rows = _Rows.of(solution, orthonormal(solution), scan)
    try:
        found = _iterate(rows, "huber", solution.coefficients)
        if kind == "bisquare":  # it has several optima: take the one near Huber's, which is unique
            found = _iterate(rows, kind, found.coefficients)
    except _NotConvergedError as error:
        return MEstimate(Optimum(None, None, name, reason=str(error)), None, ())
    beyond = int(((found.slope if kind == "huber" else found.weight) == 0).sum())
    spread = _error_scale(found.psi, found.slope, solution.rank)
    return MEstimate(Optimum(found.coefficients, Decimal(spread), name, beyond), found.scale, rows.named(found.weight))


class _NotConvergedError(Exception):
    """The iteration did not converge; the message says why."""


class _Converged(NamedTuple):
    """The result of the iteration: coefficients of T_k(u), the scale, and s ψ, ψ' and weights of the rows."""

    coefficients: Vector
    scale: float
    psi: Array
    slope: Array
    weight: Array


def _iterate(rows: "_Rows", kind: Robust, start: Vector) -> _Converged:
    """Iterate reweighted least squares until it converges."""
    coefficients, change, scale, smallest = start, math.inf, math.nan, 0.0
    for _ in range(MOST_STEPS):
        residual = rows.residuals(coefficients)
        smallest = smallest or 1e-12 * float(np.abs(residual).max())
        scale = float(np.median(np.abs(residual))) / MAD
        if scale <= smallest:
            raise _NotConvergedError("more than half of the points lie on the curve, and leave no scale")
        weight, slope = _weights(residual / scale, kind)
        weighted = rows.columns * weight[:, None]
        step: Array = np.asarray(np.linalg.solve(weighted.T @ rows.columns, weighted.T @ residual), np.float64)
        change, coefficients = float(np.abs(step).max()), moved(coefficients, rows.functions, step.tolist())
        if change <= NEGLIGIBLE * scale + rows.rounding:
            return _Converged(coefficients, scale, weight * residual, slope, weight)
    raise _NotConvergedError(f"{MOST_STEPS} steps did not settle, the last one by {change / scale:.1g} of the scale")


def _weights(u: Array, kind: Robust) -> tuple[Array, Array]:
    """Return ``ψ(u) / u`` and ψ'(u)."""
    if kind == "huber":
        return HUBER / np.abs(u).clip(HUBER), (np.abs(u) <= HUBER).astype(np.float64)
    square = np.minimum((u / BISQUARE) ** 2, 1.0)
    return (1 - square) ** 2, (1 - square) * (1 - 5 * square)


def _error_scale(psi: Array, slope: Array, rank: int) -> float:
    """Return the factor from ``(AᵀWA)⁻¹`` to the covariance."""
    count, mean = len(psi), float(slope.mean())
    correction = 1 + rank * float(slope.var(ddof=1)) / (count * mean * mean)
    return float((psi**2).sum()) / (count - rank) * (correction / mean) ** 2


@dataclass(frozen=True)
class _Rows:
    """All observations, sorted, so that the result does not depend on their order.

    Attributes:
        x: Points, shape (N,).
        y: Values.
        sigma: Their sigma, or 1.
        functions: Functions that are orthonormal over the points, in T_k(u), shape (K, d + 1).
        columns: These at the points, over sigma, shape (N, K).
        solution: The least-squares optimum, for its coordinates.
    """

    x: Array
    y: Array
    sigma: Array
    functions: Matrix
    columns: Array
    solution: Solution

    @classmethod
    def of(cls, solution: Solution, functions: Matrix, scan: Callable[[Callable[[Points], None]], None]) -> "_Rows":
        parts: list[torch.Tensor] = []

        def collect(points: Points) -> None:
            sigma = torch.ones_like(points.x) if points.sigma is None else points.sigma
            parts.append(torch.stack([column.double() for column in (points.x, points.y, sigma)]).cpu())

        scan(collect)
        rows = torch.cat(parts, dim=1).numpy()
        x, y, sigma = rows[:, np.lexsort(rows)]
        best = curve_of(solution, solution.coefficients, None)
        frame, points = (best.center, best.exponent, best.stretch), torch.from_numpy(x.copy())
        columns = [Curve(*frame, 0, pairs(row), None).at(points)[0].numpy() for row in functions]
        return cls(x, y, sigma, functions, np.stack(columns, axis=1) / sigma[:, None], solution)

    @property
    def rounding(self) -> float:
        """The length of a step that the rounding of residuals to float64 can cause."""
        return 2.0**-50 * float(np.median(np.abs(self.y / self.sigma)))

    def residuals(self, coefficients: Vector) -> Array:
        """Return the residuals of a curve over sigma, shape (N,)."""
        curve = curve_of(self.solution, coefficients, None)
        found: Array = (self.y - curve.at(torch.from_numpy(self.x.copy()))[0].numpy()) / self.sigma
        return found

    def named(self, weight: Array) -> tuple[str, ...]:
        """Return a note on rows whose weight is below a half, those with the smallest weights first."""
        suspect = np.flatnonzero(weight < SUSPECT)
        if not len(suspect):
            return ()
        least = suspect[np.argsort(weight[suspect], kind="stable")][:MOST_NAMED]
        said = [f"({self.x[k]:g}, {self.y[k]:g}) by {weight[k]:.2g}" for k in least]
        more = ", …" if len(suspect) > MOST_NAMED else ""
        counts = "counts" if len(suspect) == 1 else "count"
        return (f"{counted(len(suspect), 'point')} {counts} for less than half: {', '.join(said)}{more}",)
