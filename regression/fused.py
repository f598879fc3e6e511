"""Sums of products over many points that are on a CUDA device, by kernels that read each number once.

Elsewhere, and for what the kernels do not know, ``fixedpoint`` and ``floatingpoint`` take the sums by operations of
torch, each of which reads and writes a vector. Without rounding the result has the same bits; in double it is as good.
"""

import math
import warnings
from contextlib import nullcontext
from fractions import Fraction
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from regression.sums import STRETCH, UNIT, Gram

if TYPE_CHECKING:
    from regression.moments import Frame

__all__ = ["double_gram", "exact_gram", "takes_double", "takes_exact"]

FEWEST = 1 << 24  # rows: below, the operations of torch take less time than it takes to compile a kernel
STEPS = 256  # how often a program takes rows
DOUBLE, EXACT = {"lanes": 256, "num_warps": 4}, {"lanes": 128, "num_warps": 4}  # lanes are rows at a time
MOST_DOUBLE, MOST_EXACT = 24, 8  # degrees: beyond, the sums do not fit into the registers
SMALLEST_WIDTH = 2.0**-1000  # whose reciprocal is far from the end of float64
DIGITS, WEIGHTS = (52, 104), (46, 72, 98, 124, 150, 176, 202)  # -exponents of the units of digits and their products
TYPES = torch.float32, torch.float64


def takes_double(x: Tensor, y: Tensor, sigma: Tensor | None, frame: "Frame", degree: int) -> bool:
    """Tell whether ``double_gram`` can take these points."""
    is_simple = not frame.y_exponent and frame.half_width >= SMALLEST_WIDTH and degree <= MOST_DOUBLE
    return is_simple and _are_for_kernels([x, y] if sigma is None else [x, y, sigma])


def takes_exact(x: Tensor, y: Tensor, sigma: Tensor | None, degree: int) -> bool:
    """Tell whether ``exact_gram`` can take these points."""
    return sigma is None and 1 <= degree <= MOST_EXACT and _are_for_kernels([x, y])


def _are_for_kernels(columns: list[Tensor]) -> bool:
    given = columns[0]
    is_simple = all(column.dtype in TYPES for column in columns)
    return given.is_cuda and len(given) >= FEWEST and is_simple and _compiles(given.device)


def double_gram(
    x: Tensor, y: Tensor, sigma: Tensor | None, frame: "Frame", degree: int, ranged: bool = False
) -> tuple[Gram, list[float]]:
    """Return the Gram matrix about ``y_center``, rounded, and the range of the points if that is asked for.

    Args:
        x: Points, shape (n,).
        y: Values, shape (n,).
        sigma: Standard deviations of y, shape (n,), or ``None``.
        frame: Coordinates.
        degree: Highest degree.
        ranged: Whether the range is asked for.

    Returns:
        The matrix, empty where a sum is not finite; smallest x, largest x, smallest y and largest y.
    """
    numbers = [frame.center, 1 / frame.half_width, frame.y_center, math.ldexp(1, -frame.sigma_exponent)]
    programs = _programs(x, DOUBLE)
    out = torch.empty(3 * degree + 4, programs, dtype=torch.float64, device=x.device)
    extremes = torch.zeros(4, programs if ranged else 1, dtype=torch.float64, device=x.device)
    _run(
        _kernels().double_sums, programs, [x, y, y if sigma is None else sigma], numbers, [out, extremes], len(x),
        degree=degree, weighted=sigma is not None, ranged=ranged, **DOUBLE,
    )  # fmt: skip
    low, high = extremes.aminmax(dim=1)
    *sums, x_low, y_low, x_high, y_high = torch.cat([out.sum(dim=1), low[::2], high[1::2]]).tolist()
    points_range = [x_low, x_high, y_low, y_high]
    if not all(map(math.isfinite, sums)):
        return [], points_range
    totals, size = [int(Fraction(total) * (1 << UNIT)) for total in sums], degree + 1
    firsts, lasts, values = (totals[k * size : (k + 1) * size] for k in range(3))
    gram = [list(row) for row in zip(firsts, lasts, values, strict=True)]
    return [*gram, [values[0], values[degree], totals[-1]]], points_range


def exact_gram(x: Tensor, y: Tensor, frame: "Frame", degree: int) -> Gram:
    """Return the Gram matrix without rounding, as ``fixedpoint`` has it, but for that of y and T_d."""
    power = math.ldexp(1, -frame.exponent)
    numbers = [power, frame.center * power, frame.stretch / STRETCH, math.ldexp(1, -frame.y_exponent)]
    count = 2 * (degree + 1) + len(WEIGHTS) * (2 * degree + 1)
    programs = _programs(x, EXACT)
    out = torch.empty(2, count, programs, dtype=torch.int64, device=x.device)
    _run(
        _kernels().exact_sums, programs, [x, y], numbers, [out], len(x),
        degree=degree, stretched=frame.stretch != STRETCH, enable_fp_fusion=False, **EXACT,
    )  # fmt: skip
    upper, lower = out.sum(dim=2).tolist()
    totals = iter([(high << 32) + low for high, low in zip(upper, lower, strict=True)])

    def taken(rows: int, bits: tuple[int, ...]) -> list[int]:
        return [sum(next(totals) << (UNIT - weight) for weight in bits) for _ in range(rows)]

    firsts, lasts, values = taken(degree + 1, DIGITS), taken(degree, WEIGHTS), taken(degree + 1, WEIGHTS)
    gram = [list(row) for row in zip(firsts, [*lasts, values[degree - 1]], values, strict=True)]
    return [[len(x) << UNIT, firsts[degree - 1], firsts[degree]], *gram]


def _programs(x: Tensor, options: dict[str, int]) -> int:
    """Return how many programs share the rows."""
    return -(-len(x) // (options["lanes"] * STEPS))


def _run(
    kernel: Any, programs: int, columns: list[Tensor], numbers: list[float], results: list[Tensor], rows: int,
    **options: Any,
) -> None:  # fmt: skip
    """Run a kernel's programs on columns and on numbers that all rows need."""
    device = columns[0].device
    given = torch.tensor(numbers, dtype=torch.float64).to(device)
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        kernel[(programs,)](*(c.contiguous() for c in columns), given, *results, rows, steps=STEPS, **options)


@cache
def _kernels() -> ModuleType:
    from regression import kernels  # Triton takes half a second to import, and is not everywhere

    return kernels


@cache
def _compiles(device: torch.device) -> bool:
    """Tell whether kernels can be compiled and run: Triton may be missing, or the C compiler that it needs."""
    from regression.moments import Frame

    x = torch.ones(2, dtype=torch.float64, device=device)
    try:
        double_gram(x, x, None, Frame(0.0, 0, 0, 0, -1.0, 1.0, "double"), 0)
    except Exception as error:  # whatever it is, operations of torch do the same
        reason = (str(error) or repr(error)).splitlines()[0]
        warnings.warn(f"sums on {device} take several times as long without Triton's kernels: {reason}", stacklevel=2)
        return False
    return True
