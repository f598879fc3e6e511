"""Where Lightning is handled by private names: the processes it starts, its signal handlers, and a loop without work.

For none of them is there a public way; each use says why. The version of Lightning is bounded, and
``tests/test_foreign_privates.py`` fails where a name is gone or one is used elsewhere.
"""

import os
import signal
import socket
import sys
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import torch.distributed as dist
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

from regression.runs.processes import Ranks

__all__ = ["close_ended_run", "keep_handlers_out", "requeue", "requeues", "watch_processes"]


def watch_processes(trainer: pl.Trainer, ranks: Ranks) -> None:
    """Let a Trainer start its processes through ``Ranks``, and wait no longer for one than ``ranks.seconds``.

    Lightning chooses the strategy by the devices it finds; then it is too late to hand it these two.
    """
    strategy = trainer.strategy
    if not isinstance(strategy, DDPStrategy):
        return
    strategy._timeout = timedelta(seconds=ranks.seconds)
    launcher = strategy.launcher
    if type(launcher) is _SubprocessScriptLauncher and os.name == "posix":
        strategy._launcher = _Launcher(launcher, ranks)


class _Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher with the processes in the care of ``Ranks``.

    Its own observer looks every five seconds and kills all of them without a word. It minds ``procs``, which stays
    empty here.
    """

    def __init__(self, launcher: _SubprocessScriptLauncher, ranks: Ranks) -> None:
        super().__init__(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        self._ranks = ranks
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
        self._ranks.send(signum)

    def _call_children_scripts(self) -> None:
        self._check_can_spawn_children()
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
        first = cluster.node_rank() * self.num_processes + 1
        names = [f"process {first + local} of {count}" for local in range(self.num_processes)]
        for local in range(1, self.num_processes):
            self._ranks.start([sys.executable, *sys.orig_argv[1:]], os.environ | {"LOCAL_RANK": str(local)}, names)
        self._ranks.expect_meeting()

    def _meet_on_loopback(self) -> None:
        """Open the port at which the processes find each other on loopback: torch's own listens to every network.

        Torch takes it for the one of torchrun's agent, and starts none.
        """
        seconds = timedelta(seconds=self._ranks.seconds)
        with socket.create_server(("127.0.0.1", 0), backlog=self.num_processes) as server:
            port = server.getsockname()[1]
            self._store = dist.TCPStore(  # type: ignore[attr-defined]  # public, by a star
                "127.0.0.1", port, is_master=True, wait_for_workers=False, timeout=seconds,
                master_listen_fd=server.detach(),
            )  # fmt: skip
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        if sys.platform == "linux":
            os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


class _SilentConnector(_SignalConnector):
    """Lightning's connector without its handlers.

    They would take the place of ours, and one of them sends a message to all processes in the middle of whatever this
    process is doing, which mixes up the messages. The connector is made in the Trainer.
    """

    def register_signal_handlers(self) -> None:
        """Leave the handlers as they are."""


def keep_handlers_out(trainer: pl.Trainer) -> None:
    """Let a Trainer leave the handlers of signals as they are."""
    trainer._signal_connector = _SilentConnector(trainer)


def requeues(trainer: pl.Trainer) -> bool:
    """Tell whether the run is a SLURM job that is to be requeued."""
    environment = trainer._accelerator_connector.cluster_environment
    is_slurm = isinstance(environment, SLURMEnvironment) or SLURMEnvironment.detect()
    return is_slurm and getattr(environment, "auto_requeue", True)


def requeue(trainer: pl.Trainer) -> None:
    """Save for the job's next start and put the SLURM job back into its queue, as Lightning does."""
    trainer._signal_connector._slurm_sigusr_handler_fn(signal.SIGUSR1, None)  # type: ignore[arg-type]


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
