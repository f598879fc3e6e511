"""Numbers of about 32 digits, each the sum of two float64 numbers: the arithmetic of many small solutions at once.

Each operation is made of single tensor operations, none of which is fused with another: the same bits in every lane,
chunk and device. They write to vectors that have served: fewer vectors leave the cache to the rest. Torch only.
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
        rest = total - part
        torch.sub(self.high, rest, out=rest).add_(torch.sub(other.high, part, out=part))
        return _normal(total, rest.add_(torch.add(self.low, other.low, out=part)))

    def __sub__(self, other: "Doubled") -> "Doubled":
        total = self.high - other.high
        part = total - self.high
        rest = total - part
        torch.sub(self.high, rest, out=rest).sub_(part.add_(other.high))
        return _normal(total, rest.add_(torch.sub(self.low, other.low, out=part)))

    def plus(self, small: Tensor) -> "Doubled":
        """Return the sum with float64 numbers that are at most about a unit in the last place of these."""
        return _normal(self.high.clone(), self.low + small)

    def __mul__(self, other: "Doubled") -> "Doubled":
        product, rest = two_product(self.high, other.high)
        mixed = (self.high * other.low).add_(self.low * other.high)
        return _normal(product, rest.add_(mixed))

    def __truediv__(self, other: "Doubled") -> "Doubled":
        quotient = self.high / other.high
        product, rest = two_product(quotient, other.high)
        left = torch.sub(self.high, product, out=product).sub_(rest).add_(self.low)
        left.sub_(torch.mul(quotient, other.low, out=rest))
        return _normal(quotient, left.div_(other.high))

    def times(self, power: Tensor | float) -> "Doubled":
        """Return the product with powers of two, which is exact."""
        return Doubled(self.high * power, self.low * power)

    def __getitem__(self, rows: int | slice) -> "Doubled":
        return Doubled(self.high[rows], self.low[rows])

    def where(self, condition: Tensor, other: float) -> "Doubled":
        """Return the numbers where a condition holds, elsewhere another one."""
        return Doubled(torch.where(condition, self.high, other), torch.where(condition, self.low, 0.0))


def _normal(high: Tensor, low: Tensor) -> Doubled:
    """Return the sum of two numbers, of which the second is smaller; their memory is used up."""
    total = high + low
    return Doubled(total, low.sub_(torch.sub(total, high, out=high)))
