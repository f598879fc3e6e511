"""Moments: the sums over points that determine the least-squares polynomial, taken in one pass.

A polynomial fit needs the sums ``S_k = Σ w T_k(u)`` for k = 0 … 2 d and ``B_k = Σ w T_k(u) v`` for k = 0 … d, as
``T_i T_j = (T_{i+j} + T_{|i-j|}) / 2``. Their terms are double-double numbers, rounded to multiples of 2^-100 and
summed as whole numbers. So the result is the same, bit for bit, for every order of the rows, every batch size and every
number of threads, processes and devices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from regression.common.collectives import all_sum, rank_and_size
from regression.common.rules import NUMBER, POSITIVE, require_stored, whole
from regression.curves.frame import Frame
from regression.kernels.fixed_point import UNIT_BITS
from regression.moments.loops import LOGARITHM_UNIT
from regression.moments.older import older_moments

__all__ = ["Moments", "reduced"]

LIMB_BITS, LIMBS = 32, 8  # size and number of the parts of a whole number that is sent between processes
EXPONENT = whole(-2200, 2200)
FRAME = {
    **dict.fromkeys(("center", "y_center", "low", "high"), NUMBER),
    **dict.fromkeys(("exponent", "y_exponent", "sigma_exponent"), EXPONENT),
    "stretch": POSITIVE,
}
MOMENTS = {"degree": whole(), "nobs": whole(1), "term_bits": whole(1, UNIT_BITS)}


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of points ``(x, y[, sigma])`` for polynomials up to a degree.

    Attributes:
        frame: Coordinates u, v and weights in which the sums are taken.
        degree: Highest degree of the polynomials.
        nobs: Number of points N.
        sums: Whole numbers in units of 2^-100: S_0 … S_2d, B_0 … B_d, ``Σ w v²``, ``Σ log w``.
        term_bits: Terms are rounded to multiples of 2^-term_bits.
    """

    frame: Frame
    degree: int
    nobs: int
    sums: tuple[int, ...]
    term_bits: int = UNIT_BITS

    @classmethod
    def of_totals(cls, frame: Frame, degree: int, rows: int, totals: Sequence[int]) -> "Moments":
        """Return the moments of points from the totals of ``loops.add_moments`` and of ``loops.add_logarithms``.

        Args:
            frame: Coordinates.
            degree: Highest degree d.
            rows: Number of points.
            totals: Sums in units of 2^-100: of w T_0 … w T_d, of T_k w T_d for k = 1 … d, of T_k w v for k = 0 … d, of
                w v², and the logarithms.
        """
        low = totals[: degree + 1]
        # T_k T_d = (T_{d+k} + T_{d-k}) / 2
        high = [2 * totals[degree + k] - low[degree - k] for k in range(1, degree + 1)]
        logarithms = -2 * int(LOGARITHM_UNIT) * totals[-1]
        return cls(frame, degree, rows, (*low, *high, *totals[2 * degree + 1 : -1], logarithms))

    @property
    def is_weighted(self) -> bool:
        """Whether the points have weights other than 1."""
        return self.frame.sigma_exponent != 0 or self.sums[0] != self.nobs << UNIT_BITS

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of points; associative and commutative, bit for bit."""
        assert (self.frame, self.degree) == (other.frame, other.degree)
        sums = tuple(a + b for a, b in zip(self.sums, other.sums, strict=True))
        return replace(self, nobs=self.nobs + other.nobs, sums=sums)

    def without(self, other: "Moments") -> "Moments":
        """Return the moments of the points that are not in ``other``, exactly."""
        sums = tuple(a - b for a, b in zip(self.sums, other.sums, strict=True))
        return replace(self, nobs=self.nobs - other.nobs, sums=sums)

    def reduced(self, device: torch.device) -> "Moments":
        """Return the moments of the points of all processes."""
        nobs, *sums = reduced([self.nobs, *self.sums], device)
        return replace(self, nobs=nobs, sums=tuple(sums))

    def state(self) -> dict[str, Any]:
        """Return the moments as plain numbers and strings, for a checkpoint."""
        return {
            "frame": vars(self.frame), "degree": self.degree, "nobs": self.nobs, "sums": list(map(hex, self.sums)),
            "term_bits": self.term_bits,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Moments":
        """Return the moments of a stored state, which may be one of release 0.1."""
        sums = tuple(int(total, 16) for total in state["sums"])
        if "term_bits" not in state:
            moments = cls(**older_moments(state["frame"], state["degree"], state["nobs"], sums))
        else:
            moments = cls(Frame(**state["frame"]), state["degree"], state["nobs"], sums, state["term_bits"])
        moments._require_plausible()
        return moments

    def _require_plausible(self) -> None:
        """Refuse stored moments that cannot be those of any points."""
        require_stored(vars(self.frame), FRAME, "moments.frame.")
        require_stored(vars(self), MOMENTS, "moments.")
        if self.frame.low > self.frame.high:
            raise ValueError(f"moments.frame.low must not be above high, got {self.frame.low} and {self.frame.high}")
        count = 3 * self.degree + 4
        if len(self.sums) != count or min(self.sums[0], self.sums[-2]) < 0:
            raise ValueError(f"moments.sums must be {count} whole numbers, those of weights and of squares at least 0")


def reduced(values: Sequence[int], device: torch.device) -> list[int]:
    """Return the sums of whole numbers over all processes."""
    if rank_and_size()[1] == 1:
        return list(values)
    limbs = torch.tensor([_to_limbs(value) for value in values], device=device)
    return [_from_limbs(row) for row in all_sum(limbs).tolist()]


def _to_limbs(value: int) -> list[int]:
    """Return a signed integer as little-endian limbs, all but the last not negative."""
    limbs = []
    for _ in range(LIMBS - 1):
        value, limb = divmod(value, 1 << LIMB_BITS)
        limbs.append(limb)
    return [*limbs, value]


def _from_limbs(limbs: Sequence[int]) -> int:
    value = 0
    for limb in reversed(limbs):
        value = (value << LIMB_BITS) + limb
    return value
