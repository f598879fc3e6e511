"""The curve with its errors, evaluated to the last digit, and its bands. Torch, and scipy for quantiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from regression.common.compiled import choose, rows_for
from regression.common.errors import UsageError
from regression.curves.basis import design, polynomial
from regression.curves.decimals import Vector, precise, root
from regression.fits.solution import Solution
from regression.moments.loops import evaluate
from regression.moments.scan import loop_room
from regression.moments.second_pass import Pair, pairs

__all__ = ["Curve", "Prediction", "predicted", "quantile", "require_level", "without_bands"]

ROWS_PER_PART = 1 << 16  # points that are evaluated together
FAR = 2.0**30  # times half the range of the points


class Prediction(NamedTuple):
    """The curve at N points with its bands, each a float64 tensor of shape (N,).

    A number is NaN where it is unknown, and where it lies beyond float64's range, far outside the fitted points.

    Attributes:
        mean: The curve f(x).
        mean_se: Standard error of the curve.
        mean_ci_lower: Lower end of the confidence band of the curve.
        mean_ci_upper: Upper end of the confidence band of the curve.
        obs_ci_lower: Lower end of the prediction band of a new observation.
        obs_ci_upper: Upper end of the prediction band of a new observation.
        extrapolated: Whether x lies outside the range of the fitted points; a boolean tensor.
    """

    mean: Tensor
    mean_se: Tensor
    mean_ci_lower: Tensor
    mean_ci_upper: Tensor
    obs_ci_lower: Tensor
    obs_ci_upper: Tensor
    extrapolated: Tensor


@dataclass(frozen=True)
class Curve:
    """The curve in Chebyshev polynomials of ``u = (x - center) stretch / 2^exponent``, in the unit ``2^y_exponent``.

    Its variance at x is ``Σ e_j(u)²``: a sum of squares of few functions, in which nothing cancels, instead of a
    covariance matrix. Coefficients are double-double numbers ``[high, low]``.

    Attributes:
        center: Middle of the x range.
        exponent: Binary exponent of the power of two that is not below half the x range.
        stretch: What takes the range to all of [-1, 1].
        y_exponent: Binary exponent of the unit of the coefficients.
        coefficients: Coefficients of T_k(u), shape (K, 2).
        error_functions: Coefficients of e_j, shape (K, K, 2), or ``None`` where the errors are unknown.
    """

    center: float
    exponent: int
    stretch: float
    y_exponent: int
    coefficients: tuple[Pair, ...]
    error_functions: tuple[tuple[Pair, ...], ...] | None

    @classmethod
    def of(cls, solution: Solution, coefficients: Vector, scale: Decimal | None) -> "Curve":
        """Round a curve in T_k(u) and its errors to double-double.

        Args:
            solution: The optimum, whose orthogonal functions give the errors.
            coefficients: Coefficients of T_k(u), shape (K,).
            scale: What ``(AᵀWA)⁻¹`` is multiplied by to give the covariance; ``None`` where that is unknown.
        """
        with precise():
            largest = max(map(abs, coefficients))
            y_exponent = math.frexp(float(largest))[1] if largest else 0
            unit = Decimal(2) ** -y_exponent
            functions = None
            if scale is not None and not solution.null:
                factors = [unit * root(scale / square) for square in solution.squares]
                known = zip(factors, solution.functions, strict=True)
                functions = tuple(pairs([factor * value for value in function]) for factor, function in known)
            frame = solution.frame
            own = pairs([unit * value for value in coefficients])
            return cls(frame.center, frame.exponent, frame.stretch, y_exponent, own, functions)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Curve":
        """Return the curve that stands in a file; release 0.1 had float64 coefficients and their covariance."""
        if "scale" not in content:
            return cls(**content)
        mantissa, exponent = math.frexp(content["scale"])
        functions = None
        if content["cov"] is not None:
            values, vectors = np.linalg.eigh(np.array(content["cov"]))
            roots = vectors.T * np.sqrt(np.maximum(values, 0))[:, None]
            functions = tuple(tuple((value, 0.0) for value in row) for row in roots.tolist())
        coefficients = tuple((value, 0.0) for value in content["coefficients"])
        return cls(content["center"], exponent, 1 / mantissa, 0, coefficients, functions)

    @property
    def scale(self) -> float:
        """Half the x range, 1 if that is 0, rounded to float64."""
        return math.ldexp(1 / self.stretch, self.exponent)

    @property
    def in_y_unit(self) -> list[float]:
        """Coefficients of T_k(u) in y's unit, rounded to float64."""
        return [math.ldexp(high, self.y_exponent) for high, _ in self.coefficients]

    def at(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the curve and its standard error at points x, float64 of shape (n,) each; NaN where unknown."""
        degree, functions = len(self.coefficients) - 1, self.error_functions or ()
        run = choose(evaluate, len(x) * (degree + 1) * (len(functions) + 2))
        is_plain = run is evaluate
        values, sizes = np.empty(len(x)), np.empty(len(x))
        numbers = (self.center, math.ldexp(1, -self.exponent), self.stretch)
        own: tuple[Any, Any] = (self.coefficients, functions)
        if not is_plain:
            own = (np.array(own[0]), np.array(functions, dtype=np.float64).reshape(len(functions), degree + 1, 2))
        room = loop_room(is_plain, max(degree, 1) + 2 + len(functions))
        run(rows_for(run, x.numpy()), numbers, degree, *own, room, values, sizes)
        with np.errstate(over="ignore"):  # far outside the points, where the numbers come from below
            mean, error = (torch.from_numpy(np.ldexp(column, self.y_exponent)) for column in (values, sizes))
        is_far = ~(((x - self.center) / self.scale).abs() <= FAR)
        if is_far.any():
            mean[is_far], error[is_far] = self._far_away(x[is_far])
        return mean, error if self.error_functions is not None else torch.full_like(mean, math.nan)

    def _far_away(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``at`` does, in float64: far outside the points the highest power decides, and nothing cancels.

        The products of double-double numbers leave float64 sooner than the curve does.
        """
        columns = design((x - self.center) / self.scale, len(self.coefficients) - 1, "chebyshev")  # (n, K)
        functions = torch.tensor(self.error_functions or [], dtype=torch.float64).reshape(-1, columns.shape[1], 2)
        unit = 2.0**self.y_exponent
        parts = torch.stack([columns @ function[:, 0] * unit for function in functions] or [torch.zeros_like(x)])
        error = torch.zeros_like(x)
        for part in parts.abs():
            error = _root_of_squares(error, part)
        return columns @ torch.tensor(self.in_y_unit, dtype=torch.float64), error


def predicted(
    curve: Curve, x: Tensor, spread: Tensor, factor: float, x_range: tuple[float, float]
) -> Prediction:  # fmt: skip
    """Return a curve with its bands.

    Args:
        curve: The curve and its errors.
        x: Points, shape (N,).
        spread: Standard deviations of new observations, shape (N,); NaN where they are unknown.
        factor: Half-width of the intervals in standard errors.
        x_range: Smallest and largest x of the fitted points.
    """
    parts = []
    for own, own_spread in zip(torch.split(x, ROWS_PER_PART), torch.split(spread, ROWS_PER_PART), strict=True):
        mean, error = curve.at(own)
        narrow, wide = factor * error, factor * _root_of_squares(error, own_spread)
        numbers = (mean, error, mean - narrow, mean + narrow, mean - wide, mean + wide)
        outside = (own < x_range[0]) | (own > x_range[1])
        parts.append(Prediction._make([*map(_representable, numbers), outside]))
    return Prediction(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _root_of_squares(a: Tensor, b: Tensor) -> Tensor:
    """Return ``√(a² + b²)`` of numbers that are not negative, by operations that are rounded alike in every lane.

    ``torch.hypot`` gives other last digits at the end of a vector than within it.
    """
    larger, smaller = torch.maximum(a, b), torch.minimum(a, b)
    share = (smaller / larger).where(larger > 0, larger)
    return larger * (1 + share * share).sqrt()


def without_bands(params: Sequence[float], x: Tensor) -> Prediction:
    """Return the curve of coefficients in ascending powers of x, all K of them, without bands."""
    mean = polynomial(params, x)
    unknown = torch.full_like(mean, math.nan)
    return Prediction(mean, unknown, unknown, unknown, unknown, unknown, torch.zeros_like(mean, dtype=torch.bool))


def _representable(values: Tensor) -> Tensor:
    """Return the values, NaN for those that are no float64 numbers: an infinity would be taken for a measured one."""
    return values.where(values.isfinite(), math.nan)


def require_level(level: float) -> None:
    """Refuse what is no probability of an interval."""
    if not 0 < level < 1:
        raise UsageError(f"level must be between 0 and 1, got {level}")


def quantile(level: float, df_resid: int, absolute_sigma: bool) -> float:
    """Return the half-width of a two-sided interval in standard errors: Student's t, normal for known sigma."""
    from scipy import special  # a tenth of a second to import, and not every run needs it

    require_level(level)
    probability = 0.5 + level / 2
    return float(special.ndtri(probability) if absolute_sigma else special.stdtrit(df_resid, probability))
