"""Tables that a run writes: checks their file name, and makes their writer."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from regression.common.atomic_files import open_whole
from regression.common.errors import UsageError

__all__ = ["arrow_rows", "open_table", "require_table_name", "table_writer"]

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


def open_table(path: Path, files: ExitStack, columns: Sequence[str]) -> Any:
    """Open a table of numbers, whose last column is a flag, and return its writer; the file is renamed when complete.

    Args:
        path: The file.
        files: What closes it.
        columns: Names of the columns.
    """
    import pyarrow as pa

    schema = pa.schema([*((name, pa.float64()) for name in columns[:-1]), (columns[-1], pa.bool_())])
    return files.enter_context(table_writer(files.enter_context(open_whole(path)), path.suffix, schema))


def arrow_rows(table: Tensor, columns: Sequence[str]) -> Any:
    """Return rows of numbers, shape (n, C), as an Arrow table, NaN as null and the last column as a flag."""
    import pyarrow as pa

    *numbers, flag = table.numpy().T
    arrays = [*(pa.array(values, from_pandas=True) for values in numbers), pa.array(flag != 0, mask=flag != flag)]
    return pa.table(arrays, names=list(columns))
