"""Watches the process that started this one: when it is gone, this process exits. Standard library only.

It begins before torch is imported, which takes seconds, on a busy machine many.
"""

import os
import socket
import sys
import threading
from contextlib import suppress

__all__ = ["CHANNEL", "GO_ON", "LIFELINE", "Lifeline", "say"]

CHANNEL = "REGRESSION_CHANNEL"  # the number of the started process's end of a socket pair, in its environment
GO_ON = "all others were stopped: go on with --ckpt_path last"


class Lifeline:
    """The connection to the first process, whose end ends this one: it ends last, unless it was killed.

    Args:
        channel: This process's end of the socket pair.

    Attributes:
        first: What the first process is called.
        acknowledged: Set once it has taken a message.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self.first = f"process 1 of {os.environ.get('WORLD_SIZE')}"  # Lightning's teardown takes the number away
        self._prints = os.environ.get("LOCAL_RANK") == "1"
        self.acknowledged = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def tell(self, message: bytes) -> None:
        """Send the first process a line."""
        with suppress(OSError):
            self._channel.sendall(message + b"\n")

    def _watch(self) -> None:
        with suppress(OSError):
            while self._channel.recv(1):
                self.acknowledged.set()
        if self._prints:
            say(f"{self.first} was killed or exited under way; {GO_ON}")
        os._exit(1)


def say(line: str) -> None:
    """Print a line on standard error, if it is open."""
    with suppress(OSError, ValueError, AttributeError):
        print(f"regression: {line}", file=sys.stderr, flush=True)


LIFELINE = Lifeline(socket.socket(fileno=int(os.environ.pop(CHANNEL)))) if CHANNEL in os.environ else None
