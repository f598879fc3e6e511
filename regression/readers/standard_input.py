"""Standard input as a file, since a table is looked at more than once."""

import atexit
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from regression.common.collectives import rank_and_size
from regression.common.errors import DataError

__all__ = ["STANDARD_INPUT", "standard_input"]

STANDARD_INPUT = "-"  # what a path is then


def standard_input() -> Path:
    """Return a file with what came through standard input, which is kept as long as this process runs.

    Raises:
        DataError: If nothing comes through it, or there are other processes, which cannot read it too.
    """
    if rank_and_size()[1] > 1:
        raise DataError("standard input can be read by one process only: give a file, or --trainer.devices 1")
    return _kept()


@cache
def _kept() -> Path:
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("path is -, and nothing comes through standard input: pipe a table into it, or give a file")
    folder = tempfile.mkdtemp(prefix="regression-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "standard-input")
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path
