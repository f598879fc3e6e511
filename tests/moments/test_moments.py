"""The moments of points: exact sums, whatever the order, the batches and the processes."""

import functools
import io
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from regression.common.errors import UsageError
from regression.common.points import Points
from regression.curves.frame import Frame
from regression.kernels.fixed_point import UNIT_BITS
from regression.moments.loops import logarithm
from regression.moments.moments import Moments
from regression.moments.scan import Range, Sums
from tests.support.preloaded import python

DEGREE = 4
TERM = Fraction(1, 2**98)  # how far a term may be off in its own unit


def frame_of(*parts: Points) -> Frame:
    found = Range()
    for part in parts:
        found.add(part)
    return found.frame()


def moments(data: Points, frame: Frame | None = None, degree: int = DEGREE) -> Moments:
    sums = Sums(frame or frame_of(data), degree)
    sums.add(data)
    return sums.moments()


def batched(data: Points, frame: Frame, size: int) -> Moments:
    sums = Sums(frame, DEGREE)
    for start in range(0, len(data.x), size):
        sums.add(data.chosen(slice(start, start + size)))
    return sums.moments()


def drawn(seed: int, rows: int = 23, with_sigma: bool = True) -> Points:
    """Return points with terms of many sizes, so that a rounded sum would depend on its order."""
    generator = torch.Generator().manual_seed(seed)

    def normal() -> Tensor:
        return torch.randn(rows, generator=generator, dtype=torch.float64)

    sizes = 10 ** (12 * torch.rand(rows, generator=generator, dtype=torch.float64) - 6)
    return Points(3 * normal() - 1, normal() * sizes.flip(0), sizes if with_sigma else None)


@pytest.mark.parametrize(("orders", "with_sigma"), [(40, True), (8, False)])
def test_any_order_and_any_batches_give_the_same_bits(orders: int, with_sigma: bool) -> None:
    """Forty row orders in batches of 1, 3, 7 or all rows, shared out in one to three parts, give equal moments."""
    data = drawn(0, rows=11, with_sigma=with_sigma)
    frame = frame_of(data)
    whole = moments(data, frame)
    for seed in range(orders):
        shuffled = data.chosen(torch.randperm(11, generator=torch.Generator().manual_seed(seed)))
        assert frame_of(*(shuffled.chosen(slice(*ends)) for ends in ((0, 4), (4, 4), (4, 11)))) == frame
        parts = 1 + seed % 3
        for size in (1, 3, 7, 11):
            shares = [batched(shuffled.chosen(slice(part, None, parts)), frame, size) for part in range(parts)]
            assert functools.reduce(Moments.merge, shares) == whole


def share(data: Points, rank: int, size: int) -> list[Points]:
    """Return the slices of global batches of one of three processes; the first has no row of the last batch."""
    mine = [slice(start + size * rank // 3, start + size * (rank + 1) // 3) for start in range(0, len(data.x), size)]
    return [data.chosen(rows) for rows in mine]


def work(rank: int, folder: str, data: Points, whole: Moments) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=3)
    for size in (2, 7, 23):
        batches = share(data, rank, size)
        frame = frame_of(*batches)
        assert frame == whole.frame
        sums = Sums(frame, DEGREE)
        for batch in batches:
            sums.add(batch)
        assert sums.rows < 23
        assert sums.moments().reduced(torch.device("cpu")) == whole
    dist.destroy_process_group()


def test_three_processes_give_the_bits_of_one(tmp_path: Path) -> None:
    """Three real processes with uneven, partly empty shares find the frame and the moments of all points."""
    data = drawn(1)
    mp.set_executable(python())
    mp.spawn(work, args=(str(tmp_path), data, moments(data)), nprocs=3, join=True)


def fractions(values: Tensor) -> list[Fraction]:
    return [Fraction(value) for value in values.tolist()]


def exact(data: Points, frame: Frame, degree: int) -> list[Fraction]:
    """Return the sums that moments hold, but the last, by rational arithmetic."""
    sums = [Fraction(0)] * (3 * degree + 3)
    columns = (data.x, data.y, torch.ones_like(data.y) if data.sigma is None else data.sigma)
    for x, y, sigma in zip(*map(fractions, columns), strict=True):
        u = (x - Fraction(frame.center)) / frame.scale
        assert abs(u) <= 1
        value = (y - Fraction(frame.y_center)) / Fraction(2) ** frame.y_exponent
        assert abs(value) <= 1 + Fraction(1, 2**50)
        weight = (Fraction(2) ** frame.sigma_exponent / sigma) ** 2
        chebyshev = [Fraction(1), u]
        while len(chebyshev) <= 2 * degree:
            chebyshev.append(2 * u * chebyshev[-1] - chebyshev[-2])
        terms = [*chebyshev[: 2 * degree + 1], *(value * t for t in chebyshev[: degree + 1]), value**2]
        sums = [total + weight * term for total, term in zip(sums, terms, strict=True)]
    return sums


def assert_exact(data: Points, degree: int = DEGREE) -> None:
    frame = frame_of(data)
    own = moments(data, frame, degree)
    for total, right in zip(own.sums, exact(data, frame, degree), strict=False):
        assert abs(Fraction(total, 1 << UNIT_BITS) - right) <= TERM * len(data.x)


def scaled(x: float = 1.0, y: float = 1.0, shift: float = 0.0) -> Points:
    data = drawn(3, with_sigma=False)
    return Points(data.x * x + shift, data.y.clamp(-9, 9) * y)


@pytest.mark.parametrize(
    "data",
    [
        scaled(),
        scaled(shift=2.0**20),
        scaled(shift=-(2.0**40)),
        scaled(x=1e300),
        scaled(x=1e-300),
        scaled(y=1e300),
        scaled(y=1e-300),
        scaled(x=1e-8, y=1e-8, shift=1e8),
        scaled(x=0.0, shift=5.0),
        Points(-torch.arange(1, 8).double(), -torch.ones(7).double()),
        Points(torch.linspace(0, 1, 9), torch.linspace(0, 1, 9) ** 2),
        Points(*torch.tensor([[-8e307, 0.3, 8e307], [8e307, 1.0, -8e307]], dtype=torch.float64)),
        Points(torch.arange(5), torch.tensor([3, 1, 4, 1, 5])),
    ],
)
def test_sums_are_those_of_rational_arithmetic(data: Points) -> None:
    """Every sum is that of exact fractions to 98 bits a term, at any offset and scale of x and y."""
    assert_exact(data)


@pytest.mark.parametrize("seed", range(4))
def test_weighted_sums_are_those_of_rational_arithmetic(seed: int) -> None:
    """With sigma over twelve decades the sums are those of exact fractions to 98 bits a term."""
    assert_exact(drawn(seed))


@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300])
def test_extreme_sigma_lose_nothing(scale: float) -> None:
    """Sigma near the ends of float64 have the same weights as any others."""
    data = drawn(5)
    assert data.sigma is not None
    assert_exact(data._replace(sigma=data.sigma * scale))


def test_weights_logarithm_is_summed() -> None:
    """The last sum is that of log w, in units of the smallest sigma."""
    data = drawn(6)
    assert data.sigma is not None
    own = moments(data)
    expected = math.fsum(-2 * math.log(s * 2.0**-own.frame.sigma_exponent) for s in data.sigma.tolist())
    assert float(Fraction(own.sums[-1], 1 << UNIT_BITS)) == pytest.approx(expected, rel=1e-14, abs=0)
    assert moments(Points(data.x, data.y)).sums[-1] == 0


def test_orthogonal_polynomials_sum_to_zero() -> None:
    """On Chebyshev's own points the sums of T_1 … T_8 vanish to the points' rounding, and S_0 counts the rows."""
    nodes = torch.cos(math.pi * (torch.arange(16).double() + 0.5) / 16)
    own = moments(Points(nodes, nodes), Frame(0.0, 0, 1.0, 0.0, 0, 0, -1.0, 1.0))
    assert own.sums[0] == 16 << UNIT_BITS
    assert all(abs(Fraction(total, 1 << UNIT_BITS)) < Fraction(1, 10**13) for total in own.sums[1 : 2 * DEGREE + 1])


NUMBERS = st.floats(-1e150, 1e150, allow_subnormal=False)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.floats(1e-100, 1e100)), max_size=6)


def points_of(rows: list[tuple[float, float, float]]) -> Points:
    return Points(*torch.tensor(rows, dtype=torch.float64).reshape(-1, 3).T)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(ROWS, ROWS, ROWS)
def test_merging_is_adding(
    a: list[tuple[float, float, float]], b: list[tuple[float, float, float]], c: list[tuple[float, float, float]]
) -> None:
    """Merging commutes and associates, the empty moments change nothing, and what was merged can be taken out."""
    frame = frame_of(points_of([*a, *b, *c, (0.0, 1.0, 1.0)]))
    one, two, three = (moments(points_of(rows), frame, 3) for rows in (a, b, c))
    assert one.merge(two) == two.merge(one) == moments(points_of([*b, *a]), frame, 3)
    assert one.merge(two).merge(three) == one.merge(two.merge(three))
    assert one.merge(Sums(frame, 3).moments()) == one
    assert one.merge(two).without(two) == one


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6))
def test_sums_of_any_points_are_those_of_rational_arithmetic(rows: list[tuple[float, float]]) -> None:
    """The sums of any few points are those of exact fractions."""
    x, y = torch.tensor(rows, dtype=torch.float64).T
    assert_exact(Points(x, y), degree=3)


def test_state_holds_plain_numbers() -> None:
    """A state can be saved, loaded without running code, and gives the same moments again."""
    own = moments(drawn(7))
    file = io.BytesIO()
    torch.save(own.state(), file)
    file.seek(0)
    assert Moments.from_state(torch.load(file, weights_only=True)) == own
    assert set(map(type, own.state()["frame"].values())) == {float, int}


GOOD = torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["x", "y", "sigma"])
def test_numbers_that_are_not_finite_are_refused(name: str, wrong: float) -> None:
    """A NaN or an infinity is refused with its column, its row and its value."""
    data = Points(GOOD, GOOD, GOOD)._replace(**{name: torch.tensor([1.0, 2.0, wrong])})
    with pytest.raises(UsageError, match=f"^{name} must be finite, got {wrong} at row 2 "):
        Range().add(data)


@pytest.mark.parametrize("wrong", [0.0, -2.5])
def test_sigma_that_is_not_positive_is_refused(wrong: float) -> None:
    """A standard deviation of 0 or below is refused with its row and its value."""
    with pytest.raises(UsageError, match=f"^sigma must be positive, got {wrong} at row 1 "):
        Range().add(Points(GOOD, GOOD, torch.tensor([1.0, wrong, 3.0])))


def test_no_rows_are_refused() -> None:
    """Without any row there is no frame."""
    with pytest.raises(UsageError, match=r"^there are no rows to fit"):
        frame_of(Points(GOOD[:0], GOOD[:0]))


def test_logarithm_has_all_digits() -> None:
    """``logarithm`` agrees with ``math.log`` to 1e-15 over the whole range of float64."""
    random = np.random.default_rng(8)
    for value in np.ldexp(random.uniform(1, 2, 2000), random.integers(-1022, 1023, 2000)).tolist():
        assert logarithm(value) == pytest.approx(math.log(value), rel=1e-15, abs=0)
    for value in random.uniform(0.7, 1.42, 2000).tolist():
        assert logarithm(value) == pytest.approx(math.log(value), rel=1e-15, abs=1e-16)
    assert (logarithm(1.0), logarithm(2.0**-40)) == (0, -40 * math.log(2))


def test_points_outside_of_the_frame_are_refused() -> None:
    """A number outside of the range that was found, or stated by a file, ends the sums with a line that says so."""
    sums = Sums(frame_of(Points(GOOD, GOOD)), 1)
    with pytest.raises(UsageError, match=r"^numbers outside of the range that was found or stated before: 1 in 3 rows"):
        sums.add(Points(torch.tensor([1.0, 2.0, 3.5]), GOOD))
