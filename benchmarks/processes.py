"""Two processes with one thread each against one: rows per second of the exact solver and of mini-batches.

The claims: 1.8 times the rows per second of an exact fit that is streamed, through ``train.py`` with
``--trainer.devices 2``; and sixteen processes together decode at most 1.5 times the bytes of the file.

Each case is the whole command in processes of its own, once with less work and once with more. "rows/s" and "ratio"
are from the additional rows over the additional time, so that the start does not count; "whole" is the ratio of the
longer command's time as it stands. Where both are lines over the number of rows, they meet at the rows from which two
processes pay. The exact solver streams Parquet files, links to one of them, of which each process reads its own share;
the gradient solver goes through shuffled rows for several epochs more. The last row is the limit: two programs at once,
each with the exact fit of half the rows, which need nothing of each other. Two processes must find the coefficients of
one: the exact solver all digits, the gradient solver to rounding.

What bounds the ratio. The exact solver's processes meet once, to add some kilobytes, so the memory and the cache that
they share bound it, as they do two programs. Of mini-batches of more than 65,536 rows each process takes its share and
computes the order of that share alone. Each update then takes three messages, of loss, gradient and signals, each of a
third of a millisecond to two, which is as long as the work on 100,000 rows: batches of 262,144 gain nothing from a
second process here. Batches of up to 65,536 rows every process holds whole, so that the coefficients have the same bits
on any number of devices: there a second process does not make it faster, and is not expected to.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

import measure
from one_pass import decoded_bytes

ROWS, DEGREE, EPOCHS, BATCH, REPEATS = 320_000_000, 5, 6, 1 << 20, 3
LINKS = {"": 8, "half": 4, "small": 2, "small half": 1}  # to a file that has an eighth of the rows
GRADIENT_SHARE = 16  # the gradient solver has one row in so many
SHARES = 16  # processes whose shares of a file are looked at
TOLERANCE = 1e-6  # relative, float32


def write_folders(folder: Path, rows: int) -> dict[str, Path]:
    """Write folders of links to one file; return them by name."""
    file = folder / "points.parquet"
    measure.write(file, rows // LINKS[""])
    folders = {name: folder / (name or "whole") for name in LINKS}
    for name, own in folders.items():
        own.mkdir()
        for k in range(LINKS[name]):
            os.link(file, own / f"{k}.parquet")
    return folders


def exact(path: Path) -> list[str]:
    return ["--model=PolynomialRegression", f"--model.degree={DEGREE}", "--model.solver=exact",
            "--data=TableDataModule", f"--data.path={path}", "--data.in_memory_rows=0"]  # fmt: skip


def mini_batches(rows: int, batch: int, epochs: int) -> list[str]:
    return ["--model=PolynomialRegression", f"--model.degree={DEGREE}", f"--data.points={rows}",
            f"--data.batch_size={batch}", f"--trainer.max_epochs={epochs}", "--trainer.precision=64-true"]  # fmt: skip


def started(options: list[str], devices: int, folder: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(measure.ROOT / "train.py"), "fit", *options, f"--trainer.devices={devices}",
               "--trainer.accelerator=cpu", f"--trainer.default_root_dir={folder}"]  # fmt: skip
    own = measure.environment(OMP_NUM_THREADS="1")
    return subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder)


def run(options: list[list[str]], devices: int = 1) -> tuple[float, list[float]]:
    """Run programs at once; return the seconds until the last one ends, and the coefficients of the first."""
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder, str(k)) for k in range(len(options))]
        for own in folders:
            own.mkdir()
        start = time.perf_counter()
        programs = [started(own, devices, str(at)) for own, at in zip(options, folders, strict=True)]
        for program in programs:
            _, errors = program.communicate(timeout=measure.SECONDS_TO_END)
            if program.returncode:
                raise SystemExit(f"a run failed: {measure.last_words(errors)}")
        seconds = time.perf_counter() - start
        (found,) = folders[0].glob("lightning_logs/version_*/fit.json")
        return seconds, json.loads(found.read_text())["params"]


Runs = dict[int, list[list[str]]]  # programs to run at once, by the rows they go through in all


def cases(folders: dict[str, Path], rows: int, epochs: int, batch: int) -> dict[str, tuple[Runs, int]]:
    """Return for each case the shorter and the longer run, and on how many devices; the limit is two programs."""
    sizes = {name: rows // LINKS[""] * links for name, links in LINKS.items()}
    few = rows // GRADIENT_SHARE
    by_solver: dict[str, Runs] = {
        "exact": {sizes[name]: [exact(folders[name])] for name in ("small", "")},
        "mini-batches": {count * few: [mini_batches(few, batch, count)] for count in (1, 1 + epochs)},
    }
    found = {f"{name}, {n} process{'es' * (n - 1)}": (runs, n) for name, runs in by_solver.items() for n in (1, 2)}
    both: Runs = {2 * sizes[name]: [exact(folders[name])] * 2 for name in ("small half", "half")}
    return found | {"exact, 2 programs": (both, 1)}


Times = dict[str, dict[str, list[float]]]


def measure_cases(todo: dict[str, tuple[Runs, int]], repeats: int) -> Times:
    """Return for each case the seconds of the longer run, per additional row, and of the start, one per repeat."""
    times: Times = {name: {"whole": [], "row": [], "start": []} for name in todo}
    for _ in range(repeats):
        found = {}
        for name, (runs, devices) in todo.items():
            (few, short), (many, long) = sorted(runs.items())
            first, _ = run(short, devices)
            whole, found[name] = run(long, devices)
            row = (whole - first) / (many - few)
            for key, value in (("whole", whole), ("row", row), ("start", whole - row * many)):
                times[name][key].append(value)
        check(found)
    return times


def check(found: dict[str, list[float]]) -> None:
    """Stop unless two processes found what one did."""
    if found["exact, 2 processes"] != found["exact, 1 process"]:
        raise SystemExit(f"two processes found {found['exact, 2 processes']}, one {found['exact, 1 process']}")
    one, two = found["mini-batches, 1 process"], found["mini-batches, 2 processes"]
    if not np.allclose(two, one, rtol=TOLERANCE, atol=0):
        raise SystemExit(f"two processes came to {two}, one to {one}")


def compare(times: Times) -> dict[str, dict[str, float | None]]:
    """Return the row of each case: rows per second, ratios to one process, and from how many rows it pays."""
    table: dict[str, dict[str, float | None]] = {}
    for name, own in times.items():
        base = times[f"{name.split(',')[0]}, 1 process"]
        table[name] = {
            "rate": None if measure.is_lost(own["row"]) else 1 / median(own["row"]),
            "ratio": measure.ratio(base["row"], own["row"]),
            "whole": measure.ratio(base["whole"], own["whole"]),
            "pays from": rows_to_pay(own, base) if name.endswith("2 processes") else float("nan"),
        }
    return table


def rows_to_pay(two: dict[str, list[float]], one: dict[str, list[float]]) -> float | None:
    """Return the number of rows from which two processes are faster, from their starts and their times per row."""
    return measure.ratio(measure.less(two["start"], one["start"]), measure.less(one["row"], two["row"]))


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float | None]]:
    """Measure, check and print the table; return rows per second and their ratio to one process."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the exact fit (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="additional epochs (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=BATCH, help="rows of a batch (default: %(default)s)")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as folder:
        folders = write_folders(Path(folder), options.rows)
        file = folders["small half"] / "0.parquet"
        decoded = decoded_bytes(file, SHARES)
        times = measure_cases(cases(folders, options.rows, options.epochs, options.batch), options.repeats)
    table = compare(times)
    print(f"{measure.versions('torch', 'lightning', 'numba')}, one thread a process")
    print(f"{options.rows:,} rows, degree {DEGREE}; batches of {options.batch:,}; {options.repeats} repeats, medians")
    measure.print_table(
        ["case", "rows/s", "ratio", "whole", "pays from rows"], [[name, *row.values()] for name, row in table.items()]
    )
    print(f"bytes decoded by {SHARES} processes, over those of one of the files: {measure.shown(decoded)}")
    return table | {f"{SHARES} processes": {"decoded": decoded}}


if __name__ == "__main__":
    main()
