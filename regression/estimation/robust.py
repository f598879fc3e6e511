"""The optimum of Huber's loss and the scale of its standard errors, by Newton's method and reweighted least squares."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import torch
from torch import Tensor

from regression.common.points import Points
from regression.curves.basis import design
from regression.curves.decimals import Vector
from regression.solutions.optimum import Optimum, move, orthonormal
from regression.solutions.solution import Solution

__all__ = ["TotalOf", "find_optimum"]

TotalOf = Callable[[Callable[[Points], Tensor]], Tensor]  # sums a function of points over all points

MAX_STEPS = 100
NEGLIGIBLE_SE = 1e-6  # a step of at most this length, in standard errors, is the last
MIN_CURVATURE = 1e-6  # least share, in any direction, of the curvature of all points that those inside must have
ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class State:
    """Sums over all points for given coefficients, with residuals r in units of sigma and ``ψ = min(max(r, -δ), δ)``.

    Attributes:
        loss: ``Σ ψ (r - ψ / 2)``, Huber's loss.
        squares: ``Σ ψ²``.
        inside: Number of points with ``|r| <= δ``, which are called inside.
        gradient: ``Σ ψ q``, the negative gradient of the loss in the functions q, shape (rank,).
        curvature: ``Σ q qᵀ`` of the points inside, shape (rank, rank); for all points it is the unit matrix.
        weighted: ``Σ (ψ / r) q qᵀ`` of all points, shape (rank, rank).
    """

    loss: float
    squares: float
    inside: int
    gradient: Tensor
    curvature: Tensor
    weighted: Tensor

    @property
    def is_regular(self) -> bool:
        """Whether the points inside determine a step."""
        return float(torch.linalg.eigvalsh(self.curvature)[0]) > MIN_CURVATURE

    def newton_step(self) -> Tensor:
        """Return the step, shape (rank,), that ends at the optimum if it moves no residual across the threshold."""
        step: Tensor = torch.linalg.solve(self.curvature, self.gradient)
        return step

    def safe_step(self) -> Tensor:
        """Return the step of reweighted least squares, shape (rank,), which never increases the loss."""
        step: Tensor = torch.linalg.solve(self.weighted, self.gradient)
        return step


class Huber:
    """Huber's loss of a threshold δ, as a function of the steps z from the least-squares optimum.

    The steps are coefficients of functions q that are orthonormal over the points, so all have the same standard error.
    """

    def __init__(self, solution: Solution, threshold: float) -> None:
        self.frame, self.threshold, self.rank = solution.frame, threshold, solution.rank
        self.functions = orthonormal(solution)
        self._rows = torch.tensor([list(map(float, row)) for row in self.functions], dtype=torch.float64)
        self.base = torch.tensor(list(map(float, solution.coefficients)), dtype=torch.float64)

    def coefficients(self, steps: Tensor) -> Vector:
        """Return the coefficients of T_k(u), shape (degree + 1,), after steps, shape (rank,)."""
        return move([Decimal(value) for value in self.base.tolist()], self.functions, steps.tolist())

    def state(self, steps: Tensor, total: TotalOf) -> State:
        """Return the sums over all points after steps, shape (rank,)."""
        sums = total(lambda points: self._sums(points, steps)).cpu()
        loss, squares, inside = sums[:3].tolist()
        curvature, weighted = sums[3 + self.rank :].reshape(2, self.rank, self.rank)
        return State(loss, squares, round(inside), sums[3 : 3 + self.rank], curvature, weighted)

    def _sums(self, points: Points, steps: Tensor) -> Tensor:
        device = points.x.device
        functions, base, steps = (numbers.to(device) for numbers in (self._rows, self.base, steps))
        sums = torch.zeros(3 + self.rank + 2 * self.rank**2, dtype=torch.float64, device=device)
        center, power, stretch, *_ = self.frame.loop_numbers()
        for start in range(0, len(points.x), ROWS_AT_ONCE):
            part = points.chosen(slice(start, start + ROWS_AT_ONCE))
            columns = design((part.x.double() - center) * power * stretch, len(base) - 1, "chebyshev")
            rows = columns @ functions.T  # (n, rank)
            residual = (part.y.double() - base[0]) - columns[:, 1:] @ base[1:] - rows @ steps
            if part.sigma is not None:
                residual, rows = residual / part.sigma, rows / part.sigma[:, None]
            psi = residual.clamp(-self.threshold, self.threshold)
            inside = (residual.abs() <= self.threshold).double()
            weights = self.threshold / residual.abs().clamp_min(self.threshold)
            numbers = torch.stack([psi @ (residual - psi / 2), psi @ psi, inside.sum()])
            grams = [(rows.T @ (factor[:, None] * rows)).flatten() for factor in (inside, weights)]
            sums += torch.cat([numbers, psi @ rows, *grams])
        return sums


def find_optimum(
    solution: Solution, loss: str, threshold: float | None, absolute_sigma: bool, total: TotalOf
) -> Optimum | None:
    """Return the optimum of a loss that is not a function of ``Σ r²``; ``None`` if it is the least-squares optimum.

    Huber's loss is convex and piecewise quadratic, so the last of Newton's steps is exact. A step that would increase
    the loss is replaced by a step of reweighted least squares. Each step takes a pass over the points.

    Args:
        solution: The least-squares optimum, where the search begins.
        loss: Name of the loss.
        threshold: Residual δ, in units of sigma, up to which the loss is quadratic, and beyond which it is linear;
            ``None`` for other losses.
        absolute_sigma: Whether the points' sigma are in y's unit.
        total: Sums a function over all points of all processes.
    """
    if solution.is_perfect:
        return None
    if threshold is None:
        needs = "it would take the density of the residuals at 0" if loss.endswith("L1Loss") else "no formula for it"
        return Optimum(None, None, loss, reason=needs)
    if solution.null:
        return Optimum(None, None, loss, reason="the points leave it open")
    huber, steps = Huber(solution, threshold), torch.zeros(solution.rank, dtype=torch.float64)
    state = huber.state(steps, total)
    if state.inside == solution.nobs:
        return None
    for _ in range(MAX_STEPS):
        if state.is_regular:
            step, scale = state.newton_step(), _error_scale(state, solution, threshold, absolute_sigma)
            if float(step.norm()) <= NEGLIGIBLE_SE * math.sqrt(scale):
                beyond = solution.nobs - state.inside
                return Optimum(huber.coefficients(steps + step), Decimal(scale), loss, beyond)
            next_state = huber.state(steps + step, total)
            if next_state.loss <= state.loss:
                steps, state = steps + step, next_state
                continue
        steps = steps + state.safe_step()
        state = huber.state(steps, total)
    few = "too few points lie within its threshold"
    return Optimum(None, None, loss, reason=f"{MAX_STEPS} steps did not find it" if state.is_regular else few)


def _error_scale(state: State, solution: Solution, threshold: float, absolute_sigma: bool) -> float:
    """Return the factor from ``(AᵀWA)⁻¹`` to the covariance of an M-estimator.

    ``κ² [Σ ψ² / (N - K)] / m²`` with the share m of the points inside and ``κ = 1 + K (1 - m) / (N m)``: Huber, Robust
    Statistics (1981), section 7.6, and H1 of statsmodels. With absolute sigma: ``E ψ² / (E ψ')²`` of normal errors.
    """
    if absolute_sigma:
        threshold = min(max(threshold, 1e-100), 40.0)  # so that its square is a float64 number
        inside = math.erf(threshold / math.sqrt(2))
        density = math.exp(-threshold * threshold / 2) / math.sqrt(2 * math.pi)
        return (inside - 2 * threshold * density + threshold * threshold * (1 - inside)) / inside**2
    share = max(state.inside, 1) / solution.nobs
    correction = 1 + solution.rank / solution.nobs * (1 - share) / share
    return float(correction**2 * state.squares / (solution.nobs - solution.rank) / share**2)
