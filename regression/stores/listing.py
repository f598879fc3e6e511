"""The objects in a folder of a store, or those that match a pattern."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from regression.stores.address import WEB, Address, has_wildcard
from regression.stores.connection import connect
from regression.stores.faults import fault

__all__ = ["Listing", "is_folder", "is_pattern", "list_folder", "matching_keys"]


class Listing(NamedTuple):
    """The objects and the folders in a folder, by their paths below it."""

    files: list[str]
    folders: list[str]


def is_pattern(address: Address) -> bool:
    """Tell whether an address is a pattern; never of web servers, which do not list their files."""
    return address.scheme not in WEB and has_wildcard(address.key)


def is_folder(address: Address) -> bool:
    """Tell whether there is a folder at an address, and not an object.

    Raises:
        DataError: If there is neither.
    """
    if address.scheme in WEB:
        return False
    kind = _ask(address, lambda system, path: system.get_file_info(path)).type.name
    if kind == "NotFound":
        raise fault(address, FileNotFoundError())
    return bool(kind == "Directory")


def list_folder(folder: Address, is_deep: bool) -> Listing:
    """Return what is in a folder, and in its subfolders if ``is_deep``, in the order of names.

    Raises:
        DataError: If there is no such folder, or it cannot be read.
    """
    from pyarrow.fs import FileSelector  # a third of a second to import, and not every run needs it

    def request(system: Any, path: str) -> Listing:
        found = sorted(system.get_file_info(FileSelector(path, recursive=is_deep)), key=lambda each: each.path)
        pairs = [(each.path[len(path) :].lstrip("/"), each.type.name) for each in found]
        files, folders = ([name for name, kind in pairs if kind == wanted] for wanted in ("File", "Directory"))
        return Listing(files, folders)

    return _ask(folder._replace(key=folder.key.rstrip("/")), request)  # type: ignore[no-any-return]


def matching_keys(address: Address) -> list[str]:
    """Return the keys of the objects that match a pattern, by the rules for files on this machine."""
    parts = address.key.split("/")
    plain = next(at for at, part in enumerate(parts) if has_wildcard(part))
    folder = address._replace(key="/".join(parts[:plain]))
    names = list_folder(folder, is_deep=len(parts) > plain + 1 or "**" in parts).files
    found = [name for name in names if _matches(name.split("/"), parts[plain:])]
    return ["/".join((*parts[:plain], name)) for name in found]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether the parts of a path match those of a pattern; ``**`` matches any folders."""
    if not pattern or not parts:
        return not pattern and not parts
    is_hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    if pattern[0] == "**" and len(pattern) > 1:
        return _matches(parts, pattern[1:]) or (not is_hidden and _matches(parts[1:], pattern))
    if pattern[0] == "**":
        return not any(part.startswith(".") for part in parts)
    return not is_hidden and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _ask(address: Address, request: Callable[[Any, str], Any]) -> Any:
    system, path = connect(address)
    try:
        return request(system, path)
    except Exception as error:  # libraries raise exceptions of many types
        raise fault(address, error) from error
