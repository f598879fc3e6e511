"""The curves as plain ``nn.Module``s that start from zeros: parameters and a forward pass, nothing else."""

import torch
from torch import Tensor, nn

from regression.basis import design
from regression.errors import UsageError

__all__ = ["Line", "Polynomial"]

MAX_DEGREE = 1000


class Polynomial(nn.Module):
    """A polynomial ``f(x) = c0 + c1 x + … + cK-1 x^(K-1)`` with K = degree + 1 coefficients.

    Args:
        degree: Highest power of x. Degree 4 has five coefficients.

    Attributes:
        coefficients: The parameter c, shape (K,), ascending powers of x, zeros at first.

    Raises:
        UsageError: If the degree is not a whole number from 0 to 1000.
    """

    def __init__(self, degree: int) -> None:
        super().__init__()
        if isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree <= MAX_DEGREE:
            raise UsageError(f"degree must be a whole number from 0 to {MAX_DEGREE}, got {degree!r}")
        self.coefficients = nn.Parameter(torch.zeros(degree + 1))

    @property
    def degree(self) -> int:
        """The highest power of x."""
        return len(self.coefficients) - 1

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficients' names, in the order of the parameter."""
        return tuple(f"c{k}" for k in range(len(self.coefficients)))

    def design(self, x: Tensor) -> Tensor:
        """Return the matrix A, shape (N, K), for which ``forward(x) = A @ coefficients``."""
        return design(x, self.degree)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (N,), for points x of shape (N,)."""
        return self.design(x) @ self.coefficients


class Line(Polynomial):
    """A line ``f(x) = intercept + slope x``: the polynomial of degree 1, with names of its own."""

    def __init__(self) -> None:
        super().__init__(degree=1)

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficients' names, in the order of the parameter."""
        return ("intercept", "slope")

    @property
    def intercept(self) -> Tensor:
        """The value at x = 0."""
        return self.coefficients[0]

    @property
    def slope(self) -> Tensor:
        """The change of f per unit of x."""
        return self.coefficients[1]
