"""Lines through points of which x has errors too (York et al. 2004); with equal errors, those of Deming (1943).

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
from regression.curves.decimals import Vector, precise, root
from regression.estimation.solver import system
from regression.moments.curve import root_of_squares
from regression.moments.passes import Passes
from regression.moments.scan import Sums
from regression.solutions.solution import Solution

__all__ = ["LineWithErrors", "find_line"]

MOST_STEPS = 1000  # each of them a pass over the points
SETTLED = 4e-15  # relative change of the slope
NEARBY = 1e-6  # share of the slope's unit by which it is moved to see whether it returns
LARGEST = 2.0**400  # sigma of a point that counts, in units of the smallest
NUMBERS = ("middle", "value_variance", "slope_variance", "chi2")


@dataclass(frozen=True)
class LineWithErrors:
    """A line, and its errors for sigma that are known.

    Attributes:
        coefficients: Those of T_0(u) and T_1(u) = u.
        middle: Weighted mean of the adjusted u, where the value of the line and its slope do not depend on each other.
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
    """Weighted sums of 1, u, v, u², u v and v², v from the middle of y."""

    one: Decimal
    u: Decimal
    v: Decimal
    uu: Decimal
    uv: Decimal
    vv: Decimal

    def about(self, u: Decimal, v: Decimal) -> "_Moments":
        """Return the sums about another point."""
        return _Moments(
            self.one, self.u - u * self.one, self.v - v * self.one,
            self.uu - 2 * u * self.u + u * u * self.one,
            self.uv - u * self.v - v * self.u + u * v * self.one,
            self.vv - 2 * v * self.v + v * v * self.one,
        )  # fmt: skip


def find_line(solution: Solution, passes: Passes) -> LineWithErrors:
    """Return the line that is nearest to points in units of the errors of both x and y.

    York's equations for errors that do not depend on each other are repeated until the slope b stands. A point has the
    weight ``W = 1 / (sigma² + b² sigma_x²)``, of which y has the share ``p = W sigma²`` and x the rest q. With U and V
    from the weighted means, its adjusted x is ``β = p U + q V / b`` from that of x, and ``b = Σ W β V / Σ W β U``.

    Args:
        solution: The line without errors of x, where the search begins.
        passes: The passes over all points, which have sigma and sigma_x.

    Raises:
        UsageError: If nothing settles.
    """
    with precise():
        scale = solution.frame.scale
        per_u = Decimal(scale.numerator) / Decimal(scale.denominator)  # from u to x
        slope = float(solution.coefficients[1] / per_u)
        for _ in range(MOST_STEPS):
            step = _Step.of(solution, slope, passes)
            before, slope = slope, step.following(per_u)
            if not math.isfinite(slope):
                break
            if abs(slope - before) <= SETTLED * abs(slope):
                _require_direction(solution, step, slope, passes)
                return step.line(solution, Decimal(slope) * per_u, passes)
    raise UsageError(
        f"the line with errors in x did not settle in {MOST_STEPS} steps: the points may have no direction"
    )


def _require_direction(solution: Solution, step: "_Step", slope: float, passes: Passes) -> None:
    """Refuse a slope from which the steps lead away, or at which a slope nearby stays too: χ² has no minimum there.

    Where the search begins at such a slope, as with points that scatter alike in all directions, no step leaves it.
    """
    scale = solution.frame.scale
    per_u = Decimal(scale.numerator) / Decimal(scale.denominator)
    moved = NEARBY * float(step.spread() / per_u)
    nearby = _Step.of(solution, slope + moved, passes).following(per_u)
    if moved and not abs(nearby - slope) < (1 - NEARBY) * moved:
        raise UsageError(
            "the line with errors in x is undetermined: the points have no direction, or the line would be vertical"
        )


@dataclass(frozen=True)
class _Step:
    """The sums of a pass at a slope b.

    Attributes:
        slope: The slope, in x.
        inverse: 1 / b in u, or 0.
        total: The sums with the weights W, u and v from the middle.
        of_y: Those with W p, from the weighted means.
        of_x: Those with W q, likewise.
    """

    slope: float
    inverse: Decimal
    total: _Moments
    of_y: _Moments
    of_x: _Moments

    @classmethod
    def of(cls, solution: Solution, slope: float, passes: Passes) -> "_Step":
        """Return the sums of a pass."""
        scale = solution.frame.scale
        inverse = Decimal(scale.denominator) / (Decimal(slope) * Decimal(scale.numerator)) if slope else Decimal(0)
        of_y, of_x = _sums(solution, slope, [(1, 0), (0, 1)], passes)
        total = _Moments(*(a + b for a, b in zip(of_y, of_x, strict=True)))  # as p + q = 1
        means = total.u / total.one, total.v / total.one
        return cls(slope, inverse, total, of_y.about(*means), of_x.about(*means))

    def following(self, per_u: Decimal) -> float:
        """Return the slope of the next step, in x; NaN if there is none."""
        below = self.of_y.uu + self.inverse * self.of_x.uv
        above = self.of_y.uv + self.inverse * self.of_x.vv
        return float(above / below / per_u) if below else math.nan

    def spread(self) -> Decimal:
        """Return the standard deviation of v in units of that of u."""
        about = self.total.about(self.total.u / self.total.one, self.total.v / self.total.one)
        return root(about.vv / about.uu)

    def line(self, solution: Solution, slope: Decimal, passes: Passes) -> LineWithErrors:
        """Return the line of a slope in u, with its errors, for which one more pass is made."""
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
    sums, largest = [Sums(frame, 1) for _ in powers], LARGEST * 2.0**frame.sigma_exponent

    def add(points: Points) -> None:
        points = points.to_cpu()
        assert points.sigma is not None
        assert points.sigma_x is not None
        sigma, sigma_x = points.sigma.double(), abs(slope) * points.sigma_x.double()
        both = root_of_squares(sigma, sigma_x)
        for own, (i, j) in zip(sums, powers, strict=True):
            scale = math.prod([both / sigma] * i + [both / sigma_x] * j, start=both)
            counts = (scale <= largest).nonzero().flatten()  # the weights of others are 0 to within rounding
            own.add(Points(points.x.double()[counts], points.y.double()[counts], scale[counts]))

    passes.scan(add)
    found = [system(own.moments().reduced(passes.device), 1, frame.y_center) for own in sums]
    return [
        _Moments(at.matrix[0][0], at.matrix[0][1], at.right[0], at.matrix[1][1], at.right[1], at.square) for at in found
    ]
