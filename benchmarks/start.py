"""How long a start takes: of a whole run, and of a fit in Python, each against an import that neither can do without.

The claims: ``train.py fit -c configs/line.yaml``, ten updates with log, figures and checkpoints, takes at most 1.3
times as long as ``import lightning.pytorch.cli``; and ``import regression`` with a fit of ten points at most 1.5 times
as long as ``import torch``.

What bounds the time are those imports. Python's search for garbage among what Lightning's command line imports takes a
fifth of it; the command leaves that out, and pays for its own options, figures and files with what it saves.

All run in turn, in new processes and folders, after one run of each that fills the caches. The ratio is the median over
the repeats of the ratio within a repeat; processor time is less moved by other work than the clock.
"""

import tempfile
from collections.abc import Callable, Sequence
from statistics import median

import measure
from measure import Seconds

REPEATS = 5
FIT = """
import regression
fit = regression.fit([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1.1, 2.9, 5.2, 7.1, 8.8, 11.1, 13.0, 14.9, 17.2, 18.9])
print(len(fit.params), "coefficients")
"""
LIGHTNING, RUN = "import lightning.pytorch.cli", "train.py fit -c configs/line.yaml"
TORCH, PYTHON = "import torch", "import regression; regression.fit"
COMMANDS: dict[str, list[str]] = {
    LIGHTNING: ["-c", "import lightning.pytorch.cli"],
    RUN: [str(measure.ROOT / "train.py"), "fit", "-c", str(measure.ROOT / "configs" / "line.yaml")],
    TORCH: ["-c", "import torch"],
    PYTHON: ["-c", FIT],
}
BASES = {LIGHTNING: LIGHTNING, RUN: LIGHTNING, TORCH: TORCH, PYTHON: TORCH}
WORDS = {RUN: ["10 updates", "files in"], PYTHON: ["2 coefficients"]}


def run(name: str) -> str:
    """Run one of the commands in a folder of its own; return what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        return measure.run_python(name, COMMANDS[name], cwd=folder)


def require_whole(name: str, printed: str) -> None:
    """Stop unless a run did its work: ten updates and files, or a line."""
    missing = [words for words in WORDS.get(name, []) if words not in printed]
    if missing:
        raise SystemExit(f"{name} did not say {missing[0]!r}: {printed[-300:]!r}")


def compare(times: dict[str, list[Seconds]]) -> dict[str, dict[str, float | None]]:
    """Return the row of each command: seconds by the clock and of the processor, each with its ratio to an import."""
    table: dict[str, dict[str, float | None]] = {}
    for name, own in times.items():
        base, row = times[BASES[name]], {}
        for key in Seconds._fields:
            values, others = ([getattr(seconds, key) for seconds in side] for side in (own, base))
            row |= {key: median(values), f"{key} ratio": measure.ratio(values, others)}
        table[name] = row
    return table


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float | None]]:
    """Check, measure and print the table; return seconds and ratios."""
    options = measure.parser(__doc__, REPEATS).parse_args(args)
    for name in COMMANDS:
        require_whole(name, run(name))
    work: dict[str, Callable[[], object]] = {name: lambda name=name: run(name) for name in COMMANDS}
    table = compare(measure.take_turns(work, options.repeats))
    print(f"{measure.versions('torch', 'lightning')}; {options.repeats} repeats, medians")
    measure.print_table(
        ["command", "seconds", "ratio", "processor s", "ratio"],
        [[name, *row.values()] for name, row in table.items()],
    )
    return table


if __name__ == "__main__":
    main()
