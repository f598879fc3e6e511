"""A fit of a file larger than memory: peak memory, and time against one plain read of the same file.

The claim: the memory that a fit needs above the imports does not grow with the rows of a Parquet, Arrow or NPY file,
and stays below 1 GiB.

What bounds it: memory by one batch of 4,194,304 rows, its blocks of about a million, and what the decoder holds; time
by the exact sums (`benchmarks/moments.py`), then by the decoder.

The file is written in pieces. Each fit runs in a process of its own through the command, which reports its largest
resident size after the imports and at its end. The coefficients are checked before anything is printed: against a
least-squares solution accumulated while the file was written, in centred float64 sums.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

DEGREE = 2
TRUE = (3.0, -0.5, 0.25)  # coefficients of the written points
NOISE = 0.1
PIECE = 1_000_000  # rows written at a time, and rows of a row group
TOLERANCE = 1e-9  # relative; the check's own sums lose the rest
LIMIT = 1024.0  # MiB
KINDS = ("parquet", "arrow", "npy")
CHILD = """
import json, resource, sys
from regression import cli
import pyarrow.parquet, matplotlib.figure, scipy.stats, tensorboard
def peak():
    try:  # Linux, where getrusage starts with the parent's largest size
        return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
code = cli.main(sys.argv[1:])
print(json.dumps({"code": code, "before": before, "peak": peak()}))
"""

Array = NDArray[np.float64]


def pieces(rows: int) -> Iterator[Array]:
    """Yield the points in pieces of shape (2, n): x rises with noise from 0 to 10."""
    random = np.random.default_rng(0)
    for start in range(0, rows, PIECE):
        n = min(PIECE, rows - start)
        x = random.uniform(0, 10, n)
        yield np.stack([x, np.polynomial.polynomial.polyval(x, TRUE) + NOISE * random.standard_normal(n)])


def write(kind: str, path: Path, rows: int) -> None:
    """Write the points to a file."""
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64())])
    if kind == "npy":
        array = np.lib.format.open_memmap(path, "w+", np.float64, (rows, 2))
        for k, piece in enumerate(pieces(rows)):
            array[k * PIECE : k * PIECE + piece.shape[1]] = piece.T
        array.flush()
        return
    writer = parquet.ParquetWriter(path, schema) if kind == "parquet" else pa.ipc.new_file(path, schema)
    with writer:
        for piece in pieces(rows):
            writer.write_table(pa.table(list(piece), schema=schema))


def expected(rows: int) -> Array:
    """Return the least-squares coefficients in powers of x, from sums in powers of x − 5."""
    gram, right = np.zeros((DEGREE + 1, DEGREE + 1)), np.zeros(DEGREE + 1)
    for x, y in pieces(rows):
        design = np.vander(x - 5, DEGREE + 1, increasing=True)
        gram += design.T @ design
        right += design.T @ y
    shifted = np.polynomial.Polynomial(np.linalg.solve(gram, right))
    powers: Array = shifted(np.polynomial.Polynomial([-5, 1])).coef
    return powers


def plain_read(kind: str, path: Path) -> float:
    """Return the seconds that one read of all numbers takes."""
    begun, total = time.perf_counter(), 0.0
    if kind == "npy":
        array = np.load(path, mmap_mode="r")
        total = sum(float(array[k : k + PIECE].sum()) for k in range(0, len(array), PIECE))
    elif kind == "parquet":
        file = parquet.ParquetFile(path)
        total = sum(
            float(b.column(0).to_numpy().sum() + b.column(1).to_numpy().sum()) for b in file.iter_batches(PIECE)
        )
    else:
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = (file.get_batch(k) for k in range(file.num_record_batches))
        total = sum(float(b.column(0).to_numpy().sum() + b.column(1).to_numpy().sum()) for b in batches)
    assert np.isfinite(total)
    return time.perf_counter() - begun


def fit(path: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Fit through the command in a process of its own; return its memory, its fit.json and its seconds."""
    arguments = ["fit", "--model=PolynomialRegression", f"--model.degree={DEGREE}", "--model.solver=exact",
                 "--data=TableDataModule", f"--data.path={path}", "--data.in_memory_rows=0",
                 f"--trainer.default_root_dir={folder}", "--trainer.accelerator=cpu"]  # fmt: skip
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"the fit of {path.name} failed: {done.stderr[-500:]}")
    memory = json.loads(done.stdout.splitlines()[-1])
    if memory["code"]:
        raise SystemExit(f"the fit of {path.name} was refused: {done.stderr[-500:]}")
    newest = max(folder.glob("lightning_logs/version_*"), key=lambda run: int(run.name[8:]))
    return memory, json.loads((newest / "fit.json").read_text()), seconds


def require_right(name: str, rows: int, found: dict[str, Any], right: Array) -> None:
    """Stop unless every row was used and the coefficients are right."""
    if found["nobs"] != rows:
        raise SystemExit(f"{name}: {found['nobs']} rows were fitted, expected {rows}")
    if not np.allclose(found["params"], right, rtol=TOLERANCE, atol=0):
        raise SystemExit(f"{name}: coefficients {found['params']}, expected {right.tolist()}")


def main(args: Sequence[str] | None = None) -> dict[str, float]:
    """Print the table and return the peak memory of each row in MiB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000_000, 100_000_000])
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=list(KINDS))
    options = parser.parse_args(args)
    print(f"Python {platform.python_version()}, numpy {np.__version__}, pyarrow {pa.__version__}")
    print(f"{'file':<8} {'rows':>12} {'MiB':>6} {'peak above imports':>19} {'seconds':>8} {'of a plain read':>16}")
    peaks = {}
    for rows in options.rows:
        right = expected(rows)
        for kind in options.kinds:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"points.{kind}"
                write(kind, path, rows)
                reading = plain_read(kind, path)
                memory, found, seconds = fit(path, Path(folder))
                require_right(f"{kind} of {rows} rows", rows, found, right)
                peak = memory["peak"] - memory["before"]
                size = path.stat().st_size / 2**20
            peaks[f"{kind} {rows}"] = peak
            ratio, mark = seconds / reading, "" if peak <= LIMIT else "  too much"
            print(
                f"{kind:<8} {rows:>12,} {size:>6.0f} {peak:>15.0f} MiB {seconds:>8.1f} {ratio:>15.1f}x{mark}",
                flush=True,
            )
    return peaks


if __name__ == "__main__":
    main()
