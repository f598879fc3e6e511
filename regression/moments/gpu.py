"""The sums over points that are on a CUDA device, with the same bits as the loops.

Where Triton is installed and there are enough rows to pay for its compilation, one kernel reads each number once and
takes the sums; otherwise operations of torch take them.
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

MIN_KERNEL_ROWS = 1 << 22  # with fewer rows, operations of torch take less time than the kernel's compilation
MAX_KERNEL_DEGREE = 10  # the sums of higher degrees do not fit into the registers
LANES, STEPS_PER_PROGRAM = 128, 256  # rows at a time; times per program, of which add_to allows at most 2048
KERNEL_TYPES = (torch.float32, torch.float64)  # types of numbers that the kernel reads


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
    is_readable = all(column.dtype in KERNEL_TYPES for column in (x, y, x if sigma is None else sigma))
    if is_readable and len(x) >= MIN_KERNEL_ROWS and degree <= MAX_KERNEL_DEGREE and compiles_kernels(x.device):
        return moments_by_kernel(x, y, sigma, frame, degree)
    return gpu_operations.moments(x, y, sigma, frame, degree)


def moments_by_kernel(
    x: Tensor, y: Tensor, sigma: Tensor | None, frame: Frame, degree: int, steps_per_program: int = STEPS_PER_PROGRAM
) -> tuple[list[list[int]], int]:
    """Return what ``moments`` returns, by a kernel whose programs take ``LANES`` rows ``steps_per_program`` times."""
    from regression.moments.gpu_kernels import sum_moments  # Triton takes half a second to import, and may be missing

    programs = -(-len(x) // (LANES * steps_per_program))
    columns = [column.detach().contiguous() for column in (x, y, y if sigma is None else sigma)]
    *xy_numbers, sigma_power = frame.loop_numbers()
    numbers = torch.tensor([*xy_numbers, 1.0, sigma_power], dtype=torch.float64).to(x.device)  # 1: the stretch of y
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
    """Return whether kernels can be compiled and run: Triton, or the C compiler that it needs, may be missing."""
    one = torch.ones(1, dtype=torch.float64, device=device)
    try:
        moments_by_kernel(one, one, None, Frame.of((0.0, 1.0), (0.0, 1.0), None), 0)
    except Exception as error:  # whatever went wrong, operations of torch give the same result
        reason = (str(error) or repr(error)).splitlines()[0]
        warnings.warn(f"sums on {device} take several times as long without Triton's kernel: {reason}", stacklevel=2)
        return False
    return True
