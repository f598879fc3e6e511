"""Compiled loops in processes of their own: many at once, on full disks, on other processors, and without numba."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.preloaded import python

ROOT = Path(__file__).parents[2]
LOOPS = """
import json, sys
from regression.kernels.compiled import choose, compiled, loop
from regression.kernels.double_double import add, multiply, reciprocal_square

@loop
def total(values):
    high, low = 0.0, 0.0
    for value in values:
        a, b = reciprocal_square(value)
        c, d = multiply(a, b, value, 0.0)
        high, low = add(high, low, c, d)
    return high, low
"""
SLOW = """
import time
from regression.kernels.compiled import compiled_as

def build(builder, value):
    time.sleep(1.5)
    return value

@compiled_as(build, "float64", ["float64"])
def itself(value):
    return value

@loop
def slow(value):
    return itself(value)
"""
REPORT = """
values = [1 + k / 7 for k in range(30)]
ready = compiled(total)
result = ready(tuple(values))
stats = getattr(ready, "stats", None)
counts = [stats.cache_hits.total(), stats.cache_misses.total()] if stats else None
print(json.dumps({"same": result == total(values), "counts": counts, "plain": ready is choose(total, 10**9) is total}))
"""
WAIT = "import time\nwhile time.time() < float(sys.argv[1]): time.sleep(0.001)\n"
LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails then, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


def start(folder: Path, code: str, *args: str, **variables: str) -> "subprocess.Popen[str]":
    """Start a program; with variables, which numba reads when it is imported, in an interpreter that has not yet."""
    path = folder / "program.py"
    if not path.exists() or path.read_text() != code:  # a process that has just started may be reading it
        path.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    command = [sys.executable if variables else python(), str(path), *args]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]") -> tuple[dict[str, Any], str]:
    """Return what a process printed, and what it said on stderr."""
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return json.loads(out), err


def test_many_at_once(tmp_path: Path) -> None:
    """Of six processes that need a loop at once one compiles it and says so; a seventh loads it and says nothing."""
    code = LOOPS + SLOW + WAIT + "import numba\n" + REPORT + "compiled(slow)(3.0)\n"
    moment = str(time.time() + 1)
    ended = [end(process) for process in [start(tmp_path, code, moment) for _ in range(6)]]
    assert all(report["same"] for report, _ in ended)
    assert sorted(report["counts"] for report, _ in ended) == [[0, 1]] + [[1, 0]] * 5
    line = "regression: compiling the loops over points for this processor, once\n"
    assert "".join(err for _, err in ended) == line
    assert end(start(tmp_path, code, moment)) == ({"same": True, "counts": [1, 0], "plain": False}, "")


def test_no_place_is_said(tmp_path: Path) -> None:
    """A long compilation whose result can be kept nowhere is said with what to do."""
    (tmp_path / "__pycache__").write_text("")
    below_a_file = str(tmp_path / "__pycache__" / "user")
    _, err = end(start(tmp_path, LOOPS + SLOW + REPORT + "compiled(slow)(3.0)\n", XDG_CACHE_HOME=below_a_file))
    assert err.startswith("regression: compiling the loops over points for this processor, for this run only; set NUM")
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on files")
def test_full_disk(tmp_path: Path) -> None:
    """A loop is compiled where the disk has no room to keep it."""
    expected = {"same": True, "counts": [0, 1], "plain": False}
    assert end(start(tmp_path, LOOPS + LIMIT + REPORT))[0] == expected
    assert end(start(tmp_path, LOOPS + REPORT))[0] == expected


def test_other_processor(tmp_path: Path) -> None:
    """A processor that has no fused multiply-add gives the same bits."""
    assert end(start(tmp_path, LOOPS + REPORT, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES=""))[0]["same"]


def test_without_compiler(tmp_path: Path) -> None:
    """With ``NUMBA_DISABLE_JIT=1`` a loop runs as it stands, however much there is to do."""
    report, _ = end(start(tmp_path, LOOPS + REPORT, NUMBA_DISABLE_JIT="1"))
    assert report == {"same": True, "counts": None, "plain": True}
