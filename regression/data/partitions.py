"""Columns whose values stand in the names of folders, ``key=value``, as Hive and Spark divide a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from regression.common.errors import DataError
from regression.readers.columns import Array, FileColumns, Part, Wanted
from regression.readers.source import Place, Source

__all__ = ["is_beside_tables", "is_key", "key_folders", "keys_of", "read_partition"]

MISSING_KEY = "__HIVE_DEFAULT_PARTITION__"


def keys_of(path: Place) -> dict[str, str | None]:
    """Return the values that the folders of a file name, by their keys; ``None`` for a missing one."""
    pairs = (part.partition("=") for part in path.parent.parts)
    return {key: None if value == MISSING_KEY else unquote(value) for key, sign, value in pairs if key and sign}


def key_folders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder that are named by a key and a value."""
    return sorted(place for place in folder.iterdir() if is_key(place.name))


def is_key(folder: str) -> bool:
    """Tell whether the name of a folder is a key and a value."""
    return folder.partition("=")[0] not in ("", folder)


def is_beside_tables(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether wildcards found what Spark keeps beside its tables: checksums, and names with an underscore.

    Args:
        parts: Parts of the path that was found, from the first one that the wildcards stand for.
        pattern: Parts of the pattern; a name with an underscore that it spells out is meant.
    """
    return parts[-1].endswith(".crc") or any(part.startswith("_") and part not in pattern for part in parts)


def read_partition(
    source: Source, wanted: Wanted, names: Sequence[str], read: Callable[[Source, Wanted], FileColumns]
) -> FileColumns:
    """Return the wanted columns of a file, those that it has not itself by the names of its folders.

    Args:
        source: The file.
        wanted: What to read of it.
        names: Names of the columns in it, which come before keys.
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
    """Return the value of a key as a number, that of a series by its code."""
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
    """The columns of a file, with columns of one value between them.

    Args:
        columns: Those of the file.
        values: The values of the others, by their places among all.
        names: What these are called.
        is_series: Whether the last one names series.
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
