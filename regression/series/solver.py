"""From the sums of one series to its curve: the normal equations, solved in double-double numbers.

Elimination makes the functions ``T_0(u) … T_d(u)``, or x times these without a constant term, orthogonal on the points,
and takes the curve out of the values. In powers of x these functions give the standard errors, by sums of squares that
lose no digits, and the curve its coefficients.

Where the sums do not certify the last digit they are taken once more, of these functions and of the residuals: one step
of refinement (Björck, Solving linear least squares problems by Gram-Schmidt orthogonalization, BIT 7, 1967).
"""

import math
from typing import Any

from regression.kernels.compiled import loop
from regression.kernels.double_double import add, divide
from regression.kernels.fixed_point import load_total
from regression.series.equations import (
    Frame,
    Pairs,
    add_multiple,
    load_moments,
    set_basis,
    set_equations,
    set_powers,
    unit_power,
)
from regression.series.room import Model, Room

__all__ = ["prepare_residuals", "refine", "solve"]

TERM_ERROR = 2.0**-100  # of a term of a sum; three make a number of the equations, and the recurrence adds d² / 2
CERTAIN = 2.0**-57  # relative error that does not show in float64
ROUNDING = 2.0**-94  # relative error of a residual, of which nothing is left after refinement but that


@loop
def eliminate(model: Model, room: Room) -> int:
    """Take from each row of the matrix its part of the rows before, and return the rank."""
    size, matrix, rank = len(model.powers), room.matrix, 0
    for j in range(size):
        pivot = matrix[j][size - j]
        is_free = pivot[0] > room.least[j]
        rank += is_free
        if not is_free:
            pivot[0], pivot[1] = 1.0, 0.0
        reciprocal = 1 / pivot[0] if is_free else 0.0
        for i in range(j + 1, size + 1):
            own, part = matrix[j][size - i], matrix[i][size - j]
            part[0], part[1] = divide(own[0], own[1], pivot[0], pivot[1], reciprocal)
            add_multiple(matrix[j], -part[0], -part[1], size + 1 - i, matrix[i])
    return rank


@loop
def carry(inverse: float, more: int, model: Model, matrix: Any, rows: Any) -> None:
    """Make functions orthogonal as the matrix was eliminated, and add to the curve what was taken from the values.

    Args:
        inverse: What the values are to be multiplied by.
        more: How many terms the first function has beyond 1.
        model: What is fitted.
        matrix: After elimination.
        rows: The functions and the curve, in any terms.
    """
    size = len(model.powers)
    for j in range(size):
        for i in range(j + 1, size + 1):
            part, factor = matrix[i][size - j], -1.0 if i < size else inverse
            add_multiple(rows[j], factor * part[0], factor * part[1], j + 1 + more, rows[i])


@loop
def measure(inverse: float, model: Model, room: Room) -> tuple[float, float]:
    """Return the explained sum of squares, and how far sums of squares may be off for terms off by 1.

    Add to the curve's parts. The latter is ``Σ ‖f‖₁² / Σ w f²`` of the functions in T_k.
    """
    size, matrix, parts, norms, explained, spread = len(model.powers), room.matrix, room.parts, room.norms, 0.0, 0.0
    for k in range(size):
        pivot, part, norm = matrix[k][size - k][0], matrix[size][size - k][0] * inverse, 1.0
        for i in range(k):
            norm += abs(matrix[k][size - i][0]) * norms[i]
        for i in range(k + 1, size):
            part += matrix[i][size - k][0] * parts[i]
        norms[k] = norm
        parts[k] += part
        explained += pivot * parts[k] * parts[k] if k > 0 or model.powers[0] > 0 else 0.0
        spread += norm * norm / pivot
    return explained, spread


@loop
def coefficient(j: int, constant: float, model: Model, room: Room) -> tuple[float, float, float]:
    """Return a coefficient, its standard error for errors of 1, both by v and t, and the sum of its terms' sizes."""
    size, variance, terms = len(model.powers), 0.0, abs(constant)
    for k in range(j, size):
        number = room.powers[k][j][0]
        variance += number * number / room.matrix[k][size - k][0]
        terms += abs(number * room.parts[k])
    curve = room.powers[size][j]
    return add(curve[0], curve[1], constant, 0.0)[0], math.sqrt(variance), terms


@loop
def write_all(rounding: float, slack: float, found: Any, frame: Frame, model: Model, room: Room, out: Any) -> bool:
    """Write a row of ``Found.numbers``, NaN where the points leave one open; return whether coefficients are certain.

    Args:
        rounding: Relative error of a coefficient's terms, which leaves 0.
        slack: How many standard errors for errors of 1 the sums may have moved a coefficient by.
        found: Number of points, rank, ssr and explained sum of squares, by v.
        frame: Coordinates of the points.
        model: What is fitted.
        room: With the solution.
        out: Where the numbers are written.
    """
    _, power, _, y_center, y_power, sigma_power = frame
    nobs, rank, ssr, explained = found
    size, free, unit, is_certain = len(model.powers), nobs - rank, sigma_power / y_power, True
    sigma = math.sqrt(ssr / free) * unit if free > 0 else math.nan
    step = (1.0 if rank == size else math.nan) * (power if model.powers[0] > 0 else 1.0)
    spread = (1.0 if model.absolute_sigma else sigma) / sigma_power
    for j in range(size):
        value, error, terms = coefficient(j, y_center * y_power if j == 0 else 0.0, model, room)
        is_certain = is_certain and slack * error < CERTAIN * abs(value)
        out[j] = (0.0 if abs(value) < rounding * terms else value) * step / y_power
        out[size + j] = error * spread * step
        step *= power
    out[2 * size], out[2 * size + 1] = ssr * unit * unit, sigma
    out[2 * size + 2] = explained / (explained + ssr) if explained + ssr > 0 else math.nan
    out[2 * size + 3] = rank
    for k in range(2 * size + 2):
        out[k] = out[k] if abs(out[k]) < math.inf else math.nan
    return is_certain


@loop
def noise_of(nobs: float, model: Model) -> float:
    """Return how far a number of the normal equations may be off."""
    return TERM_ERROR * nobs * (3 + 0.5 * model.powers[-1] * model.powers[-1])


@loop
def solve(totals: Any, nobs: float, frame: Frame, model: Model, room: Room, out: Any) -> float:
    """Write the numbers of a series, and return what its sums may have left in ssr, or 0 if all digits are certain.

    Args:
        totals: Sums of ``add_moments``.
        nobs: Number of points.
        frame: Coordinates of the points.
        model: What is fitted.
        room: To work in.
        out: A row of ``Found.numbers``.
    """
    matrix, size = room.matrix, len(model.powers)
    load_moments(totals, frame, model, room.moments)
    set_equations(model, room)
    set_powers(frame, model, room.powers)
    square = matrix[size][0][0]
    rank = eliminate(model, room)
    carry(1.0, 0, model, matrix, room.powers)
    explained, spread = measure(1.0, model, room)
    ssr = max(matrix[size][0][0], 0.0) if nobs > rank else 0.0
    noise, wide = noise_of(nobs, model), 1 + math.sqrt(spread * square)
    error, slack = noise * wide * wide, noise * wide * math.sqrt(spread)
    is_certain = write_all(0.0, slack, (nobs, rank, ssr, explained), frame, model, room, out)
    is_certain = is_certain and noise * spread < CERTAIN and (nobs <= rank or error < CERTAIN * ssr)
    return 0.0 if is_certain or square == 0 else error


@loop
def scale_pairs(pairs: Pairs, factor: float) -> None:
    """Multiply numbers by a power of two."""
    for k in range(len(pairs)):
        pairs[k][0] *= factor
        pairs[k][1] *= factor


@loop
def prepare_residuals(error: float, frame: Frame, model: Model, room: Room) -> float:
    """Scale the functions to lengths near 1, and return what residuals are to be multiplied by.

    Args:
        error: What ``solve`` returned just before.
        frame: Coordinates of the points.
        model: What is fitted.
        room: As ``solve`` left it.
    """
    size = len(model.powers)
    set_basis(frame, model, room.basis)
    carry(1.0, len(room.basis[0]) - size, model, room.matrix, room.basis)
    for k in range(size):
        scale = unit_power(math.sqrt(room.matrix[k][size - k][0]))
        room.parts[k] /= scale
        scale_pairs(room.basis[k], scale)
        scale_pairs(room.powers[k], scale)
    return unit_power(math.sqrt(max(room.matrix[size][0][0], 0.0) + 16 * error))


@loop
def refine(
    totals: Any, error: float, zoom: float, nobs: float, frame: Frame, model: Model, room: Room, out: Any
) -> None:  # fmt: skip
    """Write the numbers of a series again, after ``solve`` and ``prepare_residuals``.

    Sums of squares are 0 where they are no more than what rounding leaves of residuals.

    Args:
        totals: Sums of ``add_residuals``.
        error: What ``solve`` returned.
        zoom: What residuals were multiplied by.
        nobs: Number of points.
        frame: Coordinates of the points.
        model: What is fitted.
        room: With the solution so far.
        out: A row of ``Found.numbers``.
    """
    size, matrix, at, inverse = len(model.powers), room.matrix, 0, 1 / zoom
    for j in range(size + 1):
        for i in range(j + 1):
            matrix[i][size - j][0], matrix[i][size - j][1] = load_total(totals[at])
            at += 1
    noise, square = noise_of(nobs, model), matrix[size][0][0] * inverse * inverse
    least = max(noise * square * (size + 1) * (size + 1), error / noise * nobs * ROUNDING * ROUNDING)
    rank = eliminate(model, room)
    carry(inverse, 0, model, matrix, room.powers)
    explained, _ = measure(inverse, model, room)
    ssr = matrix[size][0][0] * inverse * inverse
    found = nobs, rank, ssr if nobs > rank and ssr > least else 0.0, explained
    write_all(ROUNDING, 0.0, found, frame, model, room, out)
