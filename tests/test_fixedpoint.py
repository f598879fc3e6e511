"""Sums without rounding: whole blocks, many chunks, and numbers at the ends of their range."""

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from regression import fixedpoint, sums
from regression.moments import UNIT, Frame, Moments
from tests.test_moments import Columns, assert_exact, drawn, moments


@pytest.mark.parametrize("with_sigma", [False, True])
@pytest.mark.parametrize("rows", [255, 256, 257, 1024, 2500])
def test_blocks_and_chunks_change_no_bit(rows: int, with_sigma: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that fill a block, miss it by one or take several passes give the merged moments of single pieces."""
    data = drawn(rows, rows, with_sigma)
    frame = Frame.of([data])
    whole = moments(data, frame)
    monkeypatch.setattr(sums, "CPU_ROWS", 512)
    monkeypatch.setattr(sums, "STEP", 256)
    assert moments(data, frame) == whole
    pieces = [moments(data.rows(slice(start, start + 100)), frame) for start in range(0, rows, 100)]
    total = Moments.empty(frame, 4)
    for piece in reversed(pieces):
        total = total.merge(piece)
    assert total == whole


def test_sums_of_the_largest_numbers_are_exact() -> None:
    """A thousand rows at the ends of the range, where every product is ±1, have whole sums: the counts of rows."""
    x = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64).repeat(341)
    own = moments(Columns(x, -x))
    counts = [Fraction(total, 1 << UNIT) for total in own.sums]
    assert counts == [1023, 341] * 4 + [1023] + [-341, -1023] * 2 + [-341] + [1023, 0]


@pytest.mark.parametrize("degree", [0, 1, 2, 12, 40])
@pytest.mark.parametrize("with_sigma", [False, True])
def test_every_degree_is_exact(degree: int, with_sigma: bool) -> None:
    """From a constant to degree 40 the sums are those of exact fractions, to 27 digits."""
    data = drawn(11, 9, with_sigma)
    if data.sigma is not None:
        data = data._replace(y=data.y.clamp(-9, 9), sigma=torch.exp2(data.sigma.log2().round()).clamp(0.25, 4))
    assert_exact(data, degree, Fraction(1, 10**27))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_other_number_types_are_converted_first(dtype: torch.dtype) -> None:
    """Numbers of another type give the moments of the same numbers in float64."""
    x, y = (torch.arange(1, 40) * 3 % 17).to(dtype), (torch.arange(1, 40) * 5 % 23).to(dtype)
    assert moments(Columns(x, y)) == moments(Columns(x.double(), y.double()))


@pytest.mark.parametrize("degree", [1, 5])
def test_slices_put_together_are_the_functions(degree: int) -> None:
    """The slices of T_d on either side of the product have its sum, and keep to their number of bits."""
    x, y = torch.rand(2, 300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    frame = Frame.of([Columns(x, y)])
    room = fixedpoint.FixedPoint(300, degree, False, x.device)
    room.fill(x, y, None, frame)
    assert 2**26 * 2**19 * fixedpoint.BLOCK <= 2**53  # the largest sum of a block's products
    left, right = room.left[:, degree - 1], room.right[1 : 1 + len(fixedpoint.RIGHT)]
    for slices, bits, widths in ((left, fixedpoint.LEFT, 2**26), (right, fixedpoint.RIGHT, 2**19)):
        for part, bit in zip(slices, bits, strict=True):
            units = part * 2.0**bit
            assert torch.equal(units, units.round())
            assert float(units.abs().max()) <= widths
    for column in range(300):
        both = [sum(map(Fraction, slices[:, column].tolist())) for slices in (left, right)]
        assert abs(both[0] - both[1]) <= Fraction(1, 2**98)


def test_fused_operations_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where multiplication and addition are not fused, as on other processors, the moments have the same bits."""
    data = drawn(12, 500, with_sigma=False)
    frame = Frame.of([data])
    fused = moments(data, frame, 7)

    def in_two(self: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return self.add_(a * b)

    monkeypatch.setattr(Tensor, "addcmul_", in_two)
    assert moments(data, frame, 7) == fused
