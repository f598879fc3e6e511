"""Reads from the environment whether a launcher started this process, and removes stale variables.

Lightning reads the rank of a process from the environment when it is imported, and only the first process prints.
Shells, containers and schedulers set such variables also where no launcher has started a process. Standard library
only, because this runs before the imports.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping

from regression.common.errors import UsageError
from regression.common.text import counted
from regression.runs.parent_watch import PARENT

__all__ = ["clean_environment", "is_launched", "is_pod", "require_world"]

RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
RENDEZVOUS = {"MASTER_ADDR", "MASTER_PORT"}


def is_launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a launcher started this process as one of several: this program, torchrun, srun, jsrun, a user."""
    return (
        PARENT is not None
        or "TORCHELASTIC_RUN_ID" in environment
        or ("SLURM_NTASKS" in environment and environment.get("SLURM_JOB_NAME") not in ("bash", "interactive"))
        or "JSM_NAMESPACE_SIZE" in environment
        or environment.keys() >= {*RENDEZVOUS, "LOCAL_RANK"}
    )


def is_pod(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this process is one of several pods of a PyTorchJob in Kubernetes, each with its own output."""
    return not is_launched(environment) and environment.keys() >= {*RENDEZVOUS, "RANK"} and _world(environment) > 1


def clean_environment(environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove ranks that no launcher set, and set matplotlib's backend; to be called before the imports.

    Figures are written to files and open no window. In a notebook the kernel's own backend is kept.
    """
    if not is_launched(environment) and not is_pod(environment):
        for name in RANK_VARIABLES:
            environment.pop(name, None)
    if "IPython" not in sys.modules:
        environment["MPLBACKEND"] = "agg"  # the import of matplotlib fails with a backend that does not exist


def require_world(processes: int, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse to run with fewer processes than ``WORLD_SIZE``: each would fit all points by itself.

    Args:
        processes: Number of processes that the Trainer will have.
        environment: The environment.
    """
    size = _world(environment)
    if size > processes:
        local = int(environment["LOCAL_WORLD_SIZE"]) if environment.get("LOCAL_WORLD_SIZE", "").isdecimal() else 1
        nodes = max(1, size // max(1, local))
        raise UsageError(
            f"WORLD_SIZE is {size}, and this run has {counted(processes, 'process', 'processes')}: give "
            f"--trainer.num_nodes {nodes} --trainer.devices {local}, or unset WORLD_SIZE"
        )


def _world(environment: Mapping[str, str]) -> int:
    size = environment.get("WORLD_SIZE", "")
    return int(size) if size.isdecimal() else 1
