"""Where Lightning is handled by private names: its signal handlers, and the processes it starts.

There is no public way to keep either out of a Trainer; each use says why. The version of Lightning is bounded, and
``tests/test_foreign_privates.py`` fails where a name is gone or one is used elsewhere.
"""

import os
import signal
from collections.abc import Callable, Mapping
from datetime import timedelta

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

__all__ = ["SilentConnector", "Start", "keep_handlers_out", "set_timeout", "start_with"]

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

    def kill(self, signum: int) -> None:
        self._send(signum)

    def _call_children_scripts(self) -> None:
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
