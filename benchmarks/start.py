"""How long a whole run takes that does hardly any work, against the import of Lightning's command line alone.

The claim: ``train.py fit -c configs/line.yaml``, ten updates with log, figures and checkpoints, takes at most 1.3 times
as long as ``python -c "import lightning.pytorch.cli"``.

What bounds the time is Lightning's import, which a run cannot do without: torch, torchmetrics and, through them, half
of scipy and matplotlib. Python's search for garbage among what was imported takes a fifth of it; the command leaves
that out, and pays for its own options, figures and files with what it saves.

Both run in turn, in processes of their own and in a new folder, after one run of each that fills the caches. The ratio
is the median over the repeats of the ratio within a repeat; processor time is less moved by other work than the clock.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from operator import truediv
from pathlib import Path
from statistics import median

REPEATS = 5
ROOT = Path(__file__).parents[1]
COMMANDS = {
    "import lightning.pytorch.cli": ["-c", "import lightning.pytorch.cli"],
    "train.py fit -c configs/line.yaml": [str(ROOT / "train.py"), "fit", "-c", str(ROOT / "configs" / "line.yaml")],
}


def run(command: list[str]) -> tuple[float, float, str]:
    """Run Python once; return seconds by the clock, seconds of the processor, and what was printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False,
            timeout=600,
        )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used, done.stdout


def require_whole(printed: str) -> None:
    """Stop unless a run made its ten updates and left its files."""
    if "10 updates" not in printed or "files in" not in printed:
        raise SystemExit(f"the run did not make its ten updates: {printed[-300:]!r}")


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Check, measure and print the table; return seconds and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each (default: %(default)s)")
    options = parser.parse_args(args)
    *_, printed = [run(command)[2] for command in COMMANDS.values()]
    require_whole(printed)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(options.repeats):
        for name, command in COMMANDS.items():
            times[name].append(run(command)[:2])
    reference = next(iter(times.values()))
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, {options.repeats} repeats, medians")
    print(f"{'command':<36} {'seconds':>8} {'ratio':>6} {'processor s':>12} {'ratio':>6}")
    table = {}
    for name, own in times.items():
        row = {}
        for k, key in enumerate(("clock", "processor")):
            values, base = [pair[k] for pair in own], [pair[k] for pair in reference]
            row |= {key: median(values), f"{key} ratio": median(map(truediv, values, base))}
        print(f"{name:<36} {row['clock']:>8.2f} {row['clock ratio']:>6.2f} {row['processor']:>12.2f} "
              f"{row['processor ratio']:>6.2f}")  # fmt: skip
        table[name] = row
    return table


if __name__ == "__main__":
    main()
