"""Which files a path means, and what kind each of them is, without trusting its name alone."""

import glob
import os
import stat
from pathlib import Path
from typing import Literal

from regression.common.errors import DataError

__all__ = ["Kind", "find_files", "kind_of"]

Kind = Literal["text", "gzip", "parquet", "arrow", "npy", "npz"]

SUFFIXES: dict[str, Kind] = {
    ".csv": "text",
    ".tsv": "text",
    ".csv.gz": "gzip",
    ".tsv.gz": "gzip",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".npy": "npy",
    ".npz": "npz",
}
MAGIC: dict[bytes, Kind] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\x93NUMPY": "npy",
    b"PK\x03\x04": "npz",
    b"\x1f\x8b": "gzip",
}
TEXT_ELSEWHERE = (b"\xff\xfe", b"\xfe\xff")


def find_files(path: str) -> list[Path]:
    """Return the files that a path means, in the order of their names.

    Args:
        path: A file; a folder, for all tables directly in it; or a pattern such as ``data/*.parquet``.

    Raises:
        DataError: If there is no such file, one cannot be read, or a folder holds tables of different kinds.
    """
    if not path:
        raise DataError("path is empty: expected a file, a folder or a pattern")
    if "://" in path:
        raise DataError(f"path must be a local file, folder or pattern, got the address {path}: download it first")
    given = Path(path)
    try:
        if given.is_dir():
            found = _tables_in(given)
        elif any(sign in path for sign in "*?[") and not given.exists():
            found = [Path(name) for name in sorted(glob.glob(path))]
            if not found:
                raise DataError(f"no file matches {path}: expected at least one")
        else:
            found = [given]
        for file in found:
            _require_readable(file)
    except (OSError, ValueError) as error:  # a name too long, or with a null character
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return found


def _tables_in(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.iterdir() if _suffix_kind(file) and file.name[0] not in "._")
    if not found:
        raise DataError(f"{folder} is a folder without tables: expected files ending in {', '.join(SUFFIXES)}")
    if len({"text" if (kind := _suffix_kind(file)) == "gzip" else kind for file in found}) > 1:
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


def kind_of(file: Path) -> Kind:
    """Return the kind of a file by its first bytes, which must agree with its ending where that is a known one.

    Raises:
        DataError: If the file is empty, in another encoding, or not what its name says.
    """
    with file.open("rb") as stream:
        start = stream.read(8)
    if not start:
        raise DataError(f"{file} is empty: expected a header row and at least one row of numbers")
    if start.startswith(TEXT_ELSEWHERE):
        raise DataError(f"{file} is UTF-16 text: save it as UTF-8")
    kinds: list[Kind] = [kind for magic, kind in MAGIC.items() if start.startswith(magic)]
    kind = kinds[0] if kinds else "text"
    expected = _suffix_kind(file)
    if kind == "npz" and expected != "npz":
        raise DataError(f"{file} is a zip archive or a spreadsheet: save the sheet as CSV, or unpack the archive")
    if expected and kind != expected and {kind, expected} != {"text", "gzip"}:
        raise DataError(f"{file} does not begin like a {expected} file: it is damaged, or its ending is wrong")
    return kind


def _suffix_kind(file: Path) -> Kind | None:
    suffixes = [suffix.lower() for suffix in file.suffixes[-2:]]
    return SUFFIXES.get("".join(suffixes)) or (SUFFIXES.get(suffixes[-1]) if suffixes else None)
