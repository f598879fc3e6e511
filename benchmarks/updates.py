"""Time per update of full-batch descent on ten points: the textbook's bare loop, default Lightning, and ours.

The claim: for the 100,000 updates of configs/polynomial.yaml the whole command, with its TensorBoard log, figures,
checkpoints and files, takes at most half of the bare loop's time per update.

What bounds the time is not arithmetic, about a hundred multiplications per update, but the number of calls. The bare
loop makes over a hundred tensor operations per update, most of them for autograd. Default Lightning adds an epoch per
update: the bookkeeping of ``self.log``, a checkpoint file, hooks. Ours makes a handful of tensor operations per update;
the command adds a fixed price per run (parsing, figures, files), so few updates make it look slow.

All run in one process, in turn within each repeat, after a check that they give the same numbers; imports are not
timed. Default Lightning makes one update in a hundred: the time per update is compared. A ratio is the median over the
repeats of the ratio to the bare loop of the same repeat.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import measure
from regression import Polynomial, cli
from regression.descent.losses import GlobalLoss
from regression.descent.updates import Objective, descend

CONFIG = measure.ROOT / "configs" / "polynomial.yaml"
X = torch.linspace(0, 1, 10)
Y = 3 * X + torch.sin(6 * X) + 1
BLOCK = 10_000  # updates per batch in that config
RATE = 0.05
UPDATES, REPEATS = 100_000, 3
CHECKED, CHECKED_LIGHTNING, TOLERANCE = 1000, 200, 1e-4
LOG_EVERY = 100


class Textbook(nn.Module):
    """The textbook's polynomial of five coefficients."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        """Return the polynomial at x."""
        return sum(self.a[k] * x**k for k in range(5))


class PlainModule(pl.LightningModule):
    """The LightningModule that a user would write around it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Textbook()
        self.loss = nn.MSELoss()

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Log the coefficients and the loss, and return the loss."""
        x, y = batch
        loss = self.loss(self.model(x), y)
        self.log("train_loss", loss)
        self.log_dict({f"a{k}": a for k, a in enumerate(self.model.a)})
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=RATE)


def bare_loop(updates: int, _folder: Path | None = None) -> Tensor:
    """Make the updates in the textbook's loop, which writes and prints nothing; return the coefficients."""
    model, loss_function = Textbook(), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(updates):
        optimizer.zero_grad()
        loss = loss_function(model(X), Y)
        loss.backward()
        optimizer.step()
    return model.a.detach()


def default_lightning(updates: int, folder: Path) -> Tensor:
    """Make the updates as Lightning's documentation would, one batch per epoch; return the coefficients."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    module = PlainModule()
    with warnings.catch_warnings():
        # Lightning's advice against just this case; workers and other intervals do not make ten points faster.
        warnings.filterwarnings("ignore", message=r"The 'train_dataloader' does not have many workers")
        warnings.filterwarnings("ignore", message=r"The number of training batches \(1\) is smaller than the logging")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.")  # newer torch deprecates
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=updates, logger=TensorBoardLogger(folder), enable_checkpointing=True,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=10))
    return module.model.a.detach()


def whole_command(updates: int, folder: Path, *options: str) -> None:
    """Run ``fit -c configs/polynomial.yaml`` with everything that it writes and prints, out of sight."""
    sizes = [f"--trainer.max_steps={updates}", f"--trainer.default_root_dir={folder}", "--trainer.accelerator=cpu"]
    with contextlib.redirect_stdout(io.StringIO()):
        status = cli.main(["fit", "-c", str(CONFIG), *sizes, *options])
    if status != 0:
        raise SystemExit(f"the command failed with status {status}")


def updates_alone(updates: int, _folder: Path | None = None) -> Tensor:
    """Make the command's updates without Trainer, log and files; return the coefficients."""
    model = Polynomial(degree=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    objective = Objective(model.design(X), Y, len(Y), GlobalLoss("MSELoss"))
    for start in range(0, updates, BLOCK):
        descend(objective, model.coefficients, optimizer, min(BLOCK, updates - start))
    return model.coefficients.detach()


CONTENDERS: dict[str, Callable[[int, Path], object]] = {
    "bare loop": bare_loop,
    "default Lightning": default_lightning,
    "ours, whole command": whole_command,
    "ours, updates alone": updates_alone,
}


def require_same(name: str, coefficients: Tensor, updates: int) -> None:
    """Stop unless the coefficients are those of the bare loop after this number of updates."""
    expected = bare_loop(updates)
    if not torch.allclose(coefficients, expected, rtol=TOLERANCE, atol=0):
        raise SystemExit(f"{name} after {updates} updates: {coefficients.tolist()}, bare loop: {expected.tolist()}")


def require_counted(folder: Path, updates: int) -> None:
    """Stop unless checkpoint and log of a command's run have the bare loop's numbers at the right updates."""
    (run,) = folder.glob("lightning_logs/version_*")
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    if checkpoint["global_step"] != updates:
        raise SystemExit(f"last.ckpt has global_step {checkpoint['global_step']}, expected {updates}")
    require_same("last.ckpt", checkpoint["state_dict"]["model.coefficients"], updates)
    log = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    steps = [event.step for tag in log.Tags()["scalars"] if tag == "Loss/train" for event in log.Scalars(tag)]
    expected = list(range(0, updates, LOG_EVERY))
    if steps != expected:
        raise SystemExit(f"TensorBoard's steps are {len(steps)} up to {steps[-1:]}, expected every {LOG_EVERY}th")
    logged = torch.tensor([log.Scalars(f"coefficients/c{k}")[-1].value for k in range(5)])
    require_same("TensorBoard", logged, expected[-1] + 1)  # logged at index i: the state after i + 1 updates


def check(updates: int) -> None:
    """Stop unless all contenders give the same numbers after at most this many updates, and ours count them."""
    few = min(updates, CHECKED_LIGHTNING)
    require_same("updates alone", updates_alone(updates), updates)
    with tempfile.TemporaryDirectory() as folder:
        require_same("default Lightning", default_lightning(few, Path(folder) / "default"), few)
        # Blocks that do not divide the updates, so that a miscounted or lost block shows.
        blocks = f"--model.updates_per_batch={max(2, updates // 3)}"
        whole_command(updates, Path(folder), blocks, f"--trainer.log_every_n_steps={LOG_EVERY}")
        require_counted(Path(folder), updates)


def measure_times(updates: dict[str, int], repeats: int) -> dict[str, list[float]]:
    """Return each contender's times per update in microseconds, one per repeat."""

    def work(name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            CONTENDERS[name](updates[name], Path(folder))

    times = measure.clock(measure.take_turns({name: lambda name=name: work(name) for name in CONTENDERS}, repeats))
    return {name: [seconds / updates[name] * 1e6 for seconds in own] for name, own in times.items()}


def main(args: Sequence[str] | None = None) -> dict[str, float | None]:
    """Check, measure and print the table; return the contenders' ratios to the bare loop."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--updates", type=int, default=UPDATES, help="updates per run (default: %(default)s)")
    options = parser.parse_args(args)
    check(min(options.updates, CHECKED))
    updates = dict.fromkeys(CONTENDERS, options.updates) | {"default Lightning": max(1, options.updates // 100)}
    times = measure_times(updates, options.repeats)
    ratios = {name: measure.ratio(own, times["bare loop"]) for name, own in times.items()}
    print(f"{measure.versions('torch', 'lightning')}; {options.repeats} repeats, medians")
    measure.print_table(
        ["contender", "updates", "µs/update", "min–max", "ratio"],
        [[name, updates[name], median(own), measure.between(own), ratios[name]] for name, own in times.items()],
    )
    print("default Lightning, far slower, makes 1 update in 100")
    return ratios


if __name__ == "__main__":
    main()
