"""Time for the same rows of Parquet in one file and in many, and in large row groups and small ones.

The claims: the time does not grow with the number of files, from 1 to 2,000, that a hundred million rows are in; and
row groups of a thousand rows cost at most three times as much as those of a million.

A table is opened, read, summed and solved without a run. The files are links to a single one: the fit of copies is that
of one of them. All tables of a kind have their turn in each repeat, after a check that each gives the least-squares
line. What bounds the time beside the rows is what is read once for each file, and for each row group.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import measure
from one_pass import fit_table

FILES, FILE_ROWS = (1, 50, 2_000), 100_000_000
GROUPS, GROUP_ROWS, REPEATS = (1_000_000, 1_000), 10_000_000, 5

Table = list[dict[str, float | None]]


def write_files(folder: Path, counts: Sequence[int], rows: int) -> dict[int, Path]:
    """Write the same number of rows as so many files of one folder each; return the folders."""
    folders = {count: folder / f"{count} files" for count in counts}
    for count, own in folders.items():
        own.mkdir()
        measure.write(own / "0.parquet", rows // count)
        for k in range(1, count):
            os.link(own / "0.parquet", own / f"{k}.parquet")
    return folders


def write_groups(folder: Path, sizes: Sequence[int], rows: int) -> dict[int, Path]:
    """Write the same rows in row groups of so many each; return the files."""
    paths = {size: folder / f"{size}.parquet" for size in sizes}
    for size, path in paths.items():
        measure.write(path, rows, group=size)
    return paths


def compare_tables(key: str, paths: dict[int, Path], rows: dict[int, int], repeats: int) -> Table:
    """Measure the fit of each table; return seconds, and their ratio to the first one's.

    Args:
        key: What differs between the tables.
        paths: The tables, by how much there is of it.
        rows: Number of rows of each, before they are repeated.
        repeats: Turns of each.
    """
    for count, path in paths.items():
        measure.require_right(f"the fit of {count:,} {key}", fit_table(path), measure.least_squares(rows[count], 1))
    work = {count: lambda path=path: fit_table(path) for count, path in paths.items()}
    times = measure.clock(measure.take_turns(work, repeats))
    first = next(iter(times.values()))
    return [{key: count, "seconds": median(own), "ratio": measure.ratio(own, first)} for count, own in times.items()]


def main(args: Sequence[str] | None = None) -> dict[str, float | None]:
    """Measure, check and print the tables; return the largest ratio of each."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--files", type=int, nargs="+", default=list(FILES), help="numbers of files")
    parser.add_argument("--file-rows", type=int, default=FILE_ROWS, help="rows of all of them (default: %(default)s)")
    parser.add_argument("--groups", type=int, nargs="+", default=list(GROUPS), help="rows of a row group")
    parser.add_argument("--group-rows", type=int, default=GROUP_ROWS, help="rows of all (default: %(default)s)")
    options = parser.parse_args(args)
    print(f"{measure.versions('pyarrow', 'numba')}; {options.repeats} repeats, medians")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_groups(Path(folder), options.groups, options.group_rows)
        rows = dict.fromkeys(paths, options.group_rows)
        groups = compare_tables("rows a group", paths, rows, options.repeats)
    measure.print_records(f"{options.group_rows:,} rows in row groups", groups)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(Path(folder), options.files, options.file_rows)
        rows = {count: options.file_rows // count for count in paths}
        files = compare_tables("files", paths, rows, options.repeats)
    measure.print_records(f"{options.file_rows:,} rows in all files", files)
    return {
        name: measure.largest(row["ratio"] for row in table) for name, table in (("files", files), ("groups", groups))
    }


if __name__ == "__main__":
    main()
