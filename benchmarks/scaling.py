"""Time per row as the rows and the degree grow.

The claims: the time per row does not grow with the number of rows, from a hundred thousand to a hundred million, nor
that per row and coefficient with the degree, from 1 to 20.

There is one pass over the points in chunks that stay in the cache, and no chunk costs more than another. What is fixed
per fit, the solution and the criteria, takes milliseconds, and would hide the rest below a million rows: so a time per
row is that of n rows less that of the first half of them, over the rows between. "whole fit" is the time of all over
all rows. Each time is otherwise the whole of ``regression.fit`` on points in memory, of as many fits in a row as make
two million rows. A fit counts only if it is within a few standard errors of the line that the points were drawn about.
"""

from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

import measure
import regression
from measure import Column

ROWS = (100_000, 1_000_000, 10_000_000, 100_000_000)
DEGREES = (1, 2, 5, 10, 20)
DEGREE, DEGREE_ROWS, REPEATS = 5, 10_000_000, 5
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


def main(args: Sequence[str] | None = None) -> dict[str, float | None]:
    """Measure, check and print both tables; return the largest ratio of each."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), help="numbers of points")
    parser.add_argument("--degrees", type=int, nargs="+", default=list(DEGREES), help="degrees")
    parser.add_argument("--degree-rows", type=int, default=DEGREE_ROWS, help="points of those (default: %(default)s)")
    parser.add_argument("--turn-rows", type=int, default=TURN_ROWS, help="rows of small fits in a turn")
    options = parser.parse_args(args)
    tables = compare_fits(options.rows, options.degrees, options.degree_rows, options.repeats, options.turn_rows)
    print(f"{measure.versions('torch', 'numpy', 'numba')}; {options.repeats} repeats, medians")
    measure.print_records(f"ns per row, degree {DEGREE}", tables["rows"])
    measure.print_records(f"ns per row, {options.degree_rows:,} rows; ratios per coefficient", tables["degrees"])
    return {name: measure.largest(row["ratio"] for row in table) for name, table in tables.items()}


if __name__ == "__main__":
    main()
