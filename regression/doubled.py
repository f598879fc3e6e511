"""Numbers of about 32 digits, each the sum of two float64 numbers: the arithmetic of many small solutions at once.

Each operation is made of single tensor operations, none of which is fused with another: the same bits in every lane,
chunk and device. Torch only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from regression.fixedpoint import two_product

__all__ = ["Doubled"]


@dataclass(frozen=True)
class Doubled:
    """Tensors of numbers ``high + low``, low at most half a unit in the last place of high.

    Sums are good to about 2^-104 of the larger term, products and quotients to about 2^-102 of themselves.
    """

    high: Tensor
    low: Tensor

    @classmethod
    def of(cls, values: Tensor) -> "Doubled":
        """Return float64 numbers, or whole ones of up to 63 bits, without loss."""
        high = values.double()
        return cls(high, torch.zeros_like(high) if values.is_floating_point() else (values - high.long()).double())

    def __add__(self, other: "Doubled") -> "Doubled":
        total = self.high + other.high
        part = total - self.high
        rest = (self.high - (total - part)) + (other.high - part)
        return _normal(total, rest + (self.low + other.low))

    def __neg__(self) -> "Doubled":
        return Doubled(-self.high, -self.low)

    def __sub__(self, other: "Doubled") -> "Doubled":
        return self + -other

    def __mul__(self, other: "Doubled") -> "Doubled":
        product, rest = two_product(self.high, other.high)
        return _normal(product, rest + (self.high * other.low + self.low * other.high))

    def __truediv__(self, other: "Doubled") -> "Doubled":
        quotient = self.high / other.high
        product, rest = two_product(quotient, other.high)
        left = (((self.high - product) - rest) + self.low) - quotient * other.low
        return _normal(quotient, left / other.high)

    def times(self, power: Tensor | float) -> "Doubled":
        """Return the product with powers of two, which is exact."""
        return Doubled(self.high * power, self.low * power)

    def where(self, condition: Tensor, other: float) -> "Doubled":
        """Return the numbers where a condition holds, elsewhere another one."""
        return Doubled(torch.where(condition, self.high, other), torch.where(condition, self.low, 0.0))


def _normal(high: Tensor, low: Tensor) -> Doubled:
    total = high + low
    return Doubled(total, low - (total - high))
