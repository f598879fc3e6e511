"""Orders drawn from a seed: a short one at once, of a long one any part without the rest."""

import math

import torch
from torch import Tensor

__all__ = ["Network", "Permutation", "shuffled"]

DRAWN = 3 << 18  # rows: an order of so many is drawn whole, as quickly as it could be computed
CHUNK = 1 << 16  # positions that are mapped together, in the cache
FEW = CHUNK // 4  # positions: fewer are taken from a whole chunk, since each call has its price
ROUNDS = 6


def shuffled(count: int, seed: int, block: int = 0) -> Tensor:
    """Return the numbers below ``count`` in an order drawn for a block, shape (count,)."""
    return torch.randperm(count, generator=_generator(seed, block))


def _generator(seed: int, block: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed + block * 0x9E3779B97F4A7C15) % 2**63)


class Permutation:
    """The numbers below ``count`` in an order drawn for a block, of which any part can be had without the rest.

    A short order is that of ``shuffled``, a long one that of a ``Network``. Both are whole numbers only, the same on
    every machine and for any number of threads.

    Args:
        count: How many numbers, up to 2⁶².
        seed: Seed of the order.
        block: Number of the block; each has an order of its own.
    """

    def __init__(self, count: int, seed: int, block: int = 0) -> None:
        self.count = count
        self._network = Network(count, _generator(seed, block)) if count > DRAWN else None
        self._window = torch.empty(0, dtype=torch.long) if self._network else shuffled(count, seed, block)
        self._first = 0  # position at which the window begins

    def between(self, start: int, stop: int) -> Tensor:
        """Return the numbers at the positions from start to before stop, int64 of shape (stop − start,)."""
        if self._network and not self._first <= start <= stop <= self._first + len(self._window):
            if stop - start >= FEW:
                return self._network.between(start, stop)
            self._first, self._window = start, self._network.between(start, min(start + CHUNK, self.count))
        return self._window[start - self._first : stop - self._first]


class Network:
    """A pseudo-random permutation of the numbers below ``count`` that maps each position for itself.

    An alternating Feistel network over ℤ_a × ℤ_b with a = ⌈√count⌉ and b = ⌈count / a⌉ (J. Black and P. Rogaway,
    "Ciphers with arbitrary finite domains", CT-RSA 2002). It leads from position R a + L, by rounds that are in turn

        L ← L + F_k(R) mod a,    R ← R + F_k(L) mod b,

    to number L b + R. Each F_k is a table of random numbers. Each round can be undone, so this is a permutation of the
    numbers below a b, and a b ≥ count. From a number that is not below count the network leads on until one is; the
    cycle through the position sees to that. Fewer than a positions need it: undoing the network finds them beforehand.

    Sums are reduced only at the end, and the tables repeat themselves as far as a sum can reach: a lookup takes a
    quarter of the time of a remainder. Six rounds, because after four twice as many neighbours as by chance still are
    neighbours in one half, which a chi-square test of a million rows sees; after six the tests see nothing. It is no
    cipher, in spite of its origin: the tables come from a Mersenne twister, and a part of the order tells the rest.

    Args:
        count: How many numbers, from 2 to 2⁶²; the tables hold 32 √count of them.
        generator: What the tables are drawn from, in the order of the rounds.
        rounds: Number of rounds, even.
    """

    def __init__(self, count: int, generator: torch.Generator, rounds: int = ROUNDS) -> None:
        self.a = math.isqrt(count - 1) + 1
        self.b = -(-count // self.a)
        area, reach = self.a * self.b, rounds // 2 + 1
        dtype = torch.int32 if area < 2**31 else torch.long  # half the bytes, half the time
        sizes = [(self.a, self.b), (self.b, self.a)] * (rounds // 2)
        self._tables = [torch.randint(n, (m,), generator=generator, dtype=dtype).repeat(reach) for n, m in sizes]
        self._upper = torch.arange(0, area, self.b, dtype=dtype).repeat(reach)
        self._lower = torch.arange(self.b, dtype=dtype).repeat(reach)
        # The halves of consecutive positions, from a multiple of a: no division is needed for them.
        self._left = torch.arange(self.a, dtype=dtype)
        self._right = torch.arange(CHUNK // self.a + 2, dtype=dtype).repeat_interleave(self.a)
        self._strays, self._ends = self._detours(count, area)

    def between(self, start: int, stop: int) -> Tensor:
        """Return the numbers at the positions from start to before stop, int64 of shape (stop − start,)."""
        numbers = torch.empty(stop - start, dtype=torch.long)
        for at in range(start, stop, CHUNK):
            part = numbers[at - start : at - start + CHUNK]
            row, column = divmod(at, self.a)
            piece = slice(column, column + len(part))
            # The first round adds the same to the left half of a whole row.
            shifts = self._tables[0][row : row + piece.stop // self.a + 1, None]
            self._lead((self._left + shifts).view(-1)[piece], self._right[piece] + row, part)
        first, last = torch.searchsorted(self._strays, torch.tensor([start, stop])).tolist()
        numbers[self._strays[first:last] - start] = self._ends[first:last]
        return numbers

    def _lead(self, left: Tensor, right: Tensor, numbers: Tensor) -> None:
        """Write where the rounds after the first one lead from two halves, which they change."""
        found = torch.empty_like(left)
        changed, other = right, left
        for table in self._tables[1:]:
            changed += torch.index_select(table, 0, other, out=found)
            changed, other = other, changed
        torch.add(self._upper.index_select(0, left), self._lower.index_select(0, right), out=numbers)

    def _origins(self, numbers: Tensor) -> Tensor:
        """Return the positions from which the network leads to the numbers."""
        left, right = numbers // self.b, numbers % self.b
        for of_right, of_left in zip(self._tables[-2::-2], self._tables[::-2], strict=True):
            right = (right - of_left[left]) % self.b
            left = (left - of_right[right]) % self.a
        return right * self.a + left

    def _detours(self, count: int, area: int) -> tuple[Tensor, Tensor]:
        """Return, in order, the positions from which the network does not lead below count, and where they end."""
        origins = self._origins(torch.arange(count, area))
        strays = origins[origins < count].sort().values
        ends = strays.clone()
        beyond = torch.arange(len(strays))
        while len(beyond):
            right, left = (half.to(self._left.dtype) for half in (ends[beyond] // self.a, ends[beyond] % self.a))
            numbers = torch.empty_like(beyond)
            self._lead(left + self._tables[0][right], right, numbers)
            ends[beyond] = numbers
            beyond = beyond[numbers >= count]
        return strays, ends
