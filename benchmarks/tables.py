"""A line fitted to a table of fifty million rows in a file: through the command, and with the tools people use today.

The goal: in double as fast as DuckDB's ``regr_slope`` and ``regr_intercept``, from Parquet and from CSV.

Ours is the whole command: it reads its options, scans for numbers that are not finite, fits, and leaves report, JSON,
figure, checkpoint and TensorBoard events. Every time is taken twice. "warm" is within one process, in turn within each
repeat, each tool once the first, after all have fitted a small file, so that their imports are done. "cold", taken
afterwards, is a process of its own from its start to its end. All use the threads that they choose themselves. A speed
is the median over the repeats of the ratio to DuckDB in the same repeat. Before any timing each tool must give the
least-squares line, from sums about the middle of x that are taken while the file is written.

What bounds the time. From Parquet, in about equal parts: copying the pages' numbers out of the file and into two
columns; seven elementwise operations per row for the sums (`moments.py`), and the first touch of the 64 MiB of a batch;
and a sixth of a second that any run takes, most of it for options and figure. From CSV: the parser, 60 ns per row and
thread, which all tools need, and takes more than all else together; and the first touch of the memory that keeps the
numbers, as their range must be known before they can be summed. They are written there once, and summed where they
stand.
"""

import argparse
import contextlib
import gc
import importlib.metadata
import importlib.util
import io
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from operator import truediv
from pathlib import Path
from statistics import median

import numpy as np

ROWS, REPEATS, SMALL = 50_000_000, 5, 1000
PIECE = 1_000_000  # rows written at a time, and rows of a row group
TOLERANCE = 1e-9  # relative
ROOT = Path(__file__).parents[1]

Line = tuple[float, float]  # intercept and slope


def write(path: Path, rows: int) -> Line:
    """Write a table of noisy points on a line, and return the least-squares line."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    random, sums = np.random.default_rng(0), np.zeros(5)
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64())])
    with (parquet.ParquetWriter if path.suffix == ".parquet" else csv.CSVWriter)(str(path), schema) as writer:
        for start in range(0, rows, PIECE):
            x = random.uniform(0, 10, min(PIECE, rows - start))
            y = 3 - 0.5 * x + 0.1 * random.standard_normal(len(x))
            sums += [len(x), (x - 5).sum(), y.sum(), ((x - 5) ** 2).sum(), ((x - 5) * y).sum()]
            writer.write_table(pa.table([x, y], schema=schema))
    n, u, y, uu, uy = sums
    slope = (uy - u * y / n) / (uu - u * u / n)
    return float((y - slope * u) / n - 5 * slope), float(slope)


def duckdb(path: Path) -> Line:
    import duckdb

    query = f"select regr_intercept(y, x), regr_slope(y, x) from '{path}'"
    intercept, slope = duckdb.connect().execute(query).fetchone()
    return intercept, slope


def polars(path: Path) -> Line:
    import polars as pl

    table = pl.scan_parquet(path) if path.suffix == ".parquet" else pl.scan_csv(path)
    columns = {"slope": pl.cov("x", "y") / pl.var("x"), "x": pl.col("x").mean(), "y": pl.col("y").mean()}
    ((slope, x, y),) = table.select(**columns).collect().rows()
    return y - slope * x, slope


def pandas(path: Path) -> Line:
    import pandas as pd

    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    slope, intercept = np.polyfit(table["x"], table["y"], 1)
    return intercept, slope


def options(path: Path, folder: str, arithmetic: str) -> list[str]:
    return ["fit", "--model=LineRegression", "--model.solver=exact", f"--model.arithmetic={arithmetic}",
            "--data=TableDataModule", f"--data.path={path}", f"--trainer.default_root_dir={folder}",
            "--trainer.accelerator=cpu"]  # fmt: skip


def ours(path: Path, arithmetic: str) -> Line:
    from regression import cli

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        if cli.main(options(path, folder, arithmetic)):
            raise SystemExit("the command failed")
        (found,) = Path(folder).glob("lightning_logs/version_*/fit.json")
        intercept, slope = json.loads(found.read_text())["params"]
    return intercept, slope


# The first is what ratios refer to. A package that is not installed leaves its row out.
CONTENDERS: dict[str, tuple[str, Callable[[Path], Line]]] = {
    "DuckDB regr_slope": ("duckdb", duckdb),
    "polars cov/var": ("polars", polars),
    "pandas + polyfit": ("pandas", pandas),
    "ours, double": ("regression", lambda path: ours(path, "double")),
    "ours, double-double": ("regression", lambda path: ours(path, "double-double")),
}


def installed() -> dict[str, Callable[[Path], Line]]:
    return {name: tool for name, (package, tool) in CONTENDERS.items() if importlib.util.find_spec(package)}


def alone(name: str, path: Path) -> None:
    """Fit in a process of its own: ours by the command itself, another tool by this script."""
    with tempfile.TemporaryDirectory() as folder:
        if name.startswith("ours"):
            command = [str(ROOT / "train.py"), *options(path, folder, name.removeprefix("ours, "))]
        else:
            command = [__file__, "--alone", name, str(path)]
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr.strip()[-300:]}")


def require_right(name: str, found: Line, right: Line) -> None:
    """Stop unless a line is the least-squares line."""
    if not np.allclose(found, right, rtol=TOLERANCE, atol=0):
        raise SystemExit(f"{name} found intercept and slope {found}, expected {right}")


def measure(path: Path, right: Line, repeats: int, is_cold: bool) -> dict[str, dict[str, list[float]]]:
    """Return each contender's seconds, warm and cold, one per repeat."""
    tools = installed()
    times: dict[str, dict[str, list[float]]] = {name: {"warm": [], "cold": []} for name in tools}
    for repeat in range(repeats):
        first = repeat % len(tools)  # who follows another finds that the system is busy with its memory
        for name in [*tools, *tools][first:][: len(tools)]:
            start = time.perf_counter()
            found = tools[name](path)
            times[name]["warm"].append(time.perf_counter() - start)
            require_right(name, found, right)
    for _ in range(repeats if is_cold else 0):  # afterwards: the system takes memory away from who does not use it now
        for name in times:
            start = time.perf_counter()
            alone(name, path)
            times[name]["cold"].append(time.perf_counter() - start)
    return times


def compare(kind: str, rows: int, repeats: int, is_cold: bool, folder: Path) -> dict[str, dict[str, float]]:
    """Check, measure and print the table of one kind of file."""
    small, path = folder / f"small.{kind}", folder / f"points.{kind}"
    right = write(small, SMALL)
    for name, tool in installed().items():
        require_right(name, tool(small), right)
    gc.freeze()  # as train.py does once its imports are done
    times = measure(path, write(path, rows), repeats, is_cold)
    reference = next(iter(times.values()))
    size = path.stat().st_size / 2**20
    path.unlink()
    print(f"{kind}, {rows:,} rows, {size:,.0f} MiB, {repeats} repeats")
    print(f"{'contender':<22} {'warm s':>8} {'min–max':>15} {'speed':>7} {'cold s':>8} {'speed':>7}")
    table = {}
    for name, own in times.items():
        row = {}
        for key, values in own.items():
            speeds = list(map(truediv, reference[key], values))
            row |= {key: median(values or [math.nan]), f"{key} speed": median(speeds or [math.nan])}
        spread = f"{min(own['warm']):.2f}–{max(own['warm']):.2f}"
        print(f"{name:<22} {row['warm']:>8.2f} {spread:>15} {row['warm speed']:>7.2f} {row['cold']:>8.2f} "
              f"{row['cold speed']:>7.2f}", flush=True)  # fmt: skip
        table[name] = row
    return table


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, dict[str, float]]]:
    """Print a table for each kind of file and return their numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the file (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=("parquet", "csv"), default=["parquet", "csv"])
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each contender (default: %(default)s)")
    parser.add_argument("--cold", action=argparse.BooleanOptionalAction, default=True, help="measure processes too")
    parser.add_argument("--alone", nargs=2, metavar=("CONTENDER", "PATH"), help="only fit a file with one contender")
    given = parser.parse_args(args)
    if given.alone:
        installed()[given.alone[0]](Path(given.alone[1]))
        return {}
    packages = [name for name in ("duckdb", "polars", "pandas", "pyarrow") if importlib.util.find_spec(name)]
    print(f"python {platform.python_version()}, " + ", ".join(f"{p} {importlib.metadata.version(p)}" for p in packages))
    with tempfile.TemporaryDirectory() as folder:
        return {kind: compare(kind, given.rows, given.repeats, given.cold, Path(folder)) for kind in given.kinds}


if __name__ == "__main__":
    main()
