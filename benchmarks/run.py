"""Run all benchmarks one after the other and write what they print, with a summary, to RESULTS.md and the README.

Each script runs in a process of its own. A figure of the summary comes from what the script's ``main`` returns; none is
written by hand. The machine should have nothing else to do: it takes about half an hour.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent
RESULTS, README = FOLDER / "RESULTS.md", FOLDER.parent / "README.md"
SCRIPTS = ("updates", "moments", "tables", "batches", "processes", "start", "convergence", "scaling", "stream",
           "device", "series", "nist")  # fmt: skip
PACKAGES = ("torch", "lightning", "numpy", "scipy", "pyarrow", "pandas", "polars", "duckdb", "scikit-learn", "lmfit",
            "statsmodels", "triton")  # fmt: skip
LIMIT_S = 3600
MARKS = "<!-- benchmarks/run.py: begin -->\n", "<!-- benchmarks/run.py: end -->\n"


class Goal(NamedTuple):
    """A figure of the summary.

    Attributes:
        work: What was measured, and how it is counted.
        script: Which script measures it.
        figure: Takes the figure from what the script's ``main`` returned.
        required: What it should be at least, or at most; ``None`` where it is only told.
        aim: What would be better.
        at_most: Whether smaller is better.
    """

    work: str
    script: str
    figure: Callable[[Any], float]
    required: float | None
    aim: float | None = None
    at_most: bool = False

    def verdict(self, figure: float) -> str:
        """Return whether a figure is good enough, in a word; nothing where none is required."""
        if self.required is None:
            return ""
        return "yes" if (figure <= self.required if self.at_most else figure >= self.required) else "**no**"

    def limit(self, number: float | None) -> str:
        """Return what is required or aimed at, in words."""
        return "" if number is None else f"{'≤' if self.at_most else '≥'} {shown(number)}"


def growth(rows: Sequence[dict[str, float]], weight: Callable[[dict[str, float]], float]) -> float:
    """Return the largest time per unit of work over that of the first line, of both arithmetics."""
    return max(row[key] / weight(row) / (rows[0][key] / weight(rows[0])) for row in rows
               for key in ("double", "double-double"))  # fmt: skip


def memory_growth(peaks: dict[str, float]) -> float:
    """Return the largest ratio of the memory for the most rows to that for the fewest, of one kind of file."""
    kinds: dict[str, list[float]] = {}
    for name, peak in peaks.items():
        kinds.setdefault(name.split()[0], []).append(peak)
    return max(own[-1] / own[0] for own in kinds.values())


GOALS = {
    "1": Goal("100,000 updates on ten points, whole command: time over the bare loop's", "updates",
              lambda found: found["ours, whole command"], 0.5, 0.1, at_most=True),
    "2": Goal("exact fit, degree 5, 10 million points, double: speed over numpy.polyfit", "moments",
              lambda found: found["ours, double"]["speed"], 20),
    "2a": Goal("… its peak memory over that of the points", "moments",
               lambda found: found["ours, double"]["memory"], 0.3, at_most=True),
    "3": Goal("the same in double-double: speed over numpy.polyfit", "moments",
              lambda found: found["ours, double-double"]["speed"], 1, 5),
    "4": Goal("line, 50 million rows of Parquet, whole command without imports: speed over DuckDB", "tables",
              lambda found: found["parquet"]["ours, double"]["warm speed"], 1, 2),
    "5": Goal("the same from CSV: speed over DuckDB", "tables",
              lambda found: found["csv"]["ours, double"]["warm speed"], 1, 1.5),
    "6": Goal("shuffled batches of 4,096, whole command: rows per second over Lightning with DataLoader", "batches",
              lambda found: found["ours, blocks of 100"]["lightning"], 20),
    "6a": Goal("… over a bare slicing loop", "batches",
               lambda found: found["ours, blocks of 100"]["bare"], 0.7, 0.9),
    "7": Goal("2 processes of 1 thread over 1, exact fit: rows per second", "processes",
              lambda found: found["exact, 2 processes"]["ratio"], 1.7, 1.9),
    "7a": Goal("… shuffled batches of 1,048,576", "processes",
               lambda found: found["mini-batches, 2 processes"]["ratio"], 1.7, 1.9),
    "8": Goal("whole run of configs/line.yaml: time over `import lightning.pytorch.cli`", "start",
              lambda found: found["train.py fit -c configs/line.yaml"]["clock ratio"], 1.3, 1, at_most=True),
    "9": Goal("updates to within 1 % of the optimum, raw powers at 0.05 over the default", "convergence",
              lambda found: found["powers of x, rate 0.05"] / found["Chebyshev, own rate (the default)"],
              100_000, 300_000),
    "10": Goal("time per row up to 10⁸ rows, over that of the fewest", "scaling",
               lambda found: growth(found["rows"], lambda _: 1), 1.5, 1.1, at_most=True),
    "10a": Goal("time per row and coefficient up to degree 20, over that of degree 1", "scaling",
                lambda found: growth(found["degrees"], lambda row: row["degree"] + 1), 1.5, 1.1, at_most=True),
    "10b": Goal("streamed: memory for 10⁸ rows over that for 10⁷", "stream", memory_growth, 1.3, 1.1, at_most=True),
    "11": Goal("exact fit of 10⁹ float32 points on a GPU, double: share of the copy's bandwidth", "device",
               lambda found: found["float32"]["double"], 0.3, 0.6),
    "11a": Goal("… double-double", "device", lambda found: found["float32"]["double-double"], None, 0.2),
    "12": Goal("1,000,000 series of 10 points: speed over a loop of numpy.polyfit with errors", "series",
               lambda found: found["ours"]["speed"], 400, 1000),
    "12a": Goal("… rows shuffled", "series", lambda found: found["ours, shuffled"]["speed"], 100, 200),
}  # fmt: skip


def one(path: str, args: Sequence[str]) -> None:
    """Run a script in this process, and print what its ``main`` returned after what it prints."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    print(json.dumps(script.main(args)))


def alone(path: Path) -> tuple[str, Any]:
    """Run a script in a process of its own; return what it printed and returned, the latter ``None`` if it failed."""
    command = [sys.executable, __file__, "--one", str(path)]
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        return f"{done.stdout}failed: {done.stderr.strip().splitlines()[-1]}", None
    *printed, returned = done.stdout.splitlines()
    return "\n".join(printed), json.loads(returned)


def shown(figure: float) -> str:
    """Return three digits, and whole numbers from 100 on."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def summary(returned: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the summary for the scripts that ran."""
    yield "| | measured as a ratio | found | required | aim | met |"
    yield "|---|---|---:|---:|---:|---|"
    for number, goal in GOALS.items():
        if goal.script not in returned:
            continue
        found = returned[goal.script]
        figure = goal.figure(found) if found else None
        cells = ["–", goal.limit(goal.required), goal.limit(goal.aim), "failed" if found is None else "not run here"]
        if figure is not None:
            cells[0], cells[-1] = shown(figure), goal.verdict(figure)
        yield " | ".join([f"| {number}", goal.work, *cells]) + " |"


def machine() -> str:
    """Return what ran, in words."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES if is_installed(name))
    cores = f"{os.cpu_count()} cores ({models[0] if models else platform.processor()}), {memory:.0f} GiB"
    return f"{time.strftime('%Y-%m-%d')}, {cores}, Python {platform.python_version()}, {versions}."


def is_installed(name: str) -> bool:
    """Tell whether a distribution is installed."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def written(readme: str, lines: Sequence[str]) -> str:
    """Return the README with its summary replaced."""
    before, _, rest = readme.partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        raise SystemExit("README.md has no place for the summary: expected the marks of benchmarks/run.py")
    return before + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + after


def main(args: Sequence[str] | None = None) -> None:
    """Run the scripts, and write the files if all of them ran."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scripts", nargs="*", help="which scripts to run, without writing the files; all by default")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the results of those scripts to a file")
    parser.add_argument("--one", nargs=argparse.REMAINDER, metavar="SCRIPT", help="run one script in this process")
    options = parser.parse_args(args)
    if options.one:
        one(options.one[0], options.one[1:])
        return
    unknown = set(options.scripts) - set(SCRIPTS)
    if unknown:
        raise SystemExit(f"there is no benchmark {', '.join(sorted(unknown))}: expected some of {', '.join(SCRIPTS)}")
    returned, sections = {}, []
    for name in options.scripts or SCRIPTS:
        printed, returned[name] = alone(FOLDER / f"{name}.py")
        sections.append(f"## `python benchmarks/{name}.py`\n\n```text\n{printed}\n```\n")
        print(sections[-1], flush=True)
    lines = list(summary(returned))
    print("\n".join(lines))
    results = options.results or (None if options.scripts else RESULTS)
    if results:
        command = " ".join(["python benchmarks/run.py", *options.scripts])
        head = f"# Results\n\nWritten by `{command}`: {machine()}\n"
        results.write_text("\n".join([head, *lines, "", *sections]), encoding="utf-8")
    if not options.scripts:
        README.write_text(written(README.read_text(encoding="utf-8"), lines), encoding="utf-8")


if __name__ == "__main__":
    main()
