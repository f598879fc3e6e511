"""The sums over points that are on a CUDA device, with the bits of the loops.

One kernel reads each number once, where Triton is there to compile it and there are rows enough to pay for that; else
operations of torch take the sums.
"""

import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor

from regression.curves.frame import Frame
from regression.moments import gpu_operations
from regression.moments.gpu_operations import residuals

__all__ = ["kernels", "moments", "residuals"]

FEWEST_ROWS = 1 << 22  # for the kernel: operations of torch take less time for fewer rows than its compilation
HIGHEST_DEGREE = 10  # for the kernel: the sums of a higher one do not fit into the registers


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
    is_simple = all(c.dtype in (torch.float32, torch.float64) for c in (x, y, *([] if sigma is None else [sigma])))
    if len(x) >= FEWEST_ROWS and degree <= HIGHEST_DEGREE and is_simple and (kernel := kernels(x.device)):
        totals, outside = kernel.moments(x, y, sigma, frame.numbers(), degree)
        return totals.tolist(), int(outside)
    return gpu_operations.moments(x, y, sigma, frame, degree)


@cache
def kernels(device: torch.device) -> Any:
    """Return the module of the kernels, or ``None`` where they do not run: Triton or its C compiler may be missing."""
    one = torch.ones(1, dtype=torch.float64, device=device)
    try:
        from regression.moments import gpu_kernels  # Triton takes half a second to import, and is not everywhere

        gpu_kernels.moments(one, one, None, (0.0, 1.0, 1.0, 0.0, 1.0, 1.0), 0)
    except Exception as error:  # whatever it is, operations of torch do the same
        reason = (str(error) or repr(error)).splitlines()[0]
        warnings.warn(f"sums on {device} take several times as long without Triton's kernel: {reason}", stacklevel=2)
        return None
    return gpu_kernels
