"""Decimal numbers of 150 digits, and linear algebra with vectors and matrices of them. The standard library only."""

import math
from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from operator import mul
from typing import Any

__all__ = [
    "FEW",
    "Matrix",
    "Pair",
    "Vector",
    "combine",
    "condition_number",
    "dot",
    "finite_float",
    "from_pairs",
    "gram",
    "least_norm",
    "logarithm",
    "orthogonalize",
    "pairs",
    "precise",
    "root",
    "solve_triangular",
    "times",
    "unit_vectors",
]

DIGITS = 150  # many more than any sum has, so that linear algebra loses none of a sum's digits
FEW = Context(prec=40, Emax=10**9, Emin=-(10**9))  # for roots and logarithms, which are slow with more digits
# A row counts as dependent on the rows before it if the square of its orthogonal part is at most this many times the
# largest error that the rounding of the matrix can give to the square.
MIN_ROUNDINGS = 4

Vector = list[Decimal]
Matrix = list[Vector]
Pair = tuple[float, float]  # a double-double number


def precise() -> Any:
    """Return a context manager for decimal arithmetic of 150 digits without overflow."""
    return localcontext(Context(prec=DIGITS, Emax=10**9, Emin=-(10**9)))


def root(value: Decimal) -> Decimal:
    """Return a square root to 40 digits."""
    return FEW.sqrt(value)


def logarithm(value: Decimal) -> Decimal:
    """Return a natural logarithm to 40 digits."""
    return FEW.ln(value)


def finite_float(value: Decimal | float | None) -> float | None:
    """Return a number as float64, ``None`` if it is beyond the range of float64."""
    return None if value is None or not math.isfinite(float(value)) else float(value)


def pairs(values: Sequence[Decimal]) -> tuple[Pair, ...]:
    """Return decimal numbers as double-double numbers, the inverse of ``from_pairs``."""
    highs = [float(value) for value in values]
    return tuple((high, float(value - Decimal(high))) for high, value in zip(highs, values, strict=True))


def from_pairs(pairs: Sequence[Pair]) -> Vector:
    """Return double-double numbers as decimal numbers."""
    return [Decimal(high) + Decimal(low) for high, low in pairs]


def solve_triangular(rows: Matrix, target: Sequence[Decimal]) -> Vector:
    """Return the c for which ``Σ c_k rows_k = target``, where row k ends at position k."""
    rest, result = list(target), [Decimal(0)] * len(rows)
    for k in reversed(range(len(rows))):
        result[k] = rest[k] / rows[k][k]
        rest = [value - result[k] * part for value, part in zip(rest, rows[k], strict=True)]
    return result


def dot(a: Sequence[Decimal], b: Sequence[Decimal]) -> Decimal:
    """Return ``Σ a_k b_k``."""
    return sum(map(mul, a, b), Decimal(0))


def times(matrix: Matrix, vector: Sequence[Decimal]) -> Vector:
    """Return the product of a matrix and a vector."""
    return [dot(row, vector) for row in matrix]


def gram(matrix: Matrix, rows: Matrix) -> Matrix:
    """Return ``aᵀ M b`` for every two of the rows a and b."""
    images = [times(matrix, row) for row in rows]
    return [[dot(row, image) for image in images] for row in rows]


def combine(rows: Matrix, weights: Sequence[Decimal]) -> Vector:
    """Return ``Σ weights_k rows_k``."""
    return [dot(column, weights) for column in zip(*rows, strict=True)]


def unit_vectors(size: int) -> Matrix:
    """Return the unit vectors."""
    return [[Decimal(int(i == j)) for j in range(size)] for i in range(size)]


def orthogonalize(
    rows: Matrix, matrix: Matrix, noise: Decimal, are_nested: bool = True
) -> tuple[Matrix, Vector, Matrix]:
    """Return orthogonal functions, their squares, and functions that count as 0, by the Gram-Schmidt method.

    A function counts as 0 if its square is no larger than rounding of the matrix can make it. If a power of x depends
    on the powers before it, so do all powers that follow.

    Args:
        rows: Coefficients of functions f in a basis, shape (J, K).
        matrix: Sums of products of the functions of the basis, shape (K, K).
        noise: Largest error of an entry of the matrix.
        are_nested: Whether the functions f are consecutive powers.
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
        if (are_nested and null) or left <= MIN_ROUNDINGS * noise * size * size:
            null.append(rest)
        else:
            functions.append(rest)
            squares.append(left)
    return functions, squares, null


def least_norm(particular: Vector, null: Matrix, powers: Matrix) -> Vector:
    """Return the solution with the least norm in powers of x, from one solution and a basis of the null space."""
    params = solve_triangular(powers, particular)
    directions = [solve_triangular(powers, vector) for vector in null]
    units = unit_vectors(len(null))
    steps, squares, _ = orthogonalize(units, [[dot(a, b) for b in directions] for a in directions], Decimal(0))
    result = particular
    for step, square in zip(steps, squares, strict=True):
        share = dot(params, combine(directions, step)) / square
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
