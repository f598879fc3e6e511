"""The sums over points that are on a CUDA device, with the same bits as the loops.

A kernel that reads each number once takes them, if Triton is installed and there are so many rows that its compilation
pays; otherwise operations of torch do.
"""

import warnings
from contextlib import nullcontext
from functools import cache

import torch
from torch import Tensor

from regression.curves.frame import Frame
from regression.moments import gpu_operations
from regression.moments.gpu_operations import carry, residuals

__all__ = ["compiles_kernels", "moments", "moments_by_kernel", "residuals"]

FEWEST_ROWS = 1 << 22  # for the kernel: with fewer, operations of torch take less time than its compilation
HIGHEST_DEGREE = 10  # for the kernel: the sums of higher degrees do not fit into the registers
LANES, STEPS_PER_PROGRAM = 128, 256  # rows at a time, and number of times in a program, at most 2048 (see add_to)
TYPES = (torch.float32, torch.float64)  # types of numbers that the kernel reads


def moments(x: Tensor, y: Tensor, sigma: Tensor | None, frame: Frame, degree: int) -> tuple[list[list[int]], int]:
    """Return the totals of ``loops.add_moments`` and ``add_logarithms``, and how many numbers are outside.

    Args:
        x: Points, shape (n,).
        y: Values, shape (n,).
        sigma: Standard deviations of y, shape (n,), or ``None`` for weights of 1.
        frame: Coordinates.
        degree: Highest degree d.

    Returns:
        Totals, shape (3 d + 4, 4), the last one that of the logarithms; they are of no use if numbers are outside.
    """
    is_read = all(column.dtype in TYPES for column in (x, y, x if sigma is None else sigma))
    if is_read and len(x) >= FEWEST_ROWS and degree <= HIGHEST_DEGREE and compiles_kernels(x.device):
        return moments_by_kernel(x, y, sigma, frame, degree)
    return gpu_operations.moments(x, y, sigma, frame, degree)


def moments_by_kernel(
    x: Tensor, y: Tensor, sigma: Tensor | None, frame: Frame, degree: int, steps_per_program: int = STEPS_PER_PROGRAM
) -> tuple[list[list[int]], int]:
    """Return what ``moments`` does, by programs that each take ``LANES`` rows so many times."""
    from regression.moments.gpu_kernels import sum_moments  # Triton takes half a second to import, and may be missing

    programs = -(-len(x) // (LANES * steps_per_program))
    columns = [column.detach().contiguous() for column in (x, y, y if sigma is None else sigma)]
    *of_points, sigma_power = frame.numbers()
    numbers = torch.tensor([*of_points, 1.0, sigma_power], dtype=torch.float64).to(x.device)
    out = torch.empty(3 * degree + 5, 4, programs, dtype=torch.int64, device=x.device)
    with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
        sum_moments[(programs,)](
            *columns, numbers, out, len(x), degree=degree, is_weighted=sigma is not None, lanes=LANES,
            steps_per_program=steps_per_program, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    *totals, (upper, lower, _, _) = carry(out.sum(dim=2)).tolist()
    return totals, (upper << 32) + lower


@cache
def compiles_kernels(device: torch.device) -> bool:
    """Tell whether kernels can be compiled and run: Triton, or the C compiler that it needs, may be missing."""
    one = torch.ones(1, dtype=torch.float64, device=device)
    try:
        moments_by_kernel(one, one, None, Frame.of((0.0, 1.0), (0.0, 1.0), None), 0)
    except Exception as error:  # of any type: operations of torch give the same result
        reason = (str(error) or repr(error)).splitlines()[0]
        warnings.warn(f"sums on {device} take several times as long without Triton's kernel: {reason}", stacklevel=2)
        return False
    return True
