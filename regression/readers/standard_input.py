"""Standard input as a temporary file, because a table is read more than once."""

import atexit
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from regression.common.collectives import rank_and_size
from regression.common.errors import DataError

__all__ = ["STANDARD_INPUT", "standard_input"]

STANDARD_INPUT = "-"  # the path that stands for it


def standard_input() -> Path:
    """Return a file with the bytes of standard input, which is removed when this process ends.

    Raises:
        DataError: If standard input is a terminal, or there are several processes, of which one alone can read it.
    """
    if rank_and_size()[1] > 1:
        raise DataError("standard input can be read by one process only: give a file, or --trainer.devices 1")
    return _copy()


@cache
def _copy() -> Path:
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("path is -, and nothing comes through standard input: pipe a table into it, or give a file")
    folder = tempfile.mkdtemp(prefix="regression-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "standard-input")
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path
