"""An exact fit of points that are on a GPU, against the bandwidth with which the GPU copies them.

The claims: the same bits as on the CPU, and 15 % of the copy's bandwidth for a billion float32 points.

The points are made on the device, in float32 (a billion) and float64 (a hundred million). Bandwidth is bytes read and
written per second: a copy reads and writes each number, and a fit is charged for one reading, though it takes two, one
of them for the range. A fit is the whole of ``regression.fit``, with standard errors. All run in turn within each
repeat, after one run of each that compiles the kernels; the clock is read when the device has finished. Before any
timing, the fit of some of the points must have every bit of the CPU's.

What bounds the time is the arithmetic: some hundred operations for each point.
"""

import json
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch import Tensor

import measure
import regression

ROWS = {"float32": 1_000_000_000, "float64": 100_000_000}
DEGREE, REPEATS, CHECKED_ROWS = 5, 5, 20_000_000
ROWS_PER_PIECE = 1 << 24


def points(rows: int, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Return x and y of a noisy curve, made on the device piece by piece."""
    generator = torch.Generator(device).manual_seed(0)
    x, y = (torch.empty(rows, dtype=dtype, device=device) for _ in range(2))
    for start in range(0, rows, ROWS_PER_PIECE):
        part = slice(start, start + ROWS_PER_PIECE)
        x[part].uniform_(-1, 3, generator=generator)
        y[part].normal_(0, 0.1, generator=generator).add_(x[part].sin()).add_(2)
    return x, y


def check(x: Tensor, y: Tensor) -> None:
    """Stop unless the device gives the CPU's fit."""
    x, y = x[:CHECKED_ROWS], y[:CHECKED_ROWS]
    here, there = regression.fit(x, y, DEGREE), regression.fit(x.cpu(), y.cpu(), DEGREE)
    if json.loads(here.to_json()) != json.loads(there.to_json()):
        raise SystemExit(f"the fit on the device is not the CPU's: {here.params}, {there.params}")


def finished(work: Callable[[], object], device: str) -> Callable[[], None]:
    """Return some work that ends when the device has done it."""

    def whole() -> None:
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return whole


def measure_rates(x: Tensor, y: Tensor, repeats: int, device: str) -> dict[str, list[float]]:
    """Return seconds per byte read or written of copy and fit, one per repeat; the first turn does not count."""
    size = x.nbytes + y.nbytes
    work = {"copy": lambda: (x.clone(), y.clone()), "fit": lambda: regression.fit(x, y, DEGREE)}
    moved = {"copy": 2 * size, "fit": size}
    times = measure.take_turns({name: finished(task, device) for name, task in work.items()}, repeats + 1)
    return {name: [seconds / moved[name] for seconds in own[1:]] for name, own in measure.clock(times).items()}


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float | None]]:
    """Check, measure and print the table; return the shares of the copy's bandwidth, or nothing without a GPU."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--device", default="cuda", help="torch device (default: %(default)s)")
    parser.add_argument("--rows", type=int, help="points of each type, instead of a billion and a hundred million")
    options = parser.parse_args(args)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("not measured: no GPU on this machine")
        return {}
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else options.device
    table: dict[str, dict[str, float | None]] = {}
    lines: list[list[float | str | None]] = []
    for kind, rows in ROWS.items():
        x, y = points(options.rows or rows, getattr(torch, kind), options.device)
        check(x, y)
        found = measure_rates(x, y, options.repeats, options.device)
        table[kind] = {name: measure.ratio(found["copy"], own) for name, own in found.items()}
        lines += [[f"{len(x):,} {kind}", key, 1e-9 / median(own), table[kind][key]] for key, own in found.items()]
    print(f"{measure.versions('torch', 'triton')}, {name}")
    measure.print_table(["points", "what", "GB/s", "of a copy"], lines)
    return table


if __name__ == "__main__":
    main()
