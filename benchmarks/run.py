"""Run all benchmarks one after the other and write what they find, with a summary, to RESULTS.md and docs/speed.md.

Each script runs in a process of its own, and both files are written anew after each: who is interrupted, and a script
that fails, leave the results of the others. A figure of the summary comes from what the script's ``main`` returns; none
is written by hand. The machine should have nothing else to do: it takes about twenty minutes.
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import measure

FOLDER = Path(__file__).parent
RESULTS, PAGE = FOLDER / "RESULTS.md", FOLDER.parent / "docs" / "speed.md"
SCRIPTS = ("moments", "tables", "series", "start", "files", "scaling", "updates", "convergence", "nist", "stream",
           "batches", "device", "processes", "engines")  # fmt: skip
PACKAGES = ("torch", "lightning", "numpy", "numba", "scipy", "pyarrow", "pandas", "polars", "duckdb", "pyspark", "dask",
            "scikit-learn", "lmfit", "statsmodels", "triton")  # fmt: skip
SECONDS_TO_END = 3600
MARKS = "<!-- benchmarks/run.py: begin -->\n", "<!-- benchmarks/run.py: end -->\n"
MISSING = "not measured"


class Goal(NamedTuple):
    """A row of the summary.

    Attributes:
        work: What was measured, and how it is counted.
        script: Which script measures it.
        keys: Where the figure is in what the script's ``main`` returns.
        required: What it should be at least, or at most; ``None`` where it is only told.
        aim: What would be better.
        at_most: Whether smaller is better.
    """

    work: str
    script: str
    keys: tuple[str, ...]
    required: float | None = None
    aim: float | None = None
    at_most: bool = False

    def figure(self, found: Any) -> float | None:
        """Return the figure; ``None`` where the script failed, lost it in the noise, or had nothing to measure."""
        for key in self.keys:
            found = found.get(key) if isinstance(found, dict) else None
        return None if found is None or math.isnan(found) else found

    def verdict(self, figure: float | None) -> str:
        """Return whether a figure is good enough, in a word; nothing where none is required."""
        if figure is None:
            return MISSING
        if self.required is None:
            return ""
        return "yes" if (figure <= self.required if self.at_most else figure >= self.required) else "**no**"

    def limit(self, number: float | None) -> str:
        """Return what is required or aimed at, in words."""
        return "" if number is None else f"{'≤' if self.at_most else '≥'} {measure.shown(number)}"


GOALS = {
    "1": Goal("100,000 updates on ten points, whole command: time over the bare loop's", "updates",
              ("ours, whole command",), 0.5, 0.1, at_most=True),
    "2": Goal("exact fit, degree 5, 10 million points: speed over numpy.polyfit", "moments", ("ours", "speed"), 20, 30),
    "2, reads": Goal("… its time over that of reading the points once", "moments", ("ours", "reads"),
                     aim=8, at_most=True),
    "2a": Goal("… its extra memory over that of the points", "moments", ("ours", "memory"), 0.1, 0.02, at_most=True),
    "4": Goal("line, 50 million rows of Parquet, command without imports: speed over DuckDB", "tables",
              ("parquet", "ours", "duckdb"), 1.3, 2),
    "4a": Goal("… its pass alone: speed over DuckDB", "tables", ("parquet", "ours, pass alone", "duckdb"), 2),
    "4a, Polars": Goal("… speed over Polars' cov and var", "tables", ("parquet", "ours, pass alone", "polars"), 0.6, 1),
    "5": Goal("the same from CSV, command without imports: speed over DuckDB", "tables",
              ("csv", "ours", "duckdb"), 1.1),
    "5, Polars": Goal("… speed over Polars' cov and var", "tables", ("csv", "ours", "polars"), aim=1),
    "6": Goal("shuffled batches of 4,096, whole command: rows per second over Lightning with DataLoader", "batches",
              ("ours, blocks of 100", "lightning"), 20),
    "6a": Goal("… over a bare slicing loop", "batches", ("ours, blocks of 100", "bare"), 0.7, 0.9),
    "7": Goal("2 processes of 1 thread over 1, exact fit, streamed, start taken off: rows per second", "processes",
              ("exact, 2 processes", "ratio"), 1.8, 1.9),
    "7, whole": Goal("… of 320 million rows, the command as a whole", "processes", ("exact, 2 processes", "whole")),
    "7, from": Goal("… rows from which two processes pay", "processes", ("exact, 2 processes", "pays from"),
                    at_most=True),
    "7a": Goal("… shuffled batches of 1,048,576, start taken off", "processes",
               ("mini-batches, 2 processes", "ratio"), 1.7, 1.9),
    "7b": Goal("bytes decoded by all of 16 processes over the file's", "processes", ("16 processes", "decoded"),
               1.5, 1.2, at_most=True),
    "8": Goal("whole run of configs/line.yaml: time over `import lightning.pytorch.cli`", "start",
              ("train.py fit -c configs/line.yaml", "clock ratio"), 1.3, 1, at_most=True),
    "9": Goal("updates to within 1 % of the optimum, raw powers at 0.05 over the default", "convergence",
              ("gain",), 100_000, 300_000),
    "10": Goal("time per row up to 10⁸ rows, over that of the fewest", "scaling", ("rows",), 1.5, 1.1, at_most=True),
    "10a": Goal("time per row and coefficient up to degree 20, over that of degree 1", "scaling", ("degrees",),
                1.5, 1.1, at_most=True),
    "10b": Goal("streamed: memory for 10⁸ rows over that for 10⁷", "stream", ("growth",), 1.3, 1.1, at_most=True),
    "10c": Goal("time for the same rows in up to 2,000 files, over that in one", "files", ("files",),
                1.5, 1.1, at_most=True),
    "10d": Goal("time for row groups of 1,000 rows, over that for 1,000,000", "files", ("groups",),
                3, 2, at_most=True),
    "11": Goal("exact fit of 10⁹ float32 points on a GPU: share of the copy's bandwidth", "device", ("float32", "fit"),
               aim=0.15),
    "12": Goal("1,000,000 series of 10 points: speed over a loop of numpy.polyfit with errors", "series",
               ("ours", "speed"), 400, 1000),
    "12a": Goal("… rows shuffled", "series", ("ours, shuffled", "speed"), 100, 200),
    "13": Goal("`import regression; regression.fit` of ten points: time over `import torch`", "start",
               ("import regression; regression.fit", "clock ratio"), 1.5, 1.2, at_most=True),
    "14": Goal("line, 20 million rows of Parquet, whole process: speed over Spark MLlib, local[2]", "engines",
               ("Spark MLlib, local[2]", "our speed")),
    "14, memory": Goal("… its memory over Spark's", "engines", ("Spark MLlib, local[2]", "our memory"), at_most=True),
    "14, Dask": Goal("… speed over Dask", "engines", ("Dask cov/mean", "our speed")),
    "14, DuckDB": Goal("… speed over DuckDB", "engines", ("DuckDB regr_slope", "our speed")),
    "14, Polars": Goal("… speed over Polars", "engines", ("polars cov/var", "our speed")),
}  # fmt: skip


def run_here(path: str, args: Sequence[str]) -> None:
    """Run a script in this process, and print what its ``main`` returned after what it prints."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    print(json.dumps(script.main(args)))


def run_alone(path: Path, seconds_to_end: float = SECONDS_TO_END) -> tuple[str, Any]:
    """Run a script in a process of its own; return what it printed and returned, the latter ``None`` if it failed."""
    command = [sys.executable, __file__, "--one", str(path)]
    try:
        done = subprocess.run(
            command, env=measure.environment(), capture_output=True, text=True, timeout=seconds_to_end, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{MISSING}: it took longer than {seconds_to_end:g} s", None
    if done.returncode:
        return f"{done.stdout}{MISSING}: {measure.last_words(done.stderr)}", None
    *printed, returned = done.stdout.splitlines()
    return "\n".join(printed), json.loads(returned)


def summary(returned: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the summary for the scripts that ran."""
    yield "| | measured as a ratio | found | required | aim | met |"
    yield "|---|---|---:|---:|---:|---|"
    for number, goal in GOALS.items():
        if goal.script not in returned:
            continue
        figure = goal.figure(returned[goal.script])
        found = "–" if figure is None else measure.shown(figure)
        cells = [number, goal.work, found, goal.limit(goal.required), goal.limit(goal.aim), goal.verdict(figure)]
        yield f"| {' | '.join(cells)} |"


def machine() -> str:
    """Return what ran, in words."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpu = models[0] if models else platform.processor()
    return f"{time.strftime('%Y-%m-%d')}, {cpu}, {memory:.0f} GiB, {measure.versions(*PACKAGES)}."


def with_table(page: str, lines: Sequence[str]) -> str:
    """Return a page with its summary replaced."""
    before, _, rest = page.partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        raise SystemExit("docs/speed.md has no place for the summary: expected the marks of benchmarks/run.py")
    return before + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + after


def run_all(
    names: Sequence[str], head: str, results: Path | None, page: Path | None, folder: Path = FOLDER
) -> dict[str, Any]:
    """Run scripts of a folder; after each one print it and write the files that are given, with what there is so far.

    Returns:
        What each script returned, ``None`` if it failed.
    """
    returned: dict[str, Any] = {}
    sections: list[str] = []
    for name in names:
        printed, returned[name] = run_alone(folder / f"{name}.py")
        sections.append(f"## `python benchmarks/{name}.py`\n\n```text\n{printed}\n```\n")
        print(sections[-1], flush=True)
        lines = list(summary(returned))
        if results:
            results.write_text("\n".join([head, *lines, "", *sections]), encoding="utf-8")
        if page:
            page.write_text(with_table(page.read_text(encoding="utf-8"), lines), encoding="utf-8")
    print("\n".join(lines))
    return returned


def main(args: Sequence[str] | None = None) -> int:
    """Run the scripts; return 1 if one of them failed, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scripts", nargs="*", help="which scripts to run, without writing the files; all by default")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the results of those scripts to a file")
    parser.add_argument("--one", nargs=argparse.REMAINDER, metavar="SCRIPT", help="run one script in this process")
    options = parser.parse_args(args)
    if options.one:
        run_here(options.one[0], options.one[1:])
        return 0
    unknown = set(options.scripts) - set(SCRIPTS)
    if unknown:
        raise SystemExit(f"there is no benchmark {', '.join(sorted(unknown))}: expected some of {', '.join(SCRIPTS)}")
    command = " ".join(["python benchmarks/run.py", *options.scripts])
    head = f"# Results\n\nWritten by `{command}`: {machine()}\n"
    is_all = not options.scripts
    results = options.results or (RESULTS if is_all else None)
    returned = run_all(options.scripts or SCRIPTS, head, results, PAGE if is_all else None)
    failed = [name for name, found in returned.items() if found is None]
    if failed:
        print(f"{MISSING}: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
