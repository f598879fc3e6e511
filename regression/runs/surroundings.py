"""What the environment says of a process before it begins; standard library only.

Lightning takes a process's number from the environment when it is imported, and is silent on all but the first. Shells,
containers and schedulers leave such numbers behind where no launcher has started any process.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping

from regression.common.errors import UsageError
from regression.common.text import counted
from regression.runs.parent_watch import LIFELINE

__all__ = ["is_launched", "is_pod", "require_world", "settle"]

NUMBERS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
MEETING = {"MASTER_ADDR", "MASTER_PORT"}


def is_launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a launcher has started this process as one of several: ours, torchrun, srun, jsrun, or by hand."""
    return (
        LIFELINE is not None
        or "TORCHELASTIC_RUN_ID" in environment
        or ("SLURM_NTASKS" in environment and environment.get("SLURM_JOB_NAME") not in ("bash", "interactive"))
        or "JSM_NAMESPACE_SIZE" in environment
        or environment.keys() >= {*MEETING, "LOCAL_RANK"}
    )


def is_pod(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this is one of several pods, as Kubernetes' PyTorchJob starts them, each with its own output."""
    return not is_launched(environment) and environment.keys() >= {*MEETING, "RANK"} and _world(environment) > 1


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Drop numbers of processes that no launcher gave, and a backend of figures; to be called before the imports.

    A figure is a file here and opens no window. A kernel's own choice of the backend stays for the kernel.
    """
    if not is_launched(environment) and not is_pod(environment):
        for name in NUMBERS:
            environment.pop(name, None)
    if "IPython" not in sys.modules:
        environment["MPLBACKEND"] = "agg"  # where the name is not known, matplotlib cannot be imported


def require_world(processes: int, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse to run with fewer processes than the environment speaks of: each would fit all points by itself.

    Args:
        processes: Number of processes that the Trainer will have.
        environment: The environment.

    Raises:
        UsageError: If there are more of them; names the options.
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
