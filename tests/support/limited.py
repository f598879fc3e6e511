"""Runs the command with a limit or a closed stream: ``python tests/support/limited.py TROUBLE NUMBER args…``."""

import os
import resource
import shutil
import signal
import sys
from pathlib import Path


def main() -> int:
    """Import everything, set the limit, run the command, and print the memory it took to standard error."""
    trouble, number = sys.argv[1], int(sys.argv[2])
    if trouble == "closed stdout":  # closed before the interpreter starts, sys.stdout would be None
        os.close(1)
        sys.stdout = None
    import pyarrow.csv  # noqa: F401

    from regression.cli import main as command

    before = largest_size()
    if trouble == "file size":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does: the write fails instead of the process
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
    if trouble == "descriptors":
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    if trouble == "deleted folder":
        shutil.rmtree(Path.cwd())
    code = command(sys.argv[3:])
    if trouble == "memory":
        print(largest_size() - before, file=sys.stderr)
    return code


def largest_size() -> int:
    """Return the largest resident size of this process so far, in KiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage starts with the parent's largest size
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)


if __name__ == "__main__":
    sys.exit(main())
