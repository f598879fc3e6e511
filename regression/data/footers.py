"""The footers of many Parquet files: read by several threads, and each by one process of the run."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from regression.common.collectives import all_gather_objects, rank_and_size
from regression.readers.parquet import PARQUET_ENDINGS, read_footer
from regression.readers.source import FilePath, Source
from regression.stores.stored_file import StoredFile

__all__ = ["open_sources", "share_footers"]

LEAST_FILES, LEAST_STORED_FILES = 64, 2  # of fewer files, each process reads all footers as it opens them
THREADS = 4  # reading a footer mostly waits for the disk; more threads wait for each other
STORED_THREADS = 16  # an answer of a store takes longer


def open_sources(files: Sequence[FilePath]) -> list[Source]:
    """Return the sources of files: their sizes and versions. Several requests to a store are made at once."""
    if not any(isinstance(file, StoredFile) for file in files):
        return list(map(Source, files))
    with ThreadPoolExecutor(STORED_THREADS) as pool:
        return list(pool.map(Source, files))


def share_footers(sources: Sequence[Source]) -> None:
    """Give each of many Parquet files its footer, read by one process for all; every process must call it.

    A file whose footer cannot be read gets none, and the error is raised where the file is opened.
    """
    least, threads = (LEAST_STORED_FILES, STORED_THREADS) if sources[0].is_stored else (LEAST_FILES, THREADS)
    if len(sources) < least or not all(source.path.name.endswith(PARQUET_ENDINGS) for source in sources):
        return
    rank, processes = rank_and_size()
    own = sources[rank::processes]
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(_footers, (own[k::threads] for k in range(threads)))
    each_thread = list(found)
    footers = [each_thread[k % threads][k // threads] for k in range(len(own))]
    for first, gathered in enumerate(all_gather_objects(footers)):
        for source, footer in zip(sources[first::processes], gathered, strict=True):
            source.footer = footer


def _footers(sources: Sequence[Source]) -> list[Any]:
    found: list[Any] = []
    for source in sources:
        footer = None
        with suppress(Exception):
            footer = read_footer(source)
        found.append(footer)
    return found
