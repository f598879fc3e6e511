"""Columns of numbers from Parquet files, decoded in parts of a row group that stay in a core's cache."""

from collections.abc import Iterator
from typing import Any

from regression.common.errors import DataError
from regression.readers.arrow_and_numpy import BatchColumns, numbers
from regression.readers.columns import Array, Part, Wanted
from regression.readers.parquet_statistics import StatedEnds
from regression.readers.source import Source

__all__ = ["ParquetColumns", "read_footer"]

BUFFER_BYTES = 1 << 20  # read at a time from each column
ROWS_PER_BATCH = 1 << 17  # most writers' page of float64 numbers: what is done once a batch costs a tenth less


class ParquetColumns(BatchColumns):
    """Columns of a Parquet file. It is open only while rows are decoded; its footer is read once."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self._metadata = read_footer(source) if source.footer is None else source.footer
        schema = self._metadata.schema.to_arrow_schema()
        super().__init__(source, wanted, schema)
        self._names = [schema.names[k] for k in self._columns]
        sizes = [self._metadata.row_group(k).num_rows for k in range(self._metadata.num_row_groups)]
        if min(sizes, default=0) < 0:
            raise DataError(f"{source.path} is damaged: a row group claims {min(sizes)} rows")
        self._divide(sizes)
        self._stated: StatedEnds | None = None  # once it was asked for

    @staticmethod
    def names(source: Source) -> list[str]:
        """Return the names of the columns of a file."""
        return list(_opened(source).schema_arrow.names)

    def _decoded(self, groups: range) -> Iterator[list[Any]]:
        """Yield arrays, by a reader of their own, as one cannot be used from several threads."""
        batches = _opened(self.source, self._metadata).iter_batches(
            ROWS_PER_BATCH, row_groups=list(groups), columns=list(dict.fromkeys(self._names)), use_threads=False
        )
        columns = ([batch.column(name) for name in self._names] for batch in batches)
        return columns if self._stated is None else self._stated.checked(columns, groups.start, self._numbers)

    def _numbers(self, columns: list[Any]) -> Part:
        return [numbers(title, column, None) for title, column in zip(self._titles, columns, strict=True)]

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column from the statistics of the row groups.

        Rows that are read from then on are held to it.

        Raises:
            DataError: If a largest number is below the smallest.
        """
        if not self.has_texts:
            self._stated = StatedEnds.read(self.source.path, self._metadata, self._names, self._starts)
        return None if self._stated is None else self._stated.joined()


def read_footer(source: Source) -> Any:
    """Return the metadata of a file."""
    return _opened(source).metadata


def _opened(source: Source, metadata: Any = None) -> Any:
    import pyarrow as pa  # a third of a second to import, and not every run needs it
    from pyarrow import parquet

    # What is read ahead (pre_buffer) stays in memory until the file is closed.
    file = pa.OSFile(str(source.path))
    return parquet.ParquetFile(file, metadata=metadata, pre_buffer=False, buffer_size=BUFFER_BYTES)
