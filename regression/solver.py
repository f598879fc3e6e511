"""Least squares from moments: the exact optimum, its covariance, and the rank the points have.

The K x K system is solved in decimal numbers of 150 digits, far more than the moments carry, so that nothing is lost
between them and the final rounding to float64. K is small and the cost is milliseconds. The textbook's way, normal
equations in float64, loses twice the digits that the problem's condition takes; here the terms have 30 to lose. Moments
taken in double have the textbook's 15: ``digits_left`` tells what remains of them.
Torch and the standard library only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from operator import mul
from typing import Any

from regression.coordinates import (
    FEW,
    Matrix,
    Vector,
    chebyshev_in_u,
    combine,
    dot,
    gram,
    powers_in_u,
    precise,
    root,
    solve_triangular,
    times,
)
from regression.moments import UNIT, Frame, Moments

__all__ = ["Solution", "solve", "ssr_at"]

# A column of the design matrix counts as dependent on those before it if less than this share of its square is left:
# the terms' own rounding leaves about 1e-30, and 1e-24 keeps six digits of what lies above.
RANK_TOLERANCE = Decimal("1e-24")
# Below this share of Σ w y² the residuals are smaller than the rounding of y itself to float64.
PERFECT = Decimal("1e-32")
# The same for moments in double, whose sums are good to about 1e-15.
RANK_TOLERANCE_DOUBLE, PERFECT_DOUBLE = Decimal("1e-12"), Decimal("1e-13")


@dataclass(frozen=True)
class Solution:
    """The least-squares optimum in Chebyshev polynomials ``T_k(u)`` of the moments' coordinate u.

    Attributes:
        frame: The coordinate u.
        coefficients: Coefficients of T_0 … T_d, shape (K,), in y's unit.
        covariance: ``(AᵀWA)⁻¹`` in the same basis, shape (K, K); ``None`` where the points do not determine it.
        rank: Number of coefficients that the points determine.
        columns: Number of free coefficients.
        nobs: Number of points.
        ssr: ``Σ w (y - f(x))²``.
        tss: ``Σ w (y - ȳ)²``, about the weighted mean; about 0 without an intercept.
        log_weights: ``Σ log w``.
        condition: Estimated condition number of the design matrix, columns scaled to equal length; ``None`` where the
            rank falls short.
        ssr_by_degree: ``Σ w (y - f(x))²`` of the best fit of each degree 0 … d, all from the same factorization;
            empty without an intercept.
        ssr_share: The share of ``ssr`` in the sum of squares it was found from by subtraction.
    """

    frame: Frame
    coefficients: Vector
    covariance: Matrix | None
    rank: int
    columns: int
    nobs: int
    ssr: Decimal
    tss: Decimal
    log_weights: float
    condition: float | None
    ssr_by_degree: Vector
    ssr_share: Decimal

    def digits_left(self) -> tuple[float, float] | None:
        """Return about how many digits of the coefficients and of ``ssr`` are right; ``None`` for double-double.

        Moments in double lose the square of the condition, and ssr what it is smaller than the squares about
        ``y_center``.
        """
        if self.frame.arithmetic == "double-double" or self.condition is None:
            return None
        share = math.log10(self.ssr_share) if self.ssr_share else -math.inf
        return 15 - 2 * math.log10(self.condition), 15 + min(share, 0.0)

    def covariance_in(self, rows: Matrix) -> Matrix | None:
        """Return ``(AᵀWA)⁻¹`` in other functions, shape (K, K); ``None`` where the points do not determine it.

        Args:
            rows: T_0(u) … T_d(u) in terms of those functions, a row for each, shape (K, K).
        """
        if self.covariance is None or rows == units(len(rows)):
            return self.covariance
        with precise():
            half = [combine(rows, row) for row in self.covariance]
            return [combine(rows, list(column)) for column in zip(*half, strict=True)]


@dataclass(frozen=True)
class System:
    """The normal equations ``M a = b`` in T_k(u), in the users' units of y and sigma, and ``q = Σ w y²``."""

    matrix: Matrix
    right: Vector
    square: Decimal
    log_weights: float


def system(moments: Moments, degree: int) -> System:
    """Return the normal equations of a degree up to that of the moments."""
    frame, top = moments.frame, moments.degree
    one, two = Decimal(1 << UNIT), Decimal(2)
    sums = [Decimal(total) / one for total in moments.sums]
    y, w = two**frame.y_exponent, two ** (-2 * frame.sigma_exponent)
    s = [w * total for total in sums[: 2 * top + 1]]
    size = range(degree + 1)
    return System(
        matrix=[[(s[i + j] + s[abs(i - j)]) / 2 for j in size] for i in size],
        right=[w * y * total for total in sums[2 * top + 1 : 2 * top + 2 + degree]],
        square=w * y * y * sums[-2],
        log_weights=float(sums[-1]) - 2 * frame.sigma_exponent * math.log(2) * moments.nobs,
    )


def solve(moments: Moments, degree: int, fit_intercept: bool = True) -> Solution:
    """Return the least-squares polynomial of a degree.

    With fewer distinct x than coefficients, the answer is the one whose coefficients in powers of x have the least
    2-norm, as ``numpy.linalg.lstsq`` gives it.

    Args:
        moments: Moments of the points, of at least that degree.
        degree: Highest power of x.
        fit_intercept: Whether there is a constant term.
    """
    with precise():
        equations = system(moments, degree)
        matrix, right = equations.matrix, equations.right
        free = None if fit_intercept else powers_in_u(moments.frame, degree)[1:]
        if free is not None:
            matrix, right = gram(matrix, free), times(free, right)
        is_double = moments.frame.arithmetic == "double"
        lower, pivots = factor(matrix, RANK_TOLERANCE_DOUBLE if is_double else RANK_TOLERANCE)
        forward = forward_solve(lower, right)
        explained = [z * z / d if d else Decimal(0) for z, d in zip(forward, pivots, strict=True)]
        ssr = equations.square - sum(explained)
        subtracted = centred_square(equations, moments.frame) if is_double and fit_intercept else equations.square
        ssr = ssr if ssr > (PERFECT_DOUBLE if is_double else PERFECT) * subtracted else Decimal(0)
        mean_square = equations.right[0] ** 2 / equations.matrix[0][0] if fit_intercept else Decimal(0)
        by_degree = [max(equations.square - sum(explained[: k + 1]), Decimal(0)) for k in range(degree + 1)]
        return Solution(
            frame=moments.frame,
            rank=sum(map(bool, pivots)),
            columns=len(pivots),
            nobs=moments.nobs,
            ssr=ssr,
            tss=max(equations.square - mean_square, Decimal(0)),
            log_weights=equations.log_weights,
            ssr_by_degree=by_degree if fit_intercept else [],
            ssr_share=ssr / subtracted if subtracted else Decimal(0),
            **_optimum(equations.matrix, lower, pivots, forward, free, moments.frame),
        )


def _optimum(
    matrix: Matrix, lower: Matrix, pivots: Vector, forward: Vector, free: Matrix | None, frame: Frame
) -> dict[str, Any]:
    """Return coefficients, covariance and condition from the factors of the normal equations.

    Args:
        matrix: The normal equations in T_k(u).
        lower: L of the equations' ``L D Lᵀ``.
        pivots: D.
        forward: z of ``L z = b``.
        free: The functions of the equations, a row for each in T_k(u); ``None`` for these themselves.
        frame: The coordinate u.
    """

    def in_u(vector: Vector) -> Vector:
        return vector if free is None else combine(free, vector)

    coefficients, degree = in_u(back_solve(lower, pivots, forward)), len(matrix) - 1
    if not all(pivots):
        null = [in_u(vector) for vector in null_space(lower, pivots)]
        coefficients = least_norm(coefficients, null, powers_in_u(frame, degree))
        return {"coefficients": coefficients, "covariance": None, "condition": None}
    inverse = inverse_of(lower, pivots)
    rows = [in_u(row) for row in inverse]
    covariance = [in_u(list(column)) for column in zip(*rows, strict=True)]
    product = matrix if free is None else gram(matrix, free)
    if free is None and frame.scale != frame.reach:  # u is not quite mapped from the points' range
        product = gram(matrix, chebyshev_in_u(frame, degree))
        inverse = inverse_of(*factor(product))
    return {
        "coefficients": coefficients, "covariance": covariance, "condition": condition_number(product, inverse),
    }  # fmt: skip


def centred_square(equations: System, frame: Frame) -> Decimal:
    """Return ``Σ w (y - y_center)²``, which an intercept can take away without loss."""
    shift = Decimal(frame.y_center)
    return equations.square - 2 * shift * equations.right[0] + shift**2 * equations.matrix[0][0]


def ssr_at(moments: Moments, coefficients: Vector) -> Decimal:
    """Return ``Σ w (y - f(x))²`` at any coefficients of T_k(u), not only the optimum."""
    with precise():
        equations = system(moments, len(coefficients) - 1)
        quadratic = dot(coefficients, times(equations.matrix, coefficients))
        return max(equations.square - 2 * dot(coefficients, equations.right) + quadratic, Decimal(0))


def factor(matrix: Matrix, tolerance: Decimal = RANK_TOLERANCE) -> tuple[Matrix, Vector]:
    """Return L and D of ``M = L D Lᵀ``, with D = 0 and no entries of L for columns that depend on those before."""
    size = len(matrix)
    lower = [[Decimal(0)] * size for _ in range(size)]
    pivots: Vector = []
    for j in range(size):
        lower[j][j] = Decimal(1)
        pivot = matrix[j][j] - sum((lower[j][k] ** 2 * pivots[k] for k in range(j)), Decimal(0))
        pivots.append(pivot if pivot > tolerance * matrix[j][j] else Decimal(0))
        for i in range(j + 1, size if pivots[j] else 0):
            known = sum((lower[i][k] * lower[j][k] * pivots[k] for k in range(j)), Decimal(0))
            lower[i][j] = (matrix[i][j] - known) / pivots[j]
    return lower, pivots


def forward_solve(lower: Matrix, right: Sequence[Decimal]) -> Vector:
    """Return z of ``L z = b``."""
    result: Vector = []
    for row, value in zip(lower, right, strict=True):
        result.append(value - sum(map(mul, row, result), Decimal(0)))
    return result


def back_solve(lower: Matrix, pivots: Vector, forward: Vector) -> Vector:
    """Return a of ``D Lᵀ a = z``, with 0 for dependent columns."""
    size = len(pivots)
    result = [Decimal(0)] * size
    for j in reversed(range(size)):
        if pivots[j]:
            result[j] = forward[j] / pivots[j] - sum((lower[i][j] * result[i] for i in range(j + 1, size)), Decimal(0))
    return result


def inverse_of(lower: Matrix, pivots: Vector) -> Matrix:
    """Return ``(L D Lᵀ)⁻¹``."""
    return [back_solve(lower, pivots, forward_solve(lower, unit)) for unit in units(len(pivots))]


def null_space(lower: Matrix, pivots: Vector) -> Matrix:
    """Return a vector v with ``Lᵀ v = 0`` in the independent rows and 1 at j, for each dependent column j."""
    vectors = []
    size = len(pivots)
    for j in (index for index in range(size) if not pivots[index]):
        vector = [Decimal(int(i == j)) for i in range(size)]
        for k in reversed(range(j)):
            if pivots[k]:
                vector[k] = -sum((lower[i][k] * vector[i] for i in range(k + 1, size)), Decimal(0))
        vectors.append(vector)
    return vectors


def least_norm(particular: Vector, null: Matrix, powers: Matrix) -> Vector:
    """Return the solution with the least norm in powers of x, from one solution and what may be added to it."""
    goal = solve_triangular(powers, particular)
    directions = [solve_triangular(powers, vector) for vector in null]
    lower, pivots = factor([[dot(a, b) for b in directions] for a in directions])
    steps = back_solve(lower, pivots, forward_solve(lower, [dot(a, goal) for a in directions]))
    move = combine(null, steps)
    return [a - b for a, b in zip(particular, move, strict=True)]


def condition_number(product: Matrix, inverse: Matrix) -> float:
    """Return ``√(‖S G S‖₁ ‖(S G S)⁻¹‖₁)`` for the Gram matrix G of some functions, S scaling G to a unit diagonal.

    It is at least the 2-norm condition of their design matrix with columns of equal length.
    """
    with localcontext(FEW):
        scale = [root(row[i]) for i, row in enumerate(product)]
        size = range(len(product))
        norm = max(sum((abs(product[i][j]) / (scale[i] * scale[j]) for i in size), Decimal(0)) for j in size)
        inverse_norm = max(sum((abs(inverse[i][j]) * scale[i] * scale[j] for i in size), Decimal(0)) for j in size)
        return float(root(norm * inverse_norm))


def units(size: int) -> Matrix:
    """Return the unit vectors."""
    return [[Decimal(int(i == j)) for j in range(size)] for i in range(size)]
