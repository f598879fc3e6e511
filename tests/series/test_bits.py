"""The bits of series' fits do not depend on the order of the rows, the batches, the threads, or the compiler."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import regression
from regression.kernels.compiled import compiled, rows_for
from regression.series.fits import Columns, SeriesTable, fit_all
from regression.series.grouping import group, sort_rows
from regression.series.loops import add_sums, fit_whole, solve_sums
from regression.series.workspace import Model, make_workspace
from tests.series.points import FIELDS, Array, Shape, mixed


def columns_of(points: Shape, sigma: Array | None = None) -> Columns:
    codes, x, y = map(torch.from_numpy, points)
    return codes, x, y, None if sigma is None else torch.from_numpy(sigma)


def solved(parts: list[Columns], model: Model) -> SeriesTable:
    """Return the fits of points that come in parts."""
    return fit_all(SeriesTable.merged([SeriesTable.of(part, model) for part in parts]), lambda: parts, model)


def assert_same(found: SeriesTable, right: SeriesTable) -> None:
    for name in ("codes", "nobs", "ranges", "numbers"):
        np.testing.assert_array_equal(getattr(found, name), getattr(right, name))


def shares(points: Columns, cuts: list[int]) -> list[Columns]:
    return [
        tuple(None if column is None else column[a:b] for column in points)  # type: ignore[misc]
        for a, b in zip([0, *cuts], [*cuts, len(points[0])], strict=True)
    ]


def shuffled(points: Columns, seed: int) -> Columns:
    order = np.random.default_rng(seed).permutation(len(points[0]))
    return tuple(None if column is None else column[order] for column in points)  # type: ignore[return-value]


@pytest.mark.parametrize("has_intercept", [True, False])
@pytest.mark.parametrize("has_sigma", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_bits_do_not_depend_on_order_or_batches(size: int, has_sigma: bool, has_intercept: bool) -> None:
    """Sorted rows in one batch, rows cut anywhere into 2 to 9 batches, and shuffled rows give the same bits."""
    powers = tuple(range(size)) if has_intercept else tuple(range(1, size + 1))
    model, random, points = Model(powers, has_sigma, False), np.random.default_rng(1), mixed(40, seed=size)
    points[2][points[0] == points[0][0]] = 2.0 * points[1][points[0] == points[0][0]]  # one goes on to its residuals
    columns = columns_of(points, random.uniform(0.1, 9, len(points[0])) if has_sigma else None)
    one = solved([columns], model)
    for number in (1, 8):
        cuts = sorted(random.integers(0, len(columns[0]), number).tolist())
        for rows in (columns, shuffled(columns, 1)):
            assert_same(solved(shares(rows, cuts), model), one)


def test_long_series_are_fitted_like_short_ones() -> None:
    """Series of hundreds of rows, in a row or scattered, have the bits of each other and numpy's coefficients."""
    random = np.random.default_rng(2)
    lengths = [773, 7, 256, 1]
    codes = np.repeat(np.arange(4), lengths)
    x = random.uniform(-3, 8, len(codes))
    points = columns_of((codes, x, 1 + x**2 + random.normal(size=len(codes))))
    model = Model((0, 1, 2), False, False)
    one, other = solved([points], model), solved(shares(shuffled(points, 2), [100, 500]), model)
    assert one.nobs.tolist() == lengths
    assert_same(other, one)
    for k in range(3):
        mine = codes == k
        assert one.numbers[k, :3].tolist() == pytest.approx(np.polyfit(x[mine], points[2].numpy()[mine], 2)[::-1])


def with_loops(points: Shape, sigma: Array, model: Model, is_plain: bool) -> Array:
    """Return ranges and numbers of all series of points, those in doubt by sums of their residuals."""
    fit, add, solve = (loop if is_plain else compiled(loop) for loop in (fit_whole, add_sums, solve_sums))
    codes, first, length, columns = group(points[0], (points[1], points[2], sigma), 1)
    ranges, numbers = np.zeros((len(codes), 5)), np.zeros((len(codes), 2 * len(model.powers) + 4))
    workspace, needs_residuals = make_workspace(model, int(length.max()), is_plain), np.zeros(len(codes), bool)
    rows = tuple(rows_for(fit, column) for column in columns)
    fit(0, len(codes), model, workspace, rows, first, length, ranges, numbers, needs_residuals)
    uncertain = np.flatnonzero(needs_residuals)
    assert 0 < len(uncertain) < len(codes)
    first, length, ends, again = first[uncertain], length[uncertain], ranges[uncertain], numbers[uncertain]
    places = np.arange(len(uncertain))
    totals = [np.zeros((len(uncertain), count, 4), np.int64) for count in model.totals]
    for is_again in (False, True):
        add(0, len(uncertain), model, workspace, rows, first, length, places, ends, length, is_again, *totals, again)
    solve(0, len(uncertain), model, workspace, ends, length, True, *totals, again, needs_residuals)
    return np.concatenate([ranges.ravel(), numbers.ravel(), again.ravel()])


def test_compiled_loops_give_the_bits_of_plain_ones() -> None:
    """Ranges, sums, solutions and residuals are the same compiled and as they stand."""
    codes, x, y = mixed(30, seed=4)
    y[codes < 0] = 1e9 + 2.0 * x[codes < 0]
    order = np.random.default_rng(4).permutation(len(x))
    points: Shape = (codes[order] << 40, x[order], y[order])
    for has_sigma, powers in ((False, (0, 1, 2)), (True, (1, 2, 3))):
        model = Model(powers, has_sigma, False)
        sigma = np.random.default_rng(5).uniform(0.01, 9, len(x)) if has_sigma else np.zeros(0)
        np.testing.assert_array_equal(
            with_loops(points, sigma, model, is_plain=False), with_loops(points, sigma, model, is_plain=True)
        )


@pytest.mark.parametrize("shift", [0, 40, 58])
def test_rows_are_sorted_as_numpy_does(shift: int) -> None:
    """Rows are sorted by ids near and far from each other, uncertain of one id in their order."""
    random = np.random.default_rng(shift)
    codes, x = random.integers(-20, 20, 5000) << shift, random.normal(size=5000)
    order = np.argsort(codes, kind="stable")
    sorted_codes, sorted_x, same, empty = sort_rows([codes, x, x, np.zeros(0)], 3, 100)
    np.testing.assert_array_equal(sorted_codes, codes[order])
    np.testing.assert_array_equal(sorted_x, x[order])
    np.testing.assert_array_equal(same, x[order])
    assert len(empty) == 0


SCRIPT = """
import numpy as np, regression
random = np.random.default_rng(7)
codes = random.integers(0, {series}, {rows})
x = random.normal(size={rows})
fit = regression.fit_series(x, 3 * x + random.normal(size={rows}), codes, 1)
import hashlib, sys
print(hashlib.sha256(fit.params.numpy().tobytes() + fit.bse.numpy().tobytes()).hexdigest(), "numba" in sys.modules)
"""


def run_script(series: int, rows: int, **environment: str) -> list[str]:
    script = SCRIPT.format(series=series, rows=rows)
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_without_the_compiler_the_bits_are_the_same() -> None:
    """With ``NUMBA_DISABLE_JIT=1`` the same loops run as they stand, on arrays, and give the same bits."""
    compiled_bits, uncompiled = run_script(4000, 40000), run_script(4000, 40000, NUMBA_DISABLE_JIT="1")
    assert compiled_bits == uncompiled
    assert compiled_bits[1] == "True"


def test_small_tables_need_no_compiler() -> None:
    """A thousand rows are fitted without numba's import."""
    assert run_script(100, 1000)[1] == "False"


def test_bits_do_not_depend_on_threads() -> None:
    """One thread and five give the same bits."""
    codes, x, y = mixed(1500, seed=3)
    order = np.random.default_rng(3).permutation(len(x))
    before, fits = torch.get_num_threads(), []
    try:
        for threads in (1, 5):
            torch.set_num_threads(threads)
            fits += [regression.fit_series(x, y, codes, 1), regression.fit_series(x[order], y[order], codes[order], 1)]
    finally:
        torch.set_num_threads(before)
    for fit in fits[1:]:
        for name in FIELDS:
            torch.testing.assert_close(getattr(fit, name), getattr(fits[0], name), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("far", [2**40, 2**62], ids=["near", "far"])
def test_mixed_ids_are_sorted_at_any_distance(far: int) -> None:
    """Rows in random order are fitted like sorted ones, also where ids are too far apart to share bits with rows."""
    codes, x, y = mixed(30, seed=9)
    codes = np.where(codes > 0, far, -far) + codes
    order = np.random.default_rng(5).permutation(len(codes))
    fit, other = regression.fit_series(x, y, codes, 2), regression.fit_series(x[order], y[order], codes[order], 2)
    assert list(other.series) == list(fit.series) == sorted(set(codes.tolist()))
    for name in FIELDS:
        torch.testing.assert_close(getattr(other, name), getattr(fit, name), rtol=0, atol=0, equal_nan=True)


def test_second_pass_is_only_for_cut_series() -> None:
    """Series whose rows follow each other are solved without reading the points again."""
    model = Model((0, 1), False, False)

    def never() -> Iterator[Any]:
        raise AssertionError("read again")
        yield

    fit_all(SeriesTable.of(columns_of(mixed()), model), never, model)


def test_third_pass_is_only_for_what_the_sums_leave_open() -> None:
    """Cut series are read once more for their sums, and a third time where residuals must certify their digits."""
    codes, x, y = mixed(30, seed=2)
    for value, passes in ((y, 1), (3 * x, 2)):
        points, model, read = columns_of((codes, x, value)), Model((0, 1), False, False), []
        parts = shares(points, [len(x) // 2])

        def again(parts: list[Columns] = parts, read: list[int] = read) -> list[Columns]:
            read.append(1)
            return parts

        fit_all(SeriesTable.merged([SeriesTable.of(part, model) for part in parts]), again, model)
        assert len(read) == passes
