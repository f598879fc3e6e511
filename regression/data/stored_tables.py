"""Finds the tables that an address in a store names, by the rules for folders on this machine."""

from collections.abc import Callable

from regression.common.errors import DataError
from regression.data.partitions import LAKES, is_beside_tables, is_key, lake_error
from regression.stores.address import Address, has_wildcard
from regression.stores.listing import is_folder, is_pattern, list_folder, matching_keys
from regression.stores.stored_file import StoredFile

__all__ = ["find_stored"]

FormatOf = Callable[[str], str | None]  # from the name of a file to the name of its format, None of other files


def find_stored(address: Address, format_of: FormatOf) -> list[StoredFile]:
    """Return the tables that an address names, in the order of their names.

    Args:
        address: An object; a folder, for all tables directly in it and in its partitions ``key=value``; or a pattern.
        format_of: Returns the format of a table by the name of its file, ``None`` for other files.

    Raises:
        DataError: If there are none, the store cannot be read, or a folder holds tables of different formats, or a
            Delta or Hudi table.
    """
    if is_pattern(address):
        keys = _without_spark_files(address, matching_keys(address))
    else:
        keys = _tables_in(address, format_of) if is_folder(address) else [address.key]
    if not keys:
        raise DataError(f"no file matches {address}: expected at least one")
    files = [StoredFile(address._replace(key=key)) for key in keys]
    if len({format_of(file.name) for file in files}) > 1 and not is_pattern(address):
        endings = ", ".join(sorted({file.suffix for file in files}))
        raise DataError(f"{address} holds tables of different kinds ({endings}): give a pattern such as *.csv")
    return files


def _without_spark_files(address: Address, keys: list[str]) -> list[str]:
    """Return the keys that match a pattern, without those that Spark keeps beside its tables."""
    parts = address.key.split("/")
    before = next(at for at, part in enumerate(parts) if has_wildcard(part))
    return [key for key in keys if not is_beside_tables(key.split("/")[before:], parts)]


def _tables_in(address: Address, format_of: FormatOf) -> list[str]:
    """Return the keys of the tables directly in a folder, then of those in its partitions."""
    folder = f"{address.key.rstrip('/')}/" if address.key else ""
    inside = list_folder(address, is_deep=False)
    for mark in LAKES.keys() & set(inside.folders):
        raise lake_error(address, mark)
    names = list(inside.files)
    for key in filter(is_key, inside.folders):
        below = list_folder(address._replace(key=folder + key), is_deep=True).files
        names += sorted((f"{key}/{name}" for name in below), key=_files_first)
    found = [name for name in names if _is_table(name, format_of)]
    if not found:
        raise DataError(f"{address} is a folder without tables: expected files ending in .csv, .parquet or such")
    return [folder + name for name in found]


def _files_first(name: str) -> list[tuple[bool, str]]:
    """Return a key by which the files of a folder sort before those of its subfolders."""
    *folders, file = name.split("/")
    return [*((True, part) for part in folders), (False, file)]


def _is_table(name: str, format_of: FormatOf) -> bool:
    *folders, file = name.split("/")
    return file[0] not in "._" and format_of(file) is not None and all(map(is_key, folders))
