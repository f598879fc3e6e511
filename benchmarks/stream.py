"""A fit of a file larger than memory: peak memory, and time against one plain read of the same file.

The claim: the memory that a fit needs above the imports does not grow with the rows of a Parquet, Arrow or NPY file,
and stays below 1 GiB.

What bounds it: memory by what is decoded at a time, and what the decoder holds; time by the sums and the decoder.

The file is written in pieces. Each fit runs in a process of its own through the command, which reports its largest
resident size after the imports and at its end. Before anything is printed the coefficients are checked against a
least-squares solution from centred float64 sums over the numbers that the file was written from.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import measure

ROWS, DEGREE, REPEATS = (10_000_000, 100_000_000), 2, 1
LIMIT_MIB = 1024.0
KINDS = ("parquet", "arrow", "npy")
CHILD = """
import json, sys
from measure import peak_bytes
from regression import cli
import pyarrow.parquet, matplotlib.figure, scipy.stats, tensorboard
before = peak_bytes()
code = cli.main(sys.argv[1:])
print(json.dumps({"code": code, "mib": (peak_bytes() - before) / 2**20}))
"""


def parts(path: Path) -> Iterator[np.ndarray]:
    """Yield all numbers of a file, some at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    if path.suffix == ".npy":
        array = np.load(path, mmap_mode="r")
        for start in range(0, len(array), measure.ROWS_PER_GROUP):
            yield array[start : start + measure.ROWS_PER_GROUP]
        return
    if path.suffix == ".parquet":
        batches = parquet.ParquetFile(path).iter_batches(measure.ROWS_PER_GROUP)
    else:
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = (file.get_batch(k) for k in range(file.num_record_batches))
    for batch in batches:
        yield from (column.to_numpy() for column in batch.columns)


def plain_read(path: Path) -> float:
    """Return the seconds that one read of all numbers takes."""
    return measure.timed(lambda: sum(float(part.sum()) for part in parts(path))).clock


def fit(path: Path, rows: int, right: Sequence[float]) -> tuple[float, float]:
    """Fit through the command in a process of its own, and check; return its memory in MiB and its seconds."""
    folder, printed = path.parent, ""
    arguments = ["fit", "--model=PolynomialRegression", f"--model.degree={DEGREE}", "--model.solver=exact",
                 "--data=TableDataModule", f"--data.path={path}", "--data.in_memory_rows=0",
                 f"--trainer.default_root_dir={folder}", "--trainer.accelerator=cpu"]  # fmt: skip

    def work() -> None:
        nonlocal printed
        printed = measure.run_python(f"the fit of {path.name}", ["-c", CHILD, *arguments], cwd=Path(__file__).parent)

    seconds = measure.timed(work).clock
    told = json.loads(printed.splitlines()[-1])
    if told["code"]:
        raise SystemExit(f"the fit of {path.name} was refused")
    newest = max(folder.glob("lightning_logs/version_*"), key=lambda run: int(run.name[8:]))
    require_right(f"{path.name} of {rows} rows", rows, json.loads((newest / "fit.json").read_text()), right)
    return told["mib"], seconds


def require_right(name: str, rows: int, found: dict, right: Sequence[float]) -> None:
    """Stop unless every row was used and the coefficients are right."""
    if found["nobs"] != rows:
        raise SystemExit(f"{name}: {found['nobs']} rows were fitted, expected {rows}")
    measure.require_right(name, found["params"], right)


def main(args: Sequence[str] | None = None) -> dict[str, float | None]:
    """Print the table; return each row's peak memory in MiB, and the largest growth from the fewest to the most."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), help="rows of the files")
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=list(KINDS))
    options = parser.parse_args(args)
    print(measure.versions("numpy", "pyarrow", "numba"))
    table, peaks = [], {}
    for rows in sorted(options.rows):
        right = measure.least_squares(rows, DEGREE)
        for kind in options.kinds:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"points.{kind}"
                measure.write(path, rows)
                reading, size = plain_read(path), path.stat().st_size / 2**20
                runs = [fit(path, rows, right) for _ in range(options.repeats)]
            peak, seconds = (max(values) for values in zip(*runs, strict=True))
            peaks[kind, rows] = peak
            mark = "" if peak <= LIMIT_MIB else "too much"
            table.append([kind, rows, size, peak, seconds, seconds / reading, mark])
    heads = ["file", "rows", "MiB", "peak MiB above imports", "seconds", "of a plain read", ""]
    measure.print_table(heads, table)
    growth = max(peaks[kind, max(options.rows)] / peaks[kind, min(options.rows)] for kind in options.kinds)
    return {f"{kind} {rows}": peak for (kind, rows), peak in peaks.items()} | {"growth": growth}


if __name__ == "__main__":
    main()
