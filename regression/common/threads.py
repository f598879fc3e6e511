"""Threads of our own for work that lets go of the interpreter's lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

__all__ = ["share_out"]


def share_out(work: Callable[[slice], object], count: int, rows_per_part: int) -> None:
    """Call a function for consecutive parts of some rows, from as many threads as torch uses.

    Args:
        work: Takes the rows of a part; called from several threads at once.
        count: Number of rows.
        rows_per_part: Rows of a part.
    """
    parts = [slice(start, min(start + rows_per_part, count)) for start in range(0, count, rows_per_part)]
    threads = min(torch.get_num_threads(), len(parts))
    if threads <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, part) for part in parts]:
            done.result()
