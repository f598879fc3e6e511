"""Tables that a run writes: how they may be called."""

from pathlib import Path

from regression.common.errors import UsageError

__all__ = ["require_table_name"]

ENDINGS = (".csv", ".parquet")


def require_table_name(option: str, file: str) -> None:
    """Refuse what is no plain name of a table, such as one in another folder, or of another kind."""
    if Path(file).name != file or Path(file).suffix not in ENDINGS or not file.isprintable():
        raise UsageError(f"{option} must be a file name ending in .csv or .parquet, got {file}")
