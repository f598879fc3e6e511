"""A curve and its standard error at any x, correct to float64's last digit by double-double arithmetic."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regression.curves.basis import design
from regression.curves.decimals import Pair
from regression.kernels.compiled import choose, loop, rows_for
from regression.kernels.double_double import add, product_error
from regression.moments.loops import ROWS_PER_STEP, write_combination, write_coordinates, write_ones, write_polynomials
from regression.moments.scan import loop_workspace

__all__ = ["Curve", "root_of_squares"]

FAR_HALF_RANGES = 2.0**30  # distance from the middle of the points beyond which float64 arithmetic is used


@loop
def write_sizes(functions: Any, first: int, count: int, rows: int, start: int, sizes: Any) -> None:
    """Write ``√(Σ q_j²)``; dividing by a power of two near the largest q_j keeps the squares within float64's range."""
    for i in range(rows):
        largest = 0.0
        for j in range(count):
            largest = max(largest, abs(functions[first + j][0][i]))
        exponent = math.frexp(largest)[1] if largest < math.inf else 0
        total, rest = 0.0, 0.0
        for j in range(count):
            scaled = math.ldexp(functions[first + j][0][i], -exponent)
            total, rest = add(total, rest, scaled * scaled, product_error(scaled, scaled))
        sizes[start + i] = math.ldexp(math.sqrt(total + rest), exponent)


@loop
def evaluate(
    x: Any, frame: Any, degree: int, curve: Any, functions: Any, workspace: Any, values: Any, sizes: Any
) -> None:
    """Write a curve ``f(u)`` and the size ``√(Σ q_j(u)²)`` of some functions at points, to the last digit.

    Args:
        x: Points, shape (N,).
        frame: ``Frame.loop_numbers()``.
        degree: Highest degree d.
        curve: Coefficients of f in T_0 … T_d, double-double, shape (d + 1, 2).
        functions: Coefficients of q_0 … q_{R-1}, shape (R, d + 1, 2).
        workspace: ``max(d, 1) + 2 + R`` rows of numbers.
        values: The output f, shape (N,).
        sizes: The output sizes, shape (N,).
    """
    center, power, stretch = frame[0], frame[1], frame[2]
    first = max(degree, 1) + 1  # order in the workspace: T_0 … T_d, q_j, f
    count = len(functions)
    result = workspace[first + count]
    write_ones(min(ROWS_PER_STEP, len(x)), workspace[0])
    for start in range(0, len(x), ROWS_PER_STEP):
        rows = min(ROWS_PER_STEP, len(x) - start)
        write_coordinates(x, start, rows, center, power, stretch, workspace[1])
        write_polynomials(degree, rows, workspace)
        write_combination(curve, degree, rows, workspace, result)
        for i in range(rows):
            values[start + i] = result[0][i] + result[1][i]
        for j in range(count):
            write_combination(functions[j], degree, rows, workspace, workspace[first + j])
        write_sizes(workspace, first, count, rows, start, sizes)


@dataclass(frozen=True)
class Curve:
    """The curve in Chebyshev polynomials of ``u = (x - center) stretch / 2^exponent``, in the unit ``2^y_exponent``.

    Its variance at x is ``Σ e_j(u)²``: a sum of squares, in which nothing cancels, whereas terms of a product with a
    covariance matrix do. Coefficients are double-double numbers ``[high, low]``.

    Attributes:
        center: Middle of the x range.
        exponent: Exponent of the smallest power of two that is at least half the x range.
        stretch: Factor that makes the range of u all of [-1, 1].
        y_exponent: Exponent of two of the unit of the coefficients.
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
    def from_json(cls, content: dict[str, Any]) -> "Curve":
        """Return the curve of a ``fit.json``; those of release 0.1 have float64 coefficients and their covariance."""
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
        coefficients: tuple[Any, Any] = (self.coefficients, functions)
        if not is_plain:
            shape = (len(functions), degree + 1, 2)
            coefficients = (np.array(self.coefficients), np.array(functions, dtype=np.float64).reshape(shape))
        workspace = loop_workspace(is_plain, max(degree, 1) + 2 + len(functions))
        run(rows_for(run, x.numpy()), numbers, degree, *coefficients, workspace, values, sizes)
        with np.errstate(over="ignore"):  # only far outside the points, where _far_away replaces the numbers
            mean, error = (torch.from_numpy(np.ldexp(column, self.y_exponent)) for column in (values, sizes))
        is_far = ~(((x - self.center) / self.scale).abs() <= FAR_HALF_RANGES)
        if is_far.any():
            mean[is_far], error[is_far] = self._far_away(x[is_far])
        return mean, error if self.error_functions is not None else torch.full_like(mean, math.nan)

    def _far_away(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``at`` returns, computed in float64.

        Far outside the points the highest power dominates, so nothing cancels, and double-double products overflow
        although the curve does not.
        """
        columns = design((x - self.center) / self.scale, len(self.coefficients) - 1, "chebyshev")  # (n, K)
        functions = torch.tensor(self.error_functions or [], dtype=torch.float64).reshape(-1, columns.shape[1], 2)
        unit = 2.0**self.y_exponent
        parts = torch.stack([columns @ function[:, 0] * unit for function in functions] or [torch.zeros_like(x)])
        error = torch.zeros_like(x)
        for part in parts.abs():
            error = root_of_squares(error, part)
        return columns @ torch.tensor(self.in_y_unit, dtype=torch.float64), error


def root_of_squares(a: Tensor, b: Tensor) -> Tensor:
    """Return ``√(a² + b²)`` of numbers that are not negative, with the same bits at every position of a tensor.

    ``torch.hypot`` gives other last digits at the end of a tensor, where its vector instructions are not used.
    """
    larger, smaller = torch.maximum(a, b), torch.minimum(a, b)
    share = (smaller / larger).where(larger > 0, larger)
    return larger * (1 + share * share).sqrt()
