"""A second pass over the points: which sums it takes, and the solution that follows from them.

Where the sums of the first pass leave fewer digits of a solution than float64 shows, the residuals ``r = y - f(x)`` of
that solution and its orthogonal functions q_j are evaluated at the points in double-double. The sums of ``w q_i q_j``,
``w r q_j`` and ``w r²`` give the error of the first solution, for a condition of about 1 (Björck, Solving linear least
squares problems by Gram-Schmidt orthogonalization, BIT 7, 1967). The standard library only.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from regression.common.fixed_point import UNIT_BITS
from regression.curves.change_of_basis import u_in_powers
from regression.curves.decimals import Vector, combine, dot, precise, root, solve_triangular
from regression.fits.solver import UNIT, Certainty, Solution, orthogonalize, unit_vectors, weight_unit, y_unit
from regression.moments.second_pass import Pair, SecondPass, pairs

__all__ = ["SHOWN_DIGITS", "certain_digits", "is_certain", "refined", "second_pass", "without_noise"]

SHOWN_DIGITS = 52 * math.log10(2)  # less than 2^-52 of a number is at most a unit of its last place
FEW_BITS = 80  # an error of a coefficient below 2^-80 of its standard error does not matter
EVALUATED_BITS = 103  # to which a sum of few products of double-double numbers is good


def is_certain(solution: Solution) -> bool:
    """Tell whether coefficients, errors and residuals are as good as float64 shows them, or cannot be improved."""
    return solution.rank == 0 or min(certain_digits(solution).values()) >= SHOWN_DIGITS


def certain_digits(solution: Solution) -> dict[str, float]:
    """Return how many digits are certain of the worst coefficient, of the worst standard error, and of ``ssr``."""
    with precise():
        rows = u_in_powers(solution.frame, solution.degree)
        free = range(len(rows) - solution.columns, len(rows))
        functionals = [[row[k] for row in rows] for k in free]
        params, cov = combine(rows, solution.fitted), solution.covariance_in(rows)
        spread = solution.ssr / max(solution.nobs - solution.rank, 1)
        found, errors = [], []
        for k, functional in zip(free, functionals, strict=True):
            error, cov_error = solution.errors_of(functional)
            if cov is not None:
                is_small = error * error < spread * cov[k][k] / (1 << 2 * FEW_BITS)
                is_zero = abs(params[k]) <= error and solution.is_refined
                found.append(math.inf if is_small or is_zero else _digits(params[k], error))
                errors.append(_digits(2 * cov[k][k], cov_error))
        if solution.nobs == solution.rank or (solution.is_refined and solution.ssr == 0):
            return {"coefficients": min(found, default=math.inf)}  # errors are unknown, or 0
        residuals = _digits(solution.ssr, solution.certainty.ssr)
    return {
        "coefficients": min(found, default=math.inf),
        "errors": min(errors, default=math.inf),
        "residuals": residuals,
    }


def without_noise(params: Vector, rows: Sequence[Vector], solution: Solution) -> Vector:
    """Return coefficients in powers of x, 0 for those that the sums cannot tell from 0.

    Args:
        params: Coefficients in ascending powers of x; the last one is that of x^d.
        rows: T_0(u) … T_d(u) in powers of x, a row for each, shape (d + 1, d + 1).
        solution: The optimum.
    """
    free = range(len(rows) - len(params), len(rows))
    errors = [solution.errors_of([row[k] for row in rows])[0] for k in free]
    return [Decimal(0) if abs(value) <= error else value for value, error in zip(params, errors, strict=True)]


def _digits(value: Decimal, error: Decimal) -> float:
    if not error:
        return math.inf
    return float((abs(value) / error).log10()) if value else -math.inf


def second_pass(solution: Solution) -> SecondPass:
    """Return what to take the sums of."""
    frame = solution.frame
    with precise():
        y, w = y_unit(frame), weight_unit(frame)
        first, *others = solution.fitted
        bound = root((solution.ssr + solution.certainty.ssr) / (w * y * y))
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


def _numbers(given: Sequence[Pair]) -> Vector:
    return [Decimal(high) + Decimal(low) for high, low in given]


def refined(solution: Solution, request: SecondPass, sums: Sequence[int]) -> Solution:
    """Return the solution that follows from the sums of the second pass.

    Args:
        solution: That of the first pass.
        request: What the sums are of.
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
        combinations, squares, null = orthogonalize(unit_vectors(count), matrix, errors.product)
        if null:  # the first pass did not know the functions well enough for a second one to build on them
            return replace(solution, is_refined=True)
        given = [_numbers(row) for row in request.functions]
        functions = [combine(given, step) for step in combinations]
        moved = [dot(step, right) for step in combinations]
        steps = [value / size for value, size in zip(moved, squares, strict=True)]
        y, w = y_unit(solution.frame), weight_unit(solution.frame)
        skipped = int(not solution.has_intercept)
        curve = _numbers(request.curve)
        curve[0] += (Decimal(solution.frame.y_center) - solution.offset) / y
        known = solve_triangular([f[skipped : skipped + count] for f in functions], curve[skipped : skipped + count])
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
        )


def _errors(solution: Solution, request: SecondPass, square: Decimal) -> Certainty:
    """Return how far the sums of a second pass may be off, in the units of the frame.

    The error of a product's sum follows from those of its factors by Cauchy and Schwarz: with a factor that is off by e
    at most it is ``Σ w e q ≤ e √(Σ w) √(Σ w q²)``.
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
