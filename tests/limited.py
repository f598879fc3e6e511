"""Runs the command as on a machine in trouble: ``python limited.py TROUBLE NUMBER args…``."""

import os
import resource
import shutil
import signal
import sys
from pathlib import Path


def main() -> int:
    """Import everything, make the trouble, run the command, and print the memory it took to standard error."""
    trouble, number = sys.argv[1], int(sys.argv[2])
    if trouble == "closed stdout":  # before the interpreter's own start it would be None
        os.close(1)
        sys.stdout = None
    import pyarrow.csv  # noqa: F401

    from regression.cli import main as command

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if trouble == "file size":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python sets it: the write fails instead
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
    if trouble == "descriptors":
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    if trouble == "deleted folder":
        shutil.rmtree(Path.cwd())
    code = command(sys.argv[3:])
    if trouble == "memory":
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
