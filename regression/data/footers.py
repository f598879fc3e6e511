"""The footers of many Parquet files: read by several threads, and each by one process of the run."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from regression.common.collectives import all_gather_objects, rank_and_size
from regression.readers.parquet import read_footer
from regression.readers.source import Place, Source
from regression.stores.stored_file import StoredFile

__all__ = ["open_sources", "share_footers"]

MANY = 64  # files; of fewer, each process reads all footers as it opens them
STORED_THREADS = 16  # a store is waited for longer
THREADS = 4  # a footer is mostly waited for; more threads wait for each other
ENDINGS = (".parquet", ".pq")


def open_sources(files: Sequence[Place]) -> list[Source]:
    """Return what is known of files before they are read; a store is asked for several of them at once."""
    if not any(isinstance(file, StoredFile) for file in files):
        return list(map(Source, files))
    with ThreadPoolExecutor(STORED_THREADS) as pool:
        return list(pool.map(Source, files))


def share_footers(sources: Sequence[Source]) -> None:
    """Give each of many Parquet files its footer, read by one process for all; every process must call it.

    A file whose footer cannot be read gets none: whoever opens it says why.
    """
    many, threads = (2, STORED_THREADS) if sources[0].is_stored else (MANY, THREADS)
    if len(sources) < many or not all(source.path.name.endswith(ENDINGS) for source in sources):
        return
    rank, processes = rank_and_size()
    own = sources[rank::processes]
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(_footers, (own[k::threads] for k in range(threads)))
    each_thread = list(found)
    footers = [each_thread[k % threads][k // threads] for k in range(len(own))]
    for first, told in enumerate(all_gather_objects(footers)):
        for source, footer in zip(sources[first::processes], told, strict=True):
            source.footer = footer


def _footers(sources: Sequence[Source]) -> list[Any]:
    found: list[Any] = []
    for source in sources:
        footer = None
        with suppress(Exception):
            footer = read_footer(source)
        found.append(footer)
    return found
