"""A curve and its errors as decimal numbers, in which values, slopes and areas are correct to the last digit."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from torch import Tensor

from regression.curves.decimals import Matrix, Pair, Vector, dot, from_pairs, pairs, precise, root

__all__ = ["Estimate", "ExactCurve", "FittedCurve", "antiderivative", "bound", "derivative", "value", "vanishes"]

UNCERTAIN = Decimal("1e-25")  # share of its terms that a sum of double-double numbers may be and count as 0

Number = TypeVar("Number", float, Tensor)


class FittedCurve(Protocol):
    """The attributes of ``moments.curve.Curve`` that are needed here."""

    @property
    def center(self) -> float:
        """Middle of the x range."""

    @property
    def exponent(self) -> int:
        """Binary exponent of half the x range, rounded up."""

    @property
    def stretch(self) -> float:
        """Factor that makes the range of u all of [-1, 1]."""

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
    """A number that follows from the curve, or a tensor of such numbers, with its error.

    Attributes:
        value: The number.
        se: Its standard error; NaN if it is unknown.
        ci_lower: Lower end of its confidence interval.
        ci_upper: Upper end of its confidence interval.
    """

    value: Number
    se: Number
    ci_lower: Number
    ci_upper: Number

    @classmethod
    def of(cls, value: Any, se: Any, factor: float) -> "Estimate[Any]":
        """Return a number with its interval of ``factor`` standard errors on either side."""
        return cls(value, se, value - factor * se, value + factor * se)


@dataclass(frozen=True)
class ExactCurve:
    """A curve f in T_k(u), ``x = center + scale u``, and functions e_j with ``Var f(x) = Σ e_j(u)²``.

    Attributes:
        center: The x of u = 0.
        scale: The factor of u.
        coefficients: Coefficients of f, shape (d + 1,).
        errors: Coefficients of e_j, shape (J, d + 1); ``None`` if the errors are unknown.
    """

    center: Decimal
    scale: Decimal
    coefficients: Vector
    errors: Matrix | None

    @classmethod
    def of(cls, curve: FittedCurve) -> "ExactCurve":
        """Return a curve of double-double numbers as decimal ones, exactly."""
        with precise():
            unit = Decimal(2) ** curve.y_exponent
            functions = None
            if curve.error_functions is not None:
                functions = [[unit * value for value in from_pairs(row)] for row in curve.error_functions]
            scale = Decimal(2) ** curve.exponent / Decimal(curve.stretch)
            return cls(
                Decimal(curve.center), scale, [unit * value for value in from_pairs(curve.coefficients)], functions
            )

    def u(self, x: float | Decimal) -> Decimal:
        """Return the coordinate u of a point x."""
        return (Decimal(x) - self.center) / self.scale

    def x(self, u: Decimal) -> Decimal:
        """Return the point x of a coordinate u: 0 where the digits of the curve do not tell it from 0."""
        result = self.center + self.scale * u
        return result if abs(result) > UNCERTAIN * (abs(self.center) + self.scale) else Decimal(0)

    def apply(self, functional: Callable[[Vector], Decimal]) -> tuple[Decimal, Decimal | None]:
        """Return the value L(f) of a linear functional, and its standard error ``√(Σ L(e_j)²)``."""
        errors = None if self.errors is None else [functional(row) for row in self.errors]
        return functional(self.coefficients), None if errors is None else root(dot(errors, errors))

    def at(self, u: Decimal) -> tuple[Decimal, Decimal | None]:
        """Return f(u) and its standard error, which is 0 where a constraint keeps the curve."""
        height, error = self.apply(lambda series: value(series, u))
        return height, Decimal(0) if all(vanishes(row, u) for row in self.errors or [[Decimal(1)]]) else error

    def slope(self, order: int = 1) -> "ExactCurve":
        """Return the derivative by x of a given order."""
        result = self
        with precise():
            for _ in range(order):
                coefficients, *errors = (
                    [part / self.scale for part in derivative(series)]
                    for series in (result.coefficients, *(result.errors or ()))
                )
                result = ExactCurve(self.center, self.scale, coefficients, None if self.errors is None else errors)
        return result

    def area(self, a: float, b: float) -> tuple[Decimal, Decimal | None]:
        """Return the integral over x from a to b, and its standard error."""
        with precise():
            low, high = self.u(a), self.u(b)

            def functional(series: Vector) -> Decimal:
                primitive = antiderivative(series)
                return self.scale * (value(primitive, high) - value(primitive, low))

            return self.apply(functional)

    def rounded(self) -> dict[str, Any]:
        """Return the fields of a ``Curve`` with these coefficients, for ``dataclasses.replace``."""
        with precise():
            largest = max(map(abs, self.coefficients))
            exponent = largest.adjusted() * 3322 // 1000 + 4 if largest else 0  # 2^exponent is above the largest one
            unit = Decimal(2) ** -exponent
            functions = None
            if self.errors is not None:
                functions = tuple(pairs([unit * part for part in row]) for row in self.errors)
            coefficients = pairs([unit * part for part in self.coefficients])
        return {"y_exponent": exponent, "coefficients": coefficients, "error_functions": functions}


def value(series: Vector, u: Decimal) -> Decimal:
    """Return ``Σ c_k T_k(u)`` by Clenshaw's recurrence."""
    following, last = Decimal(0), Decimal(0)
    for coefficient in reversed(series[1:]):
        following, last = coefficient + 2 * u * following - last, following
    return series[0] + u * following - last


def bound(series: Vector, u: Decimal) -> Decimal:
    """Return an upper bound of ``Σ |c_k T_k(u)|``."""
    base = abs(u) + root(u * u - 1) if abs(u) > 1 else Decimal(1)
    total = Decimal(0)
    for part in reversed(series):
        total = total * base + abs(part)
    return total


def vanishes(series: Vector, u: Decimal) -> bool:
    """Tell whether ``Σ c_k T_k(u)`` is 0 but for the rounding of its coefficients."""
    return abs(value(series, u)) <= UNCERTAIN * bound(series, u)


def derivative(series: Vector) -> Vector:
    """Return the derivative by u of ``Σ c_k T_k(u)`` in T_k(u): ``c'_{k-1} = c'_{k+1} + 2 k c_k``, the first halved."""
    size = len(series)
    result = [Decimal(0)] * (size + 1)
    for k in range(size - 1, 0, -1):
        result[k - 1] = result[k + 1] + 2 * k * series[k]
    result[0] /= 2
    return result[: max(size - 1, 1)]


def antiderivative(series: Vector) -> Vector:
    """Return an antiderivative by u: of T_k it is ``T_{k+1} / (2 k + 2) - T_{k-1} / (2 k - 2)``, of T_0 it is T_1."""
    result = [Decimal(0)] * (len(series) + 1)
    for k, part in enumerate(series):
        result[k + 1] += part / (2 * k + 2) if k else part
        if k > 1:
            result[k - 1] -= part / (2 * k - 2)
    return result
