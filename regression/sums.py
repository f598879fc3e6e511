"""What sums over points are made of in either arithmetic: units, scales, weights, and sums without rounding.

Torch, and numpy for large memory.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from regression.moments import Frame

__all__ = [
    "LONGEST",
    "STRETCH",
    "UNIT",
    "Gram",
    "added",
    "chunk_rows",
    "exact_sums",
    "inverse_sigma",
    "log",
    "log_weights",
    "room_for",
    "scaled",
    "shared_out",
]

UNIT = 1074  # sums are integers in units of 2^-1074, the smallest positive float64
STRETCH = 1 << 10  # u is stretched to its interval by a factor in steps of 1 / 1024
SLICE_BITS, LONGEST = 32, 1 << 20  # 2^20 slices have a sum of 52 bits, which is exact
CPU_ROWS, GPU_ROWS = 1 << 17, 1 << 20  # rows per pass, at most
# Numbers that a thread holds at a time: alone 6 MiB, as other processes want the cache too; beside others 16 MiB, as
# longer operations wait less for the interpreter.
ALONE, TOGETHER = 3 << 18, 1 << 21
MOST_THREADS = 8  # the interpreter's lock lets no more work at a time
STEP = 1 << 10  # rows per pass are a multiple of this

Result = TypeVar("Result")
Gram = list[list[int]]  # sums of products: a row for each of T_0 … T_d, y; columns T_0, T_d, y; in units of 2^-1074


def chunk_rows(x: Tensor, vectors: int) -> int:
    """Return the number of rows to take at a time, with this number of temporary vectors."""
    if x.device.type != "cpu":
        return GPU_ROWS
    threads = torch.get_num_threads()
    numbers = ALONE if threads == 1 else TOGETHER
    share = len(x) // threads // 2  # few rows: getting the memory would cost more than it saves
    rows = min(CPU_ROWS, numbers // vectors, max(share, CPU_ROWS // 8))
    return max(1, rows // STEP) * STEP


def shared_out(work: Callable[[Iterator[slice]], Result], x: Tensor, rows: int) -> list[Result]:
    """Return what each thread makes of its share of the rows; on a CPU there are as many threads as torch uses.

    A thread takes chunk after chunk, each in a part of the rows of its own: two that write to one new page of memory
    would both clear it. Sharing out each operation instead makes the threads wait for each other at every one, which
    costs a fifth on an idle machine, and ten times the time on a busy one.

    Args:
        work: Makes something from the chunks that an iterator yields.
        x: Points, shape (n,).
        rows: Rows of a chunk.
    """
    starts, threads = range(0, len(x), rows), torch.get_num_threads()
    workers = min(threads, MOST_THREADS, len(starts)) if x.device.type == "cpu" else 1
    each = -(-len(starts) // max(workers, 1))
    parts = iter([slice(start, start + rows) for first in range(each) for start in starts[first::each]])
    if workers == 1:
        return [work(parts)]
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return [done.result() for done in [pool.submit(work, parts) for _ in range(workers)]]
    finally:
        torch.set_num_threads(threads)  # of threads that start later; in this one it never changed


def added(parts: list[list[int]]) -> list[int]:
    """Return the sums of lists of numbers, place by place."""
    return [sum(values) for values in zip(*parts, strict=True)]


def room_for(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Return memory for float64 numbers.

    On a CPU it is numpy's, which asks the system for large pages: torch waits ten times as long for small ones.
    """
    return (
        torch.from_numpy(np.empty(shape))
        if device.type == "cpu"
        else torch.empty(shape, dtype=torch.float64, device=device)
    )


def scaled(values: Tensor, exponent: int, out: Tensor) -> Tensor:
    """Write ``values / 2^exponent`` as float64."""
    power = math.ldexp(1, -exponent)
    return torch.mul(values, power, out=out) if values.dtype == out.dtype else out.copy_(values).mul_(power)


def inverse_sigma(sigma: Tensor, frame: "Frame") -> Tensor:
    """Return ``1 / sigma`` in units that leave the largest between 1 and 2, shape (n,).

    The power of two keeps the square of an extreme sigma inside float64.
    """
    return 1 / (sigma.double() * math.ldexp(1, -frame.sigma_exponent))


def log_weights(sigma: Tensor, frame: "Frame") -> int:
    """Return ``Σ log w``, w in units of the largest one, without rounding but that of the logarithms."""
    return sum(exact_sums(2 * log(inverse_sigma(part, frame))[None])[0] for part in torch.split(sigma, LONGEST))


def exact_sums(values: Tensor) -> list[int]:
    """Return the row sums of a matrix of shape (C, n), n ≤ 2^20, without rounding, in units of 2^-1074.

    The values are cut into slices that are multiples of one power of two, from the top: adding and subtracting a
    large number rounds to such a multiple.
    """
    totals = [0] * len(values)
    rest = values
    while rest.numel() and (top := float(rest.abs().max())) > 0:
        unit = max(math.frexp(top)[1] - SLICE_BITS, -UNIT)
        large = math.ldexp(1.5, unit + 52)
        slices = (rest + large) - large
        rest = rest - slices
        for index, total in enumerate(slices.sum(dim=1).tolist()):
            totals[index] += int(math.ldexp(total, -unit)) << (unit + UNIT)
    return totals


def log(values: Tensor) -> Tensor:
    """Return the natural logarithm from exactly rounded operations alone: the same bits in every lane and device.

    With m in [√½, √2), ``log m = 2 artanh s`` for ``s = (m - 1) / (m + 1)``, |s| < 0.172.
    """
    mantissa, exponent = torch.frexp(values)
    small = mantissa < math.sqrt(0.5)
    mantissa = torch.where(small, 2 * mantissa, mantissa)
    s = (mantissa - 1) / (mantissa + 1)
    square, series = s * s, torch.zeros_like(s)
    for odd in range(23, 0, -2):
        series = series * square + 1 / odd
    return (exponent - small.int()).double() * math.log(2) + 2 * s * series
