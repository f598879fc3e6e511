"""M-estimates with an estimated scale, by reweighted least squares: outliers have little or no influence on them.

Each step computes the median of the residuals' sizes, for the scale, and takes one more pass with other weights. So the
points need not be kept in memory, and the result has the same bits for every order and division of the rows.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regression.common.collectives import all_gather_rows
from regression.common.points import Points
from regression.common.rules import NUMBER, TEXT, list_of, one_of, or_null, require_stored
from regression.common.text import counted
from regression.curves.decimals import Vector, combine, from_pairs, precise
from regression.estimation.refinement import second_pass
from regression.estimation.residuals import Residuals, median_of_sizes, symmetric
from regression.estimation.solver import UNIT, y_unit
from regression.inference.robust_weights import MAD, Robust, slopes, weights_of
from regression.moments.passes import ExactSums, Passes
from regression.moments.scan import ResidualSums
from regression.solutions.optimum import Optimum
from regression.solutions.solution import Solution

__all__ = ["MEstimate", "estimate"]

MOST_STEPS = 500  # each of them two to four passes over the points
NEGLIGIBLE = 1e-13  # length of a step, in units of the scale, up to which it is the last
MOST_ROUNDING = 1e-9  # likewise, if it is no shorter than the step before: both are rounding of the residuals
LEAST_SCALE = 1e-12  # share of the largest residual: a smaller scale is rounding
SUSPECT, MOST_NAMED = 0.5, 10  # weight below which a row is named in a note, and number of rows that are named
STORED = {"kind": one_of(Robust), "scale": or_null(NUMBER), "coefficients": or_null(list_of(TEXT)),
          "notes": list_of(TEXT)}  # fmt: skip


@dataclass(frozen=True)
class MEstimate:
    """An M-estimate.

    Attributes:
        kind: Name of ψ.
        optimum: The coefficients, and the scale of their errors, if the iteration converged.
        scale: Median of the residuals' sizes over 0.6745; ``None`` if the iteration did not converge.
        coefficients: Coefficients of T_k(u) of the last step, if the iteration did not converge.
        notes: Notes on rows with a small weight.
    """

    kind: Robust
    optimum: Optimum
    scale: float | None = None
    coefficients: Vector | None = None
    notes: tuple[str, ...] = ()

    def state(self) -> dict[str, Any]:
        """Return the estimate as plain numbers and strings, for a checkpoint."""
        coefficients = None if self.coefficients is None else list(map(str, self.coefficients))
        known = {"kind": self.kind, "scale": self.scale, "notes": list(self.notes)}
        return known | {"coefficients": coefficients, "optimum": self.optimum.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "MEstimate":
        """Return the estimate of a state."""
        require_stored(state, STORED, "m_estimate.")
        coefficients = None if state["coefficients"] is None else list(map(Decimal, state["coefficients"]))
        optimum = Optimum.from_state(dict(state["optimum"]))
        return cls(state["kind"], optimum, state["scale"], coefficients, tuple(state["notes"]))


def estimate(solution: Solution, kind: Robust, passes: Passes) -> MEstimate:
    """Return the M-estimate to which reweighted least squares converges from the least-squares optimum.

    The weights are ``ψ(u) / u`` with ``u = r / s``, and the scale s is the median of ``|r|`` over 0.6745, updated at
    each step, as in ``rlm`` of R's MASS. For ``huber``, ``ψ = min(max(u, -1.345), 1.345)``; for ``bisquare``, ``ψ =
    u (1 - (u / 4.685)²)²`` within 4.685, and 0 beyond. The covariance is that of R's ``summary``: ``(AᵀWA)⁻¹`` times
    ``κ² [Σ (s ψ)² / (N - K)] / mean(ψ')²`` with ``κ = 1 + K var(ψ') / (N mean(ψ')²)`` (Huber 1981, section 7.6).

    Args:
        solution: The least-squares optimum.
        kind: Name of ψ.
        passes: The passes over all points.
    """
    name = f"the {kind} M-estimate"
    if solution.null or solution.nobs <= solution.rank:
        return MEstimate(kind, Optimum(None, None, name, reason="the points leave it open"))
    last = _Step(solution.coefficients, math.nan)
    try:
        last = _iterate(solution, "huber", last, passes)
        if kind == "bisquare":  # it has several optima: take the one near Huber's, which is unique
            last = _iterate(solution, kind, last, passes)
    except _NotConvergedError as error:
        return MEstimate(kind, Optimum(None, None, name, reason=str(error)), coefficients=error.coefficients)
    found = _Weighted(kind, Residuals(solution, last.coefficients), last.scale)
    passes.scan(found.add)
    spread, beyond, notes = found.result(solution, passes)
    return MEstimate(kind, Optimum(last.coefficients, spread, name, beyond), last.scale, None, notes)


class _NotConvergedError(Exception):
    """The iteration did not converge; the message says why."""

    def __init__(self, reason: str, coefficients: Vector) -> None:
        super().__init__(f"{reason}; these coefficients are those of the last step")
        self.coefficients = coefficients


class _Step(NamedTuple):
    """The result of a step: coefficients of T_k(u), and the scale of the residuals before the step."""

    coefficients: Vector
    scale: float


def _iterate(solution: Solution, kind: Robust, start: _Step, passes: Passes) -> _Step:
    """Iterate reweighted least squares until it converges."""
    coefficients, before, change, scale = start.coefficients, math.inf, math.inf, math.nan
    for _ in range(MOST_STEPS):
        residuals = Residuals(solution, coefficients)
        middle, largest = median_of_sizes(residuals, solution.nobs, passes)
        scale = middle / MAD
        if scale <= LEAST_SCALE * largest:
            reason = "more than half of the points lie on the curve, and leave no scale"
            raise _NotConvergedError(reason, coefficients)
        coefficients, change = _step(solution, coefficients, _Weighted(kind, residuals, scale), passes)
        if change <= NEGLIGIBLE * scale or before <= change <= MOST_ROUNDING * scale:
            return _Step(coefficients, scale)
        before = change
    reason = f"{MOST_STEPS} steps did not converge, the last one was {change / scale:.1g} of the scale"
    raise _NotConvergedError(reason, coefficients)


def _step(solution: Solution, coefficients: Vector, weighted: "_Weighted", passes: Passes) -> tuple[Vector, float]:
    """Return the least-squares curve with the weights of the residuals, and the size of the step's largest element.

    In functions q that are orthonormal over the points the step z solves ``Σ w q qᵀ z = Σ w r q``. Its elements have
    the unit of the residuals, and their standard errors are about the residuals' scale.
    """
    request = second_pass(solution, coefficients)
    sums, count = ResidualSums(request), len(request.functions)
    passes.scan(lambda points: sums.add(weighted.points(points.to_cpu())))
    totals = [float(Decimal(total) / UNIT) for total in sums.reduced(passes.device)]
    matrix, right = symmetric(totals[: -count - 1], count), np.array(totals[-count - 1 : -1])
    try:
        step: list[float] = np.linalg.solve(matrix, right).tolist()
    except np.linalg.LinAlgError:
        raise _NotConvergedError("too few points keep a weight", coefficients) from None
    with precise():
        unit = Decimal(2) ** request.exponent * y_unit(solution.frame)  # of r, in y's unit
        moves = combine([from_pairs(row) for row in request.functions], [unit * Decimal(value) for value in step])
        change = max(map(abs, step)) * float(unit / Decimal(2) ** solution.frame.sigma_exponent)
        return [own + move for own, move in zip(coefficients, moves, strict=True)], change


@dataclass
class _Weighted:
    """Points weighted by ψ(u) / u, with u the residual over the scale, and the sums from which errors follow.

    Attributes:
        kind: Name of ψ.
        residuals: The residuals.
        scale: Their scale s.
    """

    kind: Robust
    residuals: Residuals
    scale: float
    _sums: ExactSums = field(default_factory=lambda: ExactSums(5))
    _suspects: Tensor = field(default_factory=lambda: torch.empty(0, 3, dtype=torch.float64))
    _lock: Any = field(default_factory=threading.Lock)

    def points(self, points: Points) -> Points:
        """Return points on the CPU with sigma divided by the root of their weight, without those of weight 0."""
        weight = weights_of(self.residuals.at(points) / self.scale, self.kind)
        own, weight = points.chosen((weight > 0).nonzero().flatten()), weight[weight > 0]
        sigma = torch.ones_like(weight) if own.sigma is None else own.sigma.double()
        return Points(own.x.double(), own.y.double(), sigma / weight.sqrt())

    def add(self, points: Points) -> None:
        """Add points to the sums, and keep those with the smallest weights."""
        points = points.to_cpu()
        u = self.residuals.at(points) / self.scale
        weight, slope = weights_of(u, self.kind), slopes(u, self.kind)
        beyond = (slope if self.kind == "huber" else weight) == 0
        is_suspect = weight < SUSPECT
        self._sums.add(torch.stack([(weight * u).square(), slope, slope.square(), beyond, is_suspect], dim=1))
        rows = torch.stack([weight, points.x.double(), points.y.double()], dim=1)[is_suspect]
        with self._lock:
            self._suspects = _least(torch.cat([self._suspects, rows]))

    def result(self, solution: Solution, passes: Passes) -> tuple[Decimal, int, tuple[str, ...]]:
        """Return the factor from ``(AᵀWA)⁻¹`` to the covariance, the number of points beyond, and notes on points."""
        squares, slope, slope_squares, beyond, suspects = self._sums.values()
        count, mean = solution.nobs, slope / solution.nobs
        variance = (slope_squares - slope * mean) / (count - 1)
        correction = 1 + solution.rank * variance / (count * mean * mean)
        with precise():  # the square of the scale may be beyond float64
            factor = Decimal(squares / (count - solution.rank) * (correction / mean) ** 2) * Decimal(self.scale) ** 2
        least = _least(all_gather_rows(self._suspects.to(passes.device)).cpu())
        return factor, round(beyond), _note(round(suspects), least)


def _least(rows: Tensor) -> Tensor:
    """Return the rows with the smallest weights, which are the first column, shape (n, 3)."""
    columns = cast("NDArray[np.float64]", rows.numpy())
    return rows[torch.from_numpy(np.lexsort(columns.T[::-1])[:MOST_NAMED].copy())]


def _note(count: int, least: Tensor) -> tuple[str, ...]:
    """Return a note on points whose weight is below a half, those with the smallest weights first."""
    if not count:
        return ()
    named: Sequence[str] = [f"({x:g}, {y:g}) by {weight:.2g}" for weight, x, y in least.tolist()]
    more = ", …" if count > len(named) else ""
    counts = "counts" if count == 1 else "count"
    return (f"{counted(count, 'point')} {counts} for less than half: {', '.join(named)}{more}",)
