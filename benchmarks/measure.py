"""What the benchmarks share: points and their files, turns and times, ratios, and how they are printed.

What is compared runs side by side: in each repeat every contender has its turn, another one first in each. A ratio is
taken within each repeat, and its median over the repeats is reported. So what else the machine does in the meantime
moves a ratio little. A difference that is no larger than its own spread is not divided by: it is lost in the noise.
"""

import argparse
import importlib.metadata
import importlib.util
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from operator import truediv
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
LOST = "lost in the noise"
SECONDS_TO_END = 1800
SLOWED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # set, they may let numpy's BLAS take a kernel that is not its best

LOW, HIGH, NOISE = -1.0, 3.0, 0.1  # range of x, and standard deviation of y about the line
ROWS_PER_PIECE = 1 << 16  # made at a time: what a piece leaves in the memory is small beside the points
ROWS_PER_GROUP = 1_000_000  # of a Parquet file
TOLERANCE = 1e-9  # error of a coefficient over the largest one: what the sums of ``least_squares`` may lose

Column = NDArray[np.float64]
Name = TypeVar("Name", bound=Hashable)


def true_line(x: Column) -> Column:
    """Return the line that all points are drawn about."""
    return 2 - 0.5 * x


def pieces(rows: int, size: int = ROWS_PER_PIECE) -> Iterator[tuple[Column, Column]]:
    """Yield x in [−1, 3] and y with noise, so many rows at a time; the same ones for the same numbers."""
    random = np.random.default_rng(0)
    for start in range(0, rows, size):
        x = random.uniform(LOW, HIGH, min(size, rows - start))
        yield x, true_line(x) + NOISE * random.standard_normal(len(x))


def points(rows: int) -> tuple[Column, Column]:
    """Return the points, shape (N,) each."""
    x, y, start = np.empty(rows), np.empty(rows), 0
    for piece in pieces(rows):
        part = slice(start, start + len(piece[0]))
        x[part], y[part] = piece
        start = part.stop
    return x, y


def write(path: Path, rows: int, group: int = ROWS_PER_GROUP) -> None:
    """Write the points to a Parquet, Arrow, CSV or NPY file, in groups of so many rows."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    if path.suffix == ".npy":
        array = np.lib.format.open_memmap(path, "w+", np.float64, (rows, 2))
        for k, piece in enumerate(pieces(rows, ROWS_PER_GROUP)):
            array[k * ROWS_PER_GROUP :][: len(piece[0])] = np.stack(piece, axis=1)
        array.flush()
        return
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64())])
    writers = {".parquet": parquet.ParquetWriter, ".csv": csv.CSVWriter, ".arrow": pa.ipc.new_file}
    more = {"row_group_size": group} if path.suffix == ".parquet" else {}
    with writers[path.suffix](str(path), schema) as writer:
        for piece in pieces(rows, ROWS_PER_GROUP):
            writer.write_table(pa.table(list(piece), schema=schema), **more)


def least_squares(rows: int, degree: int) -> list[float]:
    """Return the coefficients of the points of a file in powers of x, from sums in powers of x less its middle."""
    middle, gram, right = (LOW + HIGH) / 2, np.zeros((degree + 1, degree + 1)), np.zeros(degree + 1)
    for x, y in pieces(rows, ROWS_PER_GROUP):
        design = np.vander(x - middle, degree + 1, increasing=True)
        gram += design.T @ design
        right += design.T @ y
    shifted = np.polynomial.Polynomial(np.linalg.solve(gram, right))
    return shifted(np.polynomial.Polynomial([-middle, 1])).coef.tolist()


def require_right(name: str, found: Sequence[float], right: Sequence[float]) -> None:
    """Stop unless coefficients are the right ones."""
    if not np.allclose(found, right, rtol=0, atol=TOLERANCE * max(map(abs, right))):
        raise SystemExit(f"{name} found the coefficients {list(found)}, expected {list(right)}")


class Seconds(NamedTuple):
    """How long something took: by the clock, and of all processors, those of the processes that it started included."""

    clock: float
    processor: float


def processor_seconds() -> float:
    """Return the processor time of this process and of those that it started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(work: Callable[[], object]) -> Seconds:
    """Do some work and return how long it took."""
    used, start = processor_seconds(), time.perf_counter()
    work()
    return Seconds(time.perf_counter() - start, processor_seconds() - used)


def take_turns(contenders: Mapping[Name, Callable[[], object]], repeats: int) -> dict[Name, list[Seconds]]:
    """Let all contenders work, one after the other, in each repeat; return how long each took, one per repeat.

    Another one begins in each repeat, as who follows another finds the machine busy with what that one left behind.
    """
    names: list[Name] = list(contenders)
    times: dict[Name, list[Seconds]] = {name: [] for name in names}
    for repeat in range(repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(timed(contenders[name]))
    return times


def clock(times: Mapping[Name, Sequence[Seconds]], unit: float = 1.0) -> dict[Name, list[float]]:
    """Return times by the clock, in seconds or in another unit of so many seconds."""
    return {name: [seconds.clock / unit for seconds in own] for name, own in times.items()}


def less(many: Sequence[float], few: Sequence[float], by: float = 1.0) -> list[float]:
    """Return the differences within each repeat, over a number: what more work took, per unit of it."""
    return [(a - b) / by for a, b in zip(many, few, strict=True)]


def spread(values: Sequence[float]) -> float:
    """Return the range of the middle half of the values; 0 for a single one."""
    if len(values) < 2:
        return 0.0
    low, _, high = quantiles(values, n=4, method="inclusive")
    return high - low


def is_lost(values: Sequence[float]) -> bool:
    """Tell whether values that should be positive are lost in the noise: one is not, or they spread over their size."""
    return not (min(values) > 0 and median(values) > spread(values))


def ratio(above: Sequence[float], below: Sequence[float]) -> float | None:
    """Return the median of the ratios within each repeat; ``None`` where a side of them is lost in the noise."""
    return None if is_lost(above) or is_lost(below) else median(map(truediv, above, below))


def largest(ratios: Iterable[float | None]) -> float | None:
    """Return the largest ratio; ``None`` where one of them is lost in the noise, which may be the largest."""
    found = list(ratios)
    return None if None in found else max(ratio for ratio in found if ratio is not None)


def shown(value: float | str | None) -> str:
    """Return a cell of a table: three digits, whole numbers from 100 on; – for NaN."""
    if value is None:
        return LOST
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or isinstance(value, int) else f"{value:.3g}"


def between(values: Sequence[float]) -> str:
    """Return the smallest and largest value, for a cell."""
    return f"{shown(min(values))}–{shown(max(values))}"


def print_table(heads: Sequence[str], rows: Iterable[Sequence[float | str | None]]) -> None:
    """Print columns as wide as they must be, the first one flush left."""
    lines = [list(heads), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *cells]), flush=True)


def print_records(title: str, records: Sequence[Mapping[str, float | str | None]]) -> None:
    """Print a title, and rows that all have the same keys."""
    print(title)
    print_table(list(records[0]), [list(record.values()) for record in records])


def parser(doc: str | None, repeats: int) -> argparse.ArgumentParser:
    """Return the options of a script: so far how often everything is measured."""
    found = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    found.add_argument("--repeats", type=int, default=repeats, help="turns of each contender (default: %(default)s)")
    return found


def installed(*names: str) -> Iterator[tuple[str, str]]:
    """Yield those of the distributions that are there, with their versions."""
    for name in names:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def versions(*names: str) -> str:
    """Return what runs, in words."""
    found = [f"python {platform.python_version()}", *(" ".join(pair) for pair in installed(*names))]
    return ", ".join([*found, f"{os.cpu_count()} cores"])


def blas() -> str:
    """Return the threads and the kernel of numpy's BLAS, in words, as far as threadpoolctl is there to tell."""
    if not importlib.util.find_spec("threadpoolctl"):
        return "BLAS kernel unknown without threadpoolctl"
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    told = {f"{pool['num_threads']} threads, kernel {pool.get('architecture', 'unknown')}" for pool in pools}
    return f"BLAS {' / '.join(sorted(told)) or 'unknown'}"


def peak_bytes() -> int:
    """Return the largest resident size of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage starts with the parent's largest size
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def environment(**more: str) -> dict[str, str]:
    """Return the variables of a process of its own: this project's package first, and numpy's BLAS not slowed down."""
    kept = {name: value for name, value in os.environ.items() if name not in SLOWED}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return kept | {"PYTHONPATH": path} | more


def run_python(name: str, command: Sequence[object], **options: Any) -> str:
    """Run Python in a process of its own and return what it printed; stop with its last words if it fails."""
    done = subprocess.run(
        [sys.executable, *map(str, command)], env=environment(), capture_output=True, text=True, check=False,
        timeout=SECONDS_TO_END, **options,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{name} failed: {last_words(done.stderr)}")
    return done.stdout


def last_words(text: str) -> str:
    """Return the last line of what a process said."""
    return (text.strip().splitlines() or ["it said nothing"])[-1][-300:]
