"""Columns of numbers from Arrow, NPY and NPZ files, mapped, and record batches as numbers; never converted silently."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.dlpack import from_dlpack

from regression.common.errors import DataError
from regression.common.threads import part_cuts
from regression.data.readers.columns import (
    Array,
    Column,
    FileColumns,
    MemoryColumns,
    Part,
    even_cuts,
    find_columns,
    overlaps,
    slices_of,
)
from regression.data.readers.series_names import Labels

__all__ = ["ArrayColumns", "ArrowColumns", "checked_names", "columns_of", "is_text", "read_npz", "without_copy"]

EXACT = 2**53  # whole numbers up to here are float64 numbers
UNNAMED = ("x", "y", "sigma")  # names of the columns of an array without names
BOMB_RATIO, BOMB_BYTES = 200, 256 << 20
CONVERT = "convert it to float64, or choose another column"


class ArrowColumns(FileColumns):
    """Columns of an Arrow IPC file, also known as Feather, mapped into memory.

    The map is made anew for each part: a map that stays would keep all rows read so far in memory.

    Args:
        path: The file.
        columns: Names or numbers of the columns.
        labels: Codes of the texts that the last column may hold, or ``None``.
    """

    def __init__(self, path: Path, columns: Sequence[Column], labels: Labels | None = None) -> None:
        self.path, self._labels = path, labels
        file = self._mapped()
        self._names = checked_names(path, file.schema, columns, labels)
        self._divide([file.get_batch(k).num_rows for k in range(file.num_record_batches)])

    def _mapped(self) -> Any:
        import pyarrow as pa

        return pa.ipc.open_file(pa.memory_map(str(self.path)))

    @property
    def places(self) -> Sequence[int]:
        """Rows at which a record batch begins, which may be packed, and the end."""
        return self._starts

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield slices of the record batches."""
        file = self._mapped()
        for k, low, high in overlaps(self._starts, start, stop):
            batch = file.get_batch(k)
            for first, end in pairwise(part_cuts(low - self._starts[k], high - self._starts[k])):
                yield columns_of(self.path, self._names, batch.slice(first, end - first), self._labels)


class ArrayColumns(FileColumns):
    """Columns of an NPY file, mapped into memory: an array of shape (N, C) or (N,), or one with named fields.

    Without names, the first columns are called x, y and sigma. The map is made anew for each part: a map that stays
    would keep all rows read so far in memory.

    Args:
        path: The file.
        columns: Names or numbers of the columns.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self.path, self._wanted = path, list(columns)
        found = self._mapped()
        _require_numeric(path, found, columns)
        self.rows = len(found[0])
        self.cuts = even_cuts(self.rows)

    def _mapped(self) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of headers that only very old versions wrote
            array = np.load(self.path, mmap_mode="c", allow_pickle=False)  # "r": torch would warn
        if array.dtype.names:
            names = list(array.dtype.names)
            return [array[names[k]] for k in find_columns(self.path, names, self._wanted)]
        if array.ndim not in (1, 2):
            raise DataError(f"{self.path}: expected an array of shape (N, columns), got shape {array.shape}")
        table = array[:, None] if array.ndim == 1 else array
        names = [*UNNAMED[: table.shape[1]], *map(str, range(4, table.shape[1] + 1))]
        return [table[:, k] for k in find_columns(self.path, names, self._wanted)]

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield slices of the map."""
        for columns in slices_of(self._mapped(), start, stop):
            yield [_plain(self.path, column) for column in columns]


def read_npz(path: Path, columns: Sequence[Column]) -> MemoryColumns:
    """Read columns from an NPZ file that holds an array of shape (N,) for each.

    Args:
        path: The file.
        columns: Names or numbers of the columns.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > BOMB_BYTES and size > BOMB_RATIO * path.stat().st_size:
        raise DataError(f"{path} unpacks to more than {BOMB_RATIO} times its size: save it unpacked, as .npy")
    with np.load(path, allow_pickle=False) as arrays:
        names = list(arrays.files)
        found = [arrays[names[k]] for k in find_columns(path, names, columns)]
    _require_numeric(path, found, columns)
    shapes = [array.shape for array in found]
    if any(shape != shapes[0] or len(shape) != 1 for shape in shapes):
        raise DataError(f"{path}: expected arrays of one shape (N,), got {', '.join(map(str, shapes))}")
    return MemoryColumns(path, np.stack([_exact(path, array) for array in found]))


def checked_names(path: Path, schema: Any, columns: Sequence[Column], labels: Labels | None) -> list[str]:
    """Return the names of the columns, once it is known that they hold numbers, the last one perhaps texts."""
    from pyarrow import types

    chosen = [schema.field(k) for k in find_columns(path, schema.names, columns)]
    for k, field in enumerate(chosen, start=1):
        is_name = labels is not None and k == len(chosen) and is_text(field.type)
        if not (is_name or types.is_floating(field.type) or types.is_integer(field.type)):
            raise DataError(f"{path}: column {field.name!r} must hold numbers, got type {field.type}: {CONVERT}")
    if labels is not None:
        labels.expect(path, is_text(chosen[-1].type))
    return [field.name for field in chosen]


def is_text(kind: Any) -> bool:
    """Tell whether a type of Arrow's is that of texts."""
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(value) or types.is_large_string(value))


def columns_of(path: Path, names: list[str], batch: Any, labels: Labels | None) -> Part:
    """Return the columns of a record batch, NaN for nulls, texts by their codes; floats without nulls uncopied."""
    return [_column(path, batch.column(name), labels) for name in names]


def _column(path: Path, column: Any, labels: Labels | None) -> Array:
    from pyarrow import types

    if labels is not None and is_text(column.type):
        return labels.codes(column)
    if column.null_count:
        values: Array = column.cast("float64").to_numpy(zero_copy_only=False)  # refuses whole numbers beyond 2^53
        return values
    if types.is_float64(column.type) or types.is_float32(column.type):
        return without_copy(column)
    return _exact(path, column.to_numpy(zero_copy_only=False))


def without_copy(column: Any) -> Array:
    """Return floats of Arrow's as an array; by way of torch, which warns of arrays that may not be written to."""
    result: Array = from_dlpack(column).numpy()
    return result


def _require_numeric(path: Path, arrays: list[Any], columns: Sequence[Column]) -> None:
    for array, column in zip(arrays, columns, strict=True):
        if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
            raise DataError(f"{path}: column {str(column)!r} must hold numbers, got type {array.dtype}: {CONVERT}")


def _exact(path: Path, values: Any) -> Array:
    """Return numbers as float64, and refuse whole numbers that float64 would round."""
    if values.dtype.kind in "iu" and len(values) and max(abs(int(values.min())), abs(int(values.max()))) > EXACT:
        raise DataError(f"{path}: whole numbers beyond 2^53 lose digits in float64: subtract an offset first")
    return np.asarray(values, dtype=np.float64)


def _plain(path: Path, values: Any) -> Array:
    """Return numbers as contiguous floats: a view where they are such already."""
    is_float = values.dtype.kind == "f" and values.dtype.itemsize > 2 and values.dtype.isnative
    return np.ascontiguousarray(values if is_float else _exact(path, values)).view(np.ndarray)
