"""Time per row as rows, coefficients, files and row groups grow.

The claims: the time per row does not grow with the number of rows, from a hundred thousand to a hundred million, nor
that per row and coefficient with the degree, from 1 to 20, nor that per row with the number of files that the same rows
are in; and row groups of a thousand rows cost at most three times as much as those of a million.

There is one pass over the points in chunks that stay in the cache, and no chunk costs more than another. What is fixed
per fit, the solution and the criteria, takes milliseconds, and would hide the rest below a million rows: so a time per
row is that of n rows less that of the first half of them, over the rows between. "whole fit" is the time of all over
all rows. Each time is otherwise the whole of ``regression.fit`` on points in memory, of as many fits in a row as make
two million rows. A fit counts only if it is within a few standard errors of the line that the points were drawn about.

Files and row groups are Parquet, of the same number of rows each, and are opened, read and solved without a run. The
files are links to a single one: a fit of copies is that of one of them.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

import measure
import regression
from measure import Column
from one_pass import fit_table

ROWS = (100_000, 1_000_000, 10_000_000, 100_000_000)
DEGREES = (1, 2, 5, 10, 20)
DEGREE, DEGREE_ROWS, REPEATS = 5, 10_000_000, 5
FILES, FILE_ROWS = (1, 50, 2_000), 100_000_000
GROUPS, GROUP_ROWS = (1_000_000, 1_000), 10_000_000
TURN_ROWS = 2_000_000
STANDARD_ERRORS = 7.0

Table = list[dict[str, float | None]]


def check(fit: regression.Fit, rows: int) -> None:
    """Stop unless a fit has all rows, the noise, and the true line within a few standard errors."""
    grid = np.linspace(measure.LOW + 0.1, measure.HIGH - 0.1, 25)
    prediction = fit.predict(grid)
    error = (prediction.mean.numpy() - measure.true_line(grid)) / prediction.mean_se.numpy()
    spread = (float(fit.sigma or 0) / measure.NOISE - 1) * (2 * rows) ** 0.5
    if fit.nobs != rows or not max(abs(error).max(), abs(spread)) <= STANDARD_ERRORS:
        raise SystemExit(
            f"a fit of degree {fit.degree} on {rows} points is {abs(error).max():.2g} standard errors off the line, "
            f"its noise {abs(spread):.2g}"
        )


def fits(x: Column, y: Column, degree: int, count: int) -> Callable[[], None]:
    """Return the work of a turn: so many fits of the points."""

    def work() -> None:
        for _ in range(count):
            regression.fit(x, y, degree)

    return work


def measure_fits(
    cases: Sequence[tuple[int, int]], repeats: int, turn_rows: int
) -> dict[tuple[int, int], tuple[list[float], ...]]:
    """Return nanoseconds per row of the whole fit, and of its further half of the rows, by rows and degree.

    Fits of few rows are repeated in a turn until they have gone through ``turn_rows``.
    """
    x, y = measure.points(max(rows for rows, _ in cases))
    for rows, degree in cases:
        check(regression.fit(x[:rows], y[:rows], degree), rows)
    sizes = {(part, degree) for rows, degree in cases for part in (rows, rows // 2)}
    count = {(rows, degree): max(1, turn_rows // rows) for rows, degree in sorted(sizes)}
    work = {case: fits(x[: case[0]], y[: case[0]], case[1], count[case]) for case in count}
    times = measure.clock(measure.take_turns(work, repeats), unit=1e-9)
    each = {case: [ns / count[case] for ns in own] for case, own in times.items()}
    return {
        (rows, degree): (
            [ns / rows for ns in each[rows, degree]],
            measure.less(each[rows, degree], each[rows // 2, degree], by=rows - rows // 2),
        )
        for rows, degree in cases
    }


def compare_fits(
    rows: Sequence[int], degrees: Sequence[int], degree_rows: int, repeats: int, turn_rows: int
) -> dict[str, Table]:
    """Measure fits of more rows, and of higher degrees; return a table of each."""
    by_rows = [(count, DEGREE) for count in sorted(rows)]
    by_degree = [(degree_rows, degree) for degree in sorted(degrees)]
    found = measure_fits(list(dict.fromkeys([*by_rows, *by_degree])), repeats, turn_rows)

    def row(case: tuple[int, int], first: tuple[int, int]) -> dict[str, float | None]:
        whole, further = found[case]
        ours, base = ([ns / (degree + 1) for ns in found[rows, degree][1]] for rows, degree in (case, first))
        return {"whole": median(whole), "further": median(further), "ratio": measure.ratio(ours, base)}

    return {
        "rows": [{"rows": case[0]} | row(case, by_rows[0]) for case in by_rows],
        "degrees": [{"degree": case[1]} | row(case, by_degree[0]) for case in by_degree],
    }


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
    """Measure the fit of each table; return time per row, and its ratio to the first one's.

    Args:
        key: What differs between the tables.
        paths: The tables, by how much there is of it.
        rows: Number of rows of each, and of those that a table repeats.
        repeats: Turns of each.
    """
    for count, path in paths.items():
        measure.require_right(f"the fit of {count:,} {key}", fit_table(path), measure.least_squares(rows[count], 1))
    work = {count: lambda path=path: fit_table(path) for count, path in paths.items()}
    times = measure.clock(measure.take_turns(work, repeats))
    first = next(iter(times.values()))
    return [{key: count, "seconds": median(own), "ratio": measure.ratio(own, first)} for count, own in times.items()]


def show(table: Table, title: str) -> None:
    """Print a table of rows with the same keys."""
    print(title)
    measure.print_table(list(table[0]), [list(row.values()) for row in table])


def options_of(args: Sequence[str] | None) -> argparse.Namespace:
    """Return the sizes to measure."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), help="numbers of points")
    parser.add_argument("--degrees", type=int, nargs="+", default=list(DEGREES), help="degrees")
    parser.add_argument("--degree-rows", type=int, default=DEGREE_ROWS, help="points of those (default: %(default)s)")
    parser.add_argument("--turn-rows", type=int, default=TURN_ROWS, help="rows of small fits in a turn")
    parser.add_argument("--files", type=int, nargs="+", default=list(FILES), help="numbers of files")
    parser.add_argument("--file-rows", type=int, default=FILE_ROWS, help="rows of all of them (default: %(default)s)")
    parser.add_argument("--groups", type=int, nargs="+", default=list(GROUPS), help="rows of a row group")
    parser.add_argument("--group-rows", type=int, default=GROUP_ROWS, help="rows of all (default: %(default)s)")
    return parser.parse_args(args)


def main(args: Sequence[str] | None = None) -> dict[str, float | None]:
    """Measure, check and print the tables; return the largest ratio of each."""
    options = options_of(args)
    print(f"{measure.versions('torch', 'numpy', 'numba', 'pyarrow')}; {options.repeats} repeats, medians")
    tables = compare_fits(options.rows, options.degrees, options.degree_rows, options.repeats, options.turn_rows)
    show(tables["rows"], f"ns per row, degree {DEGREE}")
    show(tables["degrees"], f"ns per row, {options.degree_rows:,} rows; ratios per coefficient")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(Path(folder), options.files, options.file_rows)
        rows = {count: options.file_rows // count for count in paths}
        tables["files"] = compare_tables("files", paths, rows, options.repeats)
    show(tables["files"], f"{options.file_rows:,} rows in all files")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_groups(Path(folder), options.groups, options.group_rows)
        rows = dict.fromkeys(paths, options.group_rows)
        tables["groups"] = compare_tables("rows a group", paths, rows, options.repeats)
    show(tables["groups"], f"{options.group_rows:,} rows in row groups")
    return {name: measure.largest(row["ratio"] for row in table) for name, table in tables.items()}


if __name__ == "__main__":
    main()
