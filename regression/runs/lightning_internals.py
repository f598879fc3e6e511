"""Uses private names of Lightning, for its signal handlers, the processes it starts, and its loop.

A Trainer has no public way to replace these; a comment at each use gives the reason. The version of Lightning is
bounded, and ``tests/test_foreign_privates.py`` fails if a name is gone or is used elsewhere.
"""

import os
import signal
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

from regression.runs.address_store import open_store_on_loopback

__all__ = ["SilentConnector", "Start", "close_ended_run", "keep_handlers_out", "set_timeout", "start_with"]

Start = Callable[[Mapping[str, str], int, int], None]


class SilentConnector(_SignalConnector):
    """Lightning's signal connector without its handlers.

    They would replace the handlers of ``Signals``, and one of them sends a message to all processes at any moment,
    which can be taken for a message of the run. The requeueing of SLURM jobs is used, after an update.
    """

    def register_signal_handlers(self) -> None:
        """Leave the handlers as they are."""

    def requeue(self) -> None:
        """Save a checkpoint for the next start of the SLURM job, and requeue the job."""
        # Lightning requeues in its signal handler only.
        self._slurm_sigusr_handler_fn(signal.SIGUSR1, None)  # type: ignore[arg-type]

    def requeues(self) -> bool:
        """Tell whether the run is a SLURM job that is to be requeued."""
        # A strategy of one device has no reference to the environment that was given as a plugin.
        environment = self.trainer._accelerator_connector.cluster_environment
        is_slurm = isinstance(environment, SLURMEnvironment) or SLURMEnvironment.detect()
        return is_slurm and getattr(environment, "auto_requeue", True)


def keep_handlers_out(trainer: pl.Trainer) -> SilentConnector:
    """Disable Lightning's signal handlers in a Trainer that has not begun; return the connector, for requeueing."""
    # A Trainer makes its connector itself, and no argument replaces it.
    connector = SilentConnector(trainer)
    trainer._signal_connector = connector
    return connector


class _Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher, with other functions to start the processes and to send them signals.

    Lightning's own observer checks the processes in ``procs`` every five seconds, and kills all of them without a
    message if one has failed. Here ``procs`` stays empty, so that it does nothing.
    """

    def __init__(self, launcher: _SubprocessScriptLauncher, start: Start, send: Callable[[int], None]) -> None:
        super().__init__(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        self._start, self._send = start, send
        self._store: Any = None

    def launch(self, *args: Any, **options: Any) -> Any:
        """Start the processes and run the function; restore the environment, which the start changes, at the end."""
        before = dict(os.environ)
        try:
            return super().launch(*args, **options)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def kill(self, signum: int) -> None:
        self._send(signum)

    def _call_children_scripts(self) -> None:
        if self.num_nodes == 1:
            self._store = open_store_on_loopback(self.num_processes)
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
    """Set how long the processes of a strategy wait for each other."""
    # It is an argument of the strategy's class, but Lightning makes the strategy itself, for the devices that it finds.
    strategy._timeout = timedelta(seconds=seconds)


def start_with(strategy: DDPStrategy, start: Start, send: Callable[[int], None]) -> None:
    """Make a strategy that starts processes by running the command again use the given functions for that.

    Args:
        strategy: The strategy, before it runs; one with another launcher is left unchanged.
        start: Starts the other processes of this machine, given their environment, the number of this process in the
            run, and how many processes this machine has.
        send: Sends a signal to them.
    """
    launcher = strategy.launcher
    if type(launcher) is _SubprocessScriptLauncher and os.name == "posix":
        strategy._launcher = _Launcher(launcher, start, send)  # the property has no setter


class _ClosingLoop(_FitLoop):
    """A loop that runs the hooks at the start and end of a fit where no update is left; Lightning's skips them."""

    @property
    def skip(self) -> bool:
        """False: never skip."""
        return False


def close_ended_run(trainer: pl.Trainer) -> None:
    """Make a Trainer run the end of a fit that is resumed after its last update.

    Args:
        trainer: The Trainer, before it runs.
    """
    old = trainer.fit_loop
    loop = _ClosingLoop(trainer, old.min_epochs, old.max_epochs)
    loop.epoch_loop = old.epoch_loop
    trainer.fit_loop = loop
