"""Random orders that follow from a seed: any part of a long one can be computed without the rest."""

import math
from typing import Any

import torch
from torch import Tensor

from regression.kernels.compiled import compiled, loop

__all__ = ["MOST_DRAWN_ROWS", "Permutation", "permute", "shuffled"]

MOST_DRAWN_ROWS = 3 << 18  # up to so many rows an order is drawn as a whole, which is as fast as computing it
ROUNDS = 6


def shuffled(count: int, seed: int, block: int = 0) -> Tensor:
    """Return the numbers below ``count`` in an order drawn for a block, shape (count,)."""
    return torch.randperm(count, generator=_generator(seed, block))


def _generator(seed: int, block: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed + block * 0x9E3779B97F4A7C15) % 2**63)


class Permutation:
    """The numbers below ``count`` in an order drawn for a block, of which any part can be computed without the rest.

    An order of up to ``MOST_DRAWN_ROWS`` numbers is that of ``shuffled``, a longer one that of ``permute``: the same on
    every machine and for any number of threads.

    Args:
        count: How many numbers, up to 2⁶².
        seed: Seed of the order.
        block: Number of the block; each has an order of its own.
    """

    def __init__(self, count: int, seed: int, block: int = 0) -> None:
        self.count = count
        self._drawn = shuffled(count, seed, block) if count <= MOST_DRAWN_ROWS else None
        self._keys = torch.randint(2**32, (ROUNDS,), generator=_generator(seed, block)).numpy()

    def between(self, start: int, stop: int) -> Tensor:
        """Return the numbers at the positions from start to before stop, int64 of shape (stop − start,)."""
        if self._drawn is not None:
            return self._drawn[start:stop]
        numbers, a = torch.empty(stop - start, dtype=torch.long), math.isqrt(self.count - 1) + 1
        compiled(permute)(start, self.count, a, -(-self.count // a), self._keys, numbers.numpy())
        return numbers


@loop
def permute(start: int, count: int, a: int, b: int, keys: Any, numbers: Any) -> None:
    """Write the numbers at consecutive positions of a pseudo-random permutation of the numbers below ``count``.

    An alternating Feistel network over ℤ_a × ℤ_b with a = ⌈√count⌉ and b = ⌈count / a⌉ (J. Black and P. Rogaway,
    "Ciphers with arbitrary finite domains", CT-RSA 2002). It maps position R a + L, by rounds that are in turn

        L ← L + F_k(R) mod a,    R ← R + F_k(L) mod b,

    to number L b + R. Each round can be inverted, so this is a permutation of the numbers below a b, and a b ≥ count.
    It is applied again while the number is not below count; this ends, because the cycle returns to the position.
    There are six rounds: after four, a chi-square test of a million rows still detects that neighbours stay close.

    Args:
        start: First position.
        count: How many numbers are permuted.
        a: How many numbers L can be, at most 2³¹.
        b: How many numbers R can be.
        keys: A number below 2³² for each round; their number is even.
        numbers: Where to write, for as many positions as it holds.
    """
    for i in range(len(numbers)):
        number = start + i
        while True:
            right, left = number // a, number % a
            for k in range(0, len(keys), 2):
                left += mix(right, keys[k]) * a >> 32
                left -= a * (left >= a)
                right += mix(left, keys[k + 1]) * b >> 32
                right -= b * (right >= b)
            number = left * b + right
            if number < count:
                break
        numbers[i] = number


@loop
def mix(value: int, key: int) -> int:
    """Return a hash of two numbers below 2³², by T. Mueller: each bit of the result depends on all bits of both."""
    value ^= key
    value = (value ^ value >> 16) * 0x45D9F3B & 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x45D9F3B & 0xFFFFFFFF
    return value ^ value >> 16
