"""Columns of numbers from NPY and NPZ files; other types are refused."""

import math
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from threading import get_ident
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.lib.stride_tricks import as_strided

from regression.common.arrays import as_float64
from regression.common.errors import DataError
from regression.common.row_ranges import ROWS_PER_PART, part_cuts
from regression.common.time_scale import DURATIONS, INSTANTS
from regression.common.times import as_times
from regression.readers.arrow_files import CONVERT, as_contiguous
from regression.readers.columns import BLOCK, SERIES, Array, ChunkColumns, FileColumns, Part, Wanted, find_columns
from regression.readers.source import MOST_UNPACKED, Source

__all__ = ["ArrayColumns", "array_names", "npz_names", "read_npz"]

T = TypeVar("T")
UNNAMED = ("x", "y", "sigma")  # names of the first columns of an array without names
HARMLESS_BYTES = 256 << 20  # an archive that unpacks to less is read whatever its own size
HEADER_BYTES = 1 << 16  # buffered for the header
READ_BYTES = 1 << 24  # read at most at once, if rows have many columns of which few are wanted


class ArrayColumns(FileColumns):
    """Columns of an NPY file: an array of shape (N, C) or (N,), or one with named fields.

    Without names, the first columns are called x, y and sigma.
    """

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self.source, self._wanted = source, wanted
        array, begin, names = _describe(source)
        table = array if array.ndim == 2 else array[:, None]
        at = find_columns(source.path, names, wanted)
        self.headings = [names[k] for k in at]
        views = [array[names[k]] if array.dtype.names else table[:, k] for k in at]
        self._titles = _titles(source, wanted, views)
        self._stored = [_Stored.of(view, array, begin) for view in views]
        self._divide([min(BLOCK, len(array) - row) for row in range(0, len(array), BLOCK)])

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows; columns that are stored row by row are read together."""
        most_rows = min(ROWS_PER_PART, max(1, READ_BYTES // max(column.stride for column in self._stored)))
        # Each thread has its own buffers: one works on a part while another reads the next.
        buffers = defaultdict[int, Any](partial(self._buffers, min(most_rows, stop - start)))
        ends = {(begin, stride): begin + stop * stride for begin, stride, *_ in self._stored}
        with ExitStack() as opened:
            files = {layout: opened.enter_context(self.source.stream(end)) for layout, end in ends.items()}
            for low, high in pairwise(part_cuts(start, stop, most_rows)):
                own = buffers[get_ident()]
                for (begin, stride), rows in own.items():
                    file: Any = files[begin, stride]
                    file.seek(begin + low * stride)
                    if file.readinto(rows[: (high - low) * stride]) < (high - low) * stride:
                        raise EOFError("it ends before its last row")
                found = (np.ndarray((high - low,), c.dtype, own[c[:2]], c.within, (c.stride,)) for c in self._stored)
                yield [self._numbers(at, values) for at, values in enumerate(found)]

    def _numbers(self, at: int, values: Any) -> Array:
        if values.dtype.kind in "fiu":
            return as_contiguous(self._titles[at], values)
        assert self._wanted.clock is not None
        return self._wanted.clock.numbers(self._titles[at], self._wanted.role(at), _times(self._titles[at], values))

    def _buffers(self, rows: int) -> dict[tuple[int, int], Any]:
        """Return memory for a number of rows, by first byte and stride of the columns in it."""
        return {column[:2]: np.empty(rows * column.stride, np.uint8) for column in self._stored}


def array_names(source: Source) -> list[str]:
    """Return the names of the columns of an NPY file."""
    return _describe(source)[2]


def _describe(source: Source) -> tuple[Any, int, list[str]]:
    """Return an array of the shape, type and strides of an NPY file, the byte at which numbers begin, and column names.

    The numbers of the array must not be read.
    """
    with source.path.open("rb", HEADER_BYTES) as file, warnings.catch_warnings():
        warnings.simplefilter("error")  # refuses headers of very old versions, of which numpy warns
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0}.get(version, npy.read_array_header_2_0)
        shape, is_fortran, dtype = read(file)
        begin = file.tell()
    if dtype.hasobject:
        raise DataError(f"{source.path} must hold numbers, got type object: {CONVERT}")
    if len(shape) not in (1, 2):
        raise DataError(f"{source.path}: expected an array of shape (N, columns), got shape {shape}")
    if version > (3, 0) or min(shape) < 0:
        raise ValueError(f"its version is {version}, its shape {shape}")
    if begin + math.prod(shape) * dtype.itemsize > source.size:
        raise EOFError("it ends before its last row")
    if dtype.names and version == (3, 0):  # its names are UTF-8, and were decoded as Latin-1
        dtype.names = tuple(name.encode("latin-1").decode() for name in dtype.names)
    rows, width = (*shape, 1)[:2]
    row, column = (1, rows) if is_fortran else (width, 1)
    strides = [row * dtype.itemsize, column * dtype.itemsize][: len(shape)]
    array = as_strided(np.empty(1, dtype), shape, strides)
    return array, begin, list(dtype.names or [*UNNAMED[:width], *map(str, range(4, width + 1))])


class _Stored(NamedTuple):
    """Where a column is in an NPY file, in bytes."""

    begin: int  # of the column, or of the rows that contain it
    stride: int  # from one row to the next
    within: int  # from the beginning of a row to the column
    dtype: Any

    @classmethod
    def of(cls, view: Any, array: Any, begin: int) -> "_Stored":
        """Return where a column is, from its view of the array that ``_describe`` returns."""
        at, stride = view.ctypes.data - array.ctypes.data, view.strides[0]
        is_alone = stride == view.itemsize
        return cls(begin + (at if is_alone else 0), stride, 0 if is_alone else at, view.dtype)


def npz_names(source: Source) -> list[str]:
    """Return the names of the arrays of an NPZ file."""
    with source.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return list(arrays.files)


def read_npz(source: Source, wanted: Wanted) -> ChunkColumns:
    """Read columns from an NPZ file that holds an array of shape (N,) for each."""
    path = source.path
    with path.open("rb") as file:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > HARMLESS_BYTES and size > MOST_UNPACKED * source.size:
            raise DataError(f"{path} unpacks to more than {MOST_UNPACKED} times its size: save it unpacked, as .npy")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            chosen = [arrays.files[k] for k in find_columns(path, arrays.files, wanted)]
            found = _without_objects(source, lambda: [arrays[name] for name in chosen])
    titles = _titles(source, wanted, found)
    if len({array.shape for array in found}) > 1:
        raise DataError(f"{path}: expected arrays of one shape (N,), got {', '.join(str(a.shape) for a in found)}")
    pairs = zip(titles, found, strict=True)
    chunk = [(_times if array.dtype.kind in "Mm" else as_float64)(title, array) for title, array in pairs]
    columns = ChunkColumns(source, [chunk], wanted=wanted)
    columns.headings = chosen
    return columns


def _without_objects(source: Source, load: Callable[[], T]) -> T:
    try:
        return load()
    except ValueError as error:  # numpy refuses arrays of Python objects, which are pickled
        if "object" not in str(error).lower():
            raise
        raise DataError(f"{source.path} must hold numbers, got type object: {CONVERT}") from None


def _titles(source: Source, wanted: Wanted, arrays: Sequence[Any]) -> list[str]:
    """Return the names of the wanted columns for errors; refuse arrays that are not numbers or times of shape (N,)."""
    titles = [f"{source.path}: column {str(column)!r}" for column in wanted.columns]
    for at, (title, array) in enumerate(zip(titles, arrays, strict=True)):
        kind = {"m": DURATIONS, "M": INSTANTS}.get(array.dtype.kind)
        role = wanted.role(at)
        if wanted.clock is not None and role != SERIES:
            wanted.clock.expect(title, role, kind)
        if kind is not None and wanted.clock is not None and role != SERIES and array.ndim == 1:
            continue
        if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8 or array.ndim != 1:
            got = f"type {array.dtype}, shape {array.shape}"
            raise DataError(f"{title} must hold numbers, got {got}: {CONVERT}")
    return titles


def _times(title: str, values: Any) -> Any:
    """Return an array of times as whole nanoseconds."""
    found = as_times(title, np.ascontiguousarray(values))
    assert found is not None
    return found.nanoseconds
