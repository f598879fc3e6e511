"""An interpreter that starts at once, for tests to start in place of ``sys.executable``.

Nine tenths of a start of the command are imports. A server imports the libraries, nothing of this project, and forks
itself for each program. Tests start a client of a few lines: it sends its arguments, environment, folder and open files
to the server, and ends as the fork does. Variables that libraries read while they are imported, such as
``OMP_NUM_THREADS``, and the encoding of the standard streams are the server's, and signals do not reach the fork: tests
of those, and of starts, use ``sys.executable``.
"""

import atexit
import fcntl
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARIES = (
    "lightning.pytorch.cli", "matplotlib.pyplot", "numba", "pandas", "polars", "pyarrow.csv", "pyarrow.parquet",
    "rich.progress", "scipy.stats", "torch.utils.tensorboard",
)  # fmt: skip
LARGEST_REQUEST = 1 << 17  # bytes
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys

def is_open(number):
    try:
        return bool(os.fstat(number))
    except OSError:
        return False

numbers = [number for number in map(int, os.listdir("/proc/self/fd")) if is_open(number)]
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({door!r})
request = dict(args=sys.argv[1:], folder=os.getcwd(), environment=dict(os.environ), numbers=numbers)
socket.send_fds(server, [json.dumps(request).encode()], numbers)
status = int(server.recv(100) or 99)
if status < 0:
    if status != -signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@cache
def python() -> str:
    """Return the path of the interpreter; its server ends with this process."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
    client, door = folder / "python", str(folder / "door")
    client.write_text(CLIENT.format(python=sys.executable, door=door))
    client.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.preloaded", str(client), door], cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None
    with server.stdout as out:
        assert out.read(5) == b"ready"
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.communicate)  # closes its standard input, and waits for its end
    return str(client)


def serve(client: str, door: str) -> list[str]:
    """Fork for each client until the tests' process has ended; return in each fork its command line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(door)
        listener.listen(100)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system collects the forks
        os.write(1, b"ready")
        while listener in select.select([listener, 0], [], [])[0]:
            with listener.accept()[0] as connection:
                if os.fork() == 0:
                    listener.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    return start(connection, client)
    os._exit(0)


def start(connection: socket.socket, client: str) -> list[str]:
    """Fork the program and return its command line there; here, wait for its end, and kill it if the client ends."""
    content, received, _, _ = socket.recv_fds(connection, LARGEST_REQUEST, 100)
    process = os.fork()
    if process == 0:
        connection.close()
        return become(json.loads(content), received, client)
    for number in received:
        os.close(number)
    ended = os.pidfd_open(process)
    if ended not in select.select([ended, connection], [], [])[0]:
        os.kill(process, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with suppress(BrokenPipeError):  # the client has ended
        connection.send(str(status).encode())
    os._exit(0)


def become(request: dict[str, Any], received: list[int], client: str) -> list[str]:
    """Take over the client's open files with their numbers, its folder, its environment and its name."""
    above = 1 + max(received + request["numbers"])
    kept = [fcntl.fcntl(number, fcntl.F_DUPFD, above) for number in received]
    os.closerange(0, above)
    for number, copy in zip(request["numbers"], kept, strict=True):
        os.dup2(copy, number)
        os.close(copy)
    for number, (name, mode) in enumerate({"stdin": "r", "stdout": "w", "stderr": "w"}.items()):
        is_open = number in request["numbers"]
        setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False) if is_open else None)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # which the server may have set
    ranks = import_module("lightning.fabric.utilities.rank_zero")
    ranks.rank_zero_only.rank = ranks._get_rank() or 0  # as at the import
    sys.executable, sys.orig_argv = client, [client, *request["args"]]
    args: list[str] = request["args"]
    return args


def run(kind: str, *args: str) -> None:
    """Run a file, ``-m module`` or ``-c program``."""
    if kind == "-m":
        sys.argv = list(args)
        runpy.run_module(args[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *args[1:]]
        exec(args[0], {"__name__": "__main__"})
    elif kind[0] == "-":  # a flag of the interpreter, such as -B, which multiprocessing hands on
        run(*args)
    else:
        sys.argv, sys.path = [kind, *args], [str(Path(kind).parent), *sys.path]
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    for library in LIBRARIES:
        import_module(library)
    gc.freeze()
    run(*serve(*sys.argv[1:]))
