"""Fit a line to each of a million series of ten points: ours, all at once, and a loop over numpy.polyfit.

The claims: 400 times as fast, by the clock, as a loop that gives the same numbers; 100 times with the rows shuffled.

Every contender gets the same float64 columns and whole-number ids, the rows of a series side by side, and returns
coefficients. Ours always takes standard errors, sigma and R² too, and so does the loop "with errors": it delivers the
same, and "speed" and "per core" refer to it. "over plain" refers to the loop that takes coefficients alone.
Ours is the whole of ``regression.fit_series``: finding the series among the ids, ranges, sums, solutions, the table in
the order of the ids. A loop runs on a sample of the series, as its time per series does not depend on their number. All
run in one process, in turn within each repeat, after a check that they give the same lines. A ratio is the median over
the repeats of the ratio in the same repeat: "speed" and "over plain" by the clock, with the threads that the table says
(torch's default, or one), and "per core" by the processor time of all threads, which other work on the machine moves
less. Where there is no idle core more threads only take the cache from each other.

What bounds the time: the sums of ten rows take as long as the solution of two equations in double-double numbers, of
which each step waits for the one before; reading the columns, and writing the table, wait for the memory. "shuffled"
has the rows in random order: moving them twice, into buckets that the cache holds and within each, is most of it.
"""

from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

import measure
import regression

SERIES, POINTS, DEGREE, REPEATS, SAMPLE = 1_000_000, 10, 1, 15, 2000
CHECKED, TOLERANCE = 500, 1e-9

Table = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]
Tool = Callable[[Table, int, int], NDArray[np.float64]]


def table(series: int, length: int) -> Table:
    """Return x, y and ids of series with lines and noise of their own."""
    random = np.random.default_rng(0)
    ids = np.repeat(np.arange(series), length)
    x = random.uniform(0, 10, len(ids))
    y = np.repeat(random.normal(size=series), length) * x + np.repeat(random.normal(size=series), length)
    return x, y + random.normal(size=len(ids)), ids


def shuffled(points: Table) -> Table:
    order = np.random.default_rng(1).permutation(len(points[0]))
    x, y, ids = points
    return x[order], y[order], ids[order]


def polyfit(points: Table, length: int, degree: int) -> NDArray[np.float64]:
    x, y = (column.reshape(-1, length) for column in points[:2])
    return np.array([np.polyfit(a, b, degree)[::-1] for a, b in zip(x, y, strict=True)])


def polyfit_with_errors(points: Table, length: int, degree: int) -> NDArray[np.float64]:
    found = []
    for a, b in zip(*(column.reshape(-1, length) for column in points[:2]), strict=True):
        params, cov = np.polyfit(a, b, degree, cov=True)
        errors = np.sqrt(np.diag(cov))
        rsquared = 1 - ((b - np.polyval(params, a)) ** 2).sum() / ((b - b.mean()) ** 2).sum()
        found.append((params[::-1], errors, rsquared))
    return np.array([params for params, _, _ in found])


def ours(points: Table, _length: int, degree: int) -> NDArray[np.float64]:
    return regression.fit_series(*points, degree).params.numpy()


def ours_on_one_thread(points: Table, length: int, degree: int) -> NDArray[np.float64]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return ours(points, length, degree)
    finally:
        torch.set_num_threads(threads)


LOOP, PLAIN = "polyfit loop with errors", "polyfit loop"
CONTENDERS: dict[str, Tool] = {
    LOOP: polyfit_with_errors,
    PLAIN: polyfit,
    "ours": ours,
    "ours, 1 thread": ours_on_one_thread,
    "ours, shuffled": ours,
}
LOOPS = (LOOP, PLAIN)
ONE_THREAD = (*LOOPS, "ours, 1 thread")


def check(series: int, length: int, degree: int) -> None:
    """Stop unless all contenders give each series the curve of numpy's well-conditioned fit."""
    points = table(series, length)
    x, y = (column.reshape(-1, length) for column in points[:2])
    right = [np.polynomial.Polynomial.fit(a, b, degree) for a, b in zip(x, y, strict=True)]
    grid = np.linspace(0, 10, 21)
    for name, tool in CONTENDERS.items():
        found = tool(shuffled(points) if "shuffled" in name else points, length, degree)
        for k, curve in enumerate(right):
            error = np.abs(np.polynomial.Polynomial(found[k])(grid) - curve(grid)).max()
            if not error <= TOLERANCE * max(1, np.abs(curve(grid)).max()):
                raise SystemExit(f"{name} is {error:.2g} off the least-squares curve of series {k}")


def measure_times(series: int, length: int, degree: int, repeats: int, sample: int) -> dict[str, list[measure.Seconds]]:
    """Return each contender's microseconds per series, one per repeat."""
    points = table(series, length)
    few: Table = tuple(column[: sample * length] for column in points)  # type: ignore[assignment]
    inputs = {name: few if name in LOOPS else points for name in CONTENDERS}
    inputs["ours, shuffled"] = shuffled(points)
    ours(points, length, degree)  # compiled once, kept in files
    work = {name: lambda name=name, tool=tool: tool(inputs[name], length, degree) for name, tool in CONTENDERS.items()}
    micro = {name: 1e6 * length / len(inputs[name][0]) for name in CONTENDERS}
    times = measure.take_turns(work, repeats)
    return {
        name: [measure.Seconds(*(seconds * micro[name] for seconds in turn)) for turn in own]
        for name, own in times.items()
    }


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float | None]]:
    """Check, measure and print the table; return time per series and speed over the loop with errors."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--series", type=int, default=SERIES, help="series (default: %(default)s)")
    parser.add_argument("--points", type=int, default=POINTS, help="points of each (default: %(default)s)")
    parser.add_argument("--degree", type=int, default=DEGREE, help="highest power (default: %(default)s)")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="series of the loops (default: %(default)s)")
    options = parser.parse_args(args)
    sample = min(options.sample, options.series)
    check(min(options.series, CHECKED), options.points, options.degree)
    times = measure_times(options.series, options.points, options.degree, options.repeats, sample)
    clock, used = ({name: [turn[k] for turn in own] for name, own in times.items()} for k in (0, 1))
    found = {
        name: {
            "threads": 1 if name in ONE_THREAD else torch.get_num_threads(),
            "us": median(clock[name]),
            "speed": measure.ratio(clock[LOOP], clock[name]),
            "per core": measure.ratio(used[LOOP], used[name]),
            "over plain": measure.ratio(clock[PLAIN], clock[name]),
        }
        for name in times
    }
    print(f"{measure.versions('torch', 'numpy', 'numba')}, {measure.blas()}")
    print(f"{options.series:,} series of {options.points} points, degree {options.degree}, {options.repeats} repeats")
    measure.print_table(
        ["contender", "threads", "µs/series", "speed", "per core", "over plain", "min–max"],
        [[name, *row.values(), measure.between(clock[name])] for name, row in found.items()],
    )
    return found


if __name__ == "__main__":
    main()
