"""Arrow streams give any range of the rows of their record batches, and truncated ones are refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from regression import UsageError
from regression.data.files import column_names
from regression.data.table import Table


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """A stream of 70 rows in batches of 13, under the ending of an Arrow file, as some libraries write it."""
    names = pa.array([f"s{k % 3}" for k in range(70)]).dictionary_encode()
    table = pa.table({"id": names, "x": np.arange(70.0), "y": pa.array([k if k % 9 else None for k in range(70)])})
    with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=13)
    return tmp_path / "a.arrow"


def test_rows_of_a_stream(stream: Path) -> None:
    """Any rows are read, nulls as missing numbers, texts as series."""
    table = Table(str(stream), ["x", "y"])
    assert (table.rows, table.cuts[-1], column_names(str(stream))) == (70, 70, ["id", "x", "y"])
    assert table.read(28, 36).tolist() == [list(range(28, 36))] * 2
    with pytest.raises(UsageError, match=r"column 'y' must be finite, got a missing number in data row 37"):
        table.read(30, 40)
    series = Table(str(stream), ["x", "id"], has_series=True)
    assert series.read(25, 29).tolist() == [[25, 26, 27, 28], [1, 2, 0, 1]]


def test_a_cut_stream_is_refused(stream: Path) -> None:
    """A stream that ends within a message is refused in one line."""
    stream.write_bytes(stream.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"a\.arrow is damaged, or not what its name says"):
        Table(str(stream), ["x", "y"])
