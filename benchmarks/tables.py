"""A line fitted to a table of fifty million rows in a file: through the command, and with the tools people use today.

The claims: the whole command is faster than DuckDB's ``regr_slope`` and ``regr_intercept``, from Parquet and from CSV;
from Parquet its pass alone, statistics, decoding, sums and solution, is twice as fast, and near Polars' ``cov`` and
``var``, which are not exact.

"ours" is the whole command: it reads its options, looks for numbers that are not finite, fits, and leaves report, JSON,
figure, checkpoint and TensorBoard events. Times are taken within one process, in turn within each repeat, after all
have fitted a small file, so that imports are done. "cold", taken afterwards and once, is a process of its own from its
start to its end. All use the threads that they choose themselves. Each line must be the least-squares line, from sums
about the middle of x over the numbers that the file was written from.

What bounds the time: from Parquet the decoding of pages, then the sums, and a sixth of a second that any run takes,
most of it for options and figure; from CSV the parser, which all tools need, and takes more than all else together.
"""

import contextlib
import gc
import importlib.util
import io
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

import measure

ROWS, REPEATS, SMALL_ROWS = 50_000_000, 5, 20_000

Line = Sequence[float]  # intercept and slope
Tool = Callable[[Path], Line]


def duckdb(path: Path) -> Line:
    import duckdb

    query = f"select regr_intercept(y, x), regr_slope(y, x) from '{path}'"
    return duckdb.connect().execute(query).fetchone()


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


def arguments(path: Path, folder: str) -> list[str]:
    return ["fit", "--model=LineRegression", "--model.solver=exact", "--data=TableDataModule", f"--data.path={path}",
            f"--trainer.default_root_dir={folder}", "--trainer.accelerator=cpu"]  # fmt: skip


def ours(path: Path) -> Line:
    from regression import cli

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        if cli.main(arguments(path, folder)):
            raise SystemExit("the command failed")
        (found,) = Path(folder).glob("lightning_logs/version_*/fit.json")
        return json.loads(found.read_text())["params"]


def our_pass(path: Path) -> Line:
    from one_pass import fit_table  # here, as it imports torch, which no peer needs when it is cold

    return fit_table(path)


# A package that is not installed leaves its row out.
DUCKDB, POLARS, OURS, PASS = "DuckDB regr_slope", "polars cov/var", "ours", "ours, pass alone"
CONTENDERS: dict[str, tuple[str, Tool]] = {
    DUCKDB: ("duckdb", duckdb),
    POLARS: ("polars", polars),
    "pandas + polyfit": ("pandas", pandas),
    OURS: ("regression", ours),
    PASS: ("regression", our_pass),
}


def installed() -> dict[str, Tool]:
    return {name: tool for name, (package, tool) in CONTENDERS.items() if importlib.util.find_spec(package)}


def fit_alone(name: str, path: Path) -> None:
    """Fit in a process of its own: ours by the command itself, another tool by this script."""
    with tempfile.TemporaryDirectory() as folder:
        own = [measure.ROOT / "train.py", *arguments(path, folder)]
        measure.run_python(name, own if name == OURS else [__file__, "--alone", name, path], cwd=folder)


def checked(name: str, tool: Tool, path: Path, right: Line) -> Callable[[], None]:
    """Return the work of a turn: a fit, which must be the right one."""
    return lambda: measure.require_right(name, tool(path), right)


def compare(kind: str, rows: int, repeats: int, is_cold: bool, folder: Path) -> dict[str, dict[str, float | None]]:
    """Check, measure and print the table of one kind of file; return seconds and speeds."""
    small, path = folder / f"small.{kind}", folder / f"points.{kind}"
    measure.write(small, SMALL_ROWS)
    measure.write(path, rows)
    tools, right = installed(), measure.least_squares(SMALL_ROWS, 1)
    for name, tool in tools.items():
        checked(name, tool, small, right)()
    gc.freeze()  # as train.py does once its imports are done
    right = measure.least_squares(rows, 1)
    work = {name: checked(name, tool, path, right) for name, tool in tools.items()}
    times = measure.clock(measure.take_turns(work, repeats))
    cold = dict.fromkeys(tools, math.nan)
    if is_cold:  # afterwards: the system takes memory away from who does not use it now
        cold = {name: measure.timed(lambda name=name: fit_alone(name, path)).clock for name in tools}
    size = path.stat().st_size / 2**20
    path.unlink()
    table = {name: speeds(name, times) | {"cold": cold[name]} for name in tools}
    print(f"{kind}, {rows:,} rows, {size:,.0f} MiB, {repeats} repeats, medians; speeds: over that tool")
    measure.print_table(
        ["contender", "seconds", "min–max", "over DuckDB", "over Polars", "cold s"],
        [[name, row["seconds"], measure.between(times[name]), row["duckdb"], row["polars"], row["cold"]]
         for name, row in table.items()],
    )  # fmt: skip
    return table


def speeds(name: str, times: dict[str, list[float]]) -> dict[str, float | None]:
    """Return the seconds of a tool, and its speed over the peers that are installed."""
    own = times[name]
    over = {"duckdb": times.get(DUCKDB), "polars": times.get(POLARS)}
    return {"seconds": median(own)} | {
        key: measure.ratio(base, own) if base else math.nan for key, base in over.items()
    }


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, dict[str, float | None]]]:
    """Print a table for each kind of file and return their numbers."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the file (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=("parquet", "csv"), default=["parquet", "csv"])
    parser.add_argument("--no-cold", action="store_true", help="leave processes of their own out")
    parser.add_argument("--alone", nargs=2, metavar=("CONTENDER", "PATH"), help="only fit a file with one contender")
    options = parser.parse_args(args)
    if options.alone:
        installed()[options.alone[0]](Path(options.alone[1]))
        return {}
    print(measure.versions("duckdb", "polars", "pandas", "pyarrow", "numba"))
    with tempfile.TemporaryDirectory() as folder:
        return {
            kind: compare(kind, options.rows, options.repeats, not options.no_cold, Path(folder))
            for kind in options.kinds
        }


if __name__ == "__main__":
    main()
