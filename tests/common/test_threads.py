"""Work is shared out over threads: every item once, and the first error ends it."""

import os
import signal
import threading
import time

import pytest
import torch

from regression.common.errors import Stopped
from regression.common.row_ranges import even_slices, part_cuts
from regression.common.threads import share_out, threads_for


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("streams", [0, 1, 2, 7])
def test_each_item_is_worked_on_once(threads: int, streams: int) -> None:
    """Whatever the numbers of streams and threads, each item of each stream is worked on once."""
    seen = list[int]()
    share_out(seen.append, [range(10 * k, 10 * k + k) for k in range(streams)], threads)
    assert sorted(seen) == [10 * k + j for k in range(streams) for j in range(k)]


def test_an_item_is_made_by_the_thread_that_works_on_it() -> None:
    """Threads help with a stream that is not their own, and each makes the items it works on."""
    both, makers, workers = threading.Barrier(3, timeout=20), list[int](), list[int]()

    def made() -> "object":
        for _ in range(3):
            makers.append(threading.get_ident())
            yield makers[-1]

    def work(maker: int) -> None:
        assert maker == threading.get_ident()
        workers.append(maker)
        both.wait()  # until three threads have one each

    share_out(work, [made()], 3)
    assert len(set(workers)) == 3
    assert sorted(makers) == sorted(workers)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("place", ["work", "stream"])
def test_the_first_error_ends_the_work(threads: int, place: str) -> None:
    """An error in the work or in a stream reaches the caller, and what was not begun is left."""
    seen = list[int]()

    def numbers() -> "object":
        for k in range(10_000):
            if place == "stream" and k == 5:
                raise ValueError("of the stream")
            yield k

    def work(k: int) -> None:
        seen.append(k)
        if place == "work" and k == 5:
            raise ValueError("of the work")

    with pytest.raises(ValueError, match=f"of the {place}"):
        share_out(work, [numbers()], threads)
    assert len(seen) < 10_000


def test_a_signal_ends_the_work() -> None:
    """A signal, which the main thread hears while the others work, ends them all."""
    seen = list[int]()

    def stop(signum: int, _: object) -> None:
        raise Stopped(signum)

    def work(k: int) -> None:
        if not seen:
            os.kill(os.getpid(), signal.SIGUSR2)
        seen.append(k)
        time.sleep(0.001)

    before = signal.signal(signal.SIGUSR2, stop)
    try:
        with pytest.raises(Stopped, match=str(128 + signal.SIGUSR2)):
            share_out(work, [range(100_000)], 2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert len(seen) < 50_000
    assert threading.active_count() == 1 or all(not t.name.endswith("(run)") for t in threading.enumerate())


def test_torch_works_in_one_thread_inside_and_as_before_outside() -> None:
    """Inside, an operation is not shared out further; outside, the number of torch's threads is what it was."""
    before, inside = torch.get_num_threads(), list[int]()
    share_out(lambda _: inside.append(torch.get_num_threads()), [range(5)], 2)
    assert set(inside) == {1}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("rows", [0, 1, 65_536, 65_537, 1_000_000])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_slices_are_even_and_all_rows(rows: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slices of all threads, one after the other, are all rows, in parts that fit a core's cache."""
    slices = [part for own in even_slices(rows, threads) for part in own]
    assert [k for part in slices for k in (part.start, part.stop)] == sorted(2 * part_cuts(0, rows))[1:-1] * bool(rows)
    assert all(0 < part.stop - part.start <= 65_536 for part in slices)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert threads_for(rows) == max(1, min(threads, len(slices)))
