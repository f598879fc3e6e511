"""Sorts the rows of a batch by series, so that the rows of a series are adjacent.

Rows that are adjacent already stay where they are. Others are moved twice, each time by the next bits of their codes:
first into buckets that fit into the cache, then within each bucket. This radix sort compares no codes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regression.common.threads import share_chunks

__all__ = ["Groups", "group"]

ROWS_PER_CHUNK = 1 << 16  # 2 MiB of codes, x, y and sigma
MAX_CHUNKS = 1 << 10  # limits the memory for the counts of rows by chunk and bucket
BITS_PER_PASS = 16  # of codes: numpy sorts 16-bit numbers by counting

Numbers = NDArray[Any]


class Groups(NamedTuple):
    """Rows by series.

    Attributes:
        codes: The series, each once, in the order of their rows, shape (S,).
        first: Their first rows, shape (S,).
        length: Their numbers of rows, shape (S,).
        points: x, y and sigma, the rows of a series adjacent.
    """

    codes: Numbers
    first: Numbers
    length: Numbers
    points: tuple[Numbers, ...]


def group(codes: Numbers, points: tuple[Numbers, ...], threads: int) -> Groups:
    """Return rows by series.

    Args:
        codes: Codes of the rows' series, int64, shape (N,).
        points: x, y and sigma, shape (N,); sigma may be empty.
        threads: Number of threads.
    """
    first = find_starts(codes, threads)
    series = codes[first]
    is_ascending = bool((series[1:] > series[:-1]).all())
    if not is_ascending and (len(series) > len(codes) // 2 or len(np.unique(series)) < len(series)):
        codes, *sorted_points = sort_rows([codes, *points], threads)
        return group(codes, tuple(sorted_points), threads)
    return Groups(series, first, np.diff(first, append=len(codes)), points)


def find_starts(codes: Numbers, threads: int) -> Numbers:
    """Return the first row, and the rows whose code differs from that of the row before."""
    parts: dict[int, Numbers] = {}

    def work(chunks: Iterator[slice]) -> None:
        for chunk in chunks:
            differ = codes[chunk.start + 1 : chunk.stop + 1] != codes[chunk]
            parts[chunk.start] = np.flatnonzero(differ) + (chunk.start + 1)

    share_chunks(work, len(codes) - 1, ROWS_PER_CHUNK, threads)
    return np.concatenate([np.zeros(min(len(codes), 1), np.int64), *(rows for _, rows in sorted(parts.items()))])


def sort_rows(columns: list[Numbers], threads: int, rows_per_chunk: int = ROWS_PER_CHUNK) -> list[Numbers]:
    """Return columns in ascending order of the first one, the codes; rows of equal codes stay in their order."""
    codes, rows, low = columns[0], len(columns[0]), int(columns[0].min())
    size = max(rows_per_chunk, -(-rows // MAX_CHUNKS))
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
            number, order = chunk.start // size, digits(codes[chunk], low, shift).argsort(kind="stable")
            targets = np.arange(len(order)) + (ends[number] - counts[number].cumsum()).repeat(counts[number])
            for column, out in zip(columns, moved, strict=True):
                if len(column):
                    out[targets] = column[chunk].take(order)

    share_chunks(move, rows, size, threads)

    def sort(buckets: Iterator[slice]) -> None:
        for bucket in buckets:
            rows_in_bucket = slice(ends[0, bucket.start] - counts[0, bucket.start], ends[-1, bucket.start])
            sort_bucket([column[rows_in_bucket] for column in moved if len(column)], low, shift)

    share_chunks(sort, counts.shape[1], 1, threads)
    return moved


def sort_bucket(columns: list[Numbers], low: int, bits: int) -> None:
    """Sort rows by the lowest bits of their codes, the lowest digit first."""
    order = digits(columns[0], low, 0).argsort(kind="stable")
    for shift in range(BITS_PER_PASS, bits, BITS_PER_PASS):
        order = order.take(digits(columns[0].take(order), low, shift).argsort(kind="stable"))
    for column in columns:
        column[:] = column.take(order)


def digits(codes: Numbers, low: int, shift: int) -> Numbers:
    """Return 16 bits, from ``shift`` on, of the differences between codes and the lowest code."""
    return ((codes.view(np.uint64) - np.uint64(low % 2**64)) >> np.uint64(shift)).astype(np.uint16)
