"""Points on which other programs lose digits: large y or x, unequal weights; and numbers near float64's limits."""

import math
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import regression
from tests.estimation.test_certainty import EXACT, eliminated, right_numbers
from tests.support.command import ROOT, Command, run_process

Array = NDArray[np.float64]
STAMPS = np.arange(30.0), np.array([1.7e15 + 1000 * k + ((37 * k) % 11 - 5) * 0.25 for k in range(30)])
DECADES = 2.0 ** np.arange(-8, 9)


def assert_right(fit: regression.Fit, x: Array, y: Array, sigma: Array | None, relative: float) -> None:
    with localcontext(EXACT):
        right = right_numbers(x, y, sigma, fit.degree)
        assert right is not None
        for name, values in right.items():
            found = getattr(fit, name)
            expected = [float(value) for value in values]
            assert np.atleast_1d(found).tolist() == pytest.approx(expected, rel=relative, abs=0), name


@pytest.mark.parametrize("sigma", [None, np.full(30, 3.0), 1.0 + np.arange(30) % 3, 10.0 ** np.linspace(-3, 0, 30)])
def test_microseconds_since_1970_lose_nothing(sigma: Array | None) -> None:
    """Residuals of a quarter beside y of 1.7e15 are right to the last digit, however the points are weighted."""
    fit = regression.fit(*STAMPS, sigma=sigma)
    assert_right(fit, *STAMPS, sigma, relative=2.3e-16)
    assert fit.notes == ()


def test_equal_weights_change_nothing_but_the_unit() -> None:
    """Sigma 4 for all points gives the coefficients, errors and R² of no sigma, and a sixteenth of ssr, to the bit."""
    plain, weighted = regression.fit(*STAMPS), regression.fit(*STAMPS, sigma=np.full(30, 4.0))
    np.testing.assert_array_equal([plain.params, plain.bse], [weighted.params, weighted.bse])
    assert plain.rsquared == weighted.rsquared
    assert plain.ssr == 16 * (weighted.ssr or 0)


def test_uncertain_digits_have_a_note() -> None:
    """For whole numbers near a polynomial of degree 9 over powers of two, a note says how many digits are certain."""
    y = np.array([float(int(-1 + 5 * v - 3 * v**7 + v**9)) for v in DECADES])
    fit = regression.fit(DECADES, y, 9)
    assert_right(fit, DECADES, y, None, relative=1e-9)
    assert any("digits are certain" in note for note in fit.notes)
    assert "exact" not in str(fit).splitlines()[5]


@pytest.mark.parametrize("degree", [8, 10])
def test_bands_keep_their_digits(degree: int) -> None:
    """The curve and its standard error are right to 13 digits with weights over 16 decades, also between the points."""
    random = np.random.default_rng(degree)
    x, sigma = np.sort(random.uniform(-1, 1, 40)), 10 ** random.uniform(-4, 4, 40)
    y = np.sin(3 * x) + sigma * random.normal(size=40) * 1e-3
    grid = np.linspace(-1, 1, 9)
    bands = regression.fit(x, y, degree, sigma, absolute_sigma=True).predict(grid)
    with localcontext(EXACT):
        # f(x0) and its variance are the coefficient c0, and that of c0, of the same points moved by x0.
        for at, mean, error in zip(grid.tolist(), bands.mean.tolist(), bands.mean_se.tolist(), strict=True):
            moved = [Decimal(v) - Decimal(at) for v in x.tolist()]
            value, variance = constant_term(moved, y, sigma, degree)
            assert mean == pytest.approx(float(value), rel=1e-13, abs=0)
            assert error == pytest.approx(float(variance.sqrt()), rel=1e-13, abs=0)


def constant_term(x: list[Decimal], y: Array, sigma: Array, degree: int) -> tuple[Decimal, Decimal]:
    weights = [1 / Decimal(s) ** 2 for s in sigma.tolist()]
    sums = [
        sum((w * v**k if k else w for w, v in zip(weights, x, strict=True)), Decimal(0)) for k in range(2 * degree + 1)
    ]
    known = [
        sum((w * (v**k if k else 1) * Decimal(b) for w, v, b in zip(weights, x, y.tolist(), strict=True)), Decimal(0))
        for k in range(degree + 1)
    ]
    rows = [[*sums[i : i + degree + 1], known[i], Decimal(int(i == 0))] for i in range(degree + 1)]
    solved = eliminated(rows)
    assert solved is not None
    return solved[0][0], solved[0][1]


def test_covariance_of_calendar_years_says_what_it_loses() -> None:
    """If errors of the curve cannot be computed from ``cov_params``, a note names what to use instead."""
    x = np.arange(2000.0, 2021)
    y = 1 + 0.5 * (x - 2010) + np.random.default_rng(4).normal(size=21)
    years, centred = regression.fit(x, y, 4), regression.fit(x - 2010, y, 4)
    assert any(
        note.startswith("cov_params in powers of x lose 16 digits") and "predict" in note for note in years.notes
    )
    assert centred.notes == ()
    assert years.predict([2013.5]).mean_se.item() == pytest.approx(centred.predict([3.5]).mean_se.item(), rel=1e-14)


@pytest.mark.parametrize("sigma", [1e-300, 1e300])
@pytest.mark.parametrize("absolute_sigma", [False, True])
def test_squares_beyond_float64_are_printed_and_kept(sigma: float, absolute_sigma: bool) -> None:
    """Extreme sigma give the same coefficients, a report, a note with the sum of squares, and a file that loads."""
    x, y = [0.0, 1, 2, 3], [1.0, 3, 2, 5]
    fit = regression.fit(x, y, sigma=[sigma] * 4, absolute_sigma=absolute_sigma)
    plain = regression.fit(x, y)
    assert fit.params.tolist() == plain.params.tolist()
    assert fit.bse is not None
    expected = [sigma * math.sqrt(v) for v in (0.7, 0.2)] if absolute_sigma else plain.bse
    assert list(fit.bse) == pytest.approx(list(expected), rel=1e-15)
    power = "+600" if sigma < 1 else "-600"
    assert f"note: the sum of squared residuals is 2.700000e{power}, beyond float64's range" in str(fit)
    assert regression.Fit.from_json(fit.to_json()).params.tolist() == fit.params.tolist()


def test_a_value_over_a_tiny_error_is_printed() -> None:
    """A value whose error no float64 number shows has all its digits, and its error beside them."""
    fit = regression.fit([0.0, 1, 2], [1.0, 2, 3.5], sigma=[1e-40, 1e-40, 1e-40], absolute_sigma=True)
    assert "c0  0.91666666666666663 ± " in str(fit)


def hard_file(folder: Path) -> tuple[Path, Array, Array]:
    """Write points that need a second pass: small residuals beside a large curve."""
    random = np.random.default_rng(3)
    x = random.uniform(1e5, 1e5 + 1, 500)
    y = 1e12 * (x - 1e5) ** 3 + random.normal(size=500) * 1e-3
    path = folder / "hard.npy"
    np.save(path, np.stack([x, y], axis=1))
    return path, x, y


def test_a_second_pass_gives_the_same_bits_through_every_door(command: Command, tmp_path: Path) -> None:
    """The command, in memory and streamed, gives the bits of ``regression.fit``, which are right."""
    path, x, y = hard_file(tmp_path)
    fit = regression.fit(x, y, 3)
    assert_right(fit, x, y, None, relative=4e-16)
    common = ["--model", "PolynomialRegression", "--model.degree", "3", "--model.solver", "exact",
              "--data", "TableDataModule", "--data.path", str(path)]  # fmt: skip
    for more in ([], ["--data.in_memory_rows", "0"], ["--data.batch_size", "7"]):
        done = command("fit", *common, *more)
        assert (done.code, done.err) == (0, "")
        np.testing.assert_array_equal([done.fit["params"], done.fit["bse"]], [fit.params, fit.bse])
        assert done.fit["ssr"] == fit.ssr
    predicted = command("predict", "--ckpt_path", done.checkpoint)
    assert predicted.code == 0


def test_two_processes_share_a_second_pass(tmp_path: Path) -> None:
    """Two processes give the bits of one, streamed."""
    path, x, y = hard_file(tmp_path)
    fit = regression.fit(x, y, 3)
    done = run_process(
        tmp_path, "fit", "-c", str(ROOT / "configs" / "polynomial_exact.yaml"), "--model.degree", "3", "--data",
        "TableDataModule", "--data.path", str(path), "--data.in_memory_rows", "0", "--trainer.accelerator", "cpu",
        "--trainer.devices", "2",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (done.fit["params"], done.fit["ssr"]) == (fit.params.tolist(), fit.ssr)


def test_the_command_accepts_squares_beyond_float64(command: Command, tmp_path: Path) -> None:
    """A run whose sum of squares is beyond float64's range writes its files, with null for that sum."""
    (tmp_path / "tiny.csv").write_text("x,y,s\n0,1,1e-300\n1,3,1e-300\n2,2,1e-300\n3,5,1e-300\n")
    done = command("fit", "-c", str(ROOT / "configs" / "own_file.yaml"), "--data.path", "tiny.csv", "--data.sigma", "s")
    assert (done.code, done.err) == (0, "")
    assert (done.fit["params"], done.fit["ssr"], done.fit["loss"]) == ([1.1, 1.1], None, None)
