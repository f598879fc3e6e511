"""Watches the process that started this one: when it is gone, this process exits. Standard library only.

The watch begins before torch is imported, because the import takes seconds.
"""

import json
import os
import socket
import sys
import threading
from contextlib import suppress

__all__ = ["CHANNEL", "HOW_TO_RESUME", "PARENT", "ParentConnection", "print_line"]

CHANNEL = "REGRESSION_CHANNEL"  # environment variable: file descriptor of a started process's end of the socket pair
HOW_TO_RESUME = "all others were stopped: go on with --ckpt_path last"


class ParentConnection:
    """The connection from a started process to the first one; when it closes, this process exits.

    The first process ends last: the connection closes early only if that process was killed or exited, or if the run
    needs no other one. It sends a line with the environment of the run, and later one for each message received.

    Args:
        channel: This process's end of the socket pair.

    Attributes:
        first: Name of the first process, for messages; empty until the run begins.
        acknowledged: Set when the first process has received a message.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self.first = ""
        self._environment: dict[str, str] = {}
        self._begun, self.acknowledged = threading.Event(), threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def join_run(self) -> None:
        """Wait until the first process begins the run, and set the environment that it sends."""
        self._begun.wait()
        os.environ |= self._environment

    def send(self, message: bytes) -> None:
        """Send a line to the first process."""
        with suppress(OSError):
            self._channel.sendall(message + b"\n")

    def _watch(self) -> None:
        with suppress(OSError), self._channel.makefile("rb") as lines:
            if line := lines.readline():
                self._environment = json.loads(line)
                self.first = f"process 1 of {self._environment['WORLD_SIZE']}"
                self._begun.set()
            for _ in lines:
                self.acknowledged.set()
        if self.first and self._environment["LOCAL_RANK"] == "1":  # only one prints it
            print_line(f"{self.first} was killed or exited under way; {HOW_TO_RESUME}")
        os._exit(1)


def print_line(line: str) -> None:
    """Print a line on standard error, if it is open."""
    with suppress(OSError, ValueError, AttributeError):
        print(f"regression: {line}", file=sys.stderr, flush=True)


PARENT = ParentConnection(socket.socket(fileno=int(os.environ.pop(CHANNEL)))) if CHANNEL in os.environ else None
