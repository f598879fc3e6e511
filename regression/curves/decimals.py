"""Decimal numbers of 150 digits, and vectors and matrices of them. The standard library only."""

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from operator import mul
from typing import Any

__all__ = [
    "FEW",
    "Matrix",
    "Vector",
    "combine",
    "dot",
    "gram",
    "logarithm",
    "precise",
    "root",
    "solve_triangular",
    "times",
]

DIGITS = 150
FEW = Context(prec=40, Emax=10**9, Emin=-(10**9))  # for what is rounded to float64 next: roots take long

Vector = list[Decimal]
Matrix = list[Vector]


def precise() -> Any:
    """Return a context manager for decimal arithmetic of 150 digits without overflow."""
    return localcontext(Context(prec=DIGITS, Emax=10**9, Emin=-(10**9)))


def root(value: Decimal) -> Decimal:
    """Return a square root to 40 digits."""
    return FEW.sqrt(value)


def logarithm(value: Decimal) -> float:
    """Return a natural logarithm."""
    return float(FEW.ln(value))


def solve_triangular(rows: Matrix, target: Sequence[Decimal]) -> Vector:
    """Return c of ``Σ c_k rows_k = target`` where row k ends at position k."""
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
