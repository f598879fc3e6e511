"""Which objects in a store an address means."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from regression.stores.address import WEB, Address
from regression.stores.connection import connect
from regression.stores.faults import fault

__all__ = ["Listing", "is_folder", "is_pattern", "listed", "matching"]

WILDCARDS = "*?["


class Listing(NamedTuple):
    """What is in a folder: names of objects and of folders, those in folders in it with these before a slash."""

    files: list[str]
    folders: list[str]


def is_pattern(address: Address) -> bool:
    """Tell whether an address stands for all objects that match it; web servers do not list what they have."""
    return address.scheme not in WEB and any(sign in address.key for sign in WILDCARDS)


def is_folder(address: Address) -> bool:
    """Tell whether there is a folder at an address, or an object.

    Raises:
        DataError: If there is neither.
    """
    if address.scheme in WEB:
        return False
    kind = _asked(address, lambda system, path: system.get_file_info(path)).type.name
    if kind == "NotFound":
        raise fault(address, FileNotFoundError())
    return bool(kind == "Directory")


def listed(folder: Address, is_deep: bool) -> Listing:
    """Return what is in a folder, and in the folders in it where that is wanted too, in the order of names.

    Raises:
        DataError: If there is no such folder, or it cannot be read.
    """
    from pyarrow.fs import FileSelector  # a third of a second to import, and not every run needs it

    def ask(system: Any, path: str) -> Listing:
        found = sorted(system.get_file_info(FileSelector(path, recursive=is_deep)), key=lambda each: each.path)
        pairs = [(each.path[len(path) :].lstrip("/"), each.type.name) for each in found]
        files, folders = ([name for name, kind in pairs if kind == wanted] for wanted in ("File", "Directory"))
        return Listing(files, folders)

    return _asked(folder._replace(key=folder.key.rstrip("/")), ask)  # type: ignore[no-any-return]


def matching(address: Address) -> list[str]:
    """Return the keys of the objects that match a pattern as files on this machine would."""
    parts = address.key.split("/")
    plain = next(at for at, part in enumerate(parts) if any(sign in part for sign in WILDCARDS))
    folder = address._replace(key="/".join(parts[:plain]))
    names = listed(folder, is_deep=len(parts) > plain + 1 or "**" in parts).files
    found = [name for name in names if _matches(name.split("/"), parts[plain:])]
    return ["/".join((*parts[:plain], name)) for name in found]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether the parts of a path match those of a pattern; ``**`` stands for any folders."""
    if not pattern or not parts:
        return not pattern and not parts
    is_hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    if pattern[0] == "**" and len(pattern) > 1:
        return _matches(parts, pattern[1:]) or (not is_hidden and _matches(parts[1:], pattern))
    if pattern[0] == "**":
        return not any(part.startswith(".") for part in parts)
    return not is_hidden and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _asked(address: Address, ask: Callable[[Any, str], Any]) -> Any:
    system, path = connect(address)
    try:
        return ask(system, path)
    except Exception as error:  # of the libraries, which raise many kinds
        raise fault(address, error) from error
