"""A resumed run ends where the uninterrupted one does, to the last bit."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from torch.optim import LBFGS, SGD, Adam, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

from regression.data.data_modules import SineLineDataModule
from regression.outputs.fit_files import FitFiles
from regression.runs.checkpoint_callbacks import BestCheckpoint, LastCheckpoint
from regression.runs.checkpoint_file import SafeCheckpointIO, read_checkpoint
from regression.training.line_and_polynomial import PolynomialRegression

# The command ignores these warnings: nothing is held out, and a block steps the scheduler itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
    pytest.mark.filterwarnings("ignore:.*keys will be ignored. You need to call `lr_scheduler.step"),
]
UPDATES = 24
POINTS = {"points": 20, "noise": 0.3, "validation_fraction": 0.2}  # 16 to fit: 8 batches of 2, 3 epochs
BATCHES: dict[str, dict[str, Any]] = {
    "full batch": {},
    "in order": {"batch_size": 2, "shuffle": False},
    "shuffled": {"batch_size": 2, "seed": 3},
}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda parameters: SGD(parameters, lr=0.1),
    "momentum": lambda parameters: SGD(parameters, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda parameters: Adam(parameters, lr=0.1, amsgrad=True),
    "AdamW": lambda parameters: AdamW(parameters, lr=0.1),
    "LBFGS": lambda parameters: LBFGS(parameters, lr=0.5, max_iter=3, history_size=5),
}
SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "constant": lambda _: None,
    "StepLR": lambda optimizer: StepLR(optimizer, step_size=2, gamma=0.7),
    "Cosine": lambda optimizer: CosineAnnealingLR(optimizer, T_max=5),
    "Plateau": lambda optimizer: ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.2),
}


@dataclass(frozen=True)
class Case:
    """A run of ``UPDATES`` updates: its options, and the hook in which checkpoints are saved."""

    batches: str = "shuffled"
    optimizer: str = "Adam"
    scheduler: str = "constant"
    monitor: str = "val_loss"
    hook: str = "batch_start"
    trainer: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    points: dict[str, Any] = field(default_factory=dict)

    def module(self) -> PolynomialRegression:
        module = PolynomialRegression(degree=3, **self.model)

        def configure_optimizers() -> Any:
            optimizer = OPTIMIZERS[self.optimizer](module.parameters())
            scheduler = SCHEDULERS[self.scheduler](optimizer)
            if scheduler is None:
                return optimizer
            plan = {"scheduler": scheduler} | ({"monitor": self.monitor} if self.scheduler == "Plateau" else {})
            return {"optimizer": optimizer, "lr_scheduler": plan}

        module.configure_optimizers = configure_optimizers  # type: ignore[method-assign]
        return module


class Series(Logger):
    """A logger that keeps values by tag and update."""

    name, version = "series", 0

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[tuple[str, int], float] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        for tag, value in metrics.items():
            assert (tag, step) not in self.values, f"{tag} is logged twice at {step}"
            self.values[tag, step] = value

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Keep nothing."""


class Kill(Callback):
    """Keeps the checkpoints and the log that a kill would leave after each update, or before the first."""

    def __init__(self, folder: Path, hook: str) -> None:
        self.folder, self.hook = folder, hook
        self.logged: dict[int, dict[tuple[str, int], float]] = {}

    def keep(self, trainer: pl.Trainer) -> None:
        if (self.folder / "last.ckpt").exists():
            shutil.copytree(self.folder, self.folder.parent / f"at {trainer.global_step}", dirs_exist_ok=True)
            assert isinstance(trainer.logger, Series)
            self.logged[trainer.global_step] = dict(trainer.logger.values)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.keep(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self.hook == "batch_end":  # as a run does that a signal stops
            (last,) = (callback for callback in trainer.checkpoint_callbacks if isinstance(callback, LastCheckpoint))
            last.save(trainer)
            self.keep(trainer)


@dataclass
class Done:
    """What a run left: its last checkpoint, its best one, its fit, and what it logged, also up to each kill."""

    last: dict[str, Any]
    best: dict[str, Any]
    fit: dict[str, Any]
    drawn: dict[int, float]
    values: dict[tuple[str, int], float]
    logged: dict[int, dict[tuple[str, int], float]]


def train(case: Case, folder: Path, resumed: Path | None = None) -> Done:
    """Run a case in a folder, from the beginning or from a checkpoint."""
    series, module, files = Series(), case.module(), FitFiles()
    end = {"max_epochs": UPDATES if case.batches == "full batch" else 3} if not case.trainer else case.trainer
    best, last = BestCheckpoint(), LastCheckpoint(every_n_updates=None if case.hook == "batch_end" else 1)
    best.dirpath = last.dirpath = str(folder / "checkpoints")
    kill = Kill(folder / "checkpoints", case.hook)
    callbacks = [files, best, last, *([] if resumed else [kill])]
    trainer = pl.Trainer(
        accelerator="cpu", logger=series, callbacks=callbacks, plugins=[SafeCheckpointIO()],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, log_every_n_steps=1,
        default_root_dir=folder, **{"max_epochs": -1, **end},
    )  # fmt: skip
    points = SineLineDataModule(**{**POINTS, **BATCHES[case.batches], **case.points})
    trainer.fit(module, points, ckpt_path=None if resumed is None else str(resumed), weights_only=True)
    assert module.result is not None
    left = {name: read_checkpoint(str(folder / "checkpoints" / f"{name}.ckpt")) for name in ("last", "best")}
    return Done(
        **left, fit=json.loads(module.result.to_json()), drawn=files.losses, values=series.values, logged=kill.logged
    )


def differences(one: Any, two: Any, path: str = "") -> list[str]:
    """Return where two nested values do not have the same bits."""
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        return [place for key in one for place in differences(one[key], two[key], f"{path}/{key}")]
    if isinstance(one, list | tuple) and isinstance(two, list | tuple) and len(one) == len(two):
        return [place for at in range(len(one)) for place in differences(one[at], two[at], f"{path}/{at}")]
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return [] if one.dtype == two.dtype and torch.equal(one, two) else [path]
    return [] if type(one) is type(two) and one == two else [path]


PARTS = ("state_dict", "optimizer_states", "lr_schedulers", "metrics", "position", "global_step")


def require_same(whole: Done, rest: Done, update: int, saved: int) -> None:
    """Fail unless the run resumed after an update left what the whole run did.

    Both parts together must have logged all values, and the resumed one none from before its checkpoint.
    """
    assert differences(*({part: done.last[part] for part in PARTS} for done in (whole, rest))) == []
    assert rest.last["loops"]["fit_loop"]["epoch_progress"] == whole.last["loops"]["fit_loop"]["epoch_progress"]
    assert differences(whole.best["state_dict"], rest.best["state_dict"]) == []
    assert rest.best["global_step"] == whole.best["global_step"]
    scores = [done.last["callbacks"]["BestCheckpoint"]["best_model_score"] for done in (whole, rest)]
    assert torch.equal(*scores)
    assert rest.fit == whole.fit
    assert rest.drawn == whole.drawn
    assert whole.logged[update] | rest.values == whole.values
    # The number of a validation is that of the update before it.
    assert min((step for _, step in rest.values), default=saved) >= saved - 1


def check(case: Case, folder: Path, updates: list[int]) -> None:
    """Run a case, interrupt it after each of some updates, and compare what the resumed runs leave."""
    whole = train(case, folder / "whole")
    kept = [int(path.name[3:]) for path in (folder / "whole").glob("at *")]
    for update in updates:
        # A block makes several updates; before the first one there is nothing on the disk.
        found = max((step for step in kept if step <= update), default=None)
        if found is None or found >= whole.last["global_step"]:
            continue
        checkpoint = folder / "whole" / f"at {found}" / "last.ckpt"
        rest = train(case, folder / f"from {update}", checkpoint)
        require_same(whole, rest, found, read_checkpoint(str(checkpoint))["global_step"])


ALL = list(product(BATCHES, OPTIMIZERS, SCHEDULERS))
HOOKS, MONITORS = ("batch_start", "batch_end"), ("train_loss", "val_loss")


def drawn(number: int) -> tuple[int, str, str]:
    """Return an update to be interrupted after, a hook and a monitor, drawn from a seed."""
    draw = random.Random(number)
    return draw.randrange(1, UPDATES), draw.choice(HOOKS), draw.choice(MONITORS)


@pytest.mark.parametrize(
    ("names", "update", "hook", "monitor"), [(names, *drawn(number)) for number, names in enumerate(ALL)]
)
def test_a_run_interrupted_once_ends_in_the_same_bits(
    tmp_path: Path, names: tuple[str, str, str], update: int, hook: str, monitor: str
) -> None:
    """Each combination of batches, optimizer and scheduler resumes exactly after an update drawn from a seed."""
    check(Case(*names, monitor, hook), tmp_path, [update])


@pytest.mark.slow
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("names", ALL)
def test_a_run_interrupted_anywhere_ends_in_the_same_bits(
    tmp_path: Path, names: tuple[str, str, str], hook: str
) -> None:
    """Each combination resumes exactly after each of its updates."""
    check(Case(*names, "train_loss" if hook == "batch_end" else "val_loss", hook), tmp_path, list(range(UPDATES)))


OTHERS = {
    "blocks": Case("full batch", "Adam", "StepLR", model={"updates_per_batch": 5}, trainer={"max_steps": 24}),
    "blocks of plain SGD": Case("full batch", "SGD", model={"updates_per_batch": 4}, trainer={"max_epochs": 6}),
    "blocks of mini-batches": Case("shuffled", "Adam", "StepLR", model={"updates_per_batch": 3}),
    "blocks of mini-batches with a plateau": Case("shuffled", "LBFGS", "Plateau", model={"updates_per_batch": 3}),
    "blocks of mini-batches cut by max_steps": Case(
        "in order", "SGD", "Cosine", hook="batch_end", model={"updates_per_batch": 5}, trainer={"max_steps": 18}
    ),
    "max_steps": Case("shuffled", "momentum", "Plateau", "val_loss", "batch_end", trainer={"max_steps": 24}),
    "max_steps within an epoch": Case("shuffled", "LBFGS", "Cosine", trainer={"max_steps": 21}),
    "accumulated": Case(optimizer="AdamW", trainer={"accumulate_grad_batches": 3, "max_epochs": 4}),
    "validated twice an epoch": Case(hook="batch_end", trainer={"val_check_interval": 0.5, "max_epochs": 3}),
    "validated in every third batch": Case(
        hook="batch_end", trainer={"val_check_interval": 3, "check_val_every_n_epoch": None, "max_steps": 20}
    ),
    "validated every other epoch": Case(
        scheduler="Plateau",
        monitor="train_loss",
        trainer={"check_val_every_n_epoch": 2, "max_epochs": 4},
        points={"batch_size": 4},
    ),
    "no points held out": Case(
        "shuffled", "SGD", "Plateau", "train_loss", "batch_end", points={"validation_fraction": 0.0, "points": 16}
    ),
    "blocks with a plateau": Case(
        "full batch", "SGD", "Plateau", "train_loss", model={"updates_per_batch": 3}, trainer={"max_epochs": 8}
    ),
    "stopped when close": Case("full batch", "LBFGS", model={"stop_at_opt_error": 0.05}, trainer={"max_epochs": 90}),
    "stopped within an epoch": Case("in order", "LBFGS", model={"stop_at_opt_error": 9.0}, trainer={"max_epochs": 9}),
    "part of the batches": Case(hook="batch_end", trainer={"limit_train_batches": 5, "max_epochs": 4}),
    "clipped float64": Case(
        optimizer="SGD", trainer={"gradient_clip_val": 0.5, "precision": "64-true", "max_epochs": 3}
    ),
    "norm": Case("shuffled", "Adam", model={"loss": "NormLoss", "domain": "raw"}),
    "through a point": Case("shuffled", "Adam", model={"through": [(0.5, 2.5)], "terms": [0, 1, 3]}),
    "huber": Case("in order", "AdamW", "StepLR", model={"loss": "HuberLoss"}),
}


@pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)
def test_other_ways_to_run_resume_too(tmp_path: Path, case: Case) -> None:
    """Runs with blocks, accumulation, other validations, early stops and other limits resume exactly."""
    check(case, tmp_path, random.Random(str(case)).sample(range(1, UPDATES), 3))


@pytest.mark.parametrize("model", [{}, {"updates_per_batch": 4}], ids=["updates", "blocks"])
@pytest.mark.parametrize("batches", BATCHES)
def test_a_run_interrupted_before_its_last_validation_makes_it(
    tmp_path: Path, batches: str, model: dict[str, Any]
) -> None:
    """A run resumed after its last update and before the validation validates, and leaves what the whole run does."""
    case = Case(batches, monitor="train_loss", hook="batch_end", model=model)
    whole = train(case, tmp_path / "whole")
    updates = whole.last["global_step"]
    assert ("val_loss", updates - 1) in whole.values.keys() - whole.logged[updates].keys()
    rest = train(case, tmp_path / "rest", tmp_path / "whole" / f"at {updates}" / "last.ckpt")
    require_same(whole, rest, updates, updates)


@pytest.mark.slow
@pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)
def test_other_ways_to_run_resume_from_anywhere(tmp_path: Path, case: Case) -> None:
    """They resume exactly after each update, from checkpoints written in either hook."""
    for hook in HOOKS:
        check(replace(case, hook=hook), tmp_path / hook, list(range(UPDATES)))
