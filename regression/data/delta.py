"""The files of a Delta table as it is now: the library ``deltalake`` reads its log, and this package its files."""

from pathlib import Path

from regression.common.collectives import all_gather_objects
from regression.common.errors import DataError

__all__ = ["delta_files", "is_delta"]

# What a table may need of its readers that changes neither the rows nor the columns of its files.
KNOWN = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
ELSEWHERE = "give a file of what it holds now, such as from deltalake.DeltaTable(folder).to_pyarrow_table()"


def is_delta(folder: Path) -> bool:
    """Tell whether a folder is a Delta table."""
    return (folder / "_delta_log").is_dir()


def delta_files(folder: Path) -> list[Path]:
    """Return the files of the latest version, the same on every process; files that were removed are not among them.

    Raises:
        DataError: If the library is not there, the log cannot be read, or some rows of files are removed or columns
            renamed by the log alone.
    """
    try:
        from deltalake import DeltaTable
    except ImportError:
        raise DataError(
            f"{folder} is a Delta table, and may hold removed rows: pip install deltalake, which tells its files, or "
            f"{ELSEWHERE}"
        ) from None
    try:
        table = DeltaTable(str(folder))
        protocol, names = table.protocol(), table.file_uris()
    except Exception as error:  # of many types
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{folder} is a Delta table whose log cannot be read: {reason}") from error
    needs = sorted({*(protocol.reader_features or ())} - KNOWN)
    needs = needs or ["columnMapping"] * (protocol.min_reader_version == 2)  # before features had names
    if needs:
        raise DataError(f"{folder} is a Delta table that needs {', '.join(needs)}: {ELSEWHERE}")
    names = all_gather_objects(names)[0]  # another process may have seen another version
    if not names:
        raise DataError(f"{folder} is a Delta table without a row")
    return sorted(map(Path, names))
