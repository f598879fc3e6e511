"""A curve and its errors as decimal numbers: what is linear in its coefficients is had to the last digit."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from torch import Tensor

from regression.curves.decimals import Matrix, Pair, Vector, dot, numbers, pairs, precise, root

__all__ = ["Estimate", "ExactCurve", "FittedCurve", "antiderivative", "derivative", "value"]

Number = TypeVar("Number", float, Tensor)


class FittedCurve(Protocol):
    """What is asked of ``moments.curve.Curve``."""

    @property
    def center(self) -> float:
        """Middle of the x range."""

    @property
    def exponent(self) -> int:
        """Binary exponent of half the x range, rounded up."""

    @property
    def stretch(self) -> float:
        """What takes the range to all of [-1, 1]."""

    @property
    def y_exponent(self) -> int:
        """Binary exponent of the unit of the coefficients."""

    @property
    def coefficients(self) -> tuple[Pair, ...]:
        """Coefficients of T_k(u), shape (K, 2)."""

    @property
    def error_functions(self) -> tuple[tuple[Pair, ...], ...] | None:
        """Coefficients of the errors e_j, shape (J, K, 2)."""

    def at(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the curve and its standard error at points."""


class Estimate(NamedTuple, Generic[Number]):
    """A number that follows from the curve, or a tensor of such, with its error.

    Attributes:
        value: The number.
        se: Its standard error; NaN where it is unknown.
        ci_lower: Lower end of its confidence interval.
        ci_upper: Upper end of its confidence interval.
    """

    value: Number
    se: Number
    ci_lower: Number
    ci_upper: Number

    @classmethod
    def of(cls, value: Any, se: Any, factor: float) -> "Estimate[Any]":
        """Return a number with its interval, of ``factor`` standard errors on either side."""
        return cls(value, se, value - factor * se, value + factor * se)


@dataclass(frozen=True)
class ExactCurve:
    """A curve f in T_k(u), ``x = center + scale u``, and functions e_j with ``Var f(x) = Σ e_j(u)²``.

    Attributes:
        center: The x of u = 0.
        scale: What u is multiplied by.
        coefficients: Coefficients of f, shape (d + 1,).
        errors: Coefficients of e_j, shape (J, d + 1); ``None`` where the errors are unknown.
    """

    center: Decimal
    scale: Decimal
    coefficients: Vector
    errors: Matrix | None

    @classmethod
    def of(cls, curve: FittedCurve) -> "ExactCurve":
        """Return the exact values of double-double numbers."""
        with precise():
            unit = Decimal(2) ** curve.y_exponent
            functions = None
            if curve.error_functions is not None:
                functions = [[unit * value for value in numbers(row)] for row in curve.error_functions]
            scale = Decimal(2) ** curve.exponent / Decimal(curve.stretch)
            return cls(Decimal(curve.center), scale, [unit * value for value in numbers(curve.coefficients)], functions)

    def u(self, x: float | Decimal) -> Decimal:
        """Return the coordinate of a point."""
        return (Decimal(x) - self.center) / self.scale

    def x(self, u: Decimal) -> Decimal:
        """Return the point of a coordinate."""
        return self.center + self.scale * u

    def applied(self, functional: Callable[[Vector], Decimal]) -> tuple[Decimal, Decimal | None]:
        """Return what a linear function makes of the curve, and its standard error ``√(Σ L(e_j)²)``."""
        errors = None if self.errors is None else [functional(row) for row in self.errors]
        return functional(self.coefficients), None if errors is None else root(dot(errors, errors))

    def at(self, u: Decimal) -> tuple[Decimal, Decimal | None]:
        """Return f and its standard error."""
        return self.applied(lambda series: value(series, u))

    def slope(self, order: int = 1) -> "ExactCurve":
        """Return the derivative of some order by x."""
        result = self
        with precise():
            for _ in range(order):
                own, *errors = (
                    [part / self.scale for part in derivative(series)]
                    for series in (result.coefficients, *(result.errors or ()))
                )
                result = ExactCurve(self.center, self.scale, own, None if self.errors is None else errors)
        return result

    def area(self, a: float, b: float) -> tuple[Decimal, Decimal | None]:
        """Return the integral over x from a to b, and its standard error."""
        with precise():
            low, high = self.u(a), self.u(b)

            def functional(series: Vector) -> Decimal:
                whole = antiderivative(series)
                return self.scale * (value(whole, high) - value(whole, low))

            return self.applied(functional)

    def rounded(self) -> dict[str, Any]:
        """Return the numbers of a ``Curve`` with these coefficients, for ``dataclasses.replace``."""
        with precise():
            largest = max(map(abs, self.coefficients))
            exponent = largest.adjusted() * 3322 // 1000 + 4 if largest else 0  # a power of two above
            unit = Decimal(2) ** -exponent
            functions = None
            if self.errors is not None:
                functions = tuple(pairs([unit * part for part in row]) for row in self.errors)
            own = pairs([unit * part for part in self.coefficients])
        return {"y_exponent": exponent, "coefficients": own, "error_functions": functions}


def value(series: Vector, u: Decimal) -> Decimal:
    """Return ``Σ c_k T_k(u)`` by Clenshaw's recurrence."""
    following, last = Decimal(0), Decimal(0)
    for coefficient in reversed(series[1:]):
        following, last = coefficient + 2 * u * following - last, following
    return series[0] + u * following - last


def derivative(series: Vector) -> Vector:
    """Return the derivative by u of ``Σ c_k T_k(u)`` in T_k(u): ``c'_{k-1} = c'_{k+1} + 2 k c_k``, the first halved."""
    size = len(series)
    result = [Decimal(0)] * (size + 1)
    for k in range(size - 1, 0, -1):
        result[k - 1] = result[k + 1] + 2 * k * series[k]
    result[0] /= 2
    return result[: max(size - 1, 1)]


def antiderivative(series: Vector) -> Vector:
    """Return an antiderivative: that of T_k is ``T_{k+1} / (2 k + 2) - T_{k-1} / (2 k - 2)``, of T_0 it is T_1."""
    result = [Decimal(0)] * (len(series) + 1)
    for k, part in enumerate(series):
        result[k + 1] += part / (2 * k + 2) if k else part
        if k > 1:
            result[k - 1] -= part / (2 * k - 2)
    return result
