"""Sums in double: how close they come, what they guarantee, and where the report says that they do not suffice."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import regression
from regression import sums
from regression.errors import UsageError
from regression.moments import UNIT, Arithmetic, Frame, Moments
from tests.conftest import Command
from tests.test_moments import Columns, drawn, fractions, scaled
from tests.test_nist import CERTIFIED, digits, points

TOLERANCE = 1e-12  # of coefficients and errors on well-conditioned points
DEGREE = 4


def in_double(data: Columns, frame: Frame | None = None) -> Moments:
    return Moments.of(*data, frame or Frame.of([data], "double"), DEGREE)


def exact(data: Columns, frame: Frame) -> tuple[list[Fraction], list[Fraction]]:
    """Return the sums of moments by rational arithmetic, but the last; and the sums of the terms' sizes."""
    count = 3 * DEGREE + 3
    totals, sizes = [Fraction(0)] * count, [Fraction(0)] * count
    sigmas = torch.ones_like(data.y) if data.sigma is None else data.sigma
    for x, y, sigma in zip(*map(fractions, (data.x, data.y, sigmas)), strict=True):
        u = (x - Fraction(frame.center)) / Fraction(frame.scale)
        value, weight = y / Fraction(2) ** frame.y_exponent, (Fraction(2) ** frame.sigma_exponent / sigma) ** 2
        chebyshev = [Fraction(1), u]
        while len(chebyshev) <= 2 * DEGREE:
            chebyshev.append(2 * u * chebyshev[-1] - chebyshev[-2])
        terms = [*chebyshev, *(value * t for t in chebyshev[: DEGREE + 1]), value**2]
        bounds = [Fraction(1)] * (2 * DEGREE + 1) + [abs(value)] * (DEGREE + 1) + [value**2]
        totals = [total + weight * term for total, term in zip(totals, terms, strict=True)]
        sizes = [total + weight * bound for total, bound in zip(sizes, bounds, strict=True)]
    return totals, sizes


@pytest.mark.parametrize(
    "data",
    [
        scaled(),
        scaled(shift=2.0**20),
        scaled(x=1e300),
        scaled(x=1e-300),
        scaled(y=1e300),
        scaled(y=1e-300),
        scaled(x=0.0, shift=5.0),
        Columns(torch.arange(5), torch.tensor([3, 1, 4, 1, 5])),
        Columns(torch.linspace(0, 1, 9), torch.linspace(5, 6, 9)),
        Columns(torch.linspace(0, 1, 9), -torch.linspace(5, 6, 9)),
        drawn(1),
        drawn(2),
    ],
)
def test_sums_are_those_of_rational_arithmetic(data: Columns) -> None:
    """Every sum is that of exact fractions to 14 digits of its terms' sizes, at any offset and scale of x and y."""
    own = in_double(data)
    for total, right, size in zip(own.sums, *exact(data, own.frame), strict=False):
        assert abs(Fraction(total, 1 << UNIT) - right) <= Fraction(1, 10**14) * size


def test_error_does_not_grow_with_the_number_of_rows() -> None:
    """Half a million copies of eight points have half a million times their sums, to 14 digits."""
    few = Columns(*torch.randn(2, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    frame, copies = Frame.of([few], "double"), 1 << 19
    many = in_double(Columns(few.x.repeat(copies // 8), few.y.repeat(copies // 8)), frame)
    for total, right, size in zip(many.sums, *exact(few, frame), strict=False):
        assert abs(Fraction(total, copies // 8 << UNIT) - right) <= Fraction(1, 10**14) * size


def curve(seed: int = 0, rows: int = 3000, noise: float = 0.3, offset: float = 0.0) -> tuple[Any, Any, Any]:
    """Return x, y and sigma of a noisy curve."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-2, 5, rows)
    sigma = generator.uniform(0.5, 2, rows)
    return x, offset + 1 - 2 * x + 0.3 * x**2 + noise * sigma * generator.normal(size=rows), sigma


@pytest.mark.parametrize("degree", [0, 1, 5, 12])
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_agrees_with_numpy(degree: int, weighted: bool) -> None:
    """On well-conditioned points the curve is numpy's, and its coefficients and errors are those of double-double."""
    x, y, sigma = curve()
    sigma = sigma if weighted else None
    own = regression.fit(x, y, degree, sigma, arithmetic="double")
    theirs = np.polynomial.Polynomial.fit(x, y, degree, w=None if sigma is None else 1 / sigma)
    np.testing.assert_allclose(own.predict(x).mean, theirs(x), rtol=1e-9, atol=1e-9)
    right = regression.fit(x, y, degree, sigma)
    scale = np.array(right.bse)  # a coefficient can be near 0
    assert np.abs(np.subtract(own.params, right.params)).max() <= TOLERANCE * np.abs(right.params).max() + 1e-9 * max(
        scale
    )
    np.testing.assert_allclose(own.bse, right.bse, rtol=1e-10)
    assert own.ssr == pytest.approx(right.ssr, rel=TOLERANCE)
    assert (own.notes, own.rank) == ((), degree + 1)


@pytest.mark.parametrize("offset", [1e6, -1e9])
def test_an_offset_of_y_costs_no_digits(offset: float) -> None:
    """Residuals a billion times smaller than y keep their sum of squares, as that of numpy on y without offset."""
    x, y, _ = curve(offset=offset)
    own = regression.fit(x, y, 2, arithmetic="double")
    residuals = (y - offset) - np.polynomial.Polynomial.fit(x, y - offset, 2)(x)
    assert own.ssr == pytest.approx(float(residuals @ residuals), rel=1e-10)
    assert own.notes == ()


@pytest.mark.parametrize(("name", "expected"), [("Norris", 12.5), ("Pontius", 12), ("NoInt1", 13), ("Wampler1", 8)])
def test_certified_digits(name: str, expected: float) -> None:
    """NIST's well-conditioned sets keep most of their digits."""
    values = CERTIFIED[name]
    fit = regression.fit(*points(name), values["degree"], fit_intercept=values["intercept"], arithmetic="double")
    found = [digits(a, b) for a, b in zip(fit.params, values["digits_40"]["estimates"], strict=True)]
    assert min(found) >= expected


def test_batches_give_the_same_sums_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other batches change the last digits only; the same batches, merged in any order, change nothing."""
    data = drawn(5, 5000, with_sigma=False)
    frame = Frame.of([data], "double")
    pieces = [in_double(data.rows(slice(start, start + 700)), frame) for start in range(0, 5000, 700)]
    again = [in_double(data.rows(slice(start, start + 700)), frame) for start in range(0, 5000, 700)]
    forth, back = Moments.empty(frame, DEGREE), Moments.empty(frame, DEGREE)
    for piece, other in zip(pieces, reversed(again), strict=True):
        forth, back = forth.merge(piece), back.merge(other)
    assert forth == back
    monkeypatch.setattr(sums, "CPU_ROWS", 2048)
    whole = in_double(data, frame)
    assert whole.nobs == forth.nobs
    for a, b, size in zip(whole.sums, forth.sums, exact(data, frame)[1], strict=False):
        assert abs(Fraction(a - b, 1 << UNIT)) <= Fraction(1, 10**14) * size


def test_scan_does_not_depend_on_order_or_batches() -> None:
    """The frame is the same for shuffled points in several batches."""
    data = Columns(*torch.rand(2, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 3)
    shuffled = data.rows(torch.randperm(20, generator=torch.Generator().manual_seed(1)))
    frame = Frame.of([data], "double")
    assert Frame.of([shuffled.rows(slice(0, 7)), shuffled.rows(slice(7, None))], "double") == frame
    assert frame.y_center == float(data.y.min())


def test_points_too_close_for_double_are_said_to_be() -> None:
    """Pairs of x that double cannot tell apart leave coefficients open, and the note names the other arithmetic."""
    x, y = np.array([0.0, 1e-8, 1.0, 1.0 + 1e-8]), np.array([1.0, 2, 3, 4])
    with pytest.warns(regression.UndeterminedWarning, match="the points fix 2 of 4 coefficients"):
        fit = regression.fit(x, y, 3, arithmetic="double")
    assert "note: sums in double cannot tell coefficients apart" in str(fit)
    assert "use the arithmetic double-double" in str(fit)
    assert fit.bse is None
    assert regression.fit(x, y, 3).rank == 4


def test_lost_digits_of_coefficients_are_counted() -> None:
    """Where the condition leaves few digits a note says how many, and about so many are right."""
    x = np.concatenate([np.linspace(0, 1e-4, 50), np.linspace(1, 1 + 1e-4, 50)])
    y = np.sin(3 * x) + 0.1 * np.cos(1e5 * x)
    own, right = regression.fit(x, y, 3, arithmetic="double"), regression.fit(x, y, 3)
    (note,) = [note for note in own.notes if "digits of the coefficients" in note]
    claimed = int(note.split("about ")[1].split()[0])
    assert claimed < 8
    error = max(abs(a / b - 1) for a, b in zip(own.params, right.params, strict=True))
    assert -math.log10(error) >= claimed - 1
    assert not right.notes


def test_residuals_below_the_rounding_are_said_to_be() -> None:
    """A noise of 1e-9 leaves errors without digits, one of 1e-5 few, and the notes say so; double-double has all."""
    x, y, _ = curve(noise=0)
    noise = np.random.default_rng(1).normal(size=len(x))
    lost = regression.fit(x, y + 1e-9 * noise, 2, arithmetic="double")
    assert lost.ssr == 0
    assert "sums in double cannot tell the residuals from 0, so the errors are unknown" in str(lost)
    few = regression.fit(x, y + 1e-5 * noise, 2, arithmetic="double")
    assert "sums in double leave about 4 digits of the residuals" in str(few)
    right = regression.fit(x, y + 1e-5 * noise, 2)
    assert few.ssr == pytest.approx(right.ssr, rel=1e-3)
    assert right.notes == ()


def test_degree_is_chosen_as_in_double_double() -> None:
    """The choice of degree, with its folds, is the same in both arithmetics."""
    x, y, _ = curve()
    chosen = [
        regression.fit(x, y, "auto", criterion="cv", arithmetic=arithmetic)
        for arithmetic in ("double", "double-double")
    ]
    assert chosen[0].degree == chosen[1].degree
    for own, right in zip(*(fit.degree_table for fit in chosen), strict=True):
        assert own["cv"] == pytest.approx(right["cv"], rel=1e-9)


def test_command_takes_the_arithmetic(command: Command) -> None:
    """``--model.arithmetic double`` gives the same answer but for the last digits, in both solvers."""
    options = ("--model", "PolynomialRegression", "--model.degree", "2", "--data.points", "50", "--data.noise", "0.3")
    exact, double = (
        command("fit", *options, "--model.solver", "exact", "--model.arithmetic", arithmetic)
        for arithmetic in ("double-double", "double")
    )
    assert (double.code, double.err) == (0, "")
    assert double.fit["params"] == pytest.approx(exact.fit["params"], rel=TOLERANCE)
    descended = command("fit", *options, "--model.arithmetic", "double", "--trainer.max_steps", "60")
    assert (descended.code, descended.err) == (0, "")
    assert descended.fit["opt_error_se"] < 0.1


def test_unknown_arithmetic_is_refused(command: Command) -> None:
    """Another word costs one line that names the two there are."""
    with pytest.raises(UsageError, match=r"^arithmetic must be one of double-double, double, got 'single'$"):
        regression.fit([1, 2, 3], [1, 2, 4], arithmetic="single")  # type: ignore[arg-type]
    done = command("fit", "--model", "LineRegression", "--model.arithmetic", "single")
    assert done.code == 2
    assert "arithmetic" in done.err


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Return a function that sets the number of torch's threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("arithmetic", ["double", "double-double"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_sums_of_chunks_that_threads_share_are_right(
    threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, count: int, weighted: bool, arithmetic: Arithmetic
) -> None:
    """A last chunk that is not full leaves the others alone, whichever thread takes it, and whenever."""
    monkeypatch.setattr(sums, "CPU_ROWS", sums.STEP)
    threads(count)
    for rows in (sums.STEP * chunks + rest for chunks in range(6) for rest in (1, 700)):
        random = np.random.default_rng(rows)
        x, sigma = random.uniform(1, 3, rows), random.uniform(1, 2, rows) if weighted else np.ones(rows)
        y = np.sin(x) + random.normal(0, 0.1, rows)
        found = regression.fit(x, y, min(2, rows - 1), sigma=sigma if weighted else None, arithmetic=arithmetic)
        expected = np.polynomial.polynomial.polyfit(x, y, min(2, rows - 1), w=1 / sigma)
        np.testing.assert_allclose(found.params, expected, rtol=1e-10)
