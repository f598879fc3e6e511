"""Columns of numbers from Parquet files, decoded in parts of a row group that stay in a core's cache."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from regression.common.errors import DataError
from regression.data.readers.arrow_and_numpy import checked_names, columns_of, is_text
from regression.data.readers.columns import Array, Column, FileColumns, Part
from regression.data.readers.series_names import Labels

__all__ = ["ParquetColumns"]

# A file that is mapped is read in a tenth less time, but what was touched stays in memory until the map is closed.
MAPPED_BYTES = 1 << 28  # of a row group, at most
BUFFER_BYTES = 1 << 20  # read at a time from each column of a larger one
ROWS_PER_BATCH = 1 << 17  # most writers' page of float64 numbers: what is done once a batch costs a tenth less


class ParquetColumns(FileColumns):
    """Columns of a Parquet file. It is open only while rows are decoded; its footer is read once.

    Args:
        path: The file.
        columns: Names or numbers of the columns.
        labels: Codes of the texts that the last column may hold, or ``None``.
    """

    def __init__(self, path: Path, columns: Sequence[Column], labels: Labels | None = None) -> None:
        self.path, self._labels = path, labels
        file = _opened(path)
        self._names = checked_names(path, file.schema_arrow, columns, labels)
        self._metadata, self._schema = file.metadata, file.schema_arrow
        sizes = [self._metadata.row_group(k).num_rows for k in range(self._metadata.num_row_groups)]
        if min(sizes, default=0) < 0:
            raise DataError(f"{path} is damaged: a row group claims {min(sizes)} rows")
        self._divide(sizes)
        self._decoded: list[range] = []
        self._begun: _Reading | None = None  # one that ended within a row group
        self._lock = Lock()

    @property
    def places(self) -> Sequence[int]:
        """Rows at which a row group begins, and the end."""
        return self._starts

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows; calls for rows that follow each other decode a row group once."""
        while start < stop:
            reading = self._begun_at(start) or self._begin(start, stop)
            for batch in reading.between(start, stop):
                yield columns_of(self.path, self._names, batch, self._labels)
            start = reading.at
            if start < reading.stop:
                self._begun = reading

    def _begun_at(self, row: int) -> "_Reading | None":
        with self._lock:
            reading = self._begun
            if reading is None or reading.at != row:
                return None
            self._begun = None
            return reading

    def _begin(self, start: int, stop: int) -> "_Reading":
        """Open the row groups that have some of the rows, small ones together: to open each takes longer than to read.

        A reader of its own for each call, as one cannot be used from several threads.
        """
        groups = range(bisect_right(self._starts, start) - 1, bisect_left(self._starts, stop))
        self._decoded.append(groups)
        is_small = self._metadata.row_group(groups[-1]).total_byte_size <= MAPPED_BYTES
        batches = _opened(self.path, self._metadata, is_mapped=is_small).iter_batches(
            ROWS_PER_BATCH, row_groups=list(groups), columns=list(dict.fromkeys(self._names)), use_threads=False
        )
        return _Reading(self.path, batches, self._starts[groups[0]], self._starts[groups[-1] + 1])

    @property
    def _leaves(self) -> list[int]:
        """Positions of the wanted columns among those that hold numbers, as the footer counts them."""
        paths = [self._metadata.schema.column(leaf).path for leaf in range(self._metadata.num_columns)]
        return [paths.index(name) for name in self._names]

    def bytes_of(self, groups: Iterable[int]) -> int:
        """Return the bytes that the wanted columns of row groups take in the file."""
        leaves, stored = set(self._leaves), map(self._metadata.row_group, groups)
        return sum(group.column(leaf).total_compressed_size for group in stored for leaf in leaves)

    def bytes_decoded(self) -> tuple[int, int]:
        """Return the bytes of row groups that were begun to be decoded, each time they were, and those of all."""
        begun = sum(self.bytes_of(groups) for groups in self._decoded)
        return begun, self.bytes_of(range(self._metadata.num_row_groups))

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column from the statistics of the row groups."""
        if any(is_text(self._schema.field(name).type) for name in self._names):
            return None
        found, leaves = [], self._leaves
        for group in map(self._metadata.row_group, range(self._metadata.num_row_groups)):
            known = [group.column(leaf).statistics for leaf in leaves if group.num_rows]
            if not all(statistics and statistics.has_min_max for statistics in known):
                return None
            found += [(statistics.min, statistics.max) for statistics in known]
        ends = np.array(found, dtype=np.float64).reshape(-1, len(leaves), 2)
        if not len(ends) or not np.isfinite(ends).all():
            return None
        return np.stack([ends[:, :, 0].min(axis=0), ends[:, :, 1].max(axis=0)], axis=1)


def _opened(path: Path, metadata: Any = None, is_mapped: bool = False) -> Any:
    import pyarrow as pa  # a third of a second to import, and not every run needs it
    from pyarrow import parquet

    source, buffer_bytes = (pa.memory_map, 0) if is_mapped else (pa.OSFile, BUFFER_BYTES)
    # What is read ahead (pre_buffer) stays in memory until the file is closed.
    return parquet.ParquetFile(source(str(path)), metadata=metadata, pre_buffer=False, buffer_size=buffer_bytes)


class _Reading:
    """Consecutive row groups of a file, decoded one part after the other.

    Args:
        path: The file.
        batches: Yields their rows as record batches.
        at: Their first row.
        stop: The row after their last.
    """

    def __init__(self, path: Path, batches: Iterator[Any], at: int, stop: int) -> None:
        self.path, self.at, self.stop = path, at, stop
        self._batches, self._pending = batches, None

    def between(self, start: int, stop: int) -> Iterator[Any]:
        """Yield the rows from start, which was not passed yet, to before stop, as far as they are here."""
        stop = min(stop, self.stop)
        while self.at < stop:
            first, rows = self.at, self._pending or next(self._batches, None)
            if rows is None:
                raise DataError(f"{self.path} is damaged: it has fewer rows than it claims")
            count = min(rows.num_rows, stop - first)
            self.at, self._pending = first + count, rows.slice(count) if count < rows.num_rows else None
            if self.at > start:
                skipped = max(start - first, 0)
                yield rows.slice(skipped, count - skipped)
