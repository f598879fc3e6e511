"""What the benchmarks ask of the package's inner parts: a table's fit without a run, and how a table is shared out.

All that has to change here when those parts do is in these two functions.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from regression.common.points import Points
from regression.curves.change_of_basis import u_in_powers
from regression.curves.decimals import combine, precise
from regression.curves.polynomial import Polynomial
from regression.data.batches import Shares
from regression.data.rows import table_rows
from regression.data.table import Table
from regression.fits.least_squares import LeastSquares
from regression.moments.passes import Passes
from regression.moments.scan import Range

COLUMNS = ["x", "y"]
IN_MEMORY_ROWS = 10_000_000  # as the command has it


def fit_table(path: Path, degree: int = 1) -> list[float]:
    """Return the coefficients in powers of x: statistics, decoding, sums and solution, without Trainer and files."""
    shares = Shares(table_rows(Table(str(path), COLUMNS), True, IN_MEMORY_ROWS))

    def scan(work: Callable[[Points], None]) -> None:
        for share in shares.shares():
            share.scan(work, is_checked_by_work=True)

    found, least_squares = Range(), LeastSquares(Polynomial(degree))
    for share in shares.bounds():
        share.scan(found.add, is_checked_by_work=True)
    least_squares.begin(found.frame(), omitted=0)
    scan(least_squares.add)
    least_squares.solve(Passes(scan, lambda _: iter(()), torch.device("cpu")))  # least squares needs no order
    solution = least_squares.solution
    with precise():
        return list(map(float, combine(u_in_powers(solution.frame, degree), solution.coefficients)))


@contextlib.contextmanager
def decoding() -> Iterator[list[int]]:
    """Note the row groups of Parquet files that one begins to decode."""
    from pyarrow.parquet import ParquetFile

    plain, groups = ParquetFile.iter_batches, []

    def noted(file: ParquetFile, *args: object, row_groups: list[int], **options: object) -> object:
        groups.extend(row_groups)
        return plain(file, *args, row_groups=row_groups, **options)

    ParquetFile.iter_batches = noted
    try:
        yield groups
    finally:
        ParquetFile.iter_batches = plain


def decoded_bytes(path: Path, processes: int, batch_size: int | None = None) -> float:
    """Return the bytes that all processes of an exact fit decode of a streamed Parquet file, over those of the file.

    Each process has a reader of its own; a row group counts as a whole once one begins to decode it.
    """
    from pyarrow import parquet

    stored = parquet.read_metadata(path)
    sizes = [stored.row_group(k).total_byte_size for k in range(stored.num_row_groups)]
    with decoding() as groups:
        for rank in range(processes):
            for share in Shares(table_rows(Table(str(path), COLUMNS), True, 0), batch_size, rank, processes):
                share.scan(lambda _: None)
    return sum(sizes[k] for k in groups) / sum(sizes)
