"""The processes of a run on this machine; if one fails, all end, and the cause is the last line.

Every started process keeps one end of a socket pair open until it ends: when either side ends, also by SIGKILL, the
other reads the end of the stream at once. A process that fails sends its outcome to the first, which alone prints.
"""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NoReturn

import lightning.pytorch as pl
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy

from regression.common.errors import UsageError
from regression.runs.address_store import renew_store
from regression.runs.lightning_internals import set_timeout, start_with
from regression.runs.parent_watch import HOW_TO_RESUME, PARENT, ParentConnection, print_line
from regression.runs.started_processes import blocked_signals, start, take_early

__all__ = ["Outcome", "Ranks", "lost_line"]

CHECKPOINT = "REGRESSION_CHECKPOINT"  # environment variable of a started process: the file to resume from
SECONDS_TO_END = 3.0  # for a process to end by itself after another one has failed
SECONDS_AFTER_SUCCESS, SECONDS_AFTER_FAILURE = 10.0, 1.5  # of the first process, for the others to end
# In messages of errors that a process gets when another process is gone.
LOST_CONNECTION = re.compile(r"gloo|nccl|connection (closed|reset|refused)|timed out|socket|store", re.IGNORECASE)


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        kind: ``done``; ``stopped`` by a signal; ``failed`` by its own error; ``lost``: by the failure of another one.
        status: Its exit status.
        line: The line to print about it.
    """

    kind: Literal["done", "stopped", "failed", "lost"]
    status: int
    line: str = ""

    def message(self) -> bytes:
        """Return the outcome as JSON for the first process, in one line without a newline."""
        return json.dumps(asdict(self)).encode()


@dataclass
class _Child:
    name: str
    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    outcome: Outcome | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def known_outcome(self) -> Outcome | None:
        """Return the outcome that the process sent, or one for how it ended without; ``None`` while it runs."""
        status = self.process.returncode
        if self.outcome is not None or not self.ended.is_set():
            return self.outcome
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        else:
            how = f"exited under way with status {status}"
        return Outcome("failed", 1, f"{self.name} {how}; {HOW_TO_RESUME}")


class Ranks:
    """The other processes of a run: this process starts and watches those of its machine, or was started by one.

    Attributes:
        checkpoint: The file to resume from, as the first process resolved ``--ckpt_path``; ``None`` before that.
    """

    def __init__(self) -> None:
        self.checkpoint = os.environ.pop(CHECKPOINT, None)
        self._children: list[_Child] = []
        self._waiting = take_early()
        self._names = ["this process"]
        self._seconds = 0.0
        self._store: Any = None  # open as long as this process needs the others
        self._is_over = threading.Event()

    @property
    def are_several(self) -> bool:
        """Whether the run has other processes, started by this program or connected already."""
        return PARENT is not None or bool(self._children) or (dist.is_available() and dist.is_initialized())

    def attach(self, trainer: pl.Trainer, seconds: float, checkpoint: str | None) -> None:
        """Make a Trainer start its processes by this class, and set how long they wait for each other.

        Args:
            trainer: The Trainer, before it runs.
            seconds: Longest time that one process waits for another.
            checkpoint: The file that all processes resume from.
        """
        strategy, self._seconds, self.checkpoint = trainer.strategy, seconds, checkpoint
        if not isinstance(strategy, DDPStrategy):
            self.close()
            return
        set_timeout(strategy, seconds)
        self._store = renew_store(seconds)
        start_with(strategy, self._start_others, self.send)

    def _start_others(self, environment: Mapping[str, str], number: int, count: int) -> None:
        """Start the other processes of this machine; ``number`` is the number of this process in the run, from 0."""
        total = environment["WORLD_SIZE"]
        self._names = [f"process {number + local + 1} of {total}" for local in range(count)]
        known = {} if self.checkpoint is None else {CHECKPOINT: self.checkpoint}
        for local in range(1, count):
            self._begin(local, {**environment, **known, "LOCAL_RANK": str(local)})
        self.limit_connecting()

    def _begin(self, local: int, environment: Mapping[str, str]) -> None:
        """Make the process with a number on this machine begin the run, and watch it; start it if that is not done."""
        with blocked_signals():
            waiting = self._waiting.pop(0) if self._waiting else start(local)
            child = _Child(self._names[local], *waiting)
            # Within the block, because a signal handler that ends the run must end this process too.
            self._children.append(child)
        waiting.begin(environment)
        threading.Thread(target=self._watch, args=(child,), daemon=True).start()

    def limit_connecting(self) -> None:
        """End the run if this process is not connected to the others in time."""
        timer = threading.Timer(self._seconds + 2, self._require_connection)
        timer.daemon = True
        timer.start()

    def _require_connection(self) -> None:
        if not self._is_over.is_set() and not dist.is_initialized():
            self.abort(Outcome("failed", 1, _hung_line(self._names[0], self._seconds)))

    def send(self, signum: int) -> None:
        """Send a signal to the processes that were started."""
        for child in self._children:
            child.process.send_signal(signum)

    def conclude(self, outcome: Outcome, prints: bool = True) -> int:
        """End the run on this process and those it started, and return the exit status.

        Args:
            outcome: How this process ended.
            prints: Whether to print the line, in a process that was not started by this program.
        """
        self._is_over.set()
        if PARENT is not None:
            self._send_outcome(PARENT, outcome)
            return outcome.status
        if self._children:
            outcome = self._wait_for_others(outcome)
        if outcome.line and prints:
            print_line(outcome.line)
        return outcome.status

    def abort(self, outcome: Outcome) -> NoReturn:
        """End this process at once, and those that it started; any thread may call it."""
        self._is_over.set()
        if PARENT is not None:
            PARENT.send(outcome.message())
        else:
            self.close()
            print_line(outcome.line)
        os._exit(outcome.status)

    def close(self) -> None:
        """Kill the started processes that still run."""
        processes = [*(child.process for child in self._children), *(waiting.process for waiting in self._waiting)]
        for process in processes:
            process.kill()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_END)

    def _wait_for_others(self, outcome: Outcome) -> Outcome:
        """Wait some seconds for the started processes, kill those that still run, and return how the run ended."""
        if outcome.kind == "lost":
            _wait(SECONDS_TO_END, lambda: any(_has_failed(child) for child in self._children))
        else:
            seconds = SECONDS_AFTER_SUCCESS if outcome.kind == "done" else SECONDS_AFTER_FAILURE
            _wait(seconds, lambda: all(child.ended.is_set() for child in self._children))
        if outcome.kind in ("done", "lost"):
            outcome = self._find_cause(outcome)
        self.close()
        return outcome

    def _find_cause(self, own: Outcome | None) -> Outcome:
        """Return the outcome that caused all others; ``own`` is that of this process, ``None`` if it hangs."""
        outcomes = {child.name: child.known_outcome() for child in self._children}
        for kind in ("failed", "stopped"):
            for outcome in outcomes.values():
                if outcome is not None and outcome.kind == kind:
                    return outcome
        if own is not None and own.kind == "done":
            silent = [name for name, outcome in outcomes.items() if outcome is None]
            return Outcome("failed", 1, f"{silent[0]} did not end: it was killed") if silent else own
        hung = [name for name, outcome in {self._names[0]: own, **outcomes}.items() if outcome is None]
        if hung:
            return Outcome("failed", 1, _hung_line(hung[0], self._seconds))
        return own or Outcome("lost", 1, "all processes lost each other")

    def _watch(self, child: _Child) -> None:
        """Receive the outcome of a started process, wait for its end, and end the run if it failed."""
        with suppress(OSError), child.channel.makefile("rb") as lines:
            for line in lines:
                child.outcome = Outcome(**json.loads(line))
                child.channel.sendall(b"\n")
                self._end_if_failed(child)
        child.process.wait()
        child.ended.set()
        self._end_if_failed(child)

    def _end_if_failed(self, child: _Child) -> None:
        """If a started process has failed, end this one too unless it ends by itself within some seconds."""
        outcome = child.known_outcome()
        if outcome is not None and outcome.kind != "done" and not self._is_over.wait(SECONDS_TO_END):
            self.abort(self._find_cause(None))

    def _send_outcome(self, parent: ParentConnection, outcome: Outcome) -> None:
        parent.send(outcome.message())
        if outcome.kind == "lost" and not parent.acknowledged.wait(SECONDS_TO_END):  # the first process hangs
            print_line(_hung_line(parent.first, self._seconds))
            os.kill(os.getppid(), signal.SIGKILL)


def _has_failed(child: _Child) -> bool:
    outcome = child.known_outcome()
    return outcome is not None and outcome.kind in ("failed", "stopped")


def lost_line(error: BaseException) -> str | None:
    """Return the line about an error that another process caused, or ``None`` if it is this process's own error."""
    text = str(error)
    is_lost = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and LOST_CONNECTION.search(text))
    if isinstance(error, UsageError) or not is_lost:
        return None
    cause = " ".join(re.sub(r"^\[.*?\] ", "", text).partition(". This is")[0].split())
    return f"another process of the run failed or hangs, its own line says why: {cause}"


def _hung_line(name: str, seconds: float) -> str:
    return f"{name} did not answer for {seconds:g} s (--timeout); {HOW_TO_RESUME}"


def _wait(seconds: float, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
