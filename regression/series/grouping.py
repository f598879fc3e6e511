"""The rows of a batch, those of a series side by side.

Rows that come so stay where they are. Others are moved twice, each time by the next bits of their ids: first into
buckets that the cache holds, then within each bucket. Nothing is compared.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regression.common.compiled import compiled, loop
from regression.common.threads import share_chunks

__all__ = ["Groups", "group"]

ROWS_PER_CHUNK = 1 << 16
ROWS_PER_BUCKET = 1 << 12  # 96 KiB: half of a core's own cache
ROWS_TO_COMPILE = 1 << 15  # fewer are sorted by numpy in less time than loops are loaded in
MOST_BITS = 11  # of an id, that rows are moved by at a time: more places than the cache has lines are slow to write to

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


def sort_rows(columns: list[Numbers], threads: int) -> list[Numbers]:
    """Return columns in ascending order of the first one."""
    if len(columns[0]) >= ROWS_TO_COMPILE:
        return sort_many(columns, threads)
    order = np.argsort(columns[0], kind="stable")
    return [column[order] if len(column) else column for column in columns]


def sort_many(columns: list[Numbers], threads: int) -> list[Numbers]:
    """Return columns in ascending order of the first one, by compiled loops."""
    loops: tuple[Callable[..., Any], ...] = (count_digits, move_rows, sort_bucket)
    codes, (count, move, sort) = columns[0], map(compiled, loops)
    low, rows = int(codes.min()), len(codes)
    bits = (int(codes.max()) - low).bit_length()
    digit = min(bits, MOST_BITS, (rows // ROWS_PER_BUCKET).bit_length())
    shift, mask, share = bits - digit, (1 << digit) - 1, -(-rows // threads)
    counts = np.zeros((threads, mask + 1), np.int64)
    shares = [(k * share, min((k + 1) * share, rows)) for k in range(threads)]

    def count_share(chunks: Iterator[slice]) -> None:
        for chunk in chunks:
            count(codes, *shares[chunk.start], low, shift, mask, counts[chunk.start])

    share_chunks(count_share, threads, 1, threads)
    ends = counts.T.cumsum().reshape(-1, threads).T
    places = np.ascontiguousarray(ends - counts)
    given, moved = tuple(columns), tuple(np.empty_like(column) for column in columns)

    def move_share(chunks: Iterator[slice]) -> None:
        for chunk in chunks:
            move(given, *shares[chunk.start], low, shift, mask, places[chunk.start], moved)

    share_chunks(move_share, threads, 1, threads)
    cuts = np.append(0, ends[-1])

    def sort_share(chunks: Iterator[slice]) -> None:
        spare = tuple(np.empty(min(len(column), int(np.diff(cuts).max())), column.dtype) for column in columns)
        counts = np.zeros(1 << MOST_BITS, np.int64)
        for chunk in chunks:
            for bucket in range(chunk.start, chunk.stop):
                sort(moved, cuts[bucket], cuts[bucket + 1], low, shift, counts, spare)

    if shift:
        share_chunks(sort_share, mask + 1, 16, threads)
    return list(moved)


@loop
def count_digits(codes: Any, start: int, stop: int, low: int, shift: int, mask: int, counts: Any) -> None:
    """Count how often each digit of the ids above the lowest one occurs."""
    for row in range(start, stop):
        counts[((int(codes[row]) - low) >> shift) & mask] += 1


@loop
def move_rows(columns: Any, start: int, stop: int, low: int, shift: int, mask: int, places: Any, out: Any) -> None:
    """Write each row to the next place of its digit."""
    codes, x, y, sigma = columns
    out_codes, out_x, out_y, out_sigma = out
    for row in range(start, stop):
        digit = ((int(codes[row]) - low) >> shift) & mask
        place = places[digit]
        places[digit] += 1
        out_codes[place], out_x[place], out_y[place] = codes[row], x[row], y[row]
        if len(sigma) > 0:
            out_sigma[place] = sigma[row]


@loop
def sort_bucket(columns: Any, start: int, stop: int, low: int, bits: int, counts: Any, spare: Any) -> None:
    """Sort some rows by the lowest bits of their ids, the lowest digit first."""
    done = 0
    while done < bits and stop - start > 1:
        digit = min(bits - done, MOST_BITS)
        size = 1 << digit
        for k in range(size):
            counts[k] = 0
        count_digits(columns[0], start, stop, low, done, size - 1, counts)
        place = 0
        for k in range(size):
            place, counts[k] = place + counts[k], place
        move_rows(columns, start, stop, low, done, size - 1, counts, spare)
        copy_rows(spare, start, stop, columns)
        done += digit


@loop
def copy_rows(columns: Any, start: int, stop: int, out: Any) -> None:
    """Write the first rows of some columns to rows of others."""
    codes, x, y, sigma = columns
    out_codes, out_x, out_y, out_sigma = out
    for row in range(start, stop):
        out_codes[row], out_x[row], out_y[row] = codes[row - start], x[row - start], y[row - start]
        if len(sigma) > 0:
            out_sigma[row] = sigma[row - start]
