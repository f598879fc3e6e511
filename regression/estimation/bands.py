"""Confidence and prediction bands of a curve."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regression.common.data_frames import as_frame
from regression.common.row_ranges import ROWS_PER_PART
from regression.curves.basis import polynomial
from regression.curves.decimals import Vector, pairs, precise, root
from regression.moments.curve import Curve, root_of_squares
from regression.solutions.solution import Solution

__all__ = ["Prediction", "curve_of", "with_bands", "without_bands"]

NO_OBSERVATIONS = (
    "the band of new observations (obs_ci) is unknown: of a weighted fit each scatters by its own sigma, so give that, "
    "as in predict(x, sigma=0.1); of an M-estimate, with simultaneous, and where residual σ is unknown, there is none"
)


class Prediction(NamedTuple):
    """The curve at N points with its bands, each a float64 tensor of shape (N,).

    A number is NaN if it is unknown, or beyond float64's range, far outside the fitted points.

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

    @property
    def notes(self) -> tuple[str, ...]:
        """Why the band of new observations is unknown, if that of the curve is known."""
        is_unknown = self.obs_ci_lower.isnan().all() and self.mean_ci_lower.isfinite().any()
        return (NO_OBSERVATIONS,) if is_unknown else ()

    def __repr__(self) -> str:
        """Return the numbers, and the notes."""
        numbers = ", ".join(f"{name}={values!r}" for name, values in self._asdict().items())
        return "\n".join([f"Prediction({numbers})", *(f"note: {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as arrays of numpy, each of shape (N,)."""
        return {name: values.flatten().numpy() for name, values in self._asdict().items()}

    def to_frame(self) -> Any:
        """Return the numbers as a ``pandas.DataFrame``, a row for each point."""
        return as_frame(self.to_dict())


def curve_of(solution: Solution, coefficients: Vector, scale: Decimal | None) -> Curve:
    """Return a curve in T_k(u) and its errors, rounded to double-double.

    Args:
        solution: The optimum, whose orthogonal functions give the errors.
        coefficients: Coefficients of T_k(u), shape (K,).
        scale: The factor from ``(AᵀWA)⁻¹`` to the covariance; ``None`` if that is unknown.
    """
    with precise():
        largest = max(map(abs, coefficients))
        y_exponent = math.frexp(float(largest))[1] if largest else 0
        unit = Decimal(2) ** -y_exponent
        functions = None
        if scale is not None and not solution.null:
            factors = [unit * root(scale / square) for square in solution.squares]
            scaled = zip(factors, solution.functions, strict=True)
            functions = tuple(pairs([factor * value for value in function]) for factor, function in scaled)
        frame, rounded = solution.frame, pairs([unit * value for value in coefficients])
        return Curve(frame.center, frame.exponent, frame.stretch, y_exponent, rounded, functions)


def with_bands(curve: Curve, x: Tensor, spread: Tensor, factor: float, x_range: tuple[float, float]) -> Prediction:
    """Return a curve with its bands.

    Args:
        curve: The curve and its errors.
        x: Points, shape (N,).
        spread: Standard deviations of new observations, shape (N,); NaN where they are unknown.
        factor: Half-width of the intervals in standard errors.
        x_range: Smallest and largest x of the fitted points.
    """
    parts = []
    for part, scatter in zip(torch.split(x, ROWS_PER_PART), torch.split(spread, ROWS_PER_PART), strict=True):
        mean, error = curve.at(part)
        narrow, wide = factor * error, factor * root_of_squares(error, scatter)
        columns = (mean, error, mean - narrow, mean + narrow, mean - wide, mean + wide)
        is_outside = (part < x_range[0]) | (part > x_range[1])
        parts.append(Prediction._make([*map(_representable, columns), is_outside]))
    return Prediction(*(torch.cat(column) for column in zip(*parts, strict=True)))


def without_bands(params: Sequence[float], x: Tensor) -> Prediction:
    """Return the curve of coefficients c0 … c_d with unknown bands."""
    mean = polynomial(params, x)
    unknown = torch.full_like(mean, math.nan)
    return Prediction(mean, unknown, unknown, unknown, unknown, unknown, torch.zeros_like(mean, dtype=torch.bool))


def _representable(values: Tensor) -> Tensor:
    """Return the values with NaN in place of infinities, which are numbers beyond float64's range."""
    return values.where(values.isfinite(), math.nan)
