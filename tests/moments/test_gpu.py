"""The sums over points on a CUDA device: the bits of the loops, by operations of torch and by the kernel.

Without a GPU, operations run on tensors of the CPU, and the kernel in Triton's interpreter where that is installed.
"""

import importlib.metadata
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from regression.common.points import Points
from regression.curves.frame import Frame
from regression.kernels.fixed_point import whole_total
from regression.moments import gpu, gpu_operations
from regression.moments.loops import add_logarithms, add_moments, add_residuals
from regression.moments.scan import Range, Sums, loop_columns, loop_totals, loop_workspace
from regression.moments.second_pass import SecondPass

HAS_GPU, HAS_TRITON = torch.cuda.is_available(), importlib.util.find_spec("triton") is not None
ROUNDS_ONCE = HAS_TRITON and importlib.metadata.version("triton").split(".") >= ["3", "9"]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not HAS_GPU, reason="needs a GPU"))]
RANGES = [(-1.0, 3.0), (1e6, 1e6 + 1e-6), (1e-200, 2e-200), (-1e307, 8e307), (0.0, 5e-322)]


def frame_of(points: Points) -> Frame:
    found = Range()
    found.add(points)
    return found.frame()


def moved(points: Points, device: str) -> Points:
    return Points(*(None if column is None else column.to(device) for column in points))  # type: ignore[arg-type]


def draw(rows: int, low: float, high: float, is_weighted: bool, kind: torch.dtype = torch.float64) -> Points:
    """Return points whose y and sigma have many sizes, y far from 0."""
    generator = torch.Generator().manual_seed(rows)
    t, y, s = torch.rand(3, rows, dtype=torch.float64, generator=generator)
    decades = 40 if kind == torch.float32 else 300
    sigma = 10 ** (decades * s - decades / 2)
    return Points((low + (high - low) * t).to(kind), (y + 1e9).to(kind), sigma.to(kind) if is_weighted else None)


def values(totals: list[list[int]], outside: int) -> tuple[list[int], int]:
    assert all(0 <= lower < 2**32 for numbers in totals for lower in numbers[1::2])
    return [whole_total(numbers) for numbers in totals], outside


def moments_by_loops(points: Points, frame: Frame, degree: int) -> tuple[list[int], int]:
    columns, totals = loop_columns(add_moments, *points[:3]), loop_totals(True, 3 * degree + 4)
    outside = add_moments(*columns, frame.loop_numbers(), degree, loop_workspace(True, max(degree, 1) + 5), totals)
    if not outside:
        add_logarithms(columns[2], frame.loop_numbers()[-1], totals[-1])
    return [whole_total(numbers) for numbers in totals], outside


def residuals_by_loops(points: Points, request: SecondPass) -> tuple[list[int], int]:
    totals, room = (
        loop_totals(True, request.sum_count),
        loop_workspace(True, max(request.degree, 1) + 4 + 2 * len(request.curve)),
    )
    outside = add_residuals(
        *loop_columns(add_moments, *points[:3]), request.frame.loop_numbers(), request.degree,
        *request.loop_functions(True), request.power, room, totals,
    )  # fmt: skip
    return [whole_total(numbers) for numbers in totals], outside


def ask(frame: Frame, degree: int, exponent: int = 1) -> SecondPass:
    """Return a second pass with numbers that have low parts, zeros among them."""
    curve = tuple((0.5 / 3**k, 1e-18 / (k + 1)) for k in range(degree + 1))
    functions = tuple(
        tuple((0.9 / (j + k + 1), 1e-18) if k <= j else (0.0, 0.0) for k in range(degree + 1))
        for j in range(degree + 1)
    )
    return SecondPass(frame, curve, functions, exponent)


def compare_kernel(device: str) -> None:
    """Compare the sums by the kernel with those of the loops."""
    for kind in (torch.float64, torch.float32):
        for degree, rows, ends in ((0, 1, RANGES[0]), (1, 129, RANGES[1]), (5, 400, RANGES[0]), (9, 128, RANGES[2])):
            for is_weighted in (False, True):
                points = draw(rows, *(ends if kind == torch.float64 else RANGES[0]), is_weighted, kind)
                frame = frame_of(points)
                found = gpu.moments_by_kernel(*moved(points, device)[:3], frame, degree, steps_per_program=2)
                assert values(*found) == moments_by_loops(points, frame, degree), (kind, degree, is_weighted)
    points = draw(300, *RANGES[0], True)
    frame, changed = frame_of(points), spoil(points)
    found = gpu.moments_by_kernel(*moved(changed, device)[:3], frame, 2, steps_per_program=2)
    assert found[1] == moments_by_loops(changed, frame, 2)[1] == 7


def spoil(points: Points) -> Points:
    """Put 7 numbers outside of the points' frame."""
    changed = Points(*(column.clone() for column in points if column is not None))
    assert changed.sigma is not None
    changed.x[5], changed.x[7], changed.y[7] = math.nan, 4.0, math.inf
    changed.sigma[7], changed.sigma[200], changed.sigma[201], changed.sigma[202] = math.nan, math.inf, 0.0, -1.0
    return changed


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("degree", [0, 1, 5, 9])
@pytest.mark.parametrize("ends", RANGES)
def test_operations_give_the_bits_of_the_loops(
    ends: tuple[float, float], degree: int, is_weighted: bool, device: str
) -> None:
    """Sums by operations of torch, in chunks of a few rows, are those of the uncompiled loops, whatever the scales."""
    points = draw(600, *ends, is_weighted)
    frame = frame_of(points)
    found = gpu_operations.moments(*moved(points, device)[:3], frame, degree, numbers_per_chunk=250 * (degree + 6))
    assert values(*found) == moments_by_loops(points, frame, degree)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_columns_of_float32_give_the_bits_of_the_loops(is_weighted: bool, device: str) -> None:
    """Float32 numbers are taken as the float64 numbers that they are, in both passes."""
    points = draw(300, *RANGES[0], is_weighted, torch.float32)
    frame = frame_of(points)
    assert values(*gpu.moments(*moved(points, device)[:3], frame, 4)) == moments_by_loops(points, frame, 4)
    request = ask(frame, 4)
    assert values(*gpu.residuals(*moved(points, device)[:3], request)) == residuals_by_loops(points, request)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("degree", [0, 1, 5, 9])
def test_a_second_pass_gives_the_bits_of_the_loops(degree: int, is_weighted: bool, device: str) -> None:
    """Sums of residuals by operations of torch, in chunks of a few rows, are those of the uncompiled loops."""
    points = draw(300, *RANGES[degree % 3], is_weighted)
    request = ask(frame_of(points), degree)
    found = values(*gpu.residuals(*moved(points, device)[:3], request, numbers_per_chunk=110 * (3 * degree + 8)))
    assert found == residuals_by_loops(points, request)
    assert found[1] == 0


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_outside_are_counted_as_the_loops_count_them(device: str) -> None:
    """NaN, infinities, numbers beyond the range, sigmas that are not positive and terms too large are counted."""
    points = draw(300, *RANGES[0], True)
    frame, changed = frame_of(points), spoil(points)
    assert gpu.moments(*moved(changed, device)[:3], frame, 2)[1] == moments_by_loops(changed, frame, 2)[1] == 7
    request = ask(frame, 2, exponent=-3)
    assert gpu.residuals(*moved(changed, device)[:3], request)[1] == residuals_by_loops(changed, request)[1] > 7


@pytest.mark.parametrize("device", DEVICES)
def test_no_rows_give_sums_of_zero(device: str) -> None:
    """No points add nothing."""
    points = draw(2, *RANGES[0], False)
    nothing = moved(Points(points.x[:0], points.y[:0]), device)
    assert gpu.moments(*nothing[:3], frame_of(points), 2) == ([[0] * 4] * 10, 0)


@pytest.mark.skipif(HAS_GPU or not ROUNDS_ONCE, reason="needs Triton from 3.9 on, whose interpreter rounds fma once")
def test_the_kernel_gives_the_bits_of_the_loops_where_triton_interprets_it() -> None:
    """Sums by the interpreted kernel are those of the uncompiled loops."""
    script = "from tests.moments import test_gpu; test_gpu.compare_kernel('cpu')"
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | {"TRITON_INTERPRET": "1"}, check=False,
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not HAS_TRITON, reason="needs Triton")
def test_only_errors_of_products_are_fused_in_the_compiled_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Compiled for a GPU, the kernel has one fused operation for each product, and none that rounds to zero."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from regression.moments.gpu_kernels import sum_moments

    degree = 2
    constants = {"degree": degree, "is_weighted": False, "lanes": gpu.LANES, "steps_per_program": 256}
    columns = {"x_at": "*fp32", "y_at": "*fp32", "sigma_at": "*fp32", "numbers_at": "*fp64", "out_at": "*i64"}
    signature = columns | {"rows": "i64"} | dict.fromkeys(constants, "constexpr")
    code = triton.compile(
        ASTSource(sum_moments, signature, constants), target=GPUTarget("cuda", 90, 32),
        options={"num_warps": 4, "enable_fp_fusion": False},
    ).asm["ptx"]  # fmt: skip
    assert code.count("fma.") == code.count("fma.rn.f64") == 3 * degree + 3
    assert "ftz" not in code


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
def test_the_kernel_gives_the_bits_of_the_loops_on_a_gpu() -> None:
    """Sums by the compiled kernel are those of the uncompiled loops."""
    compare_kernel("cuda")


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
@pytest.mark.parametrize("is_weighted", [False, True])
def test_many_points_on_a_gpu_have_the_sums_of_the_cpu(is_weighted: bool) -> None:
    """Where there are rows enough for the kernel, moments have the bits of the compiled loops."""
    points = draw(gpu.FEWEST_ROWS + 77, *RANGES[0], is_weighted, torch.float32)
    here, there = Sums(frame_of(points), 5), Sums(frame_of(points), 5)
    here.add(moved(points, "cuda"))
    there.add(points)
    assert here.moments() == there.moments()


def test_without_triton_it_is_said_once() -> None:
    """Where kernels do not run, a warning names the reason, and operations of torch take the sums."""
    gpu.compiles_kernels.cache_clear()
    with pytest.warns(UserWarning, match="take several times as long without Triton's kernel: "):
        assert not gpu.compiles_kernels(torch.device("cpu"))
    assert not gpu.compiles_kernels(torch.device("cpu"))
