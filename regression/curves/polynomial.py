"""Line and polynomial as plain ``nn.Module``s: parameters, zero at first, and a forward pass."""

from decimal import Decimal
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from regression.common.errors import UsageError
from regression.common.rules import BOOLEAN, RANGE, require_option, whole
from regression.curves.basis import MAX_DEGREE, Basis, design, require_basis
from regression.curves.constraints import Constraints, Family
from regression.curves.decimals import precise

__all__ = ["Line", "Polynomial"]

CACHED_FAMILIES = 64  # of curves within constraints, each of which takes some milliseconds to compute


class Polynomial(nn.Module):
    """A polynomial ``f(x) = Σ a_k φ_k(t)`` with K = degree + 1 coefficients, where t is x or x mapped to [−1, 1].

    Without an intercept the functions are ``t φ_0(t) … t φ_{d-1}(t)``, and the domain is symmetric about 0. Within
    constraints the parameter has one number for each free coefficient; see ``constrain``.

    Args:
        degree: Highest power of x. Degree 4 has five coefficients.
        basis: The functions φ: powers of t, or Chebyshev or Legendre polynomials.
        domain: Interval of x that is mapped to [−1, 1]; ``None`` for raw x.
        fit_intercept: Whether there is a constant term.

    Attributes:
        coefficients: The parameter, shape (K,), zeros at first: a, unless there are constraints.
        constraints: The constraints on the curve, ``None`` without any.
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
        self.constraints: Constraints | None = None
        self.coefficients = nn.Parameter(torch.zeros(degree + fit_intercept))
        self.domain: tuple[float, float] | None = None
        if domain is not None:
            self.set_domain(*domain)

    def constrain(self, constraints: Constraints | None) -> None:
        """Restrict the curve to those that meet constraints, if there are any; every value of the parameter then does.

        These curves are ``a = base + Σ z_j free_j``, and the parameter is z. The rows ``free`` are orthonormal, so that
        a step of gradient descent is the projection of one of a. The degree is that of the highest power.
        """
        if constraints is None:
            return
        self.constraints, self.degree = constraints, constraints.degree
        self.fit_intercept = 0 in constraints.powers
        self.coefficients = nn.Parameter(torch.zeros(constraints.freedom, dtype=self.coefficients.dtype))

    @property
    def has_constant(self) -> bool:
        """Whether ``φ_0 = 1`` is among the functions; constraints may still exclude a constant term."""
        return self.fit_intercept or self.constraints is not None

    def set_domain(self, low: float, high: float) -> None:
        """Map the interval from low to high to [−1, 1]; without an intercept, the smallest symmetric one around it."""
        require_option("domain", (low, high), RANGE)
        if not self.has_constant:
            high = max(abs(low), abs(high))
            low = -high
        if low == high:  # all x are equal: any scale serves
            low, high = low - max(1.0, abs(low)), high + max(1.0, abs(high))
        self.domain = (float(low), float(high))

    def center_and_scale(self) -> tuple[Decimal, Decimal]:
        """Return center and scale of ``x = center + scale t``."""
        low, high = map(Decimal, self.domain or (-1, 1))
        with precise():
            return (low + high) / 2, (high - low) / 2 or Decimal(1)

    @property
    def family(self) -> Family | None:
        """The curves that meet the constraints, in the functions φ, ``None`` without constraints."""
        return None if (known := self._curves) is None else known[0]

    @property
    def _curves(self) -> tuple[Family, Tensor, Tensor] | None:
        if self.constraints is None:
            return None
        return _curves(self.constraints, self.basis, *self.center_and_scale())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coefficients in ascending powers of x."""
        return tuple(f"c{k}" for k in self.powers)

    @property
    def powers(self) -> tuple[int, ...]:
        """The powers of x that have coefficients."""
        own = tuple(range(1 - self.fit_intercept, self.degree + 1))
        return own if self.constraints is None else self.constraints.powers

    @property
    def expanded(self) -> Tensor:
        """The coefficients a of the functions φ, which are the parameter itself without constraints."""
        if (known := self._curves) is None:
            return self.coefficients
        base, free = (numbers.to(self.coefficients.device) for numbers in known[1:])
        return (base + self.coefficients.double() @ free).to(self.coefficients.dtype)

    def design(self, x: Tensor) -> Tensor:
        """Return the matrix A, with a column for each function φ, in the parameter's dtype: ``f(x) = A a``."""
        if self.domain is not None:
            low, high = self.domain
            x = (x - (low / 2 + high / 2)) / (high / 2 - low / 2)  # in x's dtype, whose precision may be higher
        t = x.to(self.coefficients.dtype)
        if self.has_constant:
            return design(t, self.degree, self.basis)
        return t[:, None] * design(t, self.degree - 1, self.basis)

    def linear(self, x: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return a matrix, shape (N, K), and values, shape (N,) or 0: ``f(x) = matrix @ coefficients + values``."""
        matrix = self.design(x)
        if (known := self._curves) is None:
            return matrix, 0.0
        base, free = (numbers.to(matrix) for numbers in known[1:])
        return matrix @ free.T, matrix @ base

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (N,), for points x of shape (N,)."""
        return self.design(x) @ self.expanded

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
        return tuple(("intercept", "slope")[power] for power in self.powers)

    @property
    def slope(self) -> Tensor:
        """The change of f per unit of x."""
        low, high = self.domain or (-1.0, 1.0)
        return self.expanded[-1] / (high / 2 - low / 2)

    @property
    def intercept(self) -> Tensor:
        """The value at x = 0."""
        value: Tensor = self(torch.zeros(1, dtype=self.coefficients.dtype, device=self.coefficients.device))[0]
        return value


@lru_cache(maxsize=CACHED_FAMILIES)
def _curves(constraints: Constraints, basis: str, center: Decimal, scale: Decimal) -> tuple[Family, Tensor, Tensor]:
    """Return the curves that meet constraints, also as float64 tensors of shapes (d + 1,) and (K, d + 1)."""
    with precise(), torch.inference_mode(False):  # tensors made during a validation could not be used in training
        family = constraints.family(basis, center, scale).orthonormal()
        base, *free = (torch.tensor(list(map(float, row)), dtype=torch.float64) for row in (family.base, *family.free))
        return family, base, torch.stack(free)
