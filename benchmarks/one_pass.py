"""What the benchmarks ask of the package's inner parts: a table's fit without a run, and how a table is shared out.

All that has to change here when those parts do is in these two functions.
"""

from pathlib import Path

import numpy as np
from pyarrow import parquet

from regression.batches import GlobalBatches
from regression.columns import LARGE_BATCH
from regression.moments import Frame, Moments
from regression.rows import table_rows
from regression.solver import solve
from regression.tables import Table

COLUMNS = ["x", "y"]
IN_MEMORY_ROWS = 10_000_000  # as the command has it


def fit_table(path: Path, degree: int = 1) -> list[float]:
    """Return the coefficients in powers of x: statistics, decoding, sums and solution, without Trainer and files."""
    batches = GlobalBatches(table_rows(Table(str(path), COLUMNS), True, IN_MEMORY_ROWS), LARGE_BATCH)
    frame = Frame.of(batches.bounds())
    moments = Moments.empty(frame, degree)
    for batch in batches:
        moments = moments.merge(Moments.of(batch.x, batch.y, batch.sigma, frame, degree))
    coefficients = [float(value) for value in solve(moments, degree).coefficients]
    domain = [float(frame.center + sign * frame.scale) for sign in (-1, 1)]
    return np.polynomial.Chebyshev(coefficients, domain).convert(kind=np.polynomial.Polynomial).coef.tolist()


def decoded_bytes(path: Path, processes: int) -> int:
    """Return the bytes that all processes together decode of a streamed Parquet file.

    Every process decodes each row group that its slices of the batches touch, once.
    """
    rows = table_rows(Table(str(path), COLUMNS), True, in_memory_rows=0)
    metadata = parquet.read_metadata(path)
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    ends = np.cumsum([group.num_rows for group in groups])
    total = 0
    for rank in range(processes):
        spans = [(first, end) for first, end, _ in GlobalBatches(rows, LARGE_BATCH, rank, processes)._spans(0)]
        touched = {k for first, end in spans for k in _touched(ends, first, end)}
        total += sum(groups[k].total_byte_size for k in touched)
    return total


def _touched(ends: np.ndarray, first: int, end: int) -> range:
    """Return the numbers of the row groups, given by their ends, that have rows from first to before end."""
    if first == end:
        return range(0)
    low, high = np.searchsorted(ends, [first, end - 1], side="right")
    return range(int(low), int(high) + 1)
