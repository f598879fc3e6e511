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
from regression.common.time_scale import DURATIONS, shown_instant
from regression.common.times import MISSING, kind_of, nanoseconds
from regression.readers.columns import SERIES, Array, FileColumns, Part, Wanted, find_columns
from regression.readers.series_names import Labels
from regression.readers.source import Source

__all__ = ["CONVERT", "ArrowColumns", "BatchColumns", "contiguous", "inner", "named", "numbers", "without_copy"]

CONVERT = "convert it to float64, or choose another column"


class BatchColumns(FileColumns):
    """Columns that are stored in groups of rows, which are decoded as arrays of Arrow's.

    Args:
        source: The file.
        wanted: What to read of it.
        schema: The columns that it has.
    """

    def __init__(self, source: Source, wanted: Wanted, schema: Any) -> None:
        self.source, self._labels, self._clock = source, wanted.labels, wanted.clock
        known = named(schema)
        names = [name for name, _, _ in known]
        found = [known[k] for k in find_columns(source.path, names, wanted)]
        self.headings = [name for name, _, _ in found]
        self._places = [place for _, place, _ in found]
        self._titles = [f"{source.path}: column {name!r}" for name in self.headings]
        self._roles = [wanted.role(at) for at in range(len(found))]
        self.has_texts, self.has_times = _names_by_texts(found[-1][2]), False
        for title, role, (_, _, kind) in zip(self._titles, self._roles, found, strict=True):
            if role == SERIES and self.has_texts:
                continue
            times = None if wanted.clock is None or role == SERIES else kind_of(kind)
            if times is None and not _is_number(kind):
                raise DataError(f"{title} must hold numbers, got type {kind}: {CONVERT}")
            if wanted.clock is not None and role != SERIES:
                wanted.clock.expect(title, role, times)
            self.has_times |= times is not None
        self._begun: dict[int, Iterator[tuple[int, Part]]] = {}  # what is left of a group, by its first row

    @property
    def places(self) -> Sequence[int]:
        """Rows at which a group begins, and the end."""
        return self._starts

    @abstractmethod
    def _decoded(self, groups: range) -> Iterator[Part]:
        """Yield the wanted columns of the rows of consecutive groups as numbers, some at a time."""

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows; calls for rows that follow each other decode a group once."""
        while start < stop:
            batches = self._begun.pop(start, None) or self._placed(start, stop)
            for first, columns in batches:
                low, high = max(start - first, 0), min(stop - first, len(columns[0]))
                if low < high:
                    yield [column[low:high] for column in columns]
                    start = first + high
                if start == stop:
                    if self._starts[bisect_left(self._starts, start)] > start:
                        self._begun = {start: chain([(first, columns)], batches)}
                    break

    def _numbers(self, columns: list[Any]) -> Part:
        """Return columns as numbers."""
        return [
            self._clock.numbers(title, role, nanoseconds(title, column))
            if self._clock is not None and role != SERIES and kind_of(column.type) is not None
            else numbers(title, column, self._labels)
            for title, role, column in zip(self._titles, self._roles, columns, strict=True)
        ]

    def _placed(self, start: int, stop: int) -> Iterator[tuple[int, Part]]:
        """Yield columns of the groups that have the rows, small groups in one go, with the row at which they begin."""
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
        self._divide([batch.num_rows for batch in self._batches([self._places[0][0]], 0, None)])

    @classmethod
    def names(cls, source: Source) -> list[str]:
        """Return the names of the columns of a file."""
        with cls._opened(source, None) as file:
            return [name for name, _, _ in named(file.schema)]

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

    def _decoded(self, groups: range) -> Iterator[Part]:
        fields = sorted({top for top, *_ in self._places})
        for batch in self._batches(fields, groups.start, groups.stop):
            batch.validate(full=True)  # offsets and indices may lead anywhere
            for low, high in pairwise(part_cuts(0, batch.num_rows)):
                rows = batch.slice(low, high - low)
                yield self._numbers([inner(rows.column(fields.index(top)), names) for top, *names in self._places])


def named(schema: Any) -> list[tuple[str, list[Any], Any]]:
    """Return the names of columns, where they are, and their types; after all others the fields of nested ones.

    A field is called ``a.b``, and is at the number of the column and the names of the fields in it.
    """
    found: list[tuple[str, list[Any], Any]] = [(field.name, [k], field.type) for k, field in enumerate(schema)]
    names = {name for name, _, _ in found}
    for name, place, kind in found:  # which grows
        fields = [kind.field(k) for k in range(kind.num_fields)] if str(kind).startswith("struct<") else []
        found += [
            (f"{name}.{field.name}", [*place, field.name], field.type)
            for field in fields
            if f"{name}.{field.name}" not in names
        ]
    return found


def inner(column: Any, names: list[str]) -> Any:
    """Return the field of a column of structures that some names lead to; null where a structure is."""
    from pyarrow import compute

    return compute.struct_field(column, names) if names else column


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind))


def _names_by_texts(kind: Any) -> bool:
    """Tell whether a type names series by texts: instants are written as such."""
    return _is_text(kind) or kind_of(kind) not in (None, DURATIONS)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(value) or types.is_large_string(value))


def numbers(title: str, column: Any, labels: Labels | None) -> Array:
    """Return an array of Arrow's as numbers, NaN for nulls, texts by their codes; floats without nulls uncopied."""
    from pyarrow import types

    if labels is not None and _is_text(column.type):
        return labels.codes(column)
    if labels is not None and kind_of(column.type) not in (None, DURATIONS):
        return labels.codes(_as_texts(title, column))
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_floating(column.type):
        return contiguous(title, column.to_numpy(zero_copy_only=False)) if column.null_count else without_copy(column)
    if types.is_decimal(column.type):
        return _of_decimals(title, column)
    values = as_float64(title, column.fill_null(0).to_numpy(zero_copy_only=False))
    return np.where(column.is_null(), np.nan, values) if column.null_count else values


def _as_texts(title: str, column: Any) -> Any:
    """Return instants as texts, without the zeros of fractions."""
    import pyarrow as pa

    kind, values = str(kind_of(column.type)), nanoseconds(title, column)
    shown = [None if each == MISSING else shown_instant(each.view("M8[ns]"), kind) for each in values]
    return pa.array(shown, pa.string())


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
