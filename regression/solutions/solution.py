"""A least-squares optimum: coefficients, covariance, sums of squares, and how many digits of them are certain."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from operator import add

from regression.curves.change_of_basis import powers_in_u, u_in_powers
from regression.curves.decimals import (
    FEW,
    Matrix,
    Vector,
    combine,
    condition_number,
    dot,
    gram,
    least_norm,
    precise,
    solve_triangular,
    times,
)
from regression.curves.frame import Frame
from regression.solutions.certainty import Certainty
from regression.solutions.within import Within

__all__ = ["SHOWN_DIGITS", "Solution"]

ROUNDING = Decimal("1e-32")  # squared residuals from the rounding of y to float64, as a share of Σ w y²
SHOWN_DIGITS = 52 * math.log10(2)  # of float64: an error below 2^-52 of a number is at most a unit of its last place
INFINITE = Decimal("Infinity")
FEW_BITS = 80  # an error of a coefficient below 2^-80 of its standard error is negligible


@dataclass(frozen=True)
class Solution:
    """The least-squares optimum in Chebyshev polynomials ``T_k(u)`` of the moments' coordinate u, in y's unit.

    Attributes:
        frame: The coordinate u.
        matrix: The normal equations' ``Σ w T_i T_j``, shape (d + 1, d + 1).
        functions: Polynomials that are orthogonal over the points, ``Σ w f_i f_j = 0``, in T_0 … T_d, shape
            (rank, d + 1).
        squares: ``Σ w f_j²``, shape (rank,).
        projections: ``Σ w (y - offset) f_j``, shape (rank,).
        offset: The constant that is subtracted from y before the fit if there is an intercept; otherwise 0.
        null: Polynomials that are 0 at all points within the rounding of the sums, shape (columns - rank, d + 1).
        nobs: Number of points.
        ssr: ``Σ w (y - f(x))²``.
        log_weights: ``Σ log w``.
        certainty: Bounds on the errors of these numbers.
        has_intercept: Whether there is a constant term.
        is_refined: Whether a second pass over the points has been made.
        within: The constraints that it meets, if any.
    """

    frame: Frame
    matrix: Matrix
    functions: Matrix
    squares: Vector
    projections: Vector
    offset: Decimal
    null: Matrix
    nobs: int
    ssr: Decimal
    log_weights: float
    certainty: Certainty
    has_intercept: bool
    is_refined: bool = False
    within: Within | None = None

    @property
    def rank(self) -> int:
        """The number of coefficients that the points determine."""
        return len(self.functions)

    @property
    def columns(self) -> int:
        """The number of free coefficients."""
        return len(self.functions) + len(self.null)

    @property
    def degree(self) -> int:
        """The highest power of x."""
        return len(self.matrix) - 1

    @cached_property
    def fitted(self) -> Vector:
        """The optimum in T_0 … T_d without a component along ``null``, shape (d + 1,)."""
        with precise():
            weights = [p / square for p, square in zip(self.projections, self.squares, strict=True)]
            first, *others = combine(self.functions, weights) if weights else [Decimal(0)] * len(self.matrix)
            found = [first + self.offset, *others]
            return found if self.within is None else list(map(add, found, self.within.base))

    @cached_property
    def coefficients(self) -> Vector:
        """Coefficients of T_0 … T_d, shape (d + 1,).

        If there are fewer distinct x than coefficients, this is the optimum whose coefficients in powers of x have the
        least 2-norm, as ``numpy.linalg.lstsq`` gives it.
        """
        if not self.null:
            return self.fitted
        with precise():
            return least_norm(self.fitted, self.null, powers_in_u(self.frame, self.degree))

    @cached_property
    def _explained(self) -> Vector:
        return [p * p / square for p, square in zip(self.projections, self.squares, strict=True)]

    @cached_property
    def ssr_by_degree(self) -> Vector:
        """``Σ w (y - f(x))²`` of the best fit of each degree 0 … rank - 1; empty without an intercept."""
        with precise():
            sums = [self.ssr + sum(self._explained[k:], Decimal(0)) for k in range(1, self.rank + 1)]
            return sums if self.has_intercept else []

    @property
    def tss(self) -> Decimal:
        """``Σ w (y - ȳ)²``, about the weighted mean; about 0 without an intercept."""
        if self.within is not None:
            return self.within.total
        with precise():
            return self.ssr + sum(self._explained[int(self.has_intercept) :], Decimal(0))

    @property
    def square(self) -> Decimal:
        """``Σ w y²``."""
        with precise():
            square = self.ssr + sum(self._explained, Decimal(0)) if self.within is None else self.within.square
            if self.has_intercept:  # from Σ w (y - offset)² to Σ w y²
                total = self.projections[0] / self.functions[0][0]  # Σ w (y - offset): the first function is a constant
                square += self.offset * (2 * total + self.offset * self.matrix[0][0])
            return square

    @property
    def rounding(self) -> Decimal:
        """The ``Σ w r²`` below which residuals are smaller than the rounding of y itself to float64."""
        return FEW.multiply(ROUNDING, self.square)

    @property
    def is_perfect(self) -> bool:
        """Whether the residuals are smaller than the rounding of y itself."""
        return self.ssr <= self.rounding

    @cached_property
    def in_powers(self) -> Matrix:
        """T_0(u) … T_d(u) in powers of x, a row for each, shape (d + 1, d + 1)."""
        with precise():
            return u_in_powers(self.frame, self.degree)

    @property
    def powers(self) -> tuple[int, ...]:
        """The powers of x that have a coefficient: not the first without an intercept."""
        if self.within is not None:
            return self.within.constraints.powers
        return tuple(range(int(not self.has_intercept), self.degree + 1))

    @property
    def kept(self) -> dict[int, Decimal]:
        """The coefficients in powers of x that the constraints determine, by power."""
        return {} if self.within is None else self.within.kept

    def _in_terms(self, curve: Vector, kept: Mapping[int, Decimal]) -> Vector:
        with precise():
            found = combine(self.in_powers, curve)
        return [kept.get(k, found[k]) for k in self.powers]

    def params_of(self, curve: Vector) -> Vector:
        """Return the coefficients in ascending powers of x, shape (K,), of a curve in T_k(u), shape (d + 1,)."""
        return self._in_terms(curve, self.kept)

    @cached_property
    def params(self) -> Vector:
        """The optimum's coefficients in ascending powers of x, shape (K,)."""
        return self.params_of(self.coefficients)

    @cached_property
    def _functions_in_powers(self) -> Matrix:
        return [self.error_in_terms(function) for function in self.functions]

    def error_in_terms(self, function: Vector) -> Vector:
        """Return a change of the curve in powers of x, shape (K,); it is 0 for coefficients that are kept."""
        return self._in_terms(function, dict.fromkeys(self.kept, Decimal(0)))

    def _inverse(self, functions: Matrix) -> Matrix:
        """Return ``(AᵀWA)⁻¹ = Σ_j f_j f_jᵀ / Σ w f_j²`` from the orthogonal functions in those of A."""
        columns = list(zip(*functions, strict=True))
        scaled = [[value / square for value, square in zip(c, self.squares, strict=True)] for c in columns]
        return [[dot(a, b) for b in columns] for a in scaled]

    @cached_property
    def inverse(self) -> Matrix | None:
        """``(AᵀWA)⁻¹`` of the powers of x, shape (K, K); ``None`` if the points do not determine it."""
        with precise():
            return None if self.null else self._inverse(self._functions_in_powers)

    @cached_property
    def _errors(self) -> list[tuple[Decimal, Decimal]]:
        """Bounds on the rounding errors of each of ``params`` and of its diagonal element of ``inverse``."""
        known = self.certainty
        with precise():
            growths = [growth / square for growth, square in zip(known.growth, self.squares, strict=True)]
            columns = zip(*self._functions_in_powers, strict=True)
            sizes = [dot(list(map(abs, column)), growths) for column in columns]
            return [(size * known.value, size * size * known.product) for size in sizes]

    @property
    def params_above_noise(self) -> Vector:
        """``params``, with 0 for those whose error bound includes 0."""
        if self.null:
            return self.params
        known = zip(self.params, self._errors, strict=True)
        return [Decimal(0) if -error <= value <= error else value for value, (error, _) in known]

    @cached_property
    def certain_digits(self) -> dict[str, float]:
        """The number of certain digits of the worst coefficient, of the worst standard error, and of ``ssr``.

        The latter two are left out if standard errors are unknown or 0.
        """
        variances = [row[k] for k, row in enumerate(self.inverse or [])]
        ratios, of_errors = [], []  # of each number to its error, for the coefficients and for their standard errors
        with precise():
            spread = self.ssr / max(self.nobs - self.rank, 1)
            for value, variance, (error, variance_error) in zip(self.params, variances, self._errors, strict=False):
                is_small = error * error < spread * variance / (1 << 2 * FEW_BITS)
                is_zero = self.is_refined and -error <= value <= error
                ratios.append(INFINITE if is_small or is_zero else _ratio(value, error))
                of_errors.append(_ratio(2 * variance, variance_error))
            found = {"coefficients": _digits(ratios)}
            if self.nobs == self.rank or (self.is_refined and self.ssr == 0):
                return found
            residuals = [_ratio(self.ssr, self.certainty.ssr)]
        return found | {"errors": _digits(of_errors), "residuals": _digits(residuals)}

    @property
    def is_certain(self) -> bool:
        """Whether all digits that float64 shows of coefficients, errors and residuals are certain, or the rank is 0."""
        return self.rank == 0 or min(self.certain_digits.values()) >= SHOWN_DIGITS

    def ssr_at(self, coefficients: Vector) -> Decimal:
        """Return ``Σ w (y - f(x))²`` at other coefficients of T_k(u), shape (d + 1,)."""
        with precise():
            step = [own - best for own, best in zip(coefficients, self.fitted, strict=True)]
            return self.ssr + max(dot(step, times(self.matrix, step)), Decimal(0))

    @cached_property
    def condition(self) -> float | None:
        """Estimated condition number of the design matrix, columns scaled to equal length; ``None`` if it is unknown.

        It is ``√(‖S G S‖₁ ‖(S G S)⁻¹‖₁)`` for the Gram matrix G of T_k(u), or of the powers of x without an intercept,
        S scaling G to a unit diagonal: at least the 2-norm condition.
        """
        if self.null or self.within is not None:
            return None
        with precise():
            if self.has_intercept:
                return condition_number(self.matrix, self._inverse(self.functions))
            free = powers_in_u(self.frame, self.degree)
            functions = [solve_triangular(free, function)[1:] for function in self.functions]
            return condition_number(gram(self.matrix, free[1:]), self._inverse(functions))

    def of_degree(self, degree: int) -> "Solution":
        """Return the optimum of a lower degree that the points determine; with an intercept."""
        size = degree + 1
        if size == len(self.matrix):
            return self
        return replace(
            self,
            matrix=[row[:size] for row in self.matrix[:size]],
            functions=[row[:size] for row in self.functions[:size]],
            squares=self.squares[:size],
            projections=self.projections[:size],
            null=[],
            ssr=self.ssr_by_degree[degree],
            certainty=replace(self.certainty, growth=self.certainty.growth[:size]),
        )


def _ratio(value: Decimal, error: Decimal) -> Decimal:
    return abs(value) / error if error else INFINITE


def _digits(ratios: Sequence[Decimal]) -> float:
    """Return the logarithm of the smallest ratio; only one is computed, because logarithms are slow."""
    smallest = min(ratios, default=INFINITE)
    return float(FEW.log10(smallest)) if smallest else -math.inf
