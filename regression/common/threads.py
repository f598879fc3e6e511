"""Divides work on parts of rows among threads."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock, Thread
from typing import Generic, TypeVar

import torch

from regression.common.row_ranges import ROWS_PER_PART

__all__ = ["share_chunks", "share_out", "threads_for"]

END = object()  # stands for an item when a stream has no more

T = TypeVar("T")
Result = TypeVar("Result")


class _Stream(Generic[T]):
    def __init__(self, items: Iterable[T]) -> None:
        self._items, self._lock = iter(items), Lock()

    def take(self) -> T | object:
        """Return the next item, made in the calling thread, or ``END``."""
        with self._lock:
            return next(self._items, END)


def share_out(work: Callable[[T], object], streams: Sequence[Iterable[T]], threads: int) -> None:
    """Call ``work`` with each item of each stream, from several threads at once, in no particular order.

    Each thread begins with a stream of its own and goes on with the others, so that no thread waits while there is
    work. An item is made in the thread that works on it, so that decoded rows are still in that core's cache. torch
    runs each operation in one thread here: dividing every operation among threads would make them wait for each other.

    Args:
        work: Called with one item; must be safe to call from several threads at once.
        streams: Iterables of items; only one thread at a time takes the next item of a stream.
        threads: Number of threads; with 1 the calling thread does all the work.

    Raises:
        BaseException: The first exception of ``work`` or a stream; no further item is begun.
    """
    if threads <= 1:
        for stream in streams:
            for item in stream:
                work(item)
        return
    sources, failures = [_Stream(stream) for stream in streams], list[BaseException]()

    def run(first: int) -> None:
        torch.set_num_threads(1)
        try:
            for source in sources[first:] + sources[:first]:
                while not failures and (item := source.take()) is not END:
                    work(item)  # type: ignore[arg-type]
        except BaseException as error:
            failures.append(error)

    _run_all([Thread(target=run, args=(k * len(sources) // threads,)) for k in range(threads)], failures)
    if failures:
        raise failures[0]


def _run_all(threads: list[Thread], failures: list[BaseException]) -> None:
    torch_threads = torch.get_num_threads()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as error:  # from a signal handler, which Python runs in the main thread only
        failures.append(error)
        for thread in threads:
            if thread.ident is not None:  # it was started
                thread.join()
    finally:
        torch.set_num_threads(torch_threads)  # for threads that start later; this thread's setting did not change


def share_chunks(
    work: Callable[[Iterator[slice]], Result], count: int, items_per_chunk: int, threads: int
) -> list[Result]:
    """Return the results of ``work`` of each thread; a thread takes chunks, one after the other, until none is left.

    Args:
        work: Computes a result from an iterator over chunks.
        count: Number of items in all.
        items_per_chunk: Number of items of a chunk.
        threads: Number of threads; with 1 the calling thread does the work.
    """
    starts, lock = iter(range(0, count, items_per_chunk)), Lock()

    def chunks() -> Iterator[slice]:
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            yield slice(start, min(start + items_per_chunk, count))

    workers = min(threads, -(-count // items_per_chunk))
    if workers <= 1:
        return [work(chunks())]
    with ThreadPoolExecutor(workers) as pool:
        return [future.result() for future in [pool.submit(work, chunks()) for _ in range(workers)]]


def threads_for(rows: int) -> int:
    """Return the number of threads for a number of rows: as many as torch uses, but no more than there are parts."""
    return max(1, min(torch.get_num_threads(), -(-rows // ROWS_PER_PART)))
