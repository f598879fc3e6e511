"""Two processes with one thread each against one: rows per second of the exact solver and of mini-batches.

The goal: 1.7 times the rows per second, through ``train.py`` with ``--trainer.devices 2``.

Each case is the whole command in processes of its own, once with little work and once with more; rows per second are
the additional rows over the additional time, so that the start does not count. The exact solver streams an NPY file,
of which each process reads its own share; the gradient solver goes through shuffled rows for several epochs more. The
last row is the limit: two programs at once, each with the exact fit of half the rows, which need nothing of each other.
Two processes must find the coefficients of one: the exact solver all digits, the gradient solver to rounding.

What bounds the ratio. The exact solver's processes meet once, to add some kilobytes, so the memory and the cache that
they share bound it, as they do two programs. Of mini-batches of more than 65,536 rows each process takes its share and
computes the order of that share alone. Each update then takes three messages, of loss, gradient and signals, each of a
third of a millisecond to two, which is as long as the work on 100,000 rows: batches of 262,144 gain nothing from a
second process here. Batches of up to 65,536 rows every process holds whole, so that the coefficients have the same bits
on any number of devices: there a second process does not make it faster, and is not expected to.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

ROWS, DEGREE, EPOCHS, BATCH, REPEATS = 80_000_000, 5, 6, 1 << 20, 5
SMALL_SHARE = 10  # the first run of an exact fit has one row in so many
GRADIENT_SHARE = 4  # the gradient solver has one row in so many
TOLERANCE = 1e-6  # relative, float32
ROOT = Path(__file__).parents[1]


def write(path: Path, rows: int) -> None:
    """Write a table of noisy points on a curve."""
    random = np.random.default_rng(0)
    table = np.lib.format.open_memmap(path, "w+", np.float64, (rows, 2))
    for start in range(0, rows, 1 << 20):
        part = table[start : start + (1 << 20)]
        part[:, 0] = random.uniform(-1, 3, len(part))
        part[:, 1] = np.sin(part[:, 0]) + 2 + 0.1 * random.standard_normal(len(part))
    table.flush()


def exact(path: Path) -> list[str]:
    return ["--model=PolynomialRegression", f"--model.degree={DEGREE}", "--model.solver=exact",
            "--data=TableDataModule", f"--data.path={path}", "--data.in_memory_rows=0"]  # fmt: skip


def mini_batches(rows: int, batch: int, epochs: int) -> list[str]:
    return ["--model=PolynomialRegression", f"--model.degree={DEGREE}", "--model.arithmetic=double",
            f"--data.points={rows}", f"--data.batch_size={batch}", f"--trainer.max_epochs={epochs}",
            "--trainer.precision=64-true"]  # fmt: skip


def started(options: list[str], devices: int, folder: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "train.py"), "fit", *options, f"--trainer.devices={devices}",
               "--trainer.accelerator=cpu", f"--trainer.default_root_dir={folder}"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder
    )


def run(options: list[list[str]], devices: int = 1) -> tuple[float, list[float]]:
    """Run programs at once; return the seconds until the last one ends, and the coefficients of the first."""
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder, str(k)) for k in range(len(options))]
        for own in folders:
            own.mkdir()
        start = time.perf_counter()
        programs = [started(own, devices, str(at)) for own, at in zip(options, folders, strict=True)]
        for program in programs:
            _, errors = program.communicate(timeout=1800)
            if program.returncode:
                raise SystemExit(f"a run failed: {errors.strip()[-300:]}")
        seconds = time.perf_counter() - start
        (found,) = folders[0].glob("lightning_logs/version_*/fit.json")
        return seconds, json.loads(found.read_text())["params"]


Runs = dict[int, list[list[str]]]  # programs to run at once, by the rows they go through in all


def rate(runs: Runs, devices: int) -> tuple[float, list[float]]:
    """Return rows per second beyond the smaller of two runs, and the coefficients of the larger one."""
    (few, short), (many, long) = sorted(runs.items())
    first, _ = run(short, devices)
    second, params = run(long, devices)
    return (many - few) / max(second - first, 1e-9), params


def cases(folder: Path, rows: int, epochs: int, batch: int) -> dict[str, tuple[Runs, int]]:
    """Write the files; return for each case the runs and on how many devices; the limit has two programs of half."""
    sizes = {"": rows, "small": rows // SMALL_SHARE, "half": rows // 2, "small half": rows // SMALL_SHARE // 2}
    paths = {name: folder / f"{name or 'whole'}.npy" for name in sizes}
    for name, path in paths.items():
        write(path, sizes[name])
    by_solver = {
        "exact": {sizes["small"]: [exact(paths["small"])], sizes[""]: [exact(paths[""])]},
        "mini-batches": {
            count * (rows // GRADIENT_SHARE): [mini_batches(rows // GRADIENT_SHARE, batch, count)]
            for count in (1, 1 + epochs)
        },
    }
    found = {f"{name}, {n} process{'es' * (n - 1)}": (runs, n) for name, runs in by_solver.items() for n in (1, 2)}
    both: Runs = {2 * sizes[name]: [exact(paths[name])] * 2 for name in ("small half", "half")}
    return found | {"exact, 2 programs": (both, 1)}


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Measure, check and print the table; return rows per second and their ratio to one process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the exact fit (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="additional epochs (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=BATCH, help="rows of a batch (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each case (default: %(default)s)")
    options = parser.parse_args(args)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        todo = cases(Path(folder), options.rows, options.epochs, options.batch)
        for _ in range(options.repeats):
            found = {}
            for name, (runs, devices) in todo.items():
                own, found[name] = rate(runs, devices)
                rates.setdefault(name, []).append(own)
            check(found)
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, one thread a process")
    print(f"{options.rows:,} rows, degree {DEGREE}; batches of {options.batch:,}; {options.repeats} repeats, medians")
    print(f"{'case':<27} {'rows/s':>12} {'ratio':>6}")
    table = {}
    for name, own in rates.items():
        base = rates[f"{name.split(',')[0]}, 1 process"]
        table[name] = {"rate": median(own), "ratio": median(a / b for a, b in zip(own, base, strict=True))}
        print(f"{name:<27} {table[name]['rate']:>12,.0f} {table[name]['ratio']:>6.2f}")
    return table


def check(found: dict[str, list[float]]) -> None:
    """Stop unless two processes found what one did."""
    if found["exact, 2 processes"] != found["exact, 1 process"]:
        raise SystemExit(f"two processes found {found['exact, 2 processes']}, one {found['exact, 1 process']}")
    one, two = found["mini-batches, 1 process"], found["mini-batches, 2 processes"]
    if not np.allclose(two, one, rtol=TOLERANCE, atol=0):
        raise SystemExit(f"two processes came to {two}, one to {one}")


if __name__ == "__main__":
    main()
