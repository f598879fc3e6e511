"""Columns of numbers from Arrow IPC streams, which unlike files do not list their record batches."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from regression.readers.arrow_files import ArrowColumns
from regression.readers.source import Source

__all__ = ["ArrowStreamColumns"]


class ArrowStreamColumns(ArrowColumns):
    """Columns of an Arrow IPC stream, read from its beginning each time; one record batch at a time is in memory."""

    opener = "open_stream"

    @staticmethod
    def _file(source: Source) -> Any:
        import pyarrow as pa

        return pa.PythonFile(source.stream(source.size), "r") if source.is_stored else source.arrow_file()

    def _batches(self, fields: list[int], start: int, stop: int | None) -> Iterator[Any]:
        with self._opened(self.source, fields) as stream:
            yield from islice(stream, start, stop)
