"""Lines through points with errors in x and y (York et al. 2004); with equal errors, those of Deming (1943).

Each step takes the sums of one pass, so the points need not be kept in memory, and the result has the same bits for
every order and division of the rows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.rules import TEXT, list_of, require_stored
from regression.curves.change_of_basis import center_and_scale
from regression.curves.decimals import Vector, precise, root
from regression.estimation.solver import system
from regression.moments.curve import root_of_squares
from regression.moments.passes import Passes
from regression.moments.scan import Sums
from regression.solutions.solution import Solution

__all__ = ["LineWithErrors", "find_line"]

MOST_STEPS = 1000  # each of them a pass over the points
NEGLIGIBLE = 4e-15  # relative change of the slope up to which a step is the last
NEARBY = 1e-6  # change of the slope, over the spread of v by that of u, after which the next step has to return
MOST_SIGMA = 2.0**400  # in units of the smallest: points with larger ones have weights of 0 to within rounding
NUMBERS = ("middle", "value_variance", "slope_variance", "chi2")


@dataclass(frozen=True)
class LineWithErrors:
    """A line, and its errors if sigma and sigma_x are absolute.

    Attributes:
        coefficients: Coefficients of T_0(u) and T_1(u) = u.
        middle: Weighted mean of the adjusted u, where the errors of the line's value and of its slope are independent.
        value_variance: Variance of the value there.
        slope_variance: Variance of the coefficient of u.
        chi2: ``Σ W (y - f(x))²`` with ``W = 1 / (sigma² + slope² sigma_x²)``.
    """

    coefficients: Vector
    middle: Decimal
    value_variance: Decimal
    slope_variance: Decimal
    chi2: Decimal

    def state(self) -> dict[str, Any]:
        """Return the line as strings, for a checkpoint."""
        own = {name: str(getattr(self, name)) for name in NUMBERS}
        return {"coefficients": list(map(str, self.coefficients))} | own

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "LineWithErrors":
        """Return the line of a state."""
        require_stored(state, {"coefficients": list_of(TEXT, 2), **dict.fromkeys(NUMBERS, TEXT)}, "line.")
        line = cls(list(map(Decimal, state["coefficients"])), *(Decimal(state[name]) for name in NUMBERS))
        squares = (line.value_variance, line.slope_variance, line.chi2)
        if not all(value.is_finite() for value in (*line.coefficients, line.middle, *squares)) or min(squares) < 0:
            raise ValueError("line must have finite numbers, and variances and chi2 of at least 0")
        return line


class _Moments(NamedTuple):
    """Weighted sums of 1, u, v, u², u v and v², where v is y minus the frame's center of y."""

    one: Decimal
    u: Decimal
    v: Decimal
    uu: Decimal
    uv: Decimal
    vv: Decimal

    def about(self, u: Decimal, v: Decimal) -> "_Moments":
        """Return the sums with u and v measured from a point."""
        return _Moments(
            self.one, self.u - u * self.one, self.v - v * self.one,
            self.uu - 2 * u * self.u + u * u * self.one,
            self.uv - u * self.v - v * self.u + u * v * self.one,
            self.vv - 2 * v * self.v + v * v * self.one,
        )  # fmt: skip


def find_line(solution: Solution, passes: Passes) -> LineWithErrors:
    """Return the line that minimises ``χ² = Σ W (y - f(x))²``, where ``W = 1 / (sigma² + b² sigma_x²)`` at slope b.

    York's equations for independent errors are iterated until b no longer changes. Of the weight W, y has the share
    ``p = W sigma²`` and x the rest ``q = 1 - p``. With U and V the differences of x and y from their weighted means,
    the adjusted x of a point differs from the mean by ``β = p U + q V / b``, and ``b = Σ W β V / Σ W β U``.

    Args:
        solution: The line without errors of x, where the search begins.
        passes: The passes over all points, which have sigma and sigma_x.

    Raises:
        UsageError: If the iteration does not converge, or χ² has no minimum.
    """
    with precise():
        _, per_u = center_and_scale(solution.frame)  # x per u
        slope = float(solution.coefficients[1] / per_u)
        for _ in range(MOST_STEPS):
            step = _Step.of(solution, slope, passes)
            before, slope = slope, step.next_slope()
            if not math.isfinite(slope):
                break
            if abs(slope - before) <= NEGLIGIBLE * abs(slope):
                _require_minimum(solution, step, slope, passes)
                return step.line(solution, Decimal(slope) * per_u, passes)
    raise UsageError(
        f"the line with errors in x did not converge in {MOST_STEPS} steps: the points may have no direction"
    )


def _require_minimum(solution: Solution, step: "_Step", slope: float, passes: Passes) -> None:
    """Refuse a slope to which the step from a nearby slope does not return: χ² has no minimum there.

    A search that begins at such a slope stays there, for example with points that scatter alike in all directions.
    """
    change = NEARBY * float(step.spread() / step.per_u)
    nearby = _Step.of(solution, slope + change, passes).next_slope()
    if change and not abs(nearby - slope) < (1 - NEARBY) * change:
        raise UsageError(
            "the line with errors in x is undetermined: the points have no direction, or the line would be vertical"
        )


@dataclass(frozen=True)
class _Step:
    """The sums of a pass at a slope b.

    Attributes:
        slope: The slope, per unit of x.
        per_u: x per u.
        inverse: 1 / b, for the slope per unit of u, or 0 if that is 0.
        total: The sums with the weights W.
        of_y: The sums with the weights W p, about the weighted means.
        of_x: The sums with the weights W q, likewise.
    """

    slope: float
    per_u: Decimal
    inverse: Decimal
    total: _Moments
    of_y: _Moments
    of_x: _Moments

    @classmethod
    def of(cls, solution: Solution, slope: float, passes: Passes) -> "_Step":
        """Return the sums of a pass."""
        _, per_u = center_and_scale(solution.frame)
        inverse = 1 / (Decimal(slope) * per_u) if slope else Decimal(0)
        of_y, of_x = _sums(solution, slope, [(1, 0), (0, 1)], passes)
        total = _Moments(*(a + b for a, b in zip(of_y, of_x, strict=True)))  # as p + q = 1
        means = total.u / total.one, total.v / total.one
        return cls(slope, per_u, inverse, total, of_y.about(*means), of_x.about(*means))

    def next_slope(self) -> float:
        """Return the slope of the next step, per unit of x; NaN if there is none."""
        below = self.of_y.uu + self.inverse * self.of_x.uv
        above = self.of_y.uv + self.inverse * self.of_x.vv
        return float(above / below / self.per_u) if below else math.nan

    def spread(self) -> Decimal:
        """Return the standard deviation of v in units of that of u."""
        about = self.total.about(self.total.u / self.total.one, self.total.v / self.total.one)
        return root(about.vv / about.uu)

    def line(self, solution: Solution, slope: Decimal, passes: Passes) -> LineWithErrors:
        """Return the line of a slope per unit of u, with its errors, which take one more pass."""
        weight, mean_u, mean_v = self.total.one, self.total.u / self.total.one, self.total.v / self.total.one
        parts = _sums(solution, self.slope, [(2, 0), (1, 1), (0, 2)], passes)
        yy, xy, xx = (part.about(mean_u, mean_v) for part in parts)
        adjusted = (self.of_y.u + self.inverse * self.of_x.v) / weight  # mean β
        squares = yy.uu + 2 * self.inverse * xy.uv + self.inverse**2 * xx.vv
        left = self.total.about(mean_u, mean_v)
        value = Decimal(solution.frame.y_center) + mean_v - slope * mean_u
        return LineWithErrors(
            coefficients=[value, slope],
            middle=mean_u + adjusted,
            value_variance=1 / weight,
            slope_variance=1 / (squares - weight * adjusted**2),
            chi2=max(left.vv - 2 * slope * left.uv + slope**2 * left.uu, Decimal(0)),
        )


def _sums(solution: Solution, slope: float, powers: list[tuple[int, int]], passes: Passes) -> list[_Moments]:
    """Return the sums over the points of all processes with weights ``W p^i q^j``, for pairs of powers i, j."""
    frame = solution.frame
    sums, most = [Sums(frame, 1) for _ in powers], MOST_SIGMA * 2.0**frame.sigma_exponent

    def add(points: Points) -> None:
        points = points.to_cpu()
        assert points.sigma is not None
        assert points.sigma_x is not None
        sigma, sigma_x = points.sigma.double(), abs(slope) * points.sigma_x.double()
        both = root_of_squares(sigma, sigma_x)
        for own, (i, j) in zip(sums, powers, strict=True):
            scale = math.prod([both / sigma] * i + [both / sigma_x] * j, start=both)
            rows = (scale <= most).nonzero().flatten()
            own.add(Points(points.x.double()[rows], points.y.double()[rows], scale[rows]))

    passes.scan(add)
    found = [system(own.moments().reduced(passes.device), 1, frame.y_center) for own in sums]
    return [
        _Moments(at.matrix[0][0], at.matrix[0][1], at.right[0], at.matrix[1][1], at.right[1], at.square) for at in found
    ]
