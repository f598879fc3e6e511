"""The rows of a batch, those of a series side by side.

Rows that come so stay where they are. Others are moved twice, each time by the next bits of their ids: first into
buckets that the cache holds, then within each bucket. Nothing is compared.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regression.common.threads import share_chunks

__all__ = ["Groups", "group"]

ROWS_PER_CHUNK = 1 << 16  # 2 MiB of ids, x, y and sigma
MOST_CHUNKS = 1 << 10  # which rows of each chunk and bucket are counted for
BITS = 16  # of ids, that numpy sorts by at a time

Numbers = NDArray[Any]


class Groups(NamedTuple):
    """Rows by series.

    Attributes:
        codes: The series, each once, in the order of their rows, shape (S,).
        first: Their first rows, shape (S,).
        length: Their numbers of rows, shape (S,).
        points: x, y and sigma, the rows of a series side by side.
    """

    codes: Numbers
    first: Numbers
    length: Numbers
    points: tuple[Numbers, ...]


def group(codes: Numbers, points: tuple[Numbers, ...], threads: int) -> Groups:
    """Return rows by series.

    Args:
        codes: Ids of the rows' series, int64, shape (N,).
        points: x, y and sigma, shape (N,); sigma may be empty.
        threads: Number of threads.
    """
    first = find_starts(codes, threads)
    found = codes[first]
    if not (found[1:] > found[:-1]).all() and (len(found) > len(codes) // 2 or len(np.unique(found)) < len(found)):
        codes, *sorted_points = sort_rows([codes, *points], threads)
        return group(codes, tuple(sorted_points), threads)
    return Groups(found, first, np.diff(first, append=len(codes)), points)


def find_starts(codes: Numbers, threads: int) -> Numbers:
    """Return the rows that have another id than the row before, and the first one."""
    parts: dict[int, Numbers] = {}

    def work(chunks: Iterator[slice]) -> None:
        for chunk in chunks:
            differ = codes[chunk.start + 1 : chunk.stop + 1] != codes[chunk]
            parts[chunk.start] = np.flatnonzero(differ) + (chunk.start + 1)

    share_chunks(work, len(codes) - 1, ROWS_PER_CHUNK, threads)
    return np.concatenate([np.zeros(min(len(codes), 1), np.int64), *(rows for _, rows in sorted(parts.items()))])


def sort_rows(columns: list[Numbers], threads: int, rows_per_chunk: int = ROWS_PER_CHUNK) -> list[Numbers]:
    """Return columns in ascending order of the first one, the ids; rows of one id stay in their order."""
    codes, rows, low = columns[0], len(columns[0]), int(columns[0].min())
    size = max(rows_per_chunk, -(-rows // MOST_CHUNKS))
    distance = int(codes.max()) - low
    shift = max(distance.bit_length() - (rows // size).bit_length(), 0)
    counts = np.zeros((-(-rows // size), (distance >> shift) + 1), np.int64)  # of each chunk's rows in each bucket

    def count(chunks: Iterator[slice]) -> None:
        for chunk in chunks:
            counts[chunk.start // size] = np.bincount(digits(codes[chunk], low, shift), minlength=counts.shape[1])

    share_chunks(count, rows, size, threads)
    ends = counts.T.cumsum().reshape(counts.shape[::-1]).T
    moved = [np.empty_like(column) for column in columns]

    def move(chunks: Iterator[slice]) -> None:
        for chunk in chunks:
            order, own = digits(codes[chunk], low, shift).argsort(kind="stable"), counts[chunk.start // size]
            places = np.arange(len(order)) + (ends[chunk.start // size] - own.cumsum()).repeat(own)
            for column, out in zip(columns, moved, strict=True):
                if len(column):
                    out[places] = column[chunk].take(order)

    share_chunks(move, rows, size, threads)

    def sort(buckets: Iterator[slice]) -> None:
        for bucket in buckets:
            own = slice(ends[0, bucket.start] - counts[0, bucket.start], ends[-1, bucket.start])
            sort_bucket([column[own] for column in moved if len(column)], low, shift)

    share_chunks(sort, counts.shape[1], 1, threads)
    return moved


def sort_bucket(columns: list[Numbers], low: int, bits: int) -> None:
    """Sort rows by the lowest bits of their ids, the lowest digit first."""
    order = digits(columns[0], low, 0).argsort(kind="stable")
    for done in range(BITS, bits, BITS):
        order = order.take(digits(columns[0].take(order), low, done).argsort(kind="stable"))
    for column in columns:
        column[:] = column.take(order)


def digits(codes: Numbers, low: int, shift: int) -> Numbers:
    """Return some bits of how far ids are above the lowest, so few that numpy sorts them by counting."""
    return ((codes.view(np.uint64) - np.uint64(low % 2**64)) >> np.uint64(shift)).astype(np.uint16)
