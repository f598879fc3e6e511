"""Columns of numbers from Parquet files, decoded in batches that fit into a core's cache."""

from collections.abc import Iterator
from typing import Any

from regression.common.errors import DataError
from regression.readers.arrow_files import BatchColumns, column_fields, field_in
from regression.readers.columns import Array, Part, Wanted
from regression.readers.parquet_statistics import StatedEnds
from regression.readers.source import Source

__all__ = ["PARQUET_ENDINGS", "ParquetColumns", "read_footer"]

PARQUET_ENDINGS = (".parquet", ".pq")
BUFFER_BYTES = 1 << 20  # read at a time from each column
REQUEST_BYTES = 32 << 20  # of row groups requested together from a store, and held in memory: Arrow's largest request
ROWS_PER_BATCH = 1 << 17  # a page of float64 numbers of most writers; smaller batches take a tenth longer


class ParquetColumns(BatchColumns):
    """Columns of a Parquet file. It is open only while rows are decoded; its footer is read once."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self._metadata = read_footer(source) if source.footer is None else source.footer
        schema = self._metadata.schema.to_arrow_schema()
        super().__init__(source, wanted, schema)
        self._names = [".".join([schema.names[top], *names]) for top, *names in self._paths]
        self._tops = [schema.names[top] for top, *_ in self._paths]
        sizes = [self._metadata.row_group(k).num_rows for k in range(self._metadata.num_row_groups)]
        if min(sizes, default=0) < 0:
            raise DataError(f"{source.path} is damaged: a row group claims {min(sizes)} rows")
        self._divide(sizes)
        self._stated: StatedEnds | None = None  # set by ``extremes``

    @staticmethod
    def names(source: Source) -> list[str]:
        """Return the names of the columns of a file."""
        return [name for name, _, _ in column_fields(_opened(source).schema_arrow)]

    def _decode(self, groups: range) -> Iterator[Part]:
        """Yield the columns of batches; opens the file anew, because several threads cannot share a reader."""
        paths = [(self._tops[k], names) for k, (_, *names) in enumerate(self._paths)]
        columns = (
            self._numbers(field_in(batch.column(name), names) for name, names in paths)
            for batch in self._batches(groups)
        )
        return columns if self._stated is None else self._stated.check(columns, groups.start)

    def _batches(self, groups: range) -> Iterator[Any]:
        for together in self._requests(groups) if self.source.is_stored else [groups]:
            yield from _opened(self.source, self._metadata).iter_batches(
                ROWS_PER_BATCH, row_groups=list(together), columns=list(dict.fromkeys(self._names)), use_threads=False
            )

    def _requests(self, groups: range) -> Iterator[range]:
        """Yield the groups to read from a store together; Arrow makes one request of columns that are adjacent."""
        start, size = groups.start, 0
        for group in groups:
            columns = map(self._metadata.row_group(group).column, range(self._metadata.num_columns))
            needed = sum(each.total_compressed_size for each in columns if each.path_in_schema in self._names)
            if size and size + needed > REQUEST_BYTES:
                yield range(start, group)
                start, size = group, 0
            size += needed
        yield range(start, groups.stop)

    def extremes(self) -> Array | None:
        """Return the smallest and largest number of each column from the statistics of the row groups.

        Rows that are read afterwards are checked against them.

        Raises:
            DataError: If a largest number is below the smallest.
        """
        if not self.has_texts and not self.has_times:
            self._stated = StatedEnds.read(self.source.path, self._metadata, self._names, self._starts)
        return None if self._stated is None else self._stated.joined()


def read_footer(source: Source) -> Any:
    """Return the metadata of a file."""
    return _opened(source).metadata


def _opened(source: Source, metadata: Any = None) -> Any:
    from pyarrow import parquet  # a third of a second to import, and not every run needs it

    # pre_buffer reads whole row groups ahead, and keeps them in memory until the file is closed.
    return parquet.ParquetFile(
        source.arrow_file(),
        metadata=metadata,
        pre_buffer=source.is_stored,
        buffer_size=0 if source.is_stored else BUFFER_BYTES,
    )
