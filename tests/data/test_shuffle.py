"""Orders from a seed: permutations of which any part can be computed, and which pass tests of randomness."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from regression.data.shuffle import MOST_DRAWN_ROWS, ROUNDS, Permutation, permute, shuffled
from regression.kernels.compiled import compiled

ROWS = 1_000_003  # a prime
SURE = 1e-4  # p-values below it, or above 1 - it, are taken as evidence against a random order

Order = NDArray[np.int64]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def order(seed: int, block: int = 0, count: int = ROWS) -> Order:
    return Permutation(count, seed, block).between(0, count).numpy()


def keys(rounds: int, seed: int) -> Order:
    return torch.randint(2**32, (rounds,), generator=seeded(seed)).numpy()


def by_network(rounds: int, seed: int = 1) -> Order:
    return permuted(0, ROWS, ROWS, seed, rounds)


def permuted(start: int, stop: int, count: int, seed: int, rounds: int = ROUNDS, loop: Any = None) -> Order:
    """Return the numbers at the positions from start to before stop."""
    numbers, a = np.empty(stop - start, np.int64), math.isqrt(count - 1) + 1
    (loop or compiled(permute))(start, count, a, -(-count // a), keys(rounds, seed), numbers)
    return numbers


def affine() -> Order:
    return (np.arange(ROWS) * 618_033 + 12_345) % ROWS


class Textbook:
    """The network in whole numbers of any size, a position at a time."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.a = count, math.isqrt(count - 1) + 1
        self.b = -(-count // self.a)
        self.keys = keys(ROUNDS, seed).tolist()

    def __call__(self, position: int) -> int:
        right, left = divmod(position, self.a)
        for first, second in zip(self.keys[::2], self.keys[1::2], strict=True):
            left = (left + self.below(self.a, right, first)) % self.a
            right = (right + self.below(self.b, left, second)) % self.b
        number = left * self.b + right
        return number if number < self.count else self(number)

    @staticmethod
    def below(end: int, half: int, key: int) -> int:
        """Return Mueller's hash of 32 bits as a number below the end."""
        value = half ^ key
        for _ in range(2):
            value = ((value >> 16) ^ value) * 73_244_475 % 2**32
        return ((value >> 16) ^ value) * end // 2**32


@settings(deadline=None, derandomize=True)
@given(count=st.integers(2, 5000), seed=st.integers(0, 2**63 - 1))
@example(2, 0)
@example(3, 1)
@example(4, 2)
@example(4999, 3)
@example(4900, 4)
@example(4899, 5)
@example(4901, 6)
@example(65_536, 7)
@example(65_537, 8)
@example(65_535, 9)
def test_a_network_permutes(count: int, seed: int) -> None:
    """Every number below the count is at one position: primes, squares and their neighbours included."""
    assert np.array_equal(np.sort(permuted(0, count, count, seed)), np.arange(count))


@pytest.mark.parametrize("count", [0, 1, 2, 65_537, MOST_DRAWN_ROWS, MOST_DRAWN_ROWS + 1, ROWS])
def test_an_order_permutes(count: int) -> None:
    """Every number below the count is at one position, in short and in long orders."""
    assert torch.equal(Permutation(count, 5, 2).between(0, count).sort().values, torch.arange(count))


@settings(deadline=None, derandomize=True)
@given(count=st.integers(2, 3000), seed=st.integers(0, 2**32 - 1))
def test_a_network_is_the_textbooks(count: int, seed: int) -> None:
    """Compiled and as plain Python, the loop gives the numbers of the network in whole numbers of any size."""
    for loop in (None, permute):
        assert permuted(0, count, count, seed, loop=loop).tolist() == [*map(Textbook(count, seed), range(count))]


@pytest.mark.parametrize("count", [2**31 - 46_341, 2**31 + 9, 2**36 + 12_345, 2**62 - 1, 2**62])
def test_long_orders_do_not_overflow(count: int) -> None:
    """Also counts beyond 32 bits give the numbers of the network in whole numbers of any size."""
    textbook = Textbook(count, 3)
    for start in (0, count // 3, count - 200):
        found = Permutation(count, 3).between(start, start + 200)
        assert found.tolist() == permuted(start, start + 200, count, 3).tolist()
        assert found.tolist() == [*map(textbook, range(start, start + 200))]


def test_parts_agree_with_the_whole() -> None:
    """Parts of any size, in any sequence, are parts of the whole order."""
    whole, parts = order(4), Permutation(ROWS, 4)
    random = np.random.default_rng(0)
    for size in (0, 1, 32, 4096, 100_003, ROWS):
        for start in (0, ROWS - size, *random.integers(0, ROWS - size + 1, 8).tolist()):
            assert np.array_equal(parts.between(start, start + size), whole[start : start + size])


def test_short_orders_are_torchs() -> None:
    """A short order is torch.randperm's with the seed, and blocks of one seed have orders of their own."""
    right = torch.randperm(1000, generator=seeded(7))
    assert torch.equal(Permutation(1000, 7).between(0, 1000), right)
    assert torch.equal(shuffled(1000, 7), right)
    assert not torch.equal(shuffled(1000, 7, 1), right)


def test_the_number_of_threads_changes_nothing() -> None:
    """One thread and two compute the same order."""
    threads, found = torch.get_num_threads(), []
    for number in (1, 2):
        torch.set_num_threads(number)
        found.append(order(9))
    torch.set_num_threads(threads)
    assert np.array_equal(*found)


def contingency(one: Order, other: Order, parts: int) -> float:
    """Return the p-value of a chi-square test of the independence of two columns of numbers below ROWS."""
    cells = (one * parts // ROWS) * parts + other * parts // ROWS
    return float(stats.chi2_contingency(np.bincount(cells, minlength=parts**2).reshape(parts, parts)).pvalue)


def of_position(numbers: Order) -> float:
    return contingency(np.arange(ROWS), numbers, 64)


def of_neighbours(numbers: Order) -> float:
    return contingency(numbers[:-1], numbers[1:], 64)


def of_neighbouring_rows(numbers: Order) -> float:
    """Compare positions whose other halves in the network are neighbours."""
    row = math.isqrt(ROWS) + 1
    return contingency(numbers[:-row], numbers[row:], 64)


def of_differences(numbers: Order) -> float:
    differences = np.diff(numbers) % ROWS
    return float(stats.chisquare(np.bincount(differences * 1000 // ROWS, minlength=1000)).pvalue)


def of_batches(numbers: Order) -> float:
    """Compare the rows of a sorted table's first half in each batch of 256 with their hypergeometric distribution."""
    drawn = (numbers[: ROWS // 256 * 256].reshape(-1, 256) < ROWS // 2).sum(axis=1)
    law = stats.hypergeom(ROWS, ROWS // 2, 256)
    edges = law.ppf(np.linspace(0, 1, 17)[1:-1])
    expected = np.diff([0, *law.cdf(edges), 1]) * len(drawn)
    found = np.bincount(np.searchsorted(edges, drawn), minlength=16)
    return float(stats.chisquare(found, expected).pvalue)


Statistic = Callable[[Order], float]
STATISTICS: list[Statistic] = [of_position, of_neighbours, of_neighbouring_rows, of_differences, of_batches]


def named(statistic: Statistic) -> str:
    return statistic.__name__


def is_chance(share: float) -> bool:
    return SURE < share < 1 - SURE


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("statistic", STATISTICS, ids=named)
def test_an_order_looks_random(statistic: Statistic, seed: int) -> None:
    """No statistic is too uneven or too even for a random order, as for one of torch.randperm."""
    assert is_chance(statistic(torch.randperm(ROWS, generator=seeded(seed)).numpy()))
    assert is_chance(statistic(order(seed)))


WEAK: dict[str, tuple[Callable[[], Order], list[Statistic]]] = {
    "in order": (lambda: np.arange(ROWS), STATISTICS),
    "affine": (affine, STATISTICS),
    "2 rounds": (lambda: by_network(2), STATISTICS),
    "4 rounds": (lambda: by_network(4), [of_differences, of_batches]),
}


@pytest.mark.parametrize("name", WEAK)
def test_weak_orders_are_detected(name: str) -> None:
    """The statistics distinguish the data's order, an affine map and networks of fewer rounds from a random order."""
    drawn, seen = WEAK[name]
    weak = drawn()
    assert np.array_equal(np.sort(weak), np.arange(ROWS))
    assert [statistic for statistic in STATISTICS if not is_chance(statistic(weak))] == seen


def test_batches_are_as_mixed_as_torchs() -> None:
    """The share of a sorted table's first half varies over batches as much as with torch.randperm, and by the law."""
    ours, torchs = (
        (numbers[: ROWS // 4096 * 4096].reshape(-1, 4096) < ROWS // 2).sum(axis=1)
        for numbers in (order(6), torch.randperm(ROWS, generator=seeded(6)).numpy())
    )
    assert stats.ks_2samp(ours, torchs).pvalue > 0.01
    assert ours.std() == pytest.approx(stats.hypergeom(ROWS, ROWS // 2, 4096).std(), rel=0.15)


KEYS = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (100, 3)]


@pytest.mark.parametrize(("one", "other"), list(pairwise(KEYS)), ids=str)
def test_seeds_and_blocks_have_unrelated_orders(one: tuple[int, int], other: tuple[int, int]) -> None:
    """Two orders agree in about one position, and a number's place in one says nothing of its place in the other."""
    left, right = order(*one), order(*other)
    assert (left == right).sum() <= stats.poisson(1).ppf(1 - SURE)
    assert is_chance(contingency(left, right, 64))
    assert is_chance(contingency(np.argsort(left), np.argsort(right), 64))
