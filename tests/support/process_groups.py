"""A program that fits many small tables with groups of one or more processes, and writes the results of each process.

``python -m tests.support.process_groups FOLDER SIZE…`` fits the cases in ``FOLDER/cases.json`` with each size of group;
each process writes a ``FOLDER/SIZE-RANK.json``. Because a start takes seconds and a fit a tenth of a second, this
process imports everything and forks the others; the Trainers run in an existing group, as under a launcher.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from regression.cli.entry import _suppress_messages
from regression.data.table_module import TableDataModule
from regression.outputs.evaluation import Evaluation
from regression.outputs.predictions import PredictionFile
from regression.training import regression
from regression.training.base import SMALL_BATCH_ROWS
from regression.training.line_and_polynomial import PolynomialRegression

LIMIT_S = 900  # after which a process is ended
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.1),
    "LBFGS": lambda parameters: torch.optim.LBFGS(parameters, lr=0.5, max_iter=3, line_search_fn="strong_wolfe"),
}


class Case(NamedTuple):
    """The number of rows of a table, and how it is fitted; the optimizer ``exact`` stands for the exact solver.

    Batches are so small that each process would compute updates from whole batches. With ``is_shared`` they count as
    large, so that each process works on its slice and gradients are summed.
    """

    rows: int
    batch_size: int | None
    optimizer: str
    precision: str = "64-true"
    updates_per_batch: int = 1
    loss: str = "MSELoss"
    is_shared: bool = False
    is_constrained: bool = False

    def module(self) -> pl.LightningModule:
        kept = {"fix": {"c2": 0.5}, "through": [(0.25, 1.0)]} if self.is_constrained else {}
        if self.optimizer == "exact":
            return PolynomialRegression(degree=2, solver="exact", **kept)  # type: ignore[arg-type]
        options = {"loss": self.loss, "updates_per_batch": self.updates_per_batch, **kept}
        module = PolynomialRegression(degree=2, **options)  # type: ignore[arg-type]
        module.configure_optimizers = lambda: OPTIMIZERS[self.optimizer](module.parameters())  # type: ignore[method-assign]
        return module


class Log(Logger):
    """A logger that keeps values by tag and update; its folder is where files are written."""

    name, version = "log", 0

    save_dir = ""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.save_dir = str(folder)
        self.values: dict[str, float] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.values |= {f"{tag} at {step}": float(value) for tag, value in metrics.items()}

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Keep nothing."""


def table(folder: Path, rows: int) -> Path:
    """Write a table of points that lie on no quadratic."""
    path, draw = folder / f"{rows}.npz", np.random.default_rng(rows)
    x = draw.uniform(-3, 5, rows)
    np.savez(path, x=x, y=np.sin(x) + draw.normal(0, 0.3, rows))
    return path


def trainer(size: int, folder: Path, precision: str) -> pl.Trainer:
    shared = DDPStrategy(cluster_environment=LightningEnvironment(), process_group_backend="gloo")
    return pl.Trainer(
        accelerator="cpu", devices=size, strategy=shared if size > 1 else "auto", precision=precision,
        max_epochs=3, logger=Log(folder), callbacks=[Evaluation(), PredictionFile()], log_every_n_steps=1,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip


def outcome(case: Case, size: int, folder: Path) -> dict[str, Any]:
    """Fit, validate, test and predict, and return the results of this rank."""
    files = (folder / f"{case.rows}.npz", folder / f"{case.rows % 5 + 1}.npz")
    data = TableDataModule(str(files[0]), validation_path=str(files[1]), batch_size=case.batch_size, seed=4)
    output = folder / f"of {size}"
    regression.SMALL_BATCH_ROWS = 0 if case.is_shared else SMALL_BATCH_ROWS
    module, runner = case.module(), trainer(size, output, case.precision)
    runner.fit(module, data)
    log: Any = runner.logger
    metrics = {**runner.callback_metrics}
    for evaluate in (runner.validate, runner.test):
        evaluate(module, datamodule=data, verbose=False)
        metrics |= runner.callback_metrics
    runner.predict(module, datamodule=data, return_predictions=False)
    runner.strategy.barrier()  # the first process writes the file
    return {
        "coefficients": module.state_dict()["model.coefficients"].tolist(),
        "log": log.values,
        "metrics": {name: float(value) for name, value in metrics.items()},
        "fit": json.loads(module.result.to_json()),
        "predictions": (output / "predictions.csv").read_text(),
    }


def run(rank: int, size: int, folder: Path) -> None:
    """Fit all cases as one of a group's processes."""
    signal.alarm(LIMIT_S)
    if size > 1:
        os.environ["LOCAL_RANK"] = str(rank)  # Lightning then starts no processes of its own
        meet = f"file://{folder}/meet-{size}"
        dist.init_process_group("gloo", meet, timedelta(seconds=60), rank=rank, world_size=size)
    cases = json.loads((folder / "cases.json").read_text())
    with redirect_stdout(sys.stderr):
        outcomes = [outcome(Case(*case), size, folder) for case in cases]
    (folder / f"{size}-{rank}.json").write_text(json.dumps(outcomes))
    if size > 1:
        dist.destroy_process_group()


def forked(rank: int, size: int, folder: Path) -> int:
    """Start a process of a group, and return its number."""
    process = os.fork()
    if process == 0:
        try:
            run(rank, size, folder)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return process


def main(folder: str, *sizes: str) -> None:
    torch.set_num_threads(1)
    _suppress_messages()
    for size in map(int, sizes):
        group = [forked(rank, size, Path(folder)) for rank in range(size)]
        assert not any(os.waitpid(process, 0)[1] for process in group), f"a group of {size} failed"


if __name__ == "__main__":
    main(*sys.argv[1:])
