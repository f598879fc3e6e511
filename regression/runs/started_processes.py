"""Starts processes that run this command again, before the imports where its words name their number.

The imports take most of the time of a start, so processes that were started after those of this one would double it.
A started process imports, and then waits for the environment of the run, which it gets through a socket pair. It ends
without a word if this process ends first. Standard library only.
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
from regression.runs.parent_watch import CHANNEL
from regression.runs.surroundings import is_launched, is_pod

__all__ = ["HELD_SIGNALS", "StartedProcess", "held", "start", "start_early", "take_early"]

HELD_SIGNALS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)}


class StartedProcess(NamedTuple):
    """A process that runs this command again, and this process's end of the socket pair with it."""

    process: "subprocess.Popen[bytes]"
    channel: socket.socket

    def begin(self, environment: Mapping[str, str]) -> None:
        """Let it begin with the run; one that has ended in the meantime is noticed by its end of the channel."""
        with suppress(OSError):
            self.channel.sendall(json.dumps(dict(environment)).encode() + b"\n")


_early: list[StartedProcess] = []


def start(local: int) -> StartedProcess:
    """Start the process with a number on this machine, counted from 0, which is this one."""
    ours, theirs = socket.socketpair()
    own = {"LOCAL_RANK": str(local), CHANNEL: str(theirs.fileno())}  # Lightning reads the number when it is imported
    with theirs, held():
        command = [sys.executable, *sys.orig_argv[1:]]
        process = subprocess.Popen(command, env={**os.environ, **own}, pass_fds=[theirs.fileno()])
    return StartedProcess(process, ours)


def start_early(args: Sequence[str]) -> None:
    """Start the other processes now if ``--trainer.devices`` is a number; for programs, before they import the rest.

    A guess costs nothing but processor time: if the run turns out to have another number of processes, or none, those
    that wait are ended.

    Args:
        args: The command line without the program's name.
    """
    devices = option_value(args, "--trainer.devices") or ""
    count = int(devices) if devices.isdecimal() else 1
    if os.name == "posix" and count <= (os.cpu_count() or 1) and not is_launched() and not is_pod():
        _early.extend(start(local) for local in range(1, count))


def take_early() -> list[StartedProcess]:
    """Return the processes that were started early, by their numbers, to the one who ends them."""
    taken = list(_early)
    _early.clear()
    return taken


@contextmanager
def held() -> Iterator[None]:
    """Block signals here; a process that is started here inherits this, and unblocks them when its handlers are set."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
