"""Divides consecutive rows into parts, blocks and shares; a division is a list of the rows at which they begin."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

__all__ = ["ROWS_PER_PART", "even_borders", "even_slices", "merged_cuts", "overlaps", "part_cuts"]

ROWS_PER_PART = 1 << 16  # a core's own cache holds a few columns of this length, and what is computed from them


def part_cuts(start: int, stop: int, most_rows: int = ROWS_PER_PART) -> list[int]:
    """Return the borders, start and stop included, of parts of nearly equal length of the rows from start to stop."""
    count = max(1, -(-(stop - start) // most_rows))
    return [start + (stop - start) * k // count for k in range(count + 1)]


def even_slices(rows: int, threads: int) -> list[Iterator[slice]]:
    """Return for each thread an iterator over consecutive slices, which together cover a number of rows."""
    slices = [slice(*ends) for ends in pairwise(part_cuts(0, rows))] if rows else []
    return [iter(slices[len(slices) * k // threads : len(slices) * (k + 1) // threads]) for k in range(threads)]


def overlaps(starts: Sequence[int], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each piece that overlaps the rows from start to before stop, and the overlap.

    Args:
        starts: Rows at which the pieces begin, and the end of the last piece.
        start: First row.
        stop: Row after the last.
    """
    piece = bisect_right(starts, start) - 1
    while start < stop:
        end = min(stop, starts[piece + 1])
        if start < end:
            yield piece, start, end
        start, piece = end, piece + 1


def even_borders(places: Sequence[int], start: int, stop: int, count: int, reach: float) -> list[int]:
    """Return the borders of consecutive shares of the rows from start to before stop.

    Args:
        places: Rows at which reading can begin without waste, ascending.
        start: First row.
        stop: Row after the last.
        count: Number of shares.
        reach: Largest distance in rows over which a border is moved to the nearest place.

    Returns:
        ``count + 1`` rows from start to stop: the borders of equal shares, each moved to the nearest place in reach.
    """
    even = (start + (stop - start) * k // count for k in range(1, count))
    return [start, *(min(max(_moved(border, places, reach), start), stop) for border in even), stop]


def _moved(row: int, places: Sequence[int], reach: float) -> int:
    at = bisect_left(places, row)
    nearest = min(places[max(at - 1, 0) : at + 1], key=lambda place: abs(place - row), default=row)
    return nearest if abs(nearest - row) <= reach else row


def merged_cuts(sizes: Sequence[int], block: int) -> list[int]:
    """Return the borders of blocks of rows that are stored in groups.

    Small groups are joined and large ones are divided evenly, so that a block begins with a group where possible.

    Args:
        sizes: Number of rows of each group.
        block: Largest number of rows of a block.
    """
    cuts, end = [0], 0
    for size in sizes:
        if end + size - cuts[-1] > block and end > cuts[-1]:
            cuts.append(end)
        pieces = -(-size // block)
        cuts += [end + size * piece // pieces for piece in range(1, pieces)]
        end += size
    return [*cuts, end] if end > cuts[-1] else cuts
