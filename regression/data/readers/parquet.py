"""Columns of numbers from Parquet files, decoded in parts of a row group that stay in a core's cache."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from regression.common.errors import DataError
from regression.data.readers.arrow_and_numpy import BatchColumns
from regression.data.readers.columns import Array, Wanted, joined_ends
from regression.data.readers.source import Source

__all__ = ["ParquetColumns"]

BUFFER_BYTES = 1 << 20  # read at a time from each column
ROWS_PER_BATCH = 1 << 17  # most writers' page of float64 numbers: what is done once a batch costs a tenth less


class ParquetColumns(BatchColumns):
    """Columns of a Parquet file. It is open only while rows are decoded; its footer is read once."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        file = _opened(source)
        super().__init__(source, wanted, file.schema_arrow)
        self._metadata = file.metadata
        self._names = [file.schema_arrow.names[k] for k in self._columns]
        sizes = [self._metadata.row_group(k).num_rows for k in range(self._metadata.num_row_groups)]
        if min(sizes, default=0) < 0:
            raise DataError(f"{source.path} is damaged: a row group claims {min(sizes)} rows")
        self._divide(sizes)

    def _decoded(self, groups: range) -> Iterator[list[Any]]:
        """Yield arrays, by a reader of their own, as one cannot be used from several threads."""
        batches = _opened(self.source, self._metadata).iter_batches(
            ROWS_PER_BATCH, row_groups=list(groups), columns=list(dict.fromkeys(self._names)), use_threads=False
        )
        return ([batch.column(name) for name in self._names] for batch in batches)

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column from the statistics of the row groups."""
        if self.has_texts:
            return None
        paths = [self._metadata.schema.column(leaf).path for leaf in range(self._metadata.num_columns)]
        found, leaves = [], [paths.index(name) for name in self._names]  # nested columns are several of these
        for group in map(self._metadata.row_group, range(self._metadata.num_row_groups)):
            known = [group.column(leaf).statistics for leaf in leaves if group.num_rows]
            if not all(statistics and statistics.has_min_max for statistics in known):
                return None
            found += [(statistics.min, statistics.max) for statistics in known]
        ends = joined_ends(np.array(found, dtype=np.float64).reshape(-1, len(leaves), 2))
        return ends if np.isfinite(ends).all() else None


def _opened(source: Source, metadata: Any = None) -> Any:
    import pyarrow as pa  # a third of a second to import, and not every run needs it
    from pyarrow import parquet

    # What is read ahead (pre_buffer) stays in memory until the file is closed.
    file = pa.OSFile(str(source.path))
    return parquet.ParquetFile(file, metadata=metadata, pre_buffer=False, buffer_size=BUFFER_BYTES)
