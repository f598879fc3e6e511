"""Columns of numbers from Arrow files, and arrays of Arrow's as numbers; never converted silently."""

from abc import abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, pairwise
from typing import Any

import numpy as np
from torch.utils.dlpack import from_dlpack

from regression.common.arrays import as_float64
from regression.common.errors import DataError
from regression.common.row_ranges import part_cuts
from regression.readers.columns import Array, FileColumns, Part, Wanted, find_columns
from regression.readers.series_names import Labels
from regression.readers.source import Source

__all__ = ["CONVERT", "ArrowColumns", "BatchColumns", "contiguous", "numbers", "without_copy"]

CONVERT = "convert it to float64, or choose another column"


class BatchColumns(FileColumns):
    """Columns that are stored in groups of rows, which are decoded as arrays of Arrow's.

    Args:
        source: The file.
        wanted: What to read of it.
        schema: The columns that it has.
    """

    def __init__(self, source: Source, wanted: Wanted, schema: Any) -> None:
        self.source, self._labels = source, wanted.labels
        self._columns = find_columns(source.path, schema.names, wanted.columns)
        fields = [schema.field(k) for k in self._columns]
        self.headings = [field.name for field in fields]
        self._titles = [f"{source.path}: column {name!r}" for name in self.headings]
        self.has_texts = _is_text(fields[-1].type)
        for title, field in zip(self._titles, fields, strict=True):
            if not (_is_number(field.type) or (field is fields[-1] and self.has_texts and wanted.labels is not None)):
                raise DataError(f"{title} must hold numbers, got type {field.type}: {CONVERT}")
        self._begun: dict[int, Iterator[tuple[int, list[Any]]]] = {}  # what is left of a group, by its first row

    @property
    def places(self) -> Sequence[int]:
        """Rows at which a group begins, and the end."""
        return self._starts

    @abstractmethod
    def _decoded(self, groups: range) -> Iterator[list[Any]]:
        """Yield the wanted columns of the rows of consecutive groups, some at a time."""

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows; calls for rows that follow each other decode a group once."""
        while start < stop:
            batches = self._begun.pop(start, None) or self._placed(start, stop)
            for first, columns in batches:
                low, high = max(start - first, 0), min(stop - first, len(columns[0]))
                if low < high:
                    pairs = zip(self._titles, columns, strict=True)
                    yield [numbers(title, column.slice(low, high - low), self._labels) for title, column in pairs]
                    start = first + high
                if start == stop:
                    if self._starts[bisect_left(self._starts, start)] > start:
                        self._begun = {start: chain([(first, columns)], batches)}
                    break

    def _placed(self, start: int, stop: int) -> Iterator[tuple[int, list[Any]]]:
        """Yield arrays of the groups that have the rows, small groups in one go, with the row at which they begin."""
        groups = range(bisect_right(self._starts, start) - 1, bisect_left(self._starts, stop))
        row = self._starts[groups.start]
        for columns in self._decoded(groups):
            yield row, columns
            row += len(columns[0])
        if row != self._starts[groups.stop]:
            raise DataError(f"{self.source.path} is damaged: it has other numbers of rows than it claims")


class ArrowColumns(BatchColumns):
    """Columns of an Arrow IPC file, also known as Feather, of which one record batch at a time is in memory."""

    opener = "open_file"  # of pyarrow.ipc

    def __init__(self, source: Source, wanted: Wanted) -> None:
        with self._opened(source, None) as file:
            super().__init__(source, wanted, file.schema)
        # There is no other way to tell their rows.
        self._divide([batch.num_rows for batch in self._batches(self._columns[:1], 0, None)])

    @classmethod
    def names(cls, source: Source) -> list[str]:
        """Return the names of the columns of a file."""
        with cls._opened(source, None) as file:
            return list(file.schema.names)

    @classmethod
    def _opened(cls, source: Source, columns: list[int] | None) -> Any:
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)
        return getattr(pa.ipc, cls.opener)(cls._file(source), options=options)

    @staticmethod
    def _file(source: Source) -> Any:
        return source.arrow_file()

    def _batches(self, fields: list[int], start: int, stop: int | None) -> Iterator[Any]:
        """Yield record batches with some of the columns."""
        with self._opened(self.source, fields) as file:
            for k in range(start, file.num_record_batches if stop is None else stop):
                yield file.get_batch(k)

    def _decoded(self, groups: range) -> Iterator[list[Any]]:
        fields = sorted(set(self._columns))
        for batch in self._batches(fields, groups.start, groups.stop):
            batch.validate(full=True)  # offsets and indices may lead anywhere
            for low, high in pairwise(part_cuts(0, batch.num_rows)):
                yield [batch.column(fields.index(at)).slice(low, high - low) for at in self._columns]


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(value) or types.is_large_string(value))


def numbers(title: str, column: Any, labels: Labels | None) -> Array:
    """Return an array of Arrow's as numbers, NaN for nulls, texts by their codes; floats without nulls uncopied."""
    from pyarrow import types

    if labels is not None and _is_text(column.type):
        return labels.codes(column)
    if types.is_floating(column.type):
        return contiguous(title, column.to_numpy(zero_copy_only=False)) if column.null_count else without_copy(column)
    if types.is_decimal(column.type):
        return _of_decimals(title, column)
    values = as_float64(title, column.fill_null(0).to_numpy(zero_copy_only=False))
    return np.where(column.is_null(), np.nan, values) if column.null_count else values


def _of_decimals(title: str, column: Any) -> Array:
    """Return decimals as the nearest float64, NaN for nulls; refuse those of more digits than it tells apart."""
    import pyarrow as pa

    values = column.cast(pa.string()).cast(pa.float64())  # rounded once; the direct way rounds twice
    with suppress(pa.ArrowInvalid):  # where the digits of a number are more than the type has
        if values.cast(pa.string()).cast(column.type).equals(column):
            return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    raise DataError(f"{title} holds decimals of more digits than float64 has: round them yourself")


def without_copy(column: Any) -> Array:
    """Return floats of Arrow's as an array; by way of torch, which warns of arrays that may not be written to."""
    result: Array = from_dlpack(column).numpy()
    return result if result.itemsize > 2 else result.astype(np.float64)


def contiguous(title: str, values: Any) -> Array:
    """Return numbers as contiguous floats: uncopied where they are such already."""
    is_float = values.dtype.kind == "f" and values.dtype.itemsize > 2 and values.dtype.isnative
    return np.ascontiguousarray(values if is_float else as_float64(title, values))
