"""Work shared out over threads, for compiled loops, which do not hold the interpreter's lock."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["share_out"]

Result = TypeVar("Result")


def share_out(work: Callable[[Iterator[slice]], Result], count: int, items: int, threads: int) -> list[Result]:
    """Return what each thread makes of the chunks that it takes, one after the other, until none is left.

    Args:
        work: Makes something from the chunks that an iterator yields.
        count: Number of items in all.
        items: Number of items of a chunk.
        threads: Number of threads; alone, the calling one does the work.
    """
    starts, lock = iter(range(0, count, items)), threading.Lock()

    def chunks() -> Iterator[slice]:
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            yield slice(start, min(start + items, count))

    workers = min(threads, -(-count // items))
    if workers <= 1:
        return [work(chunks())]
    with ThreadPoolExecutor(workers) as pool:
        return [done.result() for done in [pool.submit(work, chunks()) for _ in range(workers)]]
