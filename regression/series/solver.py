"""From the sums of one series to its curve: the normal equations, solved in double-double numbers.

Elimination makes the functions ``T_0(u) … T_d(u)``, or x times these if there is no constant term, orthogonal on the
points, and subtracts the curve from the values. In powers of x, these functions give the standard errors as sums of
squares, which lose no digits, and the curve gives the coefficients.

Where the sums do not certify the last digit, a second pass takes the sums of products with the residuals: one step of
refinement (Björck, Solving linear least squares problems by Gram-Schmidt orthogonalization, BIT 7, 1967).
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
from regression.series.workspace import Model, Workspace

__all__ = ["prepare_residuals", "refine", "solve"]

TERM_ERROR = 2.0**-100  # of a term; an entry of the equations has three terms, and the recurrence adds d² / 2
CERTAIN = 2.0**-57  # relative error that does not show in float64
ROUNDING = 2.0**-94  # relative rounding error of a residual, the only error that is left after refinement


@loop
def eliminate(model: Model, workspace: Workspace) -> int:
    """Subtract from each row of the matrix its projections on the rows before, and return the rank."""
    size, matrix, rank = len(model.powers), workspace.matrix, 0
    for j in range(size):
        pivot = matrix[j][size - j]
        is_free = pivot[0] > workspace.thresholds[j]
        rank += is_free
        if not is_free:
            pivot[0], pivot[1] = 1.0, 0.0
        reciprocal = 1 / pivot[0] if is_free else 0.0
        for i in range(j + 1, size + 1):
            product, share = matrix[j][size - i], matrix[i][size - j]
            share[0], share[1] = divide(product[0], product[1], pivot[0], pivot[1], reciprocal)
            add_multiple(matrix[j], -share[0], -share[1], size + 1 - i, matrix[i])
    return rank


@loop
def orthogonalize_rows(inverse: float, more: int, model: Model, matrix: Any, rows: Any) -> None:
    """Apply the elimination to the functions, which become orthogonal, and add to the curve what was subtracted from v.

    Args:
        inverse: Factor of the values v.
        more: Number of terms of the first function, less 1.
        model: The model.
        matrix: The matrix after elimination.
        rows: Coefficients of the functions and of the curve, in any basis.
    """
    size = len(model.powers)
    for j in range(size):
        for i in range(j + 1, size + 1):
            share, factor = matrix[i][size - j], -1.0 if i < size else inverse
            add_multiple(rows[j], factor * share[0], factor * share[1], j + 1 + more, rows[i])


@loop
def measure(inverse: float, model: Model, workspace: Workspace) -> tuple[float, float]:
    """Update the curve's coefficients; return the explained sum of squares, and a bound on the effect of errors.

    The bound is ``Σ ‖f‖₁² / Σ w f²`` over the functions f in T_k: how far sums of squares are off for terms off by 1.
    """
    size, matrix, explained, spread = len(model.powers), workspace.matrix, 0.0, 0.0
    coefficients, norms = workspace.coefficients, workspace.norms
    for k in range(size):
        pivot, step, norm = matrix[k][size - k][0], matrix[size][size - k][0] * inverse, 1.0
        for i in range(k):
            norm += abs(matrix[k][size - i][0]) * norms[i]
        for i in range(k + 1, size):
            step += matrix[i][size - k][0] * coefficients[i]
        norms[k] = norm
        coefficients[k] += step
        explained += pivot * coefficients[k] * coefficients[k] if k > 0 or model.powers[0] > 0 else 0.0
        spread += norm * norm / pivot
    return explained, spread


@loop
def read_coefficient(j: int, constant: float, model: Model, workspace: Workspace) -> tuple[float, float, float]:
    """Return a coefficient of v in powers of t, its standard error for errors of 1, and the sum of its terms' sizes."""
    size, variance, terms = len(model.powers), 0.0, abs(constant)
    for k in range(j, size):
        number = workspace.powers[k][j][0]
        variance += number * number / workspace.matrix[k][size - k][0]
        terms += abs(number * workspace.coefficients[k])
    curve = workspace.powers[size][j]
    return add(curve[0], curve[1], constant, 0.0)[0], math.sqrt(variance), terms


@loop
def write_numbers(
    rounding: float, slack: float, facts: Any, frame: Frame, model: Model, workspace: Workspace, out: Any
) -> bool:
    """Write a row of ``SeriesTable.numbers``, NaN for what is undetermined; return whether coefficients are certain.

    Args:
        rounding: Relative rounding error of a coefficient's terms; a smaller coefficient is written as 0.
        slack: Largest error of a coefficient, in units of its standard error for errors of 1.
        facts: Number of points, rank, ssr and explained sum of squares of v.
        frame: Coordinates of the points.
        model: The model.
        workspace: The solution.
        out: The row.
    """
    _, power, _, y_center, y_power, sigma_power = frame
    nobs, rank, ssr, explained = facts
    size, free, unit, is_certain = len(model.powers), nobs - rank, sigma_power / y_power, True
    sigma = math.sqrt(ssr / free) * unit if free > 0 else math.nan
    step = (1.0 if rank == size else math.nan) * (power if model.powers[0] > 0 else 1.0)
    spread = (1.0 if model.absolute_sigma else sigma) / sigma_power
    for j in range(size):
        value, error, terms = read_coefficient(j, y_center * y_power if j == 0 else 0.0, model, workspace)
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
def equation_noise(nobs: float, model: Model) -> float:
    """Return the largest error of an entry of the normal equations."""
    return TERM_ERROR * nobs * (3 + 0.5 * model.powers[-1] * model.powers[-1])


@loop
def solve(totals: Any, nobs: float, frame: Frame, model: Model, workspace: Workspace, out: Any) -> float:
    """Write the numbers of a series, and return the largest error of ssr, or 0 if all digits are certain.

    Args:
        totals: Sums of ``add_moments``.
        nobs: Number of points.
        frame: Coordinates of the points.
        model: The model.
        workspace: Memory, which holds the solution afterwards.
        out: The row of ``SeriesTable.numbers``.
    """
    matrix, size = workspace.matrix, len(model.powers)
    load_moments(totals, frame, model, workspace.moments)
    set_equations(model, workspace)
    set_powers(frame, model, workspace.powers)
    square = matrix[size][0][0]
    rank = eliminate(model, workspace)
    orthogonalize_rows(1.0, 0, model, matrix, workspace.powers)
    explained, spread = measure(1.0, model, workspace)
    ssr = max(matrix[size][0][0], 0.0) if nobs > rank else 0.0
    noise, wide = equation_noise(nobs, model), 1 + math.sqrt(spread * square)
    error, slack = noise * wide * wide, noise * wide * math.sqrt(spread)
    is_certain = write_numbers(0.0, slack, (nobs, rank, ssr, explained), frame, model, workspace, out)
    is_certain = is_certain and noise * spread < CERTAIN and (nobs <= rank or error < CERTAIN * ssr)
    return 0.0 if is_certain or square == 0 else error


@loop
def scale_pairs(pairs: Pairs, factor: float) -> None:
    """Multiply numbers by a power of two."""
    for k in range(len(pairs)):
        pairs[k][0] *= factor
        pairs[k][1] *= factor


@loop
def prepare_residuals(error: float, frame: Frame, model: Model, workspace: Workspace) -> float:
    """Scale the functions to lengths near 1, and return the factor for the residuals.

    Args:
        error: The result of ``solve``, called just before.
        frame: Coordinates of the points.
        model: The model.
        workspace: The solution by ``solve``.
    """
    size = len(model.powers)
    set_basis(frame, model, workspace.basis)
    orthogonalize_rows(1.0, len(workspace.basis[0]) - size, model, workspace.matrix, workspace.basis)
    for k in range(size):
        scale = unit_power(math.sqrt(workspace.matrix[k][size - k][0]))
        workspace.coefficients[k] /= scale
        scale_pairs(workspace.basis[k], scale)
        scale_pairs(workspace.powers[k], scale)
    return unit_power(math.sqrt(max(workspace.matrix[size][0][0], 0.0) + 16 * error))


@loop
def refine(
    totals: Any, error: float, factor: float, nobs: float, frame: Frame, model: Model, workspace: Workspace, out: Any
) -> None:  # fmt: skip
    """Write the numbers of a series again, after ``solve`` and ``prepare_residuals``.

    Sums of squares are 0 if they are no more than the rounding errors of residuals.

    Args:
        totals: Sums of ``add_residuals``.
        error: The result of ``solve``.
        factor: The result of ``prepare_residuals``.
        nobs: Number of points.
        frame: Coordinates of the points.
        model: The model.
        workspace: The solution so far.
        out: The row of ``SeriesTable.numbers``.
    """
    size, matrix, pair, inverse = len(model.powers), workspace.matrix, 0, 1 / factor
    for j in range(size + 1):
        for i in range(j + 1):
            matrix[i][size - j][0], matrix[i][size - j][1] = load_total(totals[pair])
            pair += 1
    noise, square = equation_noise(nobs, model), matrix[size][0][0] * inverse * inverse
    least = max(noise * square * (size + 1) * (size + 1), error / noise * nobs * ROUNDING * ROUNDING)
    rank = eliminate(model, workspace)
    orthogonalize_rows(inverse, 0, model, matrix, workspace.powers)
    explained, _ = measure(inverse, model, workspace)
    ssr = matrix[size][0][0] * inverse * inverse
    facts = nobs, rank, ssr if nobs > rank and ssr > least else 0.0, explained
    write_numbers(ROUNDING, 0.0, facts, frame, model, workspace, out)
