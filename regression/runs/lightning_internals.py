"""Where Lightning is handled by private names: its signal handlers, the processes it starts, and its loop.

There is no public way to replace them in a Trainer; each use says why. The version of Lightning is bounded, and
``tests/test_foreign_privates.py`` fails where a name is gone or one is used elsewhere.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import torch.distributed as dist
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

__all__ = ["SilentConnector", "Start", "close_ended_run", "keep_handlers_out", "set_timeout", "start_with"]

Start = Callable[[Mapping[str, str], int, int], None]


class SilentConnector(_SignalConnector):
    """Lightning's connector without its handlers.

    They would take the place of ours, and one of them sends a message to all processes in the middle of whatever this
    process is doing, which mixes up the messages. Its requeueing of SLURM jobs is used, after an update.
    """

    def register_signal_handlers(self) -> None:
        """Leave the handlers as they are."""

    def requeue(self) -> None:
        """Save for the job's next start and put the SLURM job back into its queue."""
        # What the handler does has no name of its own.
        self._slurm_sigusr_handler_fn(signal.SIGUSR1, None)  # type: ignore[arg-type]

    def requeues(self) -> bool:
        """Tell whether the run is a SLURM job that is to be requeued."""
        # A strategy of one device does not know the environment that was given as a plugin.
        environment = self.trainer._accelerator_connector.cluster_environment
        is_slurm = isinstance(environment, SLURMEnvironment) or SLURMEnvironment.detect()
        return is_slurm and getattr(environment, "auto_requeue", True)


def keep_handlers_out(trainer: pl.Trainer) -> SilentConnector:
    """Keep Lightning's signal handlers out of a Trainer that has not begun, and return what requeues its job."""
    # The connector is made in the Trainer, which takes no other one.
    connector = SilentConnector(trainer)
    trainer._signal_connector = connector
    return connector


class _Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher with the processes in the care of others.

    Its own observer looks every five seconds and kills all of them without a word. It minds ``procs``, which stays
    empty here.
    """

    def __init__(self, launcher: _SubprocessScriptLauncher, start: Start, send: Callable[[int], None]) -> None:
        super().__init__(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        self._start, self._send = start, send
        self._store: Any = None

    def launch(self, *args: Any, **options: Any) -> Any:
        """Start the processes and do the work; what they need in the environment is taken back at the end."""
        before = dict(os.environ)
        try:
            return super().launch(*args, **options)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def kill(self, signum: int) -> None:
        self._send(signum)

    def _meet_on_loopback(self) -> None:
        """Open the port at which the processes find each other on loopback: torch's own listens to every network.

        Torch takes it for the port of torchrun's agent, and opens none.
        """
        with socket.create_server(("127.0.0.1", 0), backlog=self.num_processes) as server:
            port, descriptor = server.getsockname()[1], server.detach()
        options: dict[str, Any] = {"is_master": True, "wait_for_workers": False, "master_listen_fd": descriptor}
        self._store = dist.TCPStore("127.0.0.1", port, **options)  # type: ignore[attr-defined]  # exported by a star
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        if sys.platform == "linux":
            os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}

    def _call_children_scripts(self) -> None:
        if self.num_nodes == 1:
            self._meet_on_loopback()
        cluster, count = self.cluster_environment, self.num_processes * self.num_nodes
        os.environ |= {
            "MASTER_ADDR": cluster.main_address,
            "MASTER_PORT": str(cluster.main_port),
            "NODE_RANK": str(cluster.node_rank()),
            "LOCAL_RANK": str(cluster.local_rank()),
            "WORLD_SIZE": str(count),
        }
        self._start(os.environ, cluster.node_rank() * self.num_processes, self.num_processes)


def set_timeout(strategy: DDPStrategy, seconds: float) -> None:
    """Let the processes of a strategy wait no longer for one than given."""
    # An argument of the strategy, but it is Lightning that chooses and makes the strategy by the devices it finds.
    strategy._timeout = timedelta(seconds=seconds)


def start_with(strategy: DDPStrategy, start: Start, send: Callable[[int], None]) -> None:
    """Let a strategy that starts processes by running the command again do so by the given functions.

    Args:
        strategy: The strategy, before it runs; one with other launchers is left alone.
        start: Starts the other processes of this machine, given their environment, the number of this process in the
            run, and how many there are on this machine.
        send: Sends a signal to them.
    """
    launcher = strategy.launcher
    if type(launcher) is _SubprocessScriptLauncher and os.name == "posix":
        strategy._launcher = _Launcher(launcher, start, send)  # the property has no setter


class _ClosingLoop(_FitLoop):
    """A loop that begins and ends a run in which no update is left to make; Lightning's own would skip all of it."""

    @property
    def skip(self) -> bool:
        """Never skip."""
        return False


def close_ended_run(trainer: pl.Trainer) -> None:
    """Let a Trainer whose checkpoint has made all updates come to the end of the run once more.

    Args:
        trainer: The Trainer, before it runs.
    """
    old = trainer.fit_loop
    loop = _ClosingLoop(trainer, old.min_epochs, old.max_epochs)
    loop.epoch_loop = old.epoch_loop
    trainer.fit_loop = loop
