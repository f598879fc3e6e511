"""A line fitted to twenty million rows of Parquet by engines for large tables, and by the command of this project.

The claim: on one machine the whole command takes a fraction of the time and memory of Spark's MLlib. Dask, DuckDB and
Polars, which start sooner, end sooner; they answer with two numbers.

Each fit is a process of its own, from its start to its end: "whole s", and "MiB", the largest resident size of the
process and all that it started, looked at every 20 ms. "warm s" is the second fit within one process, whose imports,
compiled loops and Java machine are there by then. Spark runs here as ``local[2]``, its driver and workers in one
process; on a cluster it does what no other contender does: its workers are many machines, and what a lost one had is
computed again.

What each delivers besides two coefficients: "errors" says whether standard errors came with them, "bits" whether the
same rows in the opposite order gave the same digits; both are looked at, not taken from a manual. "bands" says whether
there is a confidence band, and "goes on" what a killed fit goes on with: the descent of ours with its checkpoint (an
exact fit is one pass, and begins anew), Spark with the tasks that were not lost.

What bounds the time: of ours the imports, four seconds of five, of Spark the start of its Java machine; then decoding.
"""

import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import measure
import tables

ROWS, FEW_ROWS, REPEATS = 20_000_000, 300_000, 3
SECONDS_BETWEEN_LOOKS = 0.02

Found = tuple[Sequence[float], Sequence[float] | None]  # intercept and slope, and their standard errors if they come


def spark(path: Path) -> Found:
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.regression import LinearRegression
    from pyspark.sql import SparkSession

    here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
    session = SparkSession.builder.master("local[2]").config(map=here).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    table = VectorAssembler(inputCols=["x"], outputCol="features").transform(session.read.parquet(str(path)))
    fitted = LinearRegression(labelCol="y", solver="normal").fit(table)
    slope_error, intercept_error = fitted.summary.coefficientStandardErrors
    return [fitted.intercept, fitted.coefficients[0]], [intercept_error, slope_error]


def dask(path: Path) -> Found:
    import dask
    import dask.dataframe as frames

    table = frames.read_parquet(path, split_row_groups=True)
    with dask.config.set(scheduler="threads"):
        covariance, mean = dask.compute(table.cov(), table.mean())
    slope = covariance.loc["x", "y"] / covariance.loc["x", "x"]
    return [float(mean["y"] - slope * mean["x"]), float(slope)], None


def duckdb(path: Path) -> Found:
    return tables.duckdb(path), None


def polars(path: Path) -> Found:
    return tables.polars(path), None


def ours(path: Path) -> Found:
    from regression import cli

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        if cli.main(tables.arguments(path, folder)):
            raise SystemExit("the command failed")
        (file,) = Path(folder).glob("lightning_logs/version_*/fit.json")
        found = json.loads(file.read_text())
        return found["params"], found["bse"]


class Contender(NamedTuple):
    """A way to fit a line to a file.

    Attributes:
        fit: Does it within this process.
        package: The package that it needs.
        has_bands: Whether it has a confidence band.
        goes_on: What a killed fit goes on with.
        program: Another program that it needs.
    """

    fit: Callable[[Path], Found]
    package: str
    has_bands: bool = False
    goes_on: str = "nothing"
    program: str = sys.executable

    def is_installed(self) -> bool:
        """Tell whether it can be measured here."""
        return importlib.util.find_spec(self.package) is not None and shutil.which(self.program) is not None


SPARK, DASK, DUCKDB, POLARS, OURS = "Spark MLlib, local[2]", "Dask cov/mean", tables.DUCKDB, tables.POLARS, "ours"
CONTENDERS = {
    SPARK: Contender(spark, "pyspark", goes_on="tasks", program="java"),
    DASK: Contender(dask, "dask"),
    DUCKDB: Contender(duckdb, "duckdb"),
    POLARS: Contender(polars, "polars"),
    OURS: Contender(ours, "regression", has_bands=True, goes_on="descent"),
}


def tree_bytes(root: int) -> int:
    """Return the resident size of a process and of all that it started, together; what they share counts for each."""
    sizes, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended since
            cells = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)], sizes[int(path.parent.name)] = int(cells[1]), int(cells[21])
    members = {root}
    while more := {number for number, parent in parents.items() if parent in members} - members:
        members |= more
    return sum(sizes.get(number, 0) for number in members) * os.sysconf("SC_PAGE_SIZE")


class Run(NamedTuple):
    """What a process of its own printed, how long it took, and the largest size of it and all that it started."""

    printed: str
    seconds: float
    mib: float


def run(name: str, command: Sequence[object], folder: str) -> Run:
    """Run Python in a process of its own; stop with its last words if it fails."""
    done, peak, start = threading.Event(), 0, time.perf_counter()

    def look() -> None:
        nonlocal peak
        while not done.wait(SECONDS_BETWEEN_LOOKS):
            peak = max(peak, tree_bytes(process.pid))

    process = subprocess.Popen(
        [sys.executable, *map(str, command)], env=measure.environment(), cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watch = threading.Thread(target=look)
    watch.start()
    try:
        printed, errors = process.communicate(timeout=measure.SECONDS_TO_END)
        seconds = time.perf_counter() - start
    finally:
        process.kill()
        done.set()
        watch.join()
    if process.returncode:
        raise SystemExit(f"{name} failed: {measure.last_words(errors)}")
    return Run(printed, seconds, peak / 2**20)


def alone(name: str, path: Path, *others: Path) -> None:
    """Fit a file; if others are given fit it once more, and them, and print what was found as JSON."""
    fit = CONTENDERS[name].fit
    params, errors = fit(path)
    if not others:
        return
    warm = measure.timed(lambda: fit(path)).clock
    few = [list(fit(other)[0]) for other in others]
    print(json.dumps({"params": list(params), "warm": warm, "has_errors": errors is not None,
                      "has_same_bits": all(one == few[0] for one in few)}))  # fmt: skip


def write_backwards(path: Path, source: Path) -> None:
    """Write the rows of a Parquet file in the opposite order, in groups of another size."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: column.to_numpy()[::-1] for name, column in zip("xy", parquet.read_table(source), strict=True)}
    parquet.write_table(pa.table(columns), path, row_group_size=FEW_ROWS // 10)


def measure_all(files: Sequence[Path], right: Sequence[float], repeats: int) -> dict[str, dict[str, list]]:
    """Return for each contender what it found, and how long it took, once a repeat; all must find the right line."""
    names = [name for name, contender in CONTENDERS.items() if contender.is_installed()]
    found: dict[str, dict[str, list]] = {name: {"whole": [], "peak": [], "told": []} for name in names}

    def turn(name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            own = [measure.ROOT / "train.py", *tables.arguments(files[0], folder)]
            whole = run(name, own if name == OURS else [__file__, "--alone", name, files[0]], folder)
            told = json.loads(run(name, [__file__, "--alone", name, *files], folder).printed.splitlines()[-1])
        measure.require_right(name, told["params"], right)
        for key, value in (("whole", whole.seconds), ("peak", whole.mib), ("told", told)):
            found[name][key].append(value)

    measure.take_turns({name: lambda name=name: turn(name) for name in names}, repeats)
    return found


def compare(found: dict[str, dict[str, list]]) -> dict[str, dict[str, float | str | None]]:
    """Return the row of each contender; the times of one that is not installed are NaN."""
    ours, table = found[OURS], {}
    for name, contender in CONTENDERS.items():
        own = found.get(name)
        if own is None:
            table[name] = {"whole": float("nan"), "range": "not installed", "warm": float("nan"), "peak": float("nan")}
            continue
        told = own["told"]
        table[name] = {
            "whole": median(own["whole"]),
            "range": measure.between(own["whole"]),
            "warm": median(one["warm"] for one in told),
            "peak": median(own["peak"]),
            "errors": "yes" if all(one["has_errors"] for one in told) else "no",
            "bands": "yes" if contender.has_bands else "no",
            "bits": "same" if all(one["has_same_bits"] for one in told) else "differ",
            "goes on": contender.goes_on,
            "our speed": measure.ratio(own["whole"], ours["whole"]),
            "our memory": measure.ratio(ours["peak"], own["peak"]),
        }
    return table


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float | str | None]]:
    """Measure, check and print the table; return its rows, with our speed and memory over each."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the file (default: %(default)s)")
    parser.add_argument("--alone", nargs="+", metavar=("CONTENDER", "PATH"), help="only fit files with one contender")
    options = parser.parse_args(args)
    if options.alone:
        alone(options.alone[0], *map(Path, options.alone[1:]))
        return {}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{name}.parquet") for name in ("points", "few", "backwards")]
        measure.write(files[0], options.rows)
        measure.write(files[1], FEW_ROWS, FEW_ROWS // 6)
        write_backwards(files[2], files[1])
        found = measure_all(files, measure.least_squares(options.rows, 1), options.repeats)
    table = compare(found)
    print(measure.versions("pyspark", "dask", "duckdb", "polars", "pyarrow", "numba"))
    print(f"parquet, {options.rows:,} rows, {options.repeats} repeats, medians")
    heads = ["contender", "whole s", "min–max", "warm s", "MiB", "errors", "bands", "bits", "goes on"]
    keys = ["whole", "range", "warm", "peak", "errors", "bands", "bits", "goes on"]
    measure.print_table(heads, [[name, *(row.get(key, "–") for key in keys)] for name, row in table.items()])
    return table


if __name__ == "__main__":
    main()
