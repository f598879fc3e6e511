"""Tables that a run writes: checks their file name, and makes their writer."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from regression.common.errors import UsageError

__all__ = ["require_table_name", "table_writer"]

ENDINGS = (".csv", ".parquet")


def require_table_name(option: str, file: str) -> None:
    """Refuse a file name with a folder, or with another ending than that of a table."""
    if Path(file).name != file or Path(file).suffix not in ENDINGS or not file.isprintable():
        raise UsageError(f"{option} must be a file name ending in .csv or .parquet, got {file}")


def table_writer(file: IO[bytes], suffix: str, schema: Any) -> AbstractContextManager[Any]:
    """Return a writer, as a context manager, that appends Arrow tables of a schema to a file.

    Args:
        file: The file, opened for writing.
        suffix: Its ending, which decides the kind.
        schema: Names and types of the columns.
    """
    from pyarrow import csv, parquet  # imported here because it takes a third of a second and not every run needs it

    if suffix == ".parquet":
        return parquet.ParquetWriter(file, schema)  # type: ignore[no-any-return]
    file.write((",".join(schema.names) + "\n").encode())  # the writer would put the names in quotation marks
    return csv.CSVWriter(file, schema, write_options=csv.WriteOptions(include_header=False))  # type: ignore[no-any-return]
