"""Finds the files that a path names, and reads each by the table of formats, which its first bytes select."""

import bz2
import glob
import gzip
import lzma
import os
import stat
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from regression.common.errors import DataError
from regression.data.delta import delta_files, is_delta
from regression.data.partitions import LAKES, is_beside_tables, key_folders, keys_of, lake_error, read_partition
from regression.data.stored_tables import find_stored
from regression.readers.arrow_files import ArrowColumns
from regression.readers.arrow_stream import ArrowStreamColumns
from regression.readers.columns import FileColumns, Wanted
from regression.readers.dialect import STANDARD, Dialect
from regression.readers.numpy_files import ArrayColumns, array_names, npz_names, read_npz
from regression.readers.parquet import PARQUET_ENDINGS, ParquetColumns
from regression.readers.source import FilePath, Source
from regression.readers.standard_input import STANDARD_INPUT, standard_input
from regression.stores.address import Address, as_local, has_wildcard, is_address
from regression.text.csv_text import Unpack, read_text, text_names, unpack_zstd

__all__ = ["FORMATS", "STANDARD_INPUT", "Format", "column_names", "find_files", "open_file"]


class Format(NamedTuple):
    """A row of the table of formats.

    Attributes:
        word: Name of the format; all tables of a folder must have the same.
        endings: Endings of the names of its files.
        first_bytes: The bytes that its files begin with, at most eight.
        read: Returns the wanted columns.
        names: Returns the names of all columns without reading a row.
    """

    word: str
    endings: tuple[str, ...]
    first_bytes: bytes
    read: Callable[[Source, Wanted], FileColumns]
    names: Callable[[Source, Dialect], list[str]]


def _compressed_text(packing: str, first_bytes: bytes, unpack: Unpack) -> Format:
    """Return the format of compressed text."""
    endings = tuple(f"{ending}.{packing}" for ending in (".csv", ".tsv"))
    return Format("text", endings, first_bytes, partial(read_text, unpack=unpack), partial(text_names, unpack=unpack))


STREAM = b"\xff\xff\xff\xff"  # before each message of Arrow
FORMATS = (
    Format("text", (".csv", ".tsv"), b"", read_text, text_names),
    _compressed_text("gz", b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),  # type: ignore[arg-type, return-value]
    _compressed_text("bz2", b"BZh", lambda raw: bz2.BZ2File(raw)),
    _compressed_text("xz", b"\xfd7zXZ\x00", lambda raw: lzma.LZMAFile(raw)),  # noqa: SIM115  # the caller closes raw
    _compressed_text("zst", b"\x28\xb5\x2f\xfd", unpack_zstd),
    Format("parquet", PARQUET_ENDINGS, b"PAR1", ParquetColumns, lambda source, _: ParquetColumns.names(source)),
    Format(
        "arrow", (".arrow", ".feather", ".ipc"), b"ARROW1", ArrowColumns, lambda source, _: ArrowColumns.names(source)
    ),
    Format("arrow", (".arrows",), STREAM, ArrowStreamColumns, lambda source, _: ArrowStreamColumns.names(source)),
    Format("npy", (".npy",), b"\x93NUMPY", ArrayColumns, lambda source, _: array_names(source)),
    Format("npz", (".npz",), b"PK\x03\x04", read_npz, lambda source, _: npz_names(source)),
)
ENDINGS = {ending: form for form in FORMATS for ending in form.endings}
UNREADABLE = {  # first bytes of files of other formats, and what to do
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
}
FOLDERS_ABOVE = 3  # in which the marks of ``LAKES`` are searched for: a file may be in partitions of such a table


def find_files(path: str) -> Sequence[FilePath]:
    """Return the files that a path names, in the order of their names.

    Args:
        path: A file; a folder, for all tables directly in it and in its partitions ``key=value``; a pattern such as
            ``data/**/*.parquet``, where ``**`` matches any folders; or ``-`` for standard input. ``~`` is the user's
            home. All but standard input may be addresses in a store.

    Raises:
        DataError: If there is no such file, one cannot be read, or a folder holds tables of different formats, or a
            Hudi or Iceberg table.
    """
    if not path:
        raise DataError("path is empty: expected a file, a folder or a pattern")
    path = as_local(path)
    if is_address(path):
        return list(find_stored(Address.parse(path), lambda name: form.word if (form := _by_ending(name)) else None))
    pattern = os.path.expanduser(path)
    given = standard_input() if path == STANDARD_INPUT else Path(pattern)
    try:
        if is_delta(given):
            return delta_files(given)
        is_pattern = has_wildcard(path) and not given.exists()
        found = _matching(pattern) if is_pattern else [given]
        for folder in {file.parent for file in found} if is_pattern else {given}:
            _require_no_lake(folder)
        found = _tables_in(given) if given.is_dir() else found
        if not found:
            raise DataError(f"no file matches {path}: expected at least one")
        for file in found:
            _require_readable(file)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return found


def _require_no_lake(folder: Path) -> None:
    """Refuse a folder whose files may hold rows that the table's metadata remove; a single file is taken as it is."""
    for above in [folder.absolute(), *folder.absolute().parents[:FOLDERS_ABOVE]] if folder.is_dir() else []:
        for mark in LAKES:
            if any(above.glob(mark)):
                raise lake_error(folder, mark, "" if above == folder.absolute() else f" in {above}, which is")


def _matching(pattern: str) -> list[Path]:
    """Return the files that match a pattern, without those that Spark keeps beside its tables."""
    before = max(0, len(Path(glob.escape(pattern.partition("*")[0])).parts) - 1)
    return [
        file
        for file in sorted(map(Path, glob.glob(pattern, recursive=True)))
        if not is_beside_tables(file.parts[before:], Path(pattern).parts) and not ("**" in pattern and file.is_dir())
    ]


def _tables_in(folder: Path) -> list[Path]:
    """Return the tables directly in a folder, then those in its partitions."""
    kept = (file for file in folder.iterdir() if _by_ending(file.name) and file.name[0] not in "._")
    found = sorted(kept, key=lambda file: file.name)  # comparing names is quicker than comparing paths
    found += [file for place in key_folders(folder) for file in _tables_in(place)]
    if not found:
        raise DataError(f"{folder} is a folder without tables: expected files ending in {', '.join(ENDINGS)}")
    if len({form.word for file in found if (form := _by_ending(file.name))}) > 1:
        names = sorted({file.suffix for file in found})
        raise DataError(f"{folder} holds tables of different kinds ({', '.join(names)}): give a pattern such as *.csv")
    return found


def _require_readable(file: Path) -> None:
    try:
        mode = os.stat(file).st_mode  # follows links
    except FileNotFoundError:
        near = " is a link to nothing" if file.is_symlink() else ": no such file"
        raise DataError(f"{file}{near}; expected a file, a folder or a pattern") from None
    if not stat.S_ISREG(mode):
        raise DataError(f"{file} is not a regular file: expected a table such as a CSV or Parquet file")
    if not os.access(file, os.R_OK):
        raise DataError(f"{file}: no permission to read it")


def open_file(source: Source, wanted: Wanted) -> FileColumns:
    """Return the wanted columns of a file in the format of its first bytes; refuse another ending of its name."""

    def read() -> FileColumns:
        form = _format_of(source, wanted.dialect)
        if not keys_of(source.path).keys() & set(map(str, wanted.columns)):
            return form.read(source, wanted)
        return read_partition(source, wanted, form.names(source, wanted.dialect), form.read)

    columns = source.guarded(read)
    if columns.is_loaded:
        source.require_same()
    return columns


def column_names(path: str, dialect: Dialect = STANDARD) -> list[str]:
    """Return the names of the columns of the first file that a path names; no row is read."""
    source = Source(find_files(path)[0])
    return source.guarded(lambda: _format_of(source, dialect).names(source, dialect))


def _format_of(source: Source, dialect: Dialect) -> Format:
    file, expected = source.path, _by_ending(source.path.name)
    if source.footer is not None and expected is not None:
        form = expected
    else:
        form = _by_first_bytes(file)
        if form.read is read_npz and expected != form:
            raise DataError(f"{file} is a zip archive or a spreadsheet: save the sheet as CSV, or unpack the archive")
    if form.word != "text" and (options := dialect.given):
        raise DataError(f"{file} is no text: leave out {' and '.join(f'--data.{name}' for name in options)}")
    if expected and form.word != expected.word:
        raise DataError(f"{file} does not begin like a {expected.word} file: it is damaged, or its ending is wrong")
    return form


def _by_first_bytes(file: FilePath) -> Format:
    with file.open("rb", buffering=0) as stream:
        start = stream.read(8)
    if not start:
        raise DataError(f"{file} is empty: expected a table, got 0 bytes")
    for first_bytes, advice in UNREADABLE.items():
        if start.startswith(first_bytes):
            raise DataError(f"{file} is {advice}")
    return max((form for form in FORMATS if start.startswith(form.first_bytes)), key=lambda form: len(form.first_bytes))


def _by_ending(name: str) -> Format | None:
    lower = name.lower()
    return next((form for ending, form in ENDINGS.items() if lower.endswith(ending)), None)
