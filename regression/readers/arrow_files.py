"""Columns of numbers from Arrow files, and Arrow arrays as numbers; other types are refused."""

from abc import abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, pairwise
from typing import Any

import numpy as np
from torch.utils.dlpack import from_dlpack

from regression.common.arrays import as_float64
from regression.common.errors import DataError
from regression.common.row_ranges import part_cuts
from regression.common.time_scale import DURATIONS, shown_instant
from regression.common.times import MISSING, kind_of, nanoseconds
from regression.readers.clock import Clock
from regression.readers.columns import SERIES, Array, FileColumns, Part, Wanted, find_columns
from regression.readers.series_names import Labels
from regression.readers.source import Source

__all__ = ["CONVERT", "ArrowColumns", "BatchColumns", "as_contiguous", "column_fields", "field_in", "view"]

CONVERT = "convert it to float64, or choose another column"


class BatchColumns(FileColumns):
    """Columns that are stored in groups of rows, which are decoded as Arrow arrays.

    Args:
        source: The file.
        wanted: What to read of it.
        schema: Arrow's schema of the file.
    """

    def __init__(self, source: Source, wanted: Wanted, schema: Any) -> None:
        self.source = source
        known = column_fields(schema)
        names = [name for name, _, _ in known]
        found = [known[k] for k in find_columns(source.path, names, wanted)]
        self.headings = [name for name, _, _ in found]
        self._paths = [path for _, path, _ in found]
        self.has_texts, self.has_times = _holds_texts(found[-1][2]), False
        self._conversions: list[Callable[[Any], Array]] = []
        for at, (name, _, kind) in enumerate(found):
            title, role = f"{source.path}: column {name!r}", wanted.role(at)
            clock = None if role == SERIES else wanted.clock
            times = None if clock is None else kind_of(kind)
            if times is None and not _is_number(kind) and not (role == SERIES and self.has_texts):
                raise DataError(f"{title} must hold numbers, got type {kind}: {CONVERT}")
            if clock is not None:
                clock.expect(title, role, times)
            self.has_times |= times is not None
            labels = wanted.labels if role == SERIES else None
            self._conversions.append(
                _conversion(title, kind, labels)
                if clock is None or times is None
                else partial(_of_times, title, role, clock)
            )
        self._begun: dict[int, Iterator[tuple[int, Part]]] = {}  # the rest of a group, by its first row

    @property
    def places(self) -> Sequence[int]:
        """Rows at which a group begins, and the end."""
        return self._starts

    @abstractmethod
    def _decode(self, groups: range) -> Iterator[Part]:
        """Yield the wanted columns of consecutive groups as numbers, in batches of rows."""

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows; calls for consecutive ranges of rows decode each group once."""
        while start < stop:
            batches = self._begun.pop(start, None) or self._decode_rows(start, stop)
            for first, columns in batches:
                low, high = max(start - first, 0), min(stop - first, len(columns[0]))
                if low < high:
                    yield [column[low:high] for column in columns]
                    start = first + high
                if start == stop:
                    if self._starts[bisect_left(self._starts, start)] > start:
                        self._begun = {start: chain([(first, columns)], batches)}
                    break

    def _numbers(self, columns: Iterable[Any]) -> Part:
        """Return columns as numbers."""
        return [convert(column) for convert, column in zip(self._conversions, columns, strict=True)]

    def _decode_rows(self, start: int, stop: int) -> Iterator[tuple[int, Part]]:
        """Yield batches of the groups that contain the rows, with their first rows; decode small groups together."""
        groups = range(bisect_right(self._starts, start) - 1, bisect_left(self._starts, stop))
        row = self._starts[groups.start]
        for columns in self._decode(groups):
            yield row, columns
            row += len(columns[0])
        if row != self._starts[groups.stop]:
            raise DataError(f"{self.source.path} is damaged: it has other numbers of rows than it claims")


class ArrowColumns(BatchColumns):
    """Columns of an Arrow IPC file, also known as Feather; one record batch at a time is in memory."""

    opener = "open_file"  # a function of pyarrow.ipc

    def __init__(self, source: Source, wanted: Wanted) -> None:
        with self._opened(source, None) as file:
            super().__init__(source, wanted, file.schema)
        # The file does not state the rows of its batches, so one column of each is read.
        self._divide([batch.num_rows for batch in self._batches([self._paths[0][0]], 0, None)])

    @classmethod
    def names(cls, source: Source) -> list[str]:
        """Return the names of the columns of a file."""
        with cls._opened(source, None) as file:
            return [name for name, _, _ in column_fields(file.schema)]

    @classmethod
    def _opened(cls, source: Source, columns: list[int] | None) -> Any:
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)
        return getattr(pa.ipc, cls.opener)(cls._file(source), options=options)

    @staticmethod
    def _file(source: Source) -> Any:
        return source.arrow_file()

    def _batches(self, fields: list[int], start: int, stop: int | None) -> Iterator[Any]:
        """Yield record batches from start to before stop, with some of the columns."""
        with self._opened(self.source, fields) as file:
            for k in range(start, file.num_record_batches if stop is None else stop):
                yield file.get_batch(k)

    def _decode(self, groups: range) -> Iterator[Part]:
        fields = sorted({top for top, *_ in self._paths})
        for batch in self._batches(fields, groups.start, groups.stop):
            batch.validate(full=True)  # offsets and indices in a damaged file may point outside of its buffers
            for low, high in pairwise(part_cuts(0, batch.num_rows)):
                rows = batch.slice(low, high - low)
                yield self._numbers(field_in(rows.column(fields.index(top)), names) for top, *names in self._paths)


def column_fields(schema: Any) -> list[tuple[str, list[Any], Any]]:
    """Return name, path and type of each column, and after all columns those of the fields of structures.

    Field b of column a has the name ``a.b``. A path is the column's number, followed by the names of nested fields.
    """
    found: list[tuple[str, list[Any], Any]] = [(field.name, [k], field.type) for k, field in enumerate(schema)]
    names = {name for name, _, _ in found}
    for name, path, kind in found:  # the loop also visits the fields that it adds
        fields = [kind.field(k) for k in range(kind.num_fields)] if str(kind).startswith("struct<") else []
        found += [
            (f"{name}.{field.name}", [*path, field.name], field.type)
            for field in fields
            if f"{name}.{field.name}" not in names
        ]
    return found


def field_in(column: Any, names: list[str]) -> Any:
    """Return the nested field of a column at a path of names; null where a structure is null."""
    if not names:
        return column
    from pyarrow import compute

    return compute.struct_field(column, names)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind))


def _holds_texts(kind: Any) -> bool:
    """Tell whether names of series of a type are texts; instants are converted to texts."""
    return _is_text(kind) or kind_of(kind) not in (None, DURATIONS)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(value) or types.is_large_string(value))


def _conversion(title: str, kind: Any, labels: Labels | None) -> Callable[[Any], Array]:
    """Return a function that converts Arrow arrays of a type to numbers: NaN for nulls, codes for texts."""
    from pyarrow import types

    if labels is not None and _is_text(kind):
        return labels.codes
    if labels is not None and kind_of(kind) not in (None, DURATIONS):
        return lambda column: labels.codes(_as_texts(title, column))
    if types.is_dictionary(kind):
        convert = _conversion(title, kind.value_type, None)
        return lambda column: convert(column.dictionary_decode())
    if types.is_floating(kind):
        return partial(_of_floats, title)
    return partial(_of_decimals if types.is_decimal(kind) else _of_integers, title)


def _of_times(title: str, role: str, clock: Clock, column: Any) -> Array:
    return clock.numbers(title, role, nanoseconds(title, column))


def _of_floats(title: str, column: Any) -> Array:
    """Return floats, NaN for nulls; without nulls they are not copied."""
    return as_contiguous(title, column.to_numpy(zero_copy_only=False)) if column.null_count else view(column)


def _of_integers(title: str, column: Any) -> Array:
    values = as_float64(title, column.fill_null(0).to_numpy(zero_copy_only=False))
    return np.where(column.is_null(), np.nan, values) if column.null_count else values


def _as_texts(title: str, column: Any) -> Any:
    """Return instants as texts, without trailing zeros of fractions."""
    import pyarrow as pa

    kind, values = str(kind_of(column.type)), nanoseconds(title, column)
    shown = [None if each == MISSING else shown_instant(each.view("M8[ns]"), kind) for each in values]
    return pa.array(shown, pa.string())


def _of_decimals(title: str, column: Any) -> Array:
    """Return decimals as the nearest float64, NaN for nulls; refuse those of more digits than float64 has."""
    import pyarrow as pa

    values = column.cast(pa.string()).cast(pa.float64())  # rounded once; a direct cast rounds twice
    with suppress(pa.ArrowInvalid):  # a rounded number may have more digits than the column's type
        if values.cast(pa.string()).cast(column.type).equals(column):
            return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    raise DataError(f"{title} holds decimals of more digits than float64 has: round them yourself")


def view(column: Any) -> Array:
    """Return floats of an Arrow array without a copy, as a writable view: torch warns of read-only arrays."""
    result: Array = from_dlpack(column).numpy()
    return result if result.itemsize > 2 else result.astype(np.float64)


def as_contiguous(title: str, values: Any) -> Array:
    """Return numbers as contiguous float32 or float64 numbers, copied only if they are not."""
    is_float = values.dtype.kind == "f" and values.dtype.itemsize > 2 and values.dtype.isnative
    return np.ascontiguousarray(values if is_float else as_float64(title, values))
