"""Kernels for CUDA devices: on a GPU where there is one, else by Triton's interpreter where that is installed."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch

import regression
from regression import fixedpoint, floatingpoint, fused, resident
from regression.coordinates import combine, precise, u_in_powers
from regression.errors import UsageError
from regression.moments import Frame
from regression.resident import from_one_reading
from regression.solver import solve
from regression.sums import Gram
from tests.test_moments import Columns

DIGITS = 10**12  # sums differ by less than one part in so many of the sums of squares
HAS_GPU, HAS_TRITON = torch.cuda.is_available(), importlib.util.find_spec("triton") is not None
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
CASES = [
    (1, 5, 0, 1),
    (1, 700, -3, 900),
    (2, 128, 1e6, 1e6 + 1),
    (3, 129, 1e-200, 2e-200),
    (5, 513, -1, 3),
    (8, 300, -1, 1),
]


def points(rows: int, low: float, high: float, kind: torch.dtype, device: str = "cpu") -> Columns:
    """Return points of a noisy curve, with sigma."""
    generator = torch.Generator().manual_seed(rows)
    x = low + (high - low) * torch.rand(rows, dtype=torch.float64, generator=generator)
    noise, sigma = (torch.rand(rows, dtype=torch.float64, generator=generator) for _ in range(2))
    y = ((x - low) / (high - low)).sin() + noise / 10 - 3
    return Columns(*(column.to(device, kind) for column in (x, y, sigma + 0.5)))


def compare(device: str) -> None:
    """Compare the sums that kernels take of points on a device with those that torch takes on the CPU."""
    for kind in (torch.float64, torch.float32):
        for degree, rows, low, high in CASES if kind == torch.float64 else CASES[1::3]:
            there = points(rows, low, high, kind)
            here = Columns(*(column.to(device) for column in there))
            frame = Frame.of([there._replace(sigma=None)])
            exact = fused.exact_gram(here.x, here.y, frame, degree)
            expected = fixedpoint.chunked_gram(there.x, there.y, None, frame, degree)
            expected[-1][1] = exact[-1][1]  # of y and T_d, which the moments do not use
            assert exact == expected, (kind, degree, rows)
            for sigma in (None, there.sigma):
                frame = Frame.of([there._replace(sigma=sigma)], "double")
                own = fused.double_gram(*here[:2], None if sigma is None else here.sigma, frame, degree)[0]
                other = floatingpoint.chunked_gram(*there[:2], sigma, frame, degree, frame.y_center)
                assert close(own, other), (kind, degree, rows, own, other)


def compare_one_reading(device: str) -> None:
    """Compare fits from one reading with those of the CPU, and see where one reading does not do."""
    for kind in (torch.float64, torch.float32):
        here = points(3000, -1, 3, kind, device)
        moments = from_one_reading(here.x, here.y, 4)
        assert moments is not None
        own, exact = solve(moments, 4), regression.fit(here.x.cpu(), here.y.cpu(), 4)
        with precise():
            params = combine(u_in_powers(moments.frame, 4), own.coefficients)
        torch.testing.assert_close(
            torch.tensor([*map(float, params)]), torch.tensor(exact.params), rtol=1e-9, atol=1e-9
        )
        assert (moments.frame.low, moments.frame.high, moments.nobs) == (*exact.x_range, 3000)
        assert own.condition == pytest.approx(exact.condition_number, rel=1e-9)
        for value, row in ((9.0, 1001), (torch.nan, 1001), (torch.inf, 1001), (torch.nan, 0)):
            x = here.x.clone()
            x[row] = value
            assert from_one_reading(x, here.y, 4) is None
            y = here.y.clone()
            y[row] = value
            assert (from_one_reading(here.x, y, 4) is None) == (value != 9)


def close(own: Gram, other: Gram) -> bool:
    """Tell whether sums differ by no more than rounding, whose size is that of the sums of squares."""
    sizes = [max(abs(row[k]) for k in range(3)) + other[0][0] for row in other]
    return all(abs(a - b) * DIGITS <= size for size, *rows in zip(sizes, own, other, strict=True)
               for a, b in zip(*rows, strict=True))  # fmt: skip


@pytest.mark.skipif(HAS_GPU or not HAS_TRITON, reason="needs Triton, and is not needed beside a GPU")
def test_sums_of_kernels_are_those_of_torch_where_triton_interprets_them() -> None:
    script = (
        "from tests import test_fused as t; t.fused.STEPS = 4; t.compare('cpu'); t.resident.SAMPLE = 1000; "
        "t.fused._are_for_kernels = lambda columns: True; t.compare_one_reading('cpu')"
    )
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | {"TRITON_INTERPRET": "1"}, check=False,
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr


@needs_gpu
def test_sums_of_kernels_are_those_of_torch_on_a_gpu() -> None:
    compare("cuda")


@needs_gpu
def test_one_reading_of_points_on_a_gpu_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "FEWEST", 1)
    monkeypatch.setattr(resident, "SAMPLE", 1000)
    compare_one_reading("cuda")


@needs_gpu
@pytest.mark.parametrize("rows", [1000, fused.FEWEST + 77])
def test_a_fit_of_points_on_a_gpu_is_that_of_the_cpu(rows: int) -> None:
    here = points(rows, -1, 3, torch.float32, "cuda")
    there = [column.cpu() for column in here]
    for degree in (1, 9) if rows == 1000 else (4,):
        ours, other = (regression.fit(x, y, degree) for x, y, _ in (here, there))
        assert json.loads(ours.to_json()) == json.loads(other.to_json())
        for sigma in (False, True):
            ours, other = (
                regression.fit(x, y, degree, s if sigma else None, arithmetic="double") for x, y, s in (here, there)
            )
            torch.testing.assert_close(torch.tensor(ours.params), torch.tensor(other.params), rtol=1e-9, atol=1e-9)


@needs_gpu
def test_numbers_that_are_not_finite_are_refused_on_a_gpu() -> None:
    x = torch.ones(10, device="cuda")
    x[3] = torch.nan
    with pytest.raises(UsageError, match="x must be finite, got nan at row 3"):
        regression.fit(x, x, 1)


@needs_gpu
def test_points_on_different_devices_are_refused() -> None:
    with pytest.raises(UsageError, match="one device"):
        regression.fit(torch.ones(3, device="cuda"), torch.ones(3), 1)


def test_without_kernels_torch_takes_the_sums_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'triton'")

    monkeypatch.setattr(fused, "_kernels", missing)
    fused._compiles.cache_clear()
    with pytest.warns(UserWarning, match="without Triton's kernels: No module named 'triton'"):
        assert not fused._compiles(torch.device("cpu"))
    fused._compiles.cache_clear()
