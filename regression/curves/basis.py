"""Basis functions: from x to the columns of the design matrix, by one recurrence."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from regression.common.errors import UsageError

__all__ = ["MAX_DEGREE", "RECURRENCES", "Basis", "design", "polynomial", "recur", "require_basis"]

MAX_DEGREE = 60  # above it the sums determine no digit of a coefficient, even of equally spaced points in [−1, 1]

# A basis is a row: for each k the numbers a, c, d of ``φ_{k+1} = (a t φ_k − c φ_{k-1}) / d``, with φ_0 = 1 and
# φ_{-1} = 0. They are whole numbers, because exact changes of basis use the table with decimals. A recurrence with a
# constant beside t, such as Laguerre's, does not fit into a row.
RECURRENCES: dict[str, Callable[[int], tuple[int, int, int]]] = {
    "power": lambda _: (1, 0, 1),
    "chebyshev": lambda k: (2 if k else 1, 1, 1),
    "legendre": lambda k: (2 * k + 1, k, k + 1),
}

if TYPE_CHECKING:
    Basis = str
else:
    Basis = Literal[tuple(RECURRENCES)]  # the command's parser and --help read the words from this type


def require_basis(basis: str) -> None:
    """Refuse a basis that is not in the table."""
    if basis not in RECURRENCES:
        raise UsageError(f"basis must be one of {', '.join(RECURRENCES)}, got {basis!r}")


def recur(first: Any, times_argument: Callable[[Any], Any], degree: int, basis: str) -> list[Any]:
    """Return φ_0 … φ_d of a basis; a function is represented by its values at points, or by its coefficients.

    Args:
        first: φ_0 = 1, as a tensor or an array.
        times_argument: Multiplies a function by t.
        degree: Highest degree d.
        basis: A word of ``RECURRENCES``.

    Raises:
        UsageError: If there is no such basis.
    """
    require_basis(basis)
    found = [first]
    for k in range(degree):
        a, c, d = RECURRENCES[basis](k)
        following = _multiply(a, times_argument(found[k]))
        if k and c:
            following = following - _multiply(c, found[k - 1])
        found.append(following / d if d != 1 else following)
    return found


def _multiply(factor: int, value: Any) -> Any:
    return value if factor == 1 else factor * value


def design(t: Tensor, degree: int, basis: str = "power") -> Tensor:
    """Return the design matrix whose column k holds the k-th function of a basis.

    ``A[n, k] = φ_k(t[n])`` for k = 0 … degree. Equivalent to ``polyvander``, ``chebvander`` and ``legvander`` of
    numpy.polynomial.

    Args:
        t: Points, shape (N,); for the orthogonal polynomials best in [−1, 1].
        degree: Highest degree, at least 0.
        basis: ``power``, ``chebyshev`` or ``legendre``.

    Returns:
        Matrix of shape (N, degree + 1), in the dtype and on the device of t.
    """
    # The rounding error of a power grows with each factor, so powers are computed in float64.
    argument = t.double() if basis == "power" else t
    columns = recur(torch.ones_like(argument), argument.mul, degree, basis)
    # The numbers of a column are contiguous in memory, which makes this and products with the matrix faster.
    return torch.stack([column.to(t.dtype) for column in columns]).T


def polynomial(params: Sequence[float], x: Tensor) -> Tensor:
    """Return ``c0 + c1 x + … `` in float64 by Horner's rule, as ``numpy.polynomial.polynomial.polyval(x, params)``.

    Args:
        params: Coefficients c in ascending powers of x.
        x: Points, shape (N,).

    Returns:
        Values, shape (N,).
    """
    points = x.double()
    result = torch.zeros_like(points)
    for coefficient in reversed(params):
        result = result * points + coefficient
    return result
