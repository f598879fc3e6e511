"""The processes that one command starts on this machine: one fails, all fail, and the cause is the last line.

Every started process holds one end of a socket pair until it ends, so each side learns at once when the other is gone,
also by SIGKILL. A process that fails tells the first one how; only the first one prints.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Literal, NoReturn

import lightning.pytorch as pl
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy

from regression.common.errors import UsageError
from regression.runs.lightning_internals import set_timeout, start_with
from regression.runs.parent_watch import CHANNEL, GO_ON, LIFELINE, Lifeline, say

__all__ = ["HELD", "Outcome", "Ranks", "lost_line"]

CHECKPOINT = "REGRESSION_CHECKPOINT"  # the file to go on from, in the environment of a started process
HELD = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)}
GRACE = 3.0  # seconds that a process gets to end by itself once another one has failed
AFTERMATH = re.compile(r"gloo|nccl|connection (closed|reset|refused)|timed out|socket|store", re.IGNORECASE)


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        kind: ``done``; ``stopped`` by a signal; ``failed`` by its own error; ``lost``: another process failed it.
        status: Its exit status.
        line: What to say about it, one line.
    """

    kind: Literal["done", "stopped", "failed", "lost"]
    status: int
    line: str = ""

    def message(self) -> bytes:
        """Return it as a line of JSON for the first process, without the line's end."""
        return json.dumps(asdict(self)).encode()


@dataclass
class _Child:
    name: str
    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    outcome: Outcome | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def verdict(self) -> Outcome | None:
        """Return how it ended or said that it will, ``None`` while it works, and what killed it where it was mute."""
        status = self.process.returncode
        if self.outcome is not None or not self.ended.is_set():
            return self.outcome
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        else:
            how = f"exited under way with status {status}"
        return Outcome("failed", 1, f"{self.name} {how}; {GO_ON}")


class Ranks:
    """The processes of a run on this machine, as one of them sees the others.

    Attributes:
        checkpoint: The file that the first process took for ``--ckpt_path``, in a process that it started.
    """

    def __init__(self) -> None:
        self.checkpoint = os.environ.pop(CHECKPOINT, None)
        self._children: list[_Child] = []
        self._names = ["this process"]
        self._seconds = 0.0
        self._is_over = threading.Event()

    @property
    def are_several(self) -> bool:
        """Whether there are other processes that this one knows of."""
        return LIFELINE is not None or bool(self._children) or (dist.is_available() and dist.is_initialized())

    def attach(self, trainer: pl.Trainer, seconds: float, checkpoint: str | None) -> None:
        """Let a Trainer start its processes here, and wait no longer for one than given.

        Args:
            trainer: The Trainer, before it runs.
            seconds: Longest time that one process waits for another.
            checkpoint: The file that all processes go on from.
        """
        strategy, self._seconds, self.checkpoint = trainer.strategy, seconds, checkpoint
        if not isinstance(strategy, DDPStrategy):
            return
        set_timeout(strategy, seconds)
        start_with(strategy, self._start_others, self.send)

    def _start_others(self, environment: Mapping[str, str], number: int, count: int) -> None:
        """Start the other processes of this machine; number is that of this one in the run, from 0."""
        total = environment["WORLD_SIZE"]
        names = [f"process {number + local + 1} of {total}" for local in range(count)]
        for local in range(1, count):
            self.start(_same_command(), {**environment, "LOCAL_RANK": str(local)}, names)
        self.expect_meeting()

    def start(self, command: Sequence[str], environment: Mapping[str, str], names: list[str]) -> None:
        """Start one more process and watch it; names has a name for each, the present one first."""
        self._names = names
        ours, theirs = socket.socketpair()
        known = {} if self.checkpoint is None else {CHECKPOINT: self.checkpoint}
        with theirs, _held():
            process = subprocess.Popen(
                command, env={**environment, **known, CHANNEL: str(theirs.fileno())}, pass_fds=[theirs.fileno()]
            )
            child = _Child(names[len(self._children) + 1], process, ours)
            self._children.append(child)  # before a signal is let in, or nobody would end it
        threading.Thread(target=self._watch, args=(child,), daemon=True).start()

    def expect_meeting(self) -> None:
        """End the run if this process does not come to wait for the others, which start later and wait from then."""
        timer = threading.Timer(self._seconds + 2, self._require_meeting)
        timer.daemon = True
        timer.start()

    def _require_meeting(self) -> None:
        if not self._is_over.is_set() and not dist.is_initialized():
            self.leave(Outcome("failed", 1, _hung_line(self._names[0], self._seconds)))

    def send(self, signum: int) -> None:
        """Send a signal to the processes that were started."""
        for child in self._children:
            child.process.send_signal(signum)

    def conclude(self, outcome: Outcome, speaks: bool = True) -> int:
        """End the run on this process, and with it on those it started; return the exit status.

        Args:
            outcome: How this process ended.
            speaks: Whether to print the line, where no other process does that.
        """
        self._is_over.set()
        if LIFELINE is not None:
            self._tell(LIFELINE, outcome)
            return outcome.status
        if self._children:
            outcome = self._settled(outcome)
        if outcome.line and speaks:
            say(outcome.line)
        return outcome.status

    def leave(self, outcome: Outcome) -> NoReturn:
        """End this process at once, and those it started; any thread may call it."""
        self._is_over.set()
        if LIFELINE is not None:
            LIFELINE.tell(outcome.message())
        else:
            self.close()
            say(outcome.line)
        os._exit(outcome.status)

    def close(self) -> None:
        """Kill what still runs of the processes that were started."""
        for child in self._children:
            child.process.kill()
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(GRACE)

    def _settled(self, outcome: Outcome) -> Outcome:
        """Wait for the others as long as it makes sense, kill the rest, and return how the run ended."""
        if outcome.kind == "lost":
            _wait(GRACE, lambda: any(_has_failed(child) for child in self._children))
        else:
            _wait(
                10.0 if outcome.kind == "done" else 1.5, lambda: all(child.ended.is_set() for child in self._children)
            )
        if outcome.kind in ("done", "lost"):
            outcome = self._cause(outcome)
        self.close()
        return outcome

    def _cause(self, own: Outcome | None) -> Outcome:
        """Return the outcome that explains all others; own is ``None`` where the first process does not answer."""
        verdicts = {child.name: child.verdict() for child in self._children}
        for kind in ("failed", "stopped"):
            for verdict in verdicts.values():
                if verdict is not None and verdict.kind == kind:
                    return verdict
        if own is not None and own.kind == "done":
            silent = [name for name, verdict in verdicts.items() if verdict is None]
            return Outcome("failed", 1, f"{silent[0]} did not end: it was killed") if silent else own
        hung = [name for name, verdict in {self._names[0]: own, **verdicts}.items() if verdict is None]
        if hung:
            return Outcome("failed", 1, _hung_line(hung[0], self._seconds))
        return own or Outcome("lost", 1, "all processes lost each other")

    def _watch(self, child: _Child) -> None:
        """Take what a started process tells until it ends, and see that its failure ends the run."""
        with suppress(OSError), child.channel.makefile("rb") as lines:
            for line in lines:
                child.outcome = Outcome(**json.loads(line))
                child.channel.sendall(b"\n")
                self._end_if_failed(child)
        child.process.wait()
        child.ended.set()
        self._end_if_failed(child)

    def _end_if_failed(self, child: _Child) -> None:
        """Give this process some time to see by itself that a process has failed, and end it then."""
        verdict = child.verdict()
        if verdict is not None and verdict.kind != "done" and not self._is_over.wait(GRACE):
            self.leave(self._cause(None))

    def _tell(self, lifeline: Lifeline, outcome: Outcome) -> None:
        lifeline.tell(outcome.message())
        if outcome.kind == "lost" and not lifeline.acknowledged.wait(GRACE):  # it is not even able to take a message
            say(_hung_line(lifeline.first, self._seconds))
            os.kill(os.getppid(), signal.SIGKILL)


def _has_failed(child: _Child) -> bool:
    verdict = child.verdict()
    return verdict is not None and verdict.kind in ("failed", "stopped")


@contextmanager
def _held() -> Iterator[None]:
    """Hold signals back here, and in a process that is started here until it lets them in when it is ready for them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _same_command() -> list[str]:
    """Return the command line that started this process."""
    return [sys.executable, *sys.orig_argv[1:]]


def lost_line(error: BaseException) -> str | None:
    """Return what to say of an error that another process caused, or ``None`` where it is this process's own."""
    text = str(error)
    is_aftermath = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and AFTERMATH.search(text))
    if isinstance(error, UsageError) or not is_aftermath:
        return None
    told = " ".join(re.sub(r"^\[.*?\] ", "", text).partition(". This is")[0].split())
    return f"another process of the run failed or hangs, its own line says why: {told}"


def _hung_line(name: str, seconds: float) -> str:
    return f"{name} did not answer for {seconds:g} s (--timeout); {GO_ON}"


def _wait(seconds: float, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
