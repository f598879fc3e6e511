"""How much of a Parquet file all processes of an exact fit decode: 1 where no row group is decoded by two of them."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from regression.batches import Shares
from regression.rows import BlockRows
from regression.tables import Table

ROWS, PROCESSES = 20_000_000, 16


def decoded_share(path: Path, processes: int) -> float:
    """Return the bytes of the row groups that all processes begin to decode, over those of the file's x and y."""
    return sum(_decoded(path, rank, processes) for rank in range(processes))


def _decoded(path: Path, rank: int, processes: int) -> float:
    rows = BlockRows(Table(str(path), ["x", "y"]), has_y=True)
    for share in Shares(rows, None, rank, processes):
        share.scan(lambda _: None)
    return rows.table.bytes_decoded()


def write_uneven(path: Path, rows: int) -> None:
    """Write a file whose row groups have from 100,000 to 1,000,000 rows."""
    random = np.random.default_rng(0)
    x = random.random(rows)
    table, start = pa.table({"x": x, "y": 2 * x + 1 + random.normal(size=rows)}), 0
    with parquet.ParquetWriter(path, table.schema) as writer:
        while start < rows:
            size = int(random.integers(100_000, 1_000_000))
            writer.write_table(table.slice(start, size))
            start += size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "points.parquet"
        write_uneven(file, options.rows)
        print(f"{options.processes} processes decode {decoded_share(file, options.processes):.2f} times the file")
