"""The current files of a Delta table: the library ``deltalake`` reads its log, and this package its files."""

from pathlib import Path

from regression.common.collectives import all_gather_objects
from regression.common.errors import DataError

__all__ = ["delta_files", "is_delta"]

# Features of the Delta protocol that change neither the rows nor the columns of a table's files.
HARMLESS_FEATURES = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
ADVICE = "give a file of what it holds now, such as from deltalake.DeltaTable(folder).to_pyarrow_table()"


def is_delta(folder: Path) -> bool:
    """Tell whether a folder is a Delta table."""
    return (folder / "_delta_log").is_dir()


def delta_files(folder: Path) -> list[Path]:
    """Return the files of the latest version, without removed files; the same list on every process.

    Raises:
        DataError: If ``deltalake`` is not installed, the log cannot be read, or the log changes the content of files,
            for example by deletion vectors or renamed columns.
    """
    try:
        from deltalake import DeltaTable
    except ImportError:
        raise DataError(
            f"{folder} is a Delta table, and may hold removed rows: pip install deltalake, which lists its files, or "
            f"{ADVICE}"
        ) from None
    try:
        table = DeltaTable(str(folder))
        protocol, names = table.protocol(), table.file_uris()
    except Exception as error:  # the library raises exceptions of many types
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{folder} is a Delta table whose log cannot be read: {reason}") from error
    needs = sorted({*(protocol.reader_features or ())} - HARMLESS_FEATURES)
    needs = needs or ["columnMapping"] * (protocol.min_reader_version == 2)  # version 2 lists no features
    if needs:
        raise DataError(f"{folder} is a Delta table that needs {', '.join(needs)}: {ADVICE}")
    names = all_gather_objects(names)[0]  # another process may have read a later version
    if not names:
        raise DataError(f"{folder} is a Delta table without a row")
    return sorted(map(Path, names))
