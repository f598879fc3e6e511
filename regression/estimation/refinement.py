"""A second pass over the points: which sums it takes, and the solution that follows from them.

It is made if the sums of the first pass determine fewer digits of a solution than float64 shows. The sums of products
of residuals and orthogonal functions give the error of that solution, and their condition number is about 1 (Björck,
1967; docs/numerics.md).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from regression.curves.decimals import (
    Matrix,
    Vector,
    combine,
    dot,
    from_pairs,
    orthogonalize,
    pairs,
    precise,
    root,
    solve_triangular,
    unit_vectors,
)
from regression.estimation.solver import UNIT, weight_unit, y_unit
from regression.kernels.fixed_point import UNIT_BITS
from regression.moments.second_pass import SecondPass
from regression.solutions.certainty import Certainty
from regression.solutions.solution import Solution
from regression.solutions.within import Within

__all__ = ["refine", "second_pass"]

EVALUATED_BITS = 103  # correct bits of a sum of a few products of double-double numbers


def second_pass(solution: Solution, coefficients: Vector | None = None) -> SecondPass:
    """Return the curve and the functions that the second pass takes sums of.

    Args:
        solution: The optimum, with the functions.
        coefficients: The curve in T_k(u), shape (d + 1,); by default the optimum.
    """
    frame = solution.frame
    with precise():
        y, w = y_unit(frame), weight_unit(frame)
        first, *others = solution.fitted if coefficients is None else coefficients
        ssr = solution.ssr if coefficients is None else solution.ssr_at(coefficients)
        bound = root((ssr + solution.certainty.ssr) / (w * y * y))
        scales = [root(w / square) for square in solution.squares]
        return SecondPass(
            frame=frame,
            curve=pairs([value / y for value in (first - Decimal(frame.y_center), *others)]),
            functions=tuple(
                pairs([scale * value for value in function])
                for function, scale in zip(solution.functions, scales, strict=True)
            ),
            exponent=max(math.frexp(float(bound))[1] + 1, -900),
        )


def refine(solution: Solution, request: SecondPass, sums: Sequence[int]) -> Solution:
    """Return the solution that follows from the sums of the second pass.

    Args:
        solution: That of the first pass.
        request: The curve and the functions of the second pass.
        sums: The sums of all points, see ``loops.add_residuals``, in units of 2^-100.
    """
    count = len(request.functions)
    with precise():
        unit, residual_unit = 1 / UNIT, Decimal(2) ** request.exponent / UNIT
        totals = list(map(Decimal, sums))
        rows = [totals[j * (j + 1) // 2 :][: j + 1] for j in range(count)]
        matrix = [[unit * rows[max(i, j)][min(i, j)] for j in range(count)] for i in range(count)]
        right = [residual_unit * total for total in totals[-count - 1 : -1]]
        square = residual_unit * Decimal(2) ** request.exponent * totals[-1]
        errors = _errors(solution, request, square)
        are_nested = solution.within is None
        combinations, squares, null = orthogonalize(unit_vectors(count), matrix, errors.product, are_nested)
        if null:  # the functions of the first pass are too inaccurate for a second one
            return replace(solution, is_refined=True)
        given = [from_pairs(row) for row in request.functions]
        functions = [combine(given, step) for step in combinations]
        moved = [dot(step, right) for step in combinations]
        steps = [value / size for value, size in zip(moved, squares, strict=True)]
        y, w = y_unit(solution.frame), weight_unit(solution.frame)
        known, within = _known(solution, request, functions)
        ssr, change = square - dot(moved, steps), sum(map(abs, steps), Decimal(0))
        ssr_error = errors.ssr + 2 * change * errors.value + change * change * errors.product
        is_perfect = ssr <= ssr_error or count == solution.nobs
        return replace(
            solution,
            functions=functions,
            squares=[w * size for size in squares],
            projections=[w * y * (a * size + b) for a, size, b in zip(known, squares, moved, strict=True)],
            ssr=Decimal(0) if is_perfect else w * y * y * ssr,
            certainty=Certainty(
                growth=errors.growth,
                value=w * y * (errors.value + change * errors.product),
                product=w * errors.product,
                ssr=w * y * y * ssr_error,
            ),
            is_refined=True,
            within=within,
        )


def _known(solution: Solution, request: SecondPass, functions: Matrix) -> tuple[Vector, Within | None]:
    """Return the curve of the second pass in the new functions, in v's unit; 0 within constraints, whose base it is."""
    y, count = y_unit(solution.frame), len(functions)
    curve = from_pairs(request.curve)
    curve[0] += (Decimal(solution.frame.y_center) - solution.offset) / y
    if solution.within is not None:  # the curve meets the constraints, and only the steps are added
        return [Decimal(0)] * count, replace(solution.within, base=[y * value for value in curve])
    own = slice(int(not solution.has_intercept), int(not solution.has_intercept) + count)
    return solve_triangular([f[own] for f in functions], curve[own]), None


def _errors(solution: Solution, request: SecondPass, square: Decimal) -> Certainty:
    """Return bounds on the errors of the sums of a second pass, in the units of the frame.

    The error of a sum of products follows from the errors of their factors by Cauchy and Schwarz: if a factor has an
    error of at most e, it is ``Σ w e q ≤ e √(Σ w) √(Σ w q²)``.
    """
    rounding = Decimal(solution.nobs) / (1 << UNIT_BITS + 1)
    growth = (len(request.curve) + Decimal(request.degree) ** 2 / 4) / (1 << EVALUATED_BITS)
    weight = root(solution.matrix[0][0] / weight_unit(solution.frame))
    off = growth * max(sum(abs(Decimal(high)) for high, _ in row) for row in request.functions) * weight
    residual_off = growth * (1 + sum(abs(Decimal(high)) for high, _ in request.curve)) * weight
    scale, size = Decimal(2) ** request.exponent, root(abs(square)) + residual_off
    return Certainty(
        growth=[Decimal(1)] * len(request.functions),
        value=rounding * scale + 2 * residual_off + off * size,
        product=rounding + 3 * off,
        ssr=rounding * scale * scale + 2 * residual_off * size,
    )
