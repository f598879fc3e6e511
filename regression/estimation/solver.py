"""Computes the least-squares optimum from the sums over points.

The functions 1, x, … x^d are made orthogonal over the points in decimal numbers of 150 digits, many more than the sums
have: no digit is lost between the sums and the final rounding to float64. See docs/numerics.md.
"""

import math
from dataclasses import dataclass
from decimal import Decimal

from regression.curves.change_of_basis import center_and_scale, powers_in_u, u_in_powers
from regression.curves.constraints import Constraints
from regression.curves.decimals import Matrix, Vector, combine, dot, orthogonalize, precise, times, unit_vectors
from regression.curves.frame import Frame
from regression.kernels.fixed_point import UNIT_BITS
from regression.moments.moments import Moments
from regression.solutions.certainty import Certainty
from regression.solutions.solution import Solution
from regression.solutions.within import Within

__all__ = ["UNIT", "solve", "system", "weight_unit", "y_unit"]

UNIT = Decimal(1 << UNIT_BITS)


@dataclass(frozen=True)
class System:
    """The normal equations ``M a = b`` in T_k(u), in the user's units of y and sigma, and ``Σ w (y - offset)²``."""

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
    """Return the unit of v, the sums' coordinate of y, in the unit of y."""
    return Decimal(2) ** frame.y_exponent


def weight_unit(frame: Frame) -> Decimal:
    """Return the unit of the weights in the sums, their upper bound, in units of 1 / sigma²."""
    return Decimal(2) ** (-2 * frame.sigma_exponent)


def term_error(degree: int, bits: int = UNIT_BITS) -> Decimal:
    """Return a bound on the error of a term of a sum, in the sum's unit.

    A term is rounded to a multiple of 2^-bits, an entry of the normal equations consists of three sums, and in the
    recurrence the rounding error of T_k grows with k².
    """
    return (3 + Decimal(degree) ** 2 / 2) / (1 << (bits + 1))


def solve(
    moments: Moments, degree: int, fit_intercept: bool = True, constraints: Constraints | None = None
) -> Solution:
    """Return the least-squares polynomial of a degree.

    Args:
        moments: Moments of the points, of at least that degree.
        degree: Highest power of x.
        fit_intercept: Whether there is a constant term.
        constraints: The constraints on the polynomial, which replace ``degree`` and ``fit_intercept``.
    """
    frame = moments.frame
    if constraints is not None:
        return _solve_within(moments, constraints)
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


def _solve_within(moments: Moments, constraints: Constraints) -> Solution:
    """Return the least-squares polynomial among those that meet constraints, by a fit of y minus one of them."""
    frame = moments.frame
    with precise():
        family = constraints.family("chebyshev", *center_and_scale(frame))
        constant, *others = family.base
        base = [constant + (Decimal(frame.y_center) if constraints.has_intercept else 0), *others]
        equations = system(moments, constraints.degree)
        image = times(equations.matrix, base)
        right = [b - part for b, part in zip(equations.right, image, strict=True)]
        noise = moments.nobs * term_error(moments.degree, moments.term_bits) * weight_unit(frame)
        functions, squares, null = orthogonalize(family.free, equations.matrix, noise, are_nested=False)
        projections = [dot(right, function) for function in functions]
        weights = [p / square for p, square in zip(projections, squares, strict=True)]
        size = y_unit(frame) + abs(Decimal(frame.y_center)) + sum(map(abs, base), Decimal(0))
        size += sum(map(abs, combine(functions, weights)), Decimal(0)) if functions else 0
        left = equations.square - 2 * dot(base, equations.right) + dot(base, image)
        ssr = max(left - dot(projections, weights), Decimal(0))
        about_mean = system(moments, 0, frame.y_center)
        is_about_mean = constraints.has_intercept or constraints.count
        return Solution(
            frame=frame, matrix=equations.matrix, functions=functions, squares=squares, projections=projections,
            offset=Decimal(0), null=null, nobs=moments.nobs,
            ssr=Decimal(0) if len(functions) == moments.nobs else ssr,
            log_weights=equations.log_weights, has_intercept=False,
            certainty=Certainty(
                [sum(map(abs, f), Decimal(0)) for f in functions], noise * size, noise, noise * size * size
            ),
            within=Within(
                constraints,
                base,
                constraints.kept(family, u_in_powers(frame, constraints.degree)),
                total=about_mean.square - about_mean.right[0] ** 2 / about_mean.matrix[0][0]
                if is_about_mean
                else equations.square,
                square=equations.square,
            ),
        )  # fmt: skip
