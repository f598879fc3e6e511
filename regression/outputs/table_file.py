"""Tables that a run writes: checks their file name, and makes their writer."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from torch import Tensor

from regression.common.atomic_files import open_whole
from regression.common.errors import UsageError
from regression.common.text import shown_path
from regression.common.time_scale import DURATIONS, UTC, TimeScale
from regression.stores.address import Address, is_address
from regression.stores.writing import put, require_new

__all__ = [
    "Target",
    "arrow_rows",
    "open_table",
    "require_table_name",
    "table_writer",
    "x_array",
    "x_type",
]

ENDINGS = (".csv", ".parquet")


class Target:
    """Where a table goes: to a file in the run's folder, of which a copy may go to a store.

    Args:
        option: The option that names it.
        file: The name of the file, or the address in a store, which must end in .csv or .parquet.

    Attributes:
        name: The name of the file.
    """

    def __init__(self, option: str, file: str) -> None:
        self._address = Address.parse(file) if is_address(file) else None
        self.name = file if self._address is None else self._address.key.rpartition("/")[2]
        require_table_name(option, self.name)

    def require_new(self) -> None:
        """Refuse an address at which there is something, or to which nothing can be written."""
        if self._address is not None:
            require_new(self._address)

    def finish(self, path: Path) -> str:
        """Copy the complete file to the store, where that is wanted, and return in words where it is."""
        if self._address is None:
            return shown_path(path)
        put(path, self._address)
        return f"{shown_path(path)} and {self._address}"


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


def open_table(path: Path, files: ExitStack, columns: Sequence[str], x_time: TimeScale | None = None) -> Any:
    """Open a table of numbers, whose last column is a flag, and return its writer; the file is renamed when complete.

    Args:
        path: The file.
        files: What closes it.
        columns: Names of the columns.
        x_time: What the numbers of the column ``x`` mean where it holds times: an instant is written as one.
    """
    import pyarrow as pa

    kinds = dict.fromkeys(columns, pa.float64()) | {columns[-1]: pa.bool_()}
    if "x" in kinds:
        kinds["x"] = x_type(x_time)
    schema = pa.schema(list(kinds.items()))
    return files.enter_context(table_writer(files.enter_context(open_whole(path)), path.suffix, schema))


def arrow_rows(table: Tensor, columns: Sequence[str], x_time: TimeScale | None = None) -> Any:
    """Return rows of numbers, shape (n, C), as an Arrow table, NaN as null and the last column as a flag."""
    import pyarrow as pa

    *numbers, flag = table.numpy().T
    arrays = [*(pa.array(values, from_pandas=True) for values in numbers), pa.array(flag != 0, mask=flag != flag)]
    if "x" in columns:
        at = list(columns).index("x")
        arrays[at] = x_array(numbers[at], x_time)
    return pa.table(arrays, names=list(columns))


def x_type(x_time: TimeScale | None) -> Any:
    """Return the type of a column of x: numbers, or instants, as they were read."""
    import pyarrow as pa

    if x_time is None or x_time.kind == DURATIONS:
        return pa.float64()
    return pa.timestamp("ns", "UTC" if x_time.kind == UTC else None)


def x_array(numbers: Any, x_time: TimeScale | None) -> Any:
    """Return numbers of x as such a column; ``None``, NaN, and what is beyond all instants, as null."""
    import pyarrow as pa

    kind = x_type(x_time)
    if x_time is not None and kind != pa.float64():
        numbers = x_time.times(np.array(numbers, dtype=np.float64))
    return pa.array(numbers, kind, from_pandas=True)
