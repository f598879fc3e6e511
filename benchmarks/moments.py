"""Fit a polynomial to ten million points in memory: ours in both arithmetics, and the tools people use today.

The claims: in double at least 20 times as fast as numpy.polyfit, with less than 0.3 times the points' memory on top;
in double-double, with bits that no order of the points changes, at least as fast.

Every contender gets the same float64 columns and returns coefficients of powers of x; ours is the whole of
``regression.fit``: a scan for the range and for numbers that are not finite, the sums, the solution, errors and
criteria. All run in one process, in turn within each repeat, with the same number of threads, after a check that they
give the same curve. A ratio is the median over the repeats of the ratio to numpy.polyfit in the same repeat. Memory is
the growth of the largest resident size of a process of its own, after a fit of few points, over the size of x and y.

What bounds the time of degree d. The peers build a design of 8 K bytes per row and factor it, so memory bandwidth
bounds them. Ours works on chunks that stay in the cache, so the number of operations bounds it: one reading of x and y
for the range, then in double d + 2 elementwise operations and a product of d + 2 by 3 per row, two thirds of it
elementwise; in double-double about 23 d + 40 elementwise operations for recurrence and slices, and a product of
4 (d + 1) by 12. An elementwise operation takes 0.4 to 0.6 ns per row and thread, about two readings of a cached column
and a writing, whatever it computes; only a compiler could fuse several into one pass.
"""

import argparse
import importlib.util
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from operator import truediv
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

import regression

ROWS, DEGREE, REPEATS = 10_000_000, 5, 5
CHECKED_ROWS, TOLERANCE = 20_000, 1e-9
ROOT = Path(__file__).parents[1]

Column = NDArray[np.float64]
Tool = Callable[[Column, Column, int], Sequence[float]]


def points(rows: int) -> tuple[Column, Column]:
    """Return x and y of a noisy curve, filled in place so that making them leaves no trace in the memory."""
    generator, x, y = np.random.default_rng(0), np.empty(rows), np.empty(rows)
    generator.random(out=x)
    generator.standard_normal(out=y)
    for start in range(0, rows, 1 << 16):
        part = slice(start, start + (1 << 16))
        x[part] = 4 * x[part] - 1
        y[part] = np.sin(x[part]) + 2 + 0.1 * y[part]
    return x, y


def in_double(x: Column, y: Column, degree: int) -> Sequence[float]:
    return regression.fit(x, y, degree, arithmetic="double").params


def in_double_double(x: Column, y: Column, degree: int) -> Sequence[float]:
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
    """Read both columns once: what no fit can undercut."""
    return [float(torch.from_numpy(x).sum() + torch.from_numpy(y).sum())]


# The first is what ratios refer to. A package that is not installed leaves its row out.
CONTENDERS: dict[str, tuple[str, Tool]] = {
    "numpy.polyfit": ("numpy", polyfit),
    "numpy Polynomial.fit": ("numpy", polynomial_fit),
    "sklearn LinearRegression": ("sklearn", sklearn_linear),
    "ours, double-double": ("regression", in_double_double),
    "ours, double": ("regression", in_double),
    "one read of x and y": ("numpy", one_read),
}
REFERENCE, NO_FIT = "numpy.polyfit", "one read of x and y"


def installed() -> dict[str, Tool]:
    return {name: tool for name, (package, tool) in CONTENDERS.items() if importlib.util.find_spec(package)}


def check(rows: int, degree: int) -> None:
    """Stop unless all contenders give the curve of numpy's well-conditioned fit on so many points."""
    x, y = points(rows)
    right = np.polynomial.Polynomial.fit(x, y, degree)
    grid = np.linspace(-1, 3, 101)
    for name, tool in installed().items():
        if name != NO_FIT:
            error = np.abs(np.polynomial.Polynomial(tool(x, y, degree))(grid) - right(grid)).max()
            if not error <= TOLERANCE:
                raise SystemExit(f"{name} is {error:.2g} off the least-squares curve on {rows} points")


def measure(rows: int, degree: int, repeats: int) -> dict[str, list[float]]:
    """Return each contender's times in nanoseconds per row, one per repeat."""
    x, y = points(rows)
    times: dict[str, list[float]] = {name: [] for name in installed()}
    for _ in range(repeats):
        for name, tool in installed().items():
            start = time.perf_counter()
            tool(x, y, degree)
            times[name].append((time.perf_counter() - start) / rows * 1e9)
    return times


def peak(name: str, rows: int, degree: int) -> float:
    """Return the memory that a contender takes on top of the points, over that of the points."""
    tool = CONTENDERS[name][1]
    x, y = points(rows)
    tool(x[:1000], y[:1000], degree)  # its libraries and threads
    before = largest_size()
    tool(x, y, degree)
    return (largest_size() - before) / (x.nbytes + y.nbytes)


def largest_size() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage starts with the parent's largest size
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_alone(name: str, rows: int, degree: int) -> float:
    """Return ``peak`` of a process of its own."""
    command = [sys.executable, __file__, "--peak", name, f"--rows={rows}", f"--degree={degree}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise SystemExit(f"the memory of {name} could not be measured: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)


def threads() -> str:
    """Return the number of threads of torch and of numpy's BLAS, in words."""
    if not importlib.util.find_spec("threadpoolctl"):
        return f"threads: torch {torch.get_num_threads()}"
    from threadpoolctl import threadpool_info

    blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return f"threads: torch {torch.get_num_threads()}, BLAS {'/'.join(map(str, sorted(blas)))}"


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Check, measure and print the table; return time per row, speed over numpy.polyfit, and memory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="points (default: %(default)s)")
    parser.add_argument("--degree", type=int, default=DEGREE, help="highest power (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each contender (default: %(default)s)")
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True, help="measure memory too")
    parser.add_argument("--peak", choices=list(CONTENDERS), help="only print the memory of one contender")
    options = parser.parse_args(args)
    if options.peak:
        print(peak(options.peak, options.rows, options.degree))
        return {}
    check(min(options.rows, CHECKED_ROWS), options.degree)
    memory = dict.fromkeys(installed(), math.nan)
    if options.memory:
        memory = {name: peak_alone(name, options.rows, options.degree) for name in memory}
    times = measure(options.rows, options.degree, options.repeats)
    table = {
        name: {
            "ns": median(own),
            "speed": median(map(truediv, times[REFERENCE], own)),
            "reads": median(map(truediv, own, times[NO_FIT])),
            "memory": memory[name],
        }
        for name, own in times.items()
    }
    print(f"python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}, {threads()}")
    print(f"{options.rows:,} points, degree {options.degree}, {options.repeats} repeats, medians")
    print(f"{'contender':<25} {'ns/row':>8} {'min–max':>15} {'speed':>7} {'reads':>7} {'memory':>7}")
    for name, row in table.items():
        spread = f"{min(times[name]):.1f}–{max(times[name]):.1f}"
        numbers = f"{row['ns']:>8.1f} {spread:>15} {row['speed']:>7.2f} {row['reads']:>7.1f} {row['memory']:>7.2f}"
        print(f"{name:<25} {numbers}")
    print(f"speed: over {REFERENCE}; reads: time in units of one read")
    print("memory: on top of x and y, over their size")
    return table


if __name__ == "__main__":
    main()
