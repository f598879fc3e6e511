"""Columns of numbers from Parquet files: row groups decoded side by side, in threads, a part at a time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from regression.columnar import checked_names, is_text, write_batch
from regression.columns import Array, Column, FileColumns, has_finite_sum, overlaps
from regression.errors import DataError
from regression.labels import Labels

__all__ = ["ParquetColumns"]

ROWS = 1 << 16  # rows that are decoded at a time: they stay in a core's cache
BUFFER = 1 << 20  # bytes read at a time from each column


class ParquetColumns(FileColumns):
    """Columns of a Parquet file, decoded a part of a row group at a time.

    Args:
        path: The file.
        columns: Names or numbers of the columns.
        labels: Codes of the texts that the last column may hold, or ``None``.
    """

    def __init__(self, path: Path, columns: Sequence[Column], labels: Labels | None = None) -> None:
        import pyarrow as pa  # a third of a second to import, and not every run needs it

        self.path, self._labels = path, labels
        self._source = pa.OSFile(str(path))
        file = _opened(self._source)
        self._names = checked_names(path, file.schema_arrow, columns, labels)
        self._metadata, self._schema = file.metadata, file.schema_arrow
        sizes = [self._metadata.row_group(k).num_rows for k in range(self._metadata.num_row_groups)]
        if min(sizes, default=0) < 0:
            raise DataError(f"{path} is damaged: a row group claims {min(sizes)} rows")
        self._divide(sizes)
        self._begun: dict[int, _Group] = {}  # the group in whose middle the last part ended

    def fill(self, start: int, stop: int, out: Array) -> None:
        """Write a part of the rows; parts that follow each other are decoded once."""
        pieces = list(overlaps(self._starts, start, stop))
        begun, self._begun = self._begun, {}
        # Codes of texts are given in the order in which they come.
        workers = 1 if self._labels is not None else min(torch.get_num_threads(), len(pieces))

        def decode(group: int, low: int, high: int) -> bool:
            first, is_finite = self._starts[group], True
            known = begun.get(group)
            if known is None or known.at > low - first:
                known = _Group(self._source, self._metadata, group, self._names, is_alone=workers == 1)
            for at, batch in known.between(low - first, high - first):
                place = out[:, first + at - start :][:, : batch.num_rows]
                write_batch(self.path, self._names, batch, self._labels, place)
                is_finite = is_finite and has_finite_sum(place)  # while it is in the cache
            if high < self._starts[group + 1]:
                self._begun[group] = known
            return is_finite

        if workers <= 1:
            found = [decode(*piece) for piece in pieces]
        else:
            with ThreadPoolExecutor(workers) as pool:
                found = [done.result() for done in [pool.submit(decode, *piece) for piece in pieces]]
        self.is_finite = all(found)

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column from the statistics of the row groups."""
        found = []
        for name in self._names:
            position = self._schema.names.index(name)
            if is_text(self._schema.field(position).type):
                return None
            chunks = [self._metadata.row_group(k).column(position) for k in range(self._metadata.num_row_groups)]
            known = [chunk.statistics for chunk in chunks if chunk.num_values and chunk.path_in_schema == name]
            if not known or len(known) < len(chunks) or not all(s and s.has_min_max for s in known):
                return None
            found.append((min(s.min for s in known), max(s.max for s in known)))
        result = np.array(found, dtype=np.float64)
        return result if np.isfinite(result).all() else None


def _opened(source: Any, metadata: Any = None) -> Any:
    from pyarrow import parquet

    # What is read ahead (pre_buffer) stays in memory until the file is closed.
    return parquet.ParquetFile(source, metadata=metadata, pre_buffer=False, buffer_size=BUFFER)


class _Group:
    """The rows of one row group, decoded one part after the other.

    Args:
        source: The open file.
        metadata: What its end says.
        group: Number of the row group.
        names: Names of the columns.
        is_alone: Whether no other group is decoded at the time, so that its columns take the threads.
    """

    def __init__(self, source: Any, metadata: Any, group: int, names: Sequence[str], is_alone: bool) -> None:
        # A reader for each, as one cannot be used from several threads.
        self._batches = _opened(source, metadata).iter_batches(
            ROWS, row_groups=[group], columns=list(dict.fromkeys(names)), use_threads=is_alone
        )
        self.at = 0
        self._pending: Any = None

    def between(self, start: int, stop: int) -> Any:
        """Yield the rows from start, which was not passed yet, to before stop, in parts with their places."""
        while self.at < stop:
            first, rows = self.at, self._pending or next(self._batches)
            count = min(rows.num_rows, stop - first)
            self.at, self._pending = first + count, rows.slice(count) if count < rows.num_rows else None
            if self.at > start:
                skipped = max(start - first, 0)
                yield first + skipped, rows.slice(skipped, count - skipped)
