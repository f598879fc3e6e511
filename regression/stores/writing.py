"""Copies a complete file from this machine into a store, under a new name."""

import shutil
from contextlib import suppress
from pathlib import Path

from regression.common.errors import SaveError, UsageError
from regression.common.text import without_secret
from regression.stores.address import WEB, Address, is_address
from regression.stores.connection import connect
from regression.stores.faults import fault

__all__ = ["put", "require_local", "require_new"]

PIECE_BYTES = 8 << 20


def require_local(option: str, path: str) -> None:
    """Refuse an address if an option must be a file on this machine."""
    if is_address(path):
        got = without_secret(path)
        raise UsageError(f"{option} must be a file on this machine, got the address {got}: copy it there afterwards")


def require_new(address: Address) -> None:
    """Refuse an address at which an object or folder exists, or to which nothing can be written."""
    if address.scheme in WEB:
        raise UsageError(
            f"{address}: a web server takes no files: expected an address such as s3://bucket/{address.key}"
        )
    system, path = connect(address)
    try:
        is_new = system.get_file_info(path).type.name == "NotFound"
        if is_new and address.scheme == "s3" and system.get_file_info(address.host).type.name == "NotFound":
            raise FileNotFoundError
    except Exception as error:  # libraries raise exceptions of many types
        raise fault(address, error) from error
    if address.scheme == "file" and not Path(path).parent.is_dir():
        raise UsageError(f"{address}: there is no folder {Path(path).parent}: make it, or give another one")
    if not is_new:
        raise UsageError(f"{address} is there, and nothing is written over: give another name")


def put(file: Path, address: Address) -> None:
    """Copy a file to an address; after an error no object is left there.

    Raises:
        SaveError: If it cannot be written.
    """
    system, path = connect(address)
    try:
        with file.open("rb") as source, system.open_output_stream(path) as target:
            shutil.copyfileobj(source, target, PIECE_BYTES)
    except Exception as error:  # libraries raise exceptions of many types
        with suppress(Exception):
            system.delete_file(path)  # closing the stream has written an incomplete object
        raise SaveError(f"{fault(address, error)}; what was to be written is {file}: copy it there") from error
