"""Line and polynomial as plain ``nn.Module``s: parameters, zero at first, and a forward pass."""

from typing import Any

import torch
from torch import Tensor, nn

from regression.common.errors import UsageError
from regression.common.rules import BOOLEAN, RANGE, require_option, whole
from regression.curves.basis import Basis, design, require_basis

__all__ = ["Line", "Polynomial", "power_of"]

MAX_DEGREE = 60  # above it the sums determine no digit of a coefficient, even of equally spaced points in [−1, 1]


def power_of(name: str) -> int | None:
    """Return the power of x of a coefficient's name, ``None`` if the text is not such a name."""
    if name in ("intercept", "slope"):
        return int(name == "slope")
    return int(name[1:]) if name[:1] == "c" and name[1:].isdecimal() else None


class Polynomial(nn.Module):
    """A polynomial ``f(x) = Σ a_k φ_k(t)`` with K = degree + 1 coefficients, where t is x or x mapped to [−1, 1].

    Without an intercept the functions are ``t φ_0(t) … t φ_{d-1}(t)``, and the domain is symmetric about 0.

    Args:
        degree: Highest power of x. Degree 4 has five coefficients.
        basis: The functions φ: powers of t, or Chebyshev or Legendre polynomials.
        domain: Interval of x that is mapped to [−1, 1]; ``None`` for raw x.
        fit_intercept: Whether there is a constant term.

    Attributes:
        coefficients: The parameter a, shape (K,), zeros at first.
        domain: The interval; the ``state_dict`` contains it.

    Raises:
        UsageError: If the degree is not a whole number from 0 to 60, or the domain is not an interval.
    """

    def __init__(
        self,
        degree: int,
        basis: Basis = "power",
        domain: tuple[float, float] | None = None,
        fit_intercept: bool = True,
    ) -> None:
        super().__init__()
        require_option("degree", degree, whole(0, MAX_DEGREE))
        require_option("fit_intercept", fit_intercept, BOOLEAN)
        require_basis(basis)
        if not fit_intercept and degree == 0:
            raise UsageError("degree 0 without an intercept leaves nothing to fit: use degree 1 or more")
        self.degree, self.basis, self.fit_intercept = int(degree), basis, bool(fit_intercept)
        self.coefficients = nn.Parameter(torch.zeros(degree + fit_intercept))
        self.domain: tuple[float, float] | None = None
        if domain is not None:
            self.set_domain(*domain)

    def set_domain(self, low: float, high: float) -> None:
        """Map the interval from low to high to [−1, 1]; without an intercept, the smallest symmetric one around it."""
        require_option("domain", (low, high), RANGE)
        if not self.fit_intercept:
            high = max(abs(low), abs(high))
            low = -high
        if low == high:  # all x are equal: any scale serves
            low, high = low - max(1.0, abs(low)), high + max(1.0, abs(high))
        self.domain = (float(low), float(high))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coefficients in ascending powers of x."""
        return tuple(f"c{k}" for k in self.powers)

    @property
    def powers(self) -> tuple[int, ...]:
        """The powers of x that have coefficients."""
        return tuple(range(1 - self.fit_intercept, self.degree + 1))

    def design(self, x: Tensor) -> Tensor:
        """Return the matrix A, shape (N, K), for which ``forward(x) = A @ coefficients``, in the parameter's dtype."""
        if self.domain is not None:
            low, high = self.domain
            x = (x - (low / 2 + high / 2)) / (high / 2 - low / 2)  # in x's dtype, whose precision may be higher
        t = x.to(self.coefficients.dtype)
        if self.fit_intercept:
            return design(t, self.degree, self.basis)
        return t[:, None] * design(t, self.degree - 1, self.basis)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (N,), for points x of shape (N,)."""
        return self.design(x) @ self.coefficients

    def get_extra_state(self) -> dict[str, Any]:
        """Return what the ``state_dict`` contains besides the parameter."""
        return {"domain": self.domain}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the domain from a ``state_dict``."""
        self.domain = None if state["domain"] is None else tuple(state["domain"])


class Line(Polynomial):
    """A line ``f(x) = intercept + slope x``: the polynomial of degree 1, with its own names of coefficients.

    Args:
        domain: Interval of x that is mapped to [−1, 1]; ``None`` for raw x.
        fit_intercept: Whether there is an intercept; without it the line goes through the origin.
    """

    def __init__(self, domain: tuple[float, float] | None = None, fit_intercept: bool = True) -> None:
        super().__init__(1, "power", domain, fit_intercept)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coefficients in ascending powers of x."""
        return ("intercept", "slope") if self.fit_intercept else ("slope",)

    @property
    def slope(self) -> Tensor:
        """The change of f per unit of x."""
        low, high = self.domain or (-1.0, 1.0)
        return self.coefficients[-1] / (high / 2 - low / 2)

    @property
    def intercept(self) -> Tensor:
        """The value at x = 0."""
        value: Tensor = self(torch.zeros(1, dtype=self.coefficients.dtype, device=self.coefficients.device))[0]
        return value
