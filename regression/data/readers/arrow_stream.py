"""Columns of numbers from Arrow IPC streams, which have no list of their record batches."""

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

from regression.common.row_ranges import part_cuts
from regression.data.readers.arrow_and_numpy import BatchColumns
from regression.data.readers.columns import Wanted
from regression.data.readers.source import Source

__all__ = ["ArrowStreamColumns"]


class ArrowStreamColumns(BatchColumns):
    """Columns of an Arrow IPC stream, read from its beginning each time; one record batch at a time is in memory."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        with self._opened(source, None) as stream:
            super().__init__(source, wanted, stream.schema)
        with self._opened(source, self._columns[:1]) as stream:
            self._divide([batch.num_rows for batch in stream])

    @classmethod
    def names(cls, source: Source) -> list[str]:
        """Return the names of the columns of a stream."""
        with cls._opened(source, None) as stream:
            return list(stream.schema.names)

    @staticmethod
    def _opened(source: Source, columns: list[int] | None) -> Any:
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)
        return pa.ipc.open_stream(pa.OSFile(str(source.path)), options=options)

    def _decoded(self, groups: range) -> Iterator[list[Any]]:
        fields = sorted(set(self._columns))
        with self._opened(self.source, fields) as stream:
            for batch in islice(stream, groups.start, groups.stop):
                batch.validate(full=True)  # offsets and indices may lead anywhere
                for low, high in pairwise(part_cuts(0, batch.num_rows)):
                    yield [batch.column(fields.index(at)).slice(low, high - low) for at in self._columns]
