"""The command with a fault in one of its processes.

``FAULT=kind:rank:phase python -m tests.support.faulty fit …`` runs it. Each process writes its process number to a file
``process-RANK``, and the faulty one makes a file ``fault`` when the fault happens.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from regression.runs.started_processes import start_early

if __name__ == "__main__":
    start_early(sys.argv[1:])  # as train.py does

from lightning.pytorch.strategies import DDPStrategy

from regression.cli import main
from regression.fits.least_squares import LeastSquares
from regression.runs.checkpoint_callbacks import LastCheckpoint
from regression.runs.checkpoint_file import SafeCheckpointIO
from regression.runs.processes import Ranks
from regression.training.regression import Regression

RANK = int(os.environ.get("LOCAL_RANK", "0"))
KINDS: dict[str, Callable[[], Any]] = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "raised": lambda: (_ for _ in ()).throw(RuntimeError("the planted error")),
    "exited": lambda: os._exit(3),
    "hung": lambda: time.sleep(300),
    "frozen": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "late": lambda: time.sleep(3),  # no fault: longer than others are waited for after a failure
    "slow": lambda: time.sleep(0.2),  # no fault: a test has time to send a signal
}
PHASES: dict[str, tuple[type, str]] = {
    "start": (DDPStrategy, "setup_distributed"),
    "scan": (LeastSquares, "add"),
    "training": (Regression, "training_step"),
    "validation": (Regression, "validation_step"),
    "end": (Ranks, "conclude"),
    "saving": (SafeCheckpointIO, "save_checkpoint") if RANK == 0 else (LastCheckpoint, "save"),
}


def plant(kind: str, phase: str) -> None:
    """Make the fault happen before the method of a phase; in training, before its fifth call."""
    owner, name = PHASES[phase]
    original, calls = getattr(owner, name), iter(range(10**9))

    @wraps(original)
    def faulty(*args: Any, **kwargs: Any) -> Any:
        if phase != "training" or next(calls) >= 4:
            Path("fault").touch()
            KINDS[kind]()
        return original(*args, **kwargs)

    setattr(owner, name, faulty)


if __name__ == "__main__":
    Path(f"process-{RANK}").write_text(str(os.getpid()))
    kind, rank, phase = os.environ["FAULT"].split(":")
    if rank in (str(RANK), "all"):
        plant(kind, phase)
    sys.exit(main())
