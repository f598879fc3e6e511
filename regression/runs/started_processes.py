"""Starts processes that run this command again, before the imports if ``--trainer.devices`` is their number.

The imports take most of the time of a start; if the other processes began them after this one, they would take twice as
long. A started process imports, and then waits for the environment of the run, which it gets through a socket pair. If
this process ends first, it ends without a message. Standard library only.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from regression.common.command_line import option_value
from regression.runs.environment import is_launched, is_pod
from regression.runs.parent_watch import CHANNEL

__all__ = ["BLOCKED_SIGNALS", "StartedProcess", "blocked_signals", "start", "start_early", "take_early"]

BLOCKED_SIGNALS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)}


class StartedProcess(NamedTuple):
    """A process that runs this command again, and this process's end of the socket pair with it."""

    process: "subprocess.Popen[bytes]"
    channel: socket.socket

    def begin(self, environment: Mapping[str, str]) -> None:
        """Make it begin the run; if it has ended already, its watching thread finds the channel closed."""
        with suppress(OSError):
            self.channel.sendall(json.dumps(dict(environment)).encode() + b"\n")


_early: list[StartedProcess] = []


def start(local: int) -> StartedProcess:
    """Start the process with a number on this machine; this process has number 0."""
    ours, theirs = socket.socketpair()
    own = {"LOCAL_RANK": str(local), CHANNEL: str(theirs.fileno())}  # Lightning reads the number when it is imported
    with theirs, blocked_signals():
        command = [sys.executable, *sys.orig_argv[1:]]
        process = subprocess.Popen(command, env={**os.environ, **own}, pass_fds=[theirs.fileno()])
    return StartedProcess(process, ours)


def start_early(args: Sequence[str]) -> None:
    """Start the other processes if ``--trainer.devices`` is a number; for programs, before they import the rest.

    If the run turns out to have another number of processes, those that wait are killed.

    Args:
        args: The command line without the program's name.
    """
    devices = option_value(args, "--trainer.devices") or ""
    count = int(devices) if devices.isdecimal() else 1
    if os.name == "posix" and count <= (os.cpu_count() or 1) and not is_launched() and not is_pod():
        _early.extend(start(local) for local in range(1, count))


def take_early() -> list[StartedProcess]:
    """Return the processes that were started early, in the order of their numbers; the caller must end them."""
    taken = list(_early)
    _early.clear()
    return taken


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Block signals; a process that is started meanwhile inherits that, and unblocks them once its handlers are set."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
