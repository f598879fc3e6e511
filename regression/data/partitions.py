"""Folders of tables: partitions ``key=value`` as Hive and Spark write them, and what else other programs keep there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from regression.common.errors import DataError
from regression.readers.columns import Array, FileColumns, Part, Wanted
from regression.readers.source import FilePath, Source

__all__ = ["LAKES", "is_beside_tables", "is_key", "key_folders", "keys_of", "lake_error", "read_partition"]

MISSING_VALUE = "__HIVE_DEFAULT_PARTITION__"


LAKES = {  # kinds of tables whose metadata may remove rows of their files, by a pattern of what is in their folders
    "_delta_log": ("a Delta", "deltalake.DeltaTable(folder).to_pyarrow_table()"),
    ".hoodie": ("a Hudi", "spark.read.format('hudi').load(folder)"),
    "metadata/*.metadata.json": ("an Iceberg", "pyiceberg's table.scan().to_arrow()"),
}


def lake_error(folder: object, mark: str, where: str = "") -> DataError:
    """Return the error for a folder of such a table, which ``where`` may say is another one."""
    name, reader = LAKES[mark]
    return DataError(
        f"{folder} is{where} {name} table, and may hold removed rows: give a file of what it holds now, such as from "
        f"{reader}"
    )


def keys_of(path: FilePath) -> dict[str, str | None]:
    """Return the values in the names of a file's folders by their keys; ``None`` for a missing value."""
    pairs = (part.partition("=") for part in path.parent.parts)
    return {key: None if value == MISSING_VALUE else unquote(value) for key, sign, value in pairs if key and sign}


def key_folders(folder: Path) -> list[Path]:
    """Return the partitions directly in a folder, by name."""
    return sorted(inside for inside in folder.iterdir() if is_key(inside.name))


def is_key(folder: str) -> bool:
    """Tell whether the name of a folder is that of a partition, ``key=value``."""
    return folder.partition("=")[0] not in ("", folder)


def is_beside_tables(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether a path is one that Spark keeps beside its tables: a checksum, or a name with an underscore.

    Args:
        parts: Parts of a path that matches a pattern, from the first one with wildcards in the pattern.
        pattern: Parts of the pattern; names with an underscore that it contains are not left out.
    """
    return parts[-1].endswith(".crc") or any(part.startswith("_") and part not in pattern for part in parts)


def read_partition(
    source: Source, wanted: Wanted, names: Sequence[str], read: Callable[[Source, Wanted], FileColumns]
) -> FileColumns:
    """Return the wanted columns of a file; those that are not in it are keys of its folders.

    Args:
        source: The file.
        wanted: What to read of it.
        names: Names of the columns in it, which have precedence over keys.
        read: The reader of its format.
    """
    keys = keys_of(source.path)
    places = {at: str(name) for at, name in enumerate(wanted.columns) if str(name) in keys.keys() - set(names)}
    if not places:
        return read(source, wanted)
    if len(places) == len(wanted.columns):
        raise DataError(
            f"{source.path}: expected a column of the file, got the keys {', '.join(places.values())} alone"
        )
    is_series = wanted.labels is not None and len(wanted.columns) - 1 in places
    own = [name for at, name in enumerate(wanted.columns) if at not in places]
    roles = [wanted.role(at) for at in range(len(wanted.columns)) if at not in places]
    inner = read(source, wanted._replace(columns=own, labels=None if is_series else wanted.labels, roles=roles))
    values = {at: _number(source, wanted, at, name, keys[name]) for at, name in places.items()}
    return _PartitionColumns(inner, values, places, is_series)


def _number(source: Source, wanted: Wanted, at: int, name: str, value: str | None) -> float:
    """Return the value of a key as a number; the name of a series as its code."""
    if value is None:
        return np.nan
    if wanted.labels is not None and at == len(wanted.columns) - 1:
        import pyarrow as pa

        return float(wanted.labels.codes(pa.array([value]))[0])
    try:
        return float(value)
    except ValueError:
        raise DataError(f"{source.path}: key {name!r} must be a number, got {value!r}: choose another column") from None


class _PartitionColumns(FileColumns):
    """The columns of a file, with columns of one value inserted.

    Args:
        columns: The columns of the file.
        values: Value of each inserted column, by its position among all.
        names: Name of each inserted column, likewise.
        is_series: Whether the last column is inserted and names series.
    """

    def __init__(
        self, columns: FileColumns, values: Mapping[int, float], names: Mapping[int, str], is_series: bool
    ) -> None:
        self._columns, self._values, self.source = columns, values, columns.source
        headings = list(columns.headings)
        for at, name in names.items():
            headings.insert(at, name)
        self.headings = headings
        self.has_texts = is_series or columns.has_texts
        self.is_loaded, self.owned = columns.is_loaded, columns.owned
        self.is_finite = columns.is_finite and bool(np.isfinite(list(values.values())).all())
        self._divide(columns.sizes)

    @property
    def places(self) -> Sequence[int]:
        """Rows at which reading can begin without waste."""
        return self._columns.places

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows with the values of the keys."""
        for part in self._columns.parts(start, stop):
            columns: list[Array] = list(part)
            for at, value in self._values.items():
                columns.insert(at, np.full(len(part[0]), value))
            yield columns
