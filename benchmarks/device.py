"""An exact fit of points that are on a GPU, against the bandwidth with which the GPU copies them.

The claims: in double at least 30 % of the copy's bandwidth; in double-double the same bits as on the CPU.

The points are made on the device, in float32 (a billion) and float64 (a hundred million). Bandwidth is bytes read and
written per second: a copy reads and writes each number, and a fit is charged for one reading, though double-double
takes two, one of them for the range. A fit is the whole of `regression.fit`, with standard errors. All run in turn
within each repeat, after one run of each that compiles the kernels; the clock is read when the device has finished.
Before any timing, the double-double fit of some of the points must have every bit of the CPU's, and the other one its
digits.

What bounds the time in double: of a billion points a half is the reading, which some 30 operations in float64 for each
point hold up by a third, and the rest is the processor, which solves in numbers of 150 digits, three milliseconds on
the machine of RESULTS-GPU.md; of a hundred million points it is nearly all. In double-double it is the arithmetic: some
200 products of integers and as many operations in float64 for each point.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from operator import truediv
from statistics import median

import torch
from torch import Tensor

import regression
from regression.moments import Arithmetic

ROWS = {"float32": 1_000_000_000, "float64": 100_000_000}
DEGREE, REPEATS, CHECKED, TOLERANCE = 5, 5, 20_000_000, 1e-9
PIECE = 1 << 24
ARITHMETICS: tuple[Arithmetic, ...] = ("double", "double-double")


def points(rows: int, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Return x and y of a noisy curve, made piece by piece."""
    generator = torch.Generator(device).manual_seed(0)
    x, y = (torch.empty(rows, dtype=dtype, device=device) for _ in range(2))
    for start in range(0, rows, PIECE):
        part = slice(start, start + PIECE)
        x[part].uniform_(-1, 3, generator=generator)
        y[part].normal_(0, 0.1, generator=generator).add_(x[part].sin()).add_(2)
    return x, y


def check(x: Tensor, y: Tensor) -> None:
    """Stop unless the device gives the CPU's fit."""
    x, y = x[:CHECKED], y[:CHECKED]
    for arithmetic in ARITHMETICS:
        here = regression.fit(x, y, DEGREE, arithmetic=arithmetic)
        there = regression.fit(x.cpu(), y.cpu(), DEGREE, arithmetic=arithmetic)
        if arithmetic == "double-double" and json.loads(here.to_json()) != json.loads(there.to_json()):
            raise SystemExit(f"double-double on the device is not the CPU's: {here.params}, {there.params}")
        if not torch.allclose(torch.tensor(here.params), torch.tensor(there.params), rtol=TOLERANCE, atol=0):
            raise SystemExit(f"{arithmetic} on the device is off: {here.params}, on the CPU {there.params}")


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the seconds that some work takes, until the device has done it."""
    finish = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    finish()
    start = time.perf_counter()
    work()
    finish()
    return time.perf_counter() - start


def measure(x: Tensor, y: Tensor, repeats: int, device: str) -> dict[str, list[float]]:
    """Return bytes per second of each contender, one per repeat; the first run of each does not count."""
    size = x.nbytes + y.nbytes
    work: dict[str, tuple[int, Callable[[], object]]] = {"copy": (2 * size, lambda: (x.clone(), y.clone()))}
    for name in ARITHMETICS:
        work[name] = size, lambda name=name: regression.fit(x, y, DEGREE, arithmetic=name)  # type: ignore[misc]
    found: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats + 1):
        for name, (moved, task) in work.items():
            found[name].append(moved / seconds(task, device))
    return {name: own[1:] for name, own in found.items()}


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Check, measure and print the table; return the shares of the copy's bandwidth, or nothing without a GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", help="torch device (default: %(default)s)")
    parser.add_argument("--rows", type=int, help="points of each type, instead of a billion and a hundred million")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each (default: %(default)s)")
    options = parser.parse_args(args)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU on this machine: nothing was measured")
        return {}
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else options.device
    print(f"python {platform.python_version()}, torch {torch.__version__}, {name}")
    print(f"{'points':<22} {'contender':<14} {'GB/s':>8} {'of a copy':>10}")
    table = {}
    for kind, rows in ROWS.items():
        x, y = points(options.rows or rows, getattr(torch, kind), options.device)
        check(x, y)
        found = measure(x, y, options.repeats, options.device)
        table[kind] = {name: median(map(truediv, own, found["copy"])) for name, own in found.items()}
        for name, own in found.items():
            print(f"{len(x):>13,} {kind} {name:<14} {median(own) / 1e9:>8.1f} {table[kind][name]:>10.3f}", flush=True)
    return table


if __name__ == "__main__":
    main()
