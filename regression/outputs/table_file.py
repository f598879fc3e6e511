"""Tables that a run writes: their names, schemas and writers, and the table of predictions."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import IO, Any, cast

import lightning.pytorch as pl
import numpy as np
from torch import Tensor

from regression.common.atomic_files import open_whole, saving
from regression.common.errors import UsageError
from regression.common.text import shown_path
from regression.common.time_scale import DURATIONS, UTC, TimeScale
from regression.stores.address import Address, is_address
from regression.stores.writing import put, require_new

__all__ = [
    "PredictedTable",
    "arrow_rows",
    "open_table",
    "require_table_name",
    "schema_of_rows",
    "table_writer",
    "x_array",
    "x_type",
]

TABLE_ENDINGS = (".csv", ".parquet")


class PredictedTable:
    """A table that is written in batches to a file in the run's folder, and may be copied to a store at the end.

    Args:
        file: The name of the file, or the address in a store, which must end in .csv or .parquet.

    Attributes:
        name: The name of the file.
    """

    def __init__(self, file: str) -> None:
        self._address = Address.parse(file) if is_address(file) else None
        self.name = file if self._address is None else self._address.key.rpartition("/")[2]
        require_table_name("predictions.file", self.name)
        self._path, self._files, self._writer = Path(self.name), ExitStack(), cast("Any", None)

    @property
    def is_open(self) -> bool:
        """Whether this process writes it."""
        return self._writer is not None

    def open(self, trainer: pl.Trainer, schema: Any) -> None:
        """Open a temporary file on the first process; all of them must call it.

        Args:
            trainer: The Trainer, whose folder it goes to.
            schema: Names and types of the columns.

        Raises:
            UsageError: If there is no folder.
            DataError: If there is an object at the address in the store.
        """
        folder = trainer.log_dir  # on all processes, because the first one broadcasts it
        if folder is None:
            raise UsageError("predict needs a folder for its file: leave --trainer.logger as it is")
        self._path = Path(folder) / self.name
        if trainer.is_global_zero:
            if self._address is not None:
                require_new(self._address)
            with saving(self._path):
                self._writer = open_table(self._path, self._files, schema)

    def write(self, table: Any) -> None:
        """Append an Arrow table."""
        with saving(self._path):
            self._writer.write_table(table)

    def finish(self) -> str:
        """Rename the complete file, copy it to the store if there is an address, and return where it is, in words."""
        with saving(self._path):
            self._files.close()
        if self._address is None:
            return shown_path(self._path)
        put(self._path, self._address)
        return f"{shown_path(self._path)} and {self._address}"

    def discard(self, error: BaseException) -> None:
        """Remove the partial file, after an error."""
        with suppress(OSError):  # the disk may be full
            self._files.__exit__(type(error), error, error.__traceback__)


def require_table_name(option: str, file: str) -> None:
    """Refuse a file name with a folder, or with another ending than that of a table."""
    if Path(file).name != file or Path(file).suffix not in TABLE_ENDINGS or not file.isprintable():
        raise UsageError(f"{option} must be a file name ending in .csv or .parquet, got {file}")


def table_writer(file: IO[bytes], suffix: str, schema: Any) -> AbstractContextManager[Any]:
    """Return a writer, as a context manager, that appends Arrow tables of a schema to a file.

    Args:
        file: The file, opened for writing.
        suffix: Its ending, which decides the format.
        schema: Names and types of the columns.
    """
    from pyarrow import csv, parquet  # imported here because it takes a third of a second and not every run needs it

    if suffix == ".parquet":
        return parquet.ParquetWriter(file, schema)  # type: ignore[no-any-return]
    file.write((",".join(schema.names) + "\n").encode())  # the writer would put the names in quotation marks
    return csv.CSVWriter(file, schema, write_options=csv.WriteOptions(include_header=False))  # type: ignore[no-any-return]


def open_table(path: Path, files: ExitStack, schema: Any) -> Any:
    """Open a table of a schema and return its writer; ``files`` closes it, and renames the file when it is complete."""
    return files.enter_context(table_writer(files.enter_context(open_whole(path)), path.suffix, schema))


def schema_of_rows(columns: Sequence[str], x_time: TimeScale | None = None) -> Any:
    """Return the schema of ``arrow_rows``: numbers, and a flag in the last column.

    Args:
        columns: Names of the columns.
        x_time: The time scale of the column ``x``, if it holds times; instants are written as such.
    """
    import pyarrow as pa

    kinds = dict.fromkeys(columns, pa.float64()) | {columns[-1]: pa.bool_()}
    if "x" in kinds:
        kinds["x"] = x_type(x_time)
    return pa.schema(list(kinds.items()))


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
    """Return the Arrow type of a column of x: float64, or instants with or without UTC."""
    import pyarrow as pa

    if x_time is None or x_time.kind == DURATIONS:
        return pa.float64()
    return pa.timestamp("ns", "UTC" if x_time.kind == UTC else None)


def x_array(numbers: Any, x_time: TimeScale | None) -> Any:
    """Return numbers of x as a column of ``x_type``; ``None``, NaN, and what is beyond all instants, as null."""
    import pyarrow as pa

    kind = x_type(x_time)
    if x_time is not None and kind != pa.float64():
        numbers = x_time.times(np.array(numbers, dtype=np.float64))
    return pa.array(numbers, kind, from_pandas=True)
