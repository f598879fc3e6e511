"""Which objects in a store are the tables that an address means, by the rules for folders on this machine."""

from collections.abc import Callable

from regression.common.errors import DataError
from regression.data.partitions import is_beside_tables, is_key
from regression.stores.address import Address
from regression.stores.listing import is_folder, is_pattern, listed, matching
from regression.stores.stored_file import StoredFile

__all__ = ["find_stored"]

Kind = Callable[[str], str | None]  # of a table by the name of its file; None of other files
LAKES = {"_delta_log": "a Delta", ".hoodie": "a Hudi"}  # folders in those of such tables


def find_stored(address: Address, kind_of: Kind) -> list[StoredFile]:
    """Return the tables that an address means, in the order of their names.

    Args:
        address: An object; a folder, for all tables directly in it, and in folders in it such as ``key=value``; or a
            pattern.
        kind_of: Returns the kind of a table by the name of its file, ``None`` for other files.

    Raises:
        DataError: If there are none, the store cannot be read, or a folder holds tables of different kinds, or parts of
            a table that only another library can put together.
    """
    if is_pattern(address):
        keys = _meant(address, matching(address))
    else:
        keys = _tables_in(address, kind_of) if is_folder(address) else [address.key]
    if not keys:
        raise DataError(f"no file matches {address}: expected at least one")
    files = [StoredFile(address._replace(key=key)) for key in keys]
    if len({kind_of(file.name) for file in files}) > 1 and not is_pattern(address):
        endings = ", ".join(sorted({file.suffix for file in files}))
        raise DataError(f"{address} holds tables of different kinds ({endings}): give a pattern such as *.csv")
    return files


def _meant(address: Address, keys: list[str]) -> list[str]:
    """Return of what a pattern's wildcards find what Spark does not keep beside its tables."""
    parts = address.key.split("/")
    before = next(at for at, part in enumerate(parts) if any(sign in part for sign in "*?["))
    return [key for key in keys if not is_beside_tables(key.split("/")[before:], parts)]


def _tables_in(address: Address, kind_of: Kind) -> list[str]:
    """Return the keys of the tables directly in a folder, then of those in folders that name a key and a value."""
    folder = f"{address.key.rstrip('/')}/" if address.key else ""
    inside = listed(address, is_deep=False)
    for mark in LAKES.keys() & set(inside.folders):
        raise DataError(
            f"{address} is {LAKES[mark]} table, and may hold removed rows: give a file of what it holds now"
        )
    names = list(inside.files)
    for place in filter(is_key, inside.folders):
        below = listed(address._replace(key=folder + place), is_deep=True).files
        names += sorted((f"{place}/{name}" for name in below), key=_files_first)
    found = [name for name in names if _is_table(name, kind_of)]
    if not found:
        raise DataError(f"{address} is a folder without tables: expected files ending in .csv, .parquet or such")
    return [folder + name for name in found]


def _files_first(name: str) -> list[tuple[bool, str]]:
    """Return what sorts the files of a folder before those in folders in it."""
    *folders, file = name.split("/")
    return [*((True, part) for part in folders), (False, file)]


def _is_table(name: str, kind_of: Kind) -> bool:
    *folders, file = name.split("/")
    return file[0] not in "._" and kind_of(file) is not None and all(map(is_key, folders))
