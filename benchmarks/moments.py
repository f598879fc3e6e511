"""Fit a polynomial to ten million points in memory: ours, and the tools people use today.

The claims: at least 20 times as fast as numpy.polyfit, with less than a tenth of the points' memory on top, and bits
that no order of the points changes.

Every contender gets the same float64 columns and returns coefficients of powers of x; ours is the whole of
``regression.fit``: a look for the range and for numbers that are not finite, the sums, the solution, errors and
criteria. All run in turn, with the threads that they choose themselves, in one process of its own in which nothing
slows numpy's BLAS down, after a check that they give the same curve. "reads" is the time over that of reading both
columns once, in as many threads as torch has: what no fit can undercut. Memory is the growth of the largest resident
size of another process, after a fit of few points, over the size of x and y.

What bounds the time of degree d: the peers build a design of 8 K bytes per row and factor it, so memory bandwidth
bounds them. Ours works on chunks that stay in the cache, so the number of operations bounds it, which grows with d.
"""

import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np
import torch

import measure
import regression
from measure import Column

ROWS, DEGREE, REPEATS = 10_000_000, 5, 5
CHECKED_ROWS, TOLERANCE = 20_000, 1e-9

Tool = Callable[[Column, Column, int], Sequence[float]]


def ours(x: Column, y: Column, degree: int) -> Sequence[float]:
    return regression.fit(x, y, degree).params


def polyfit(x: Column, y: Column, degree: int) -> Sequence[float]:
    return np.polyfit(x, y, degree)[::-1].tolist()


def polynomial_fit(x: Column, y: Column, degree: int) -> Sequence[float]:
    return np.polynomial.Polynomial.fit(x, y, degree).convert().coef.tolist()


def sklearn_linear(x: Column, y: Column, degree: int) -> Sequence[float]:
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import PolynomialFeatures

    model = LinearRegression().fit(PolynomialFeatures(degree, include_bias=False).fit_transform(x[:, None]), y)
    return [float(model.intercept_), *model.coef_.tolist()]


def one_read(x: Column, y: Column, _degree: int) -> Sequence[float]:
    """Add up both columns, each thread a part of them."""
    count = torch.get_num_threads()
    parts = [slice(len(x) * k // count, len(x) * (k + 1) // count) for k in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return [sum(pool.map(lambda part: float(x[part].sum() + y[part].sum()), parts))]


# A package that is not installed leaves its row out.
CONTENDERS: dict[str, tuple[str, Tool]] = {
    "numpy.polyfit": ("numpy", polyfit),
    "numpy Polynomial.fit": ("numpy", polynomial_fit),
    "sklearn LinearRegression": ("sklearn", sklearn_linear),
    "ours": ("regression", ours),
    "one read of x and y": ("numpy", one_read),
}
REFERENCE, NO_FIT = "numpy.polyfit", "one read of x and y"


def installed() -> dict[str, Tool]:
    return {name: tool for name, (package, tool) in CONTENDERS.items() if importlib.util.find_spec(package)}


def check(rows: int, degree: int) -> None:
    """Stop unless all contenders give the curve of numpy's well-conditioned fit on so many points."""
    x, y = measure.points(rows)
    right = np.polynomial.Polynomial.fit(x, y, degree)
    grid = np.linspace(measure.LOW, measure.HIGH, 101)
    for name, tool in installed().items():
        if name != NO_FIT:
            error = np.abs(np.polynomial.Polynomial(tool(x, y, degree))(grid) - right(grid)).max()
            if not error <= TOLERANCE:
                raise SystemExit(f"{name} is {error:.2g} off the least-squares curve on {rows} points")


def measure_times(rows: int, degree: int, repeats: int) -> dict[str, list[float]]:
    """Return each contender's times in nanoseconds per row, one per repeat."""
    x, y = measure.points(rows)
    work = {name: lambda tool=tool: tool(x, y, degree) for name, tool in installed().items()}
    return measure.clock(measure.take_turns(work, repeats), unit=rows / 1e9)


def measure_peak(name: str, rows: int, degree: int) -> float:
    """Return the memory that a contender takes on top of the points, over that of the points."""
    tool = CONTENDERS[name][1]
    x, y = measure.points(rows)
    tool(x[:CHECKED_ROWS], y[:CHECKED_ROWS], degree)  # its libraries, threads and compiled loops
    before = measure.peak_bytes()
    tool(x, y, degree)
    return (measure.peak_bytes() - before) / (x.nbytes + y.nbytes)


def run_alone(*options: str) -> dict:
    """Return what a process of its own measured."""
    return json.loads(measure.run_python("moments.py", [__file__, *options]))


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float | None]]:
    """Check, measure and print the table; return time per row, speed over numpy.polyfit, reads, and memory."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--rows", type=int, default=ROWS, help="points (default: %(default)s)")
    parser.add_argument("--degree", type=int, default=DEGREE, help="highest power (default: %(default)s)")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory out")
    parser.add_argument("--times-alone", action="store_true", help="only print all times")
    parser.add_argument("--peak-alone", choices=list(CONTENDERS), help="only print the memory of one contender")
    options = parser.parse_args(args)
    sizes = [f"--rows={options.rows}", f"--degree={options.degree}", f"--repeats={options.repeats}"]
    if options.peak_alone:
        print(json.dumps({"peak": measure_peak(options.peak_alone, options.rows, options.degree)}))
        return {}
    check(min(options.rows, CHECKED_ROWS), options.degree)
    if options.times_alone:
        times = measure_times(options.rows, options.degree, options.repeats)
        print(json.dumps({"times": times, "blas": measure.blas()}))
        return {}
    memory = dict.fromkeys(installed(), math.nan)
    if not options.no_memory:
        memory = {name: run_alone(*sizes, f"--peak-alone={name}")["peak"] for name in memory}
    found = run_alone(*sizes, "--times-alone")
    table = compare(found["times"], memory)
    threads = f"torch {torch.get_num_threads()} threads, {found['blas']}"
    print(f"{measure.versions('torch', 'numpy', 'scikit-learn', 'numba')}; {threads}")
    print(f"{options.rows:,} points, degree {options.degree}, {options.repeats} repeats, medians")
    measure.print_table(
        ["contender", "ns/row", "min–max", "speed", "reads", "memory"],
        [[name, row["ns"], measure.between(found["times"][name]), row["speed"], row["reads"], row["memory"]]
         for name, row in table.items()],
    )  # fmt: skip
    print(f"speed: over {REFERENCE}; reads: time over that of one read")
    print("memory: on top of x and y, over their size")
    return table


def compare(times: dict[str, list[float]], memory: dict[str, float]) -> dict[str, dict[str, float | None]]:
    """Return the row of each contender."""
    return {
        name: {
            "ns": median(own),
            "speed": measure.ratio(times[REFERENCE], own),
            "reads": measure.ratio(own, times[NO_FIT]),
            "memory": memory[name],
        }
        for name, own in times.items()
    }


if __name__ == "__main__":
    main()
