"""Least squares from moments: the exact optimum, how much of it is certain, and the rank the points have.

The functions 1, x, … x^d are made orthogonal over the points, one after the other (Gram and Schmidt), in decimal
numbers of 150 digits, far more than the moments carry, so that nothing is lost between them and the final rounding to
float64. The optimum, its covariance and the optima of all lower degrees are sums over these functions. K is small and
the cost is milliseconds. The textbook's way, normal equations in float64, loses twice the digits that the problem's
condition takes; the sums here have 100 bits to lose, and ``Certainty`` tells what is left. The standard library only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from functools import cached_property

from regression.common.fixed_point import UNIT_BITS
from regression.curves.change_of_basis import powers_in_u
from regression.curves.decimals import FEW, Matrix, Vector, combine, dot, gram, precise, root, solve_triangular, times
from regression.curves.frame import Frame
from regression.moments.moments import Moments

__all__ = ["Certainty", "Solution", "orthogonalize", "solve", "ssr_at"]

# A column of the design matrix counts as dependent on those before it if what is left of its square is less than this
# many times what the rounding of the sums can make of nothing.
FEWEST_ROUNDINGS = 4
UNIT = Decimal(1 << UNIT_BITS)
PERFECT = Decimal("1e-32")  # share of Σ w y² below which residuals are smaller than the rounding of y to float64


@dataclass(frozen=True)
class Certainty:
    """How far the numbers of a solution may be off, by the rounding of the terms of its sums.

    Attributes:
        growth: How many times the error of one sum may come into ``Σ w y f_j``, shape (rank,).
        value: Largest error of a sum of products with residuals or values, over the optimum.
        product: Largest error of a sum of products of two functions.
        ssr: Largest error of ``ssr``.
    """

    growth: Vector
    value: Decimal
    product: Decimal
    ssr: Decimal


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
        offset: What is taken from y before, where an intercept takes it up; else 0.
        null: Polynomials that are 0 at all points, as far as the sums tell, shape (columns - rank, d + 1).
        nobs: Number of points.
        ssr: ``Σ w (y - f(x))²``.
        log_weights: ``Σ log w``.
        certainty: How far these numbers may be off.
        has_intercept: Whether there is a constant term.
        is_refined: Whether a second pass over the points has been made.
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
        """The optimum in T_0 … T_d of which no part is 0 at all points, shape (d + 1,)."""
        with precise():
            weights = [p / square for p, square in zip(self.projections, self.squares, strict=True)]
            first, *others = combine(self.functions, weights) if weights else [Decimal(0)] * len(self.matrix)
            return [first + self.offset, *others]

    @cached_property
    def coefficients(self) -> Vector:
        """Coefficients of T_0 … T_d, shape (d + 1,).

        With fewer distinct x than coefficients they are those whose coefficients in powers of x have the least 2-norm,
        as ``numpy.linalg.lstsq`` gives them.
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
        with precise():
            return self.ssr + sum(self._explained[int(self.has_intercept) :], Decimal(0))

    @property
    def is_perfect(self) -> bool:
        """Whether the residuals are smaller than the rounding of y itself to float64."""
        with precise():
            square = self.ssr + sum(self._explained, Decimal(0))
            if self.has_intercept:  # from Σ w (y - offset)² to Σ w y²
                square += self.offset * (2 * self.projections[0] + self.offset * self.squares[0])
            return self.ssr <= PERFECT * square

    def covariance_in(self, rows: Matrix) -> Matrix | None:
        """Return ``(AᵀWA)⁻¹`` in other functions, shape (d + 1, d + 1); ``None`` where the points leave it open.

        Args:
            rows: T_0(u) … T_d(u) in terms of those functions, a row for each, shape (d + 1, d + 1).
        """
        if self.null:
            return None
        with precise():
            columns = list(zip(*(combine(rows, function) for function in self.functions), strict=True))
            scaled = [[value / square for value, square in zip(c, self.squares, strict=True)] for c in columns]
            return [[dot(a, b) for b in columns] for a in scaled]

    def ssr_at(self, coefficients: Vector) -> Decimal:
        """Return ``Σ w (y - f(x))²`` at other coefficients of T_k(u), shape (d + 1,)."""
        with precise():
            step = [own - best for own, best in zip(coefficients, self.fitted, strict=True)]
            return self.ssr + max(dot(step, times(self.matrix, step)), Decimal(0))

    def errors_of(self, functional: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
        """Return how far ``l · a`` and ``lᵀ (AᵀWA)⁻¹ l`` may be off, a being the coefficients of T_k(u)."""
        known = zip(self.functions, self.squares, self.certainty.growth, strict=True)
        size = sum((abs(dot(functional, f)) / square * growth for f, square, growth in known), Decimal(0))
        return size * self.certainty.value, size * size * self.certainty.product

    @cached_property
    def condition(self) -> float | None:
        """Estimated condition number of the design matrix, columns scaled to equal length; ``None`` with a rank short.

        It is ``√(‖S G S‖₁ ‖(S G S)⁻¹‖₁)`` for the Gram matrix G of T_k(u), or of the powers of x without an intercept,
        S scaling G to a unit diagonal: at least the 2-norm condition.
        """
        if self.null:
            return None
        with precise():
            if self.has_intercept:
                matrix, inverse = self.matrix, self.covariance_in(unit_vectors(len(self.matrix)))
            else:
                free = powers_in_u(self.frame, self.degree)
                matrix = gram(self.matrix, free[1:])
                parts = [solve_triangular(free, function)[1:] for function in self.functions]
                scaled = [[value / square for value in row] for row, square in zip(parts, self.squares, strict=True)]
                columns = list(zip(*parts, strict=True))
                inverse = [[dot(a, b) for b in columns] for a in zip(*scaled, strict=True)]
            assert inverse is not None
            return condition_number(matrix, inverse)

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


@dataclass(frozen=True)
class System:
    """The normal equations ``M a = b`` in T_k(u), in the users' units of y and sigma, and ``q = Σ w (y - offset)²``."""

    matrix: Matrix
    right: Vector
    square: Decimal
    log_weights: float


def system(moments: Moments, degree: int, offset: float = 0.0) -> System:
    """Return the normal equations of a degree up to that of the moments, for ``y - offset``."""
    frame, top = moments.frame, moments.degree
    sums = [Decimal(total) / UNIT for total in moments.sums]
    y, w = y_unit(frame), weight_unit(frame)
    s = [w * total for total in sums[: 2 * top + 1]]
    size = range(degree + 1)
    matrix = [[(s[i + j] + s[abs(i - j)]) / 2 for j in size] for i in size]
    right = [w * y * total for total in sums[2 * top + 1 : 2 * top + 2 + degree]]
    shift = Decimal(frame.y_center) - Decimal(offset)
    return System(
        matrix=matrix,
        right=[b + shift * row[0] for b, row in zip(right, matrix, strict=True)],
        square=w * y * y * sums[-2] + 2 * shift * right[0] + shift**2 * matrix[0][0],
        log_weights=float(sums[-1]) - 2 * frame.sigma_exponent * math.log(2) * moments.nobs,
    )


def y_unit(frame: Frame) -> Decimal:
    """Return v's unit in that of y."""
    return Decimal(2) ** frame.y_exponent


def weight_unit(frame: Frame) -> Decimal:
    """Return the largest weight there can be, in the unit of 1 / sigma²."""
    return Decimal(2) ** (-2 * frame.sigma_exponent)


def term_error(degree: int, bits: int = UNIT_BITS) -> Decimal:
    """Return how far a term of a sum may be off in its own unit.

    A term is rounded to a multiple of 2^-bits, three of them make a sum of the normal equations, and the recurrence
    lets the rounding of T_k grow with k².
    """
    return (3 + Decimal(degree) ** 2 / 2) / (1 << (bits + 1))


def solve(moments: Moments, degree: int, fit_intercept: bool = True) -> Solution:
    """Return the least-squares polynomial of a degree.

    Args:
        moments: Moments of the points, of at least that degree.
        degree: Highest power of x.
        fit_intercept: Whether there is a constant term.
    """
    frame = moments.frame
    with precise():
        offset = frame.y_center if fit_intercept else 0.0
        equations = system(moments, degree, offset)
        free = unit_vectors(degree + 1) if fit_intercept else powers_in_u(frame, degree)[1:]
        noise = moments.nobs * term_error(moments.degree, moments.term_bits) * weight_unit(frame)
        functions, squares, null = orthogonalize(free, equations.matrix, noise)
        projections = [dot(equations.right, function) for function in functions]
        weights = [p / square for p, square in zip(projections, squares, strict=True)]
        explained = dot(projections, weights)
        size = y_unit(frame) + abs(Decimal(frame.y_center) - Decimal(offset))
        size += sum(map(abs, combine(functions, weights)), Decimal(0)) if functions else 0
        ssr_error = noise * size * size
        ssr = max(equations.square - explained, Decimal(0))
        return Solution(
            frame=frame, matrix=equations.matrix, functions=functions, squares=squares, projections=projections,
            offset=Decimal(offset), null=null, nobs=moments.nobs,
            ssr=Decimal(0) if len(functions) == moments.nobs else ssr,
            log_weights=equations.log_weights, has_intercept=fit_intercept,
            certainty=Certainty([sum(map(abs, f), Decimal(0)) for f in functions], noise * size, noise, ssr_error),
        )  # fmt: skip


def orthogonalize(rows: Matrix, matrix: Matrix, noise: Decimal) -> tuple[Matrix, Vector, Matrix]:
    """Return orthogonal functions, their squares, and functions that count as 0.

    A row that counts as 0 is one whose square could be the rounding of the matrix; where one power of x depends on
    those before it, the next ones do too.

    Args:
        rows: Functions f in terms of others, shape (J, K).
        matrix: Sums of products of those others, shape (K, K).
        noise: How far an entry of the matrix may be off.
    """
    functions: Matrix = []
    squares: Vector = []
    null: Matrix = []
    for row in rows:
        image, rest = times(matrix, row), row
        for function, square in zip(functions, squares, strict=True):
            share = dot(function, image) / square
            rest = [value - share * part for value, part in zip(rest, function, strict=True)]
        left, size = dot(rest, times(matrix, rest)), sum(map(abs, rest), Decimal(0))
        if null or left <= FEWEST_ROUNDINGS * noise * size * size:
            null.append(rest)
        else:
            functions.append(rest)
            squares.append(left)
    return functions, squares, null


def ssr_at(moments: Moments, coefficients: Vector) -> Decimal:
    """Return ``Σ w (y - f(x))²`` at any coefficients of T_k(u), not only the optimum."""
    with precise():
        offset = moments.frame.y_center
        equations = system(moments, len(coefficients) - 1, offset)
        own = [coefficients[0] - Decimal(offset), *coefficients[1:]]
        quadratic = dot(own, times(equations.matrix, own))
        return max(equations.square - 2 * dot(own, equations.right) + quadratic, Decimal(0))


def least_norm(particular: Vector, null: Matrix, powers: Matrix) -> Vector:
    """Return the solution with the least norm in powers of x, from one solution and what may be added to it."""
    goal = solve_triangular(powers, particular)
    directions = [solve_triangular(powers, vector) for vector in null]
    units = unit_vectors(len(null))
    steps, squares, _ = orthogonalize(units, [[dot(a, b) for b in directions] for a in directions], Decimal(0))
    result = particular
    for step, square in zip(steps, squares, strict=True):
        share = dot(goal, combine(directions, step)) / square
        result = [value - share * part for value, part in zip(result, combine(null, step), strict=True)]
    return result


def condition_number(product: Matrix, inverse: Matrix) -> float:
    """Return ``√(‖S G S‖₁ ‖(S G S)⁻¹‖₁)`` for a Gram matrix G and its inverse, S scaling G to a unit diagonal."""
    with localcontext(FEW):
        scale = [root(row[i]) for i, row in enumerate(product)]
        size = range(len(product))
        norm = max(sum((abs(product[i][j]) / (scale[i] * scale[j]) for i in size), Decimal(0)) for j in size)
        inverse_norm = max(sum((abs(inverse[i][j]) * scale[i] * scale[j] for i in size), Decimal(0)) for j in size)
        return float(root(norm * inverse_norm))


def unit_vectors(size: int) -> Matrix:
    """Return the unit vectors."""
    return [[Decimal(int(i == j)) for j in range(size)] for i in range(size)]
