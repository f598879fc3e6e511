"""Shuffled mini-batches of 4,096 rows from ten million: through the Trainer, and in a loop written by hand.

The claims: at least 20 times the rows per second of Lightning with a default ``DataLoader``, and at least 0.7 of those
of a bare loop that slices tensors and writes nothing.

All move a line from zero by plain SGD. Ours is the whole command with its log, figures and checkpoints; with blocks of
100 updates, and with one update per visit of the Trainer, which is its default. Lightning with a ``DataLoader``, which
collates row by row, runs on fewer rows; rows per second are compared. All run in one process, in turn within each
repeat. A ratio is the median over the repeats of the ratio within a repeat. Before any timing, ours and Lightning must
come to the coefficients of the bare loop given the same order of the rows.

What bounds the time. All draw an order and gather rows from all over the memory, some 10 ns for each. The bare loop
makes about twenty tensor operations per update, most of them for autograd. Ours gathers a hundred batches at once and
makes a dozen operations per update, without autograd; it pays one more pass for the optimum, and its files. One update
per visit costs a whole turn of Lightning's loop, about a millisecond.
"""

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import measure
from regression import cli
from regression.data.shuffle import Permutation

ROWS, BATCH, BLOCK, RATE, EPOCHS, REPEATS = 10_000_000, 4096, 100, 0.05, 5, 3
SLOW_SHARE = 50  # Lightning with a DataLoader takes one row in so many
CHECKED_ROWS, TOLERANCE = 20_000, 1e-4

Order = Callable[[int, int], Tensor]  # from rows and epoch


def points(rows: int) -> tuple[Tensor, Tensor]:
    x = torch.linspace(0, 1, rows)
    return x, 3 * x + torch.sin(6 * x) + 1


class Line(nn.Module):
    """An intercept and a slope, from zero."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        """Return the line at x."""
        return self.a[0] + self.a[1] * x


class PlainModule(pl.LightningModule):
    """The LightningModule that a user would write around it."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.loss = Line(), nn.MSELoss()

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Log the loss and return it."""
        x, y = batch
        loss = self.loss(self.model(x), y)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=RATE)


class Sampler(torch.utils.data.Sampler[int]):
    """An order of its own in each epoch."""

    def __init__(self, rows: int, order: Order) -> None:
        self.rows, self.order, self.epoch = rows, order, 0

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        self.epoch += 1
        return iter(self.order(self.rows, self.epoch - 1).tolist())


def any_order(rows: int, _epoch: int) -> Tensor:
    return torch.randperm(rows)


def our_order(rows: int, epoch: int) -> Tensor:
    """Return the order that the command draws with seed 0."""
    return Permutation(rows, epoch).between(0, rows)


def bare_loop(rows: int, epochs: int, order: Order = any_order) -> Tensor:
    (x, y), model, loss_function = points(rows), Line(), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for epoch in range(epochs):
        for chosen in order(rows, epoch).split(BATCH):
            optimizer.zero_grad()
            loss_function(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
    return model.a.detach()


def default_lightning(rows: int, epochs: int, order: Order | None = None) -> Tensor:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    sampler = None if order is None else Sampler(rows, order)
    loader = DataLoader(TensorDataset(*points(rows)), batch_size=BATCH, shuffle=sampler is None, sampler=sampler)
    module = PlainModule()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # Workers do not make it faster: they would send each row to this process.
        warnings.filterwarnings("ignore", message=r"The 'train_dataloader' does not have many workers")
        warnings.filterwarnings("ignore", message=r"The number of training batches .* is smaller than the logging")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.")  # newer torch deprecates
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=epochs, default_root_dir=folder, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, loader)
    return module.model.a.detach()


def command(rows: int, epochs: int, updates_per_batch: int) -> Tensor:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        status = cli.main([
            "fit", "--model=LineRegression", "--model.domain=raw",
            f"--model.updates_per_batch={updates_per_batch}",
            f"--data.points={rows}", f"--data.batch_size={BATCH}", "--optimizer=SGD", f"--optimizer.lr={RATE}",
            f"--trainer.max_epochs={epochs}", "--trainer.accelerator=cpu", f"--trainer.default_root_dir={folder}",
        ])  # fmt: skip
        if status:
            raise SystemExit(f"the command failed with status {status}")
        (found,) = Path(folder).glob("lightning_logs/version_*/fit.json")
        return torch.tensor(json.loads(found.read_text())["params"])


BARE, LIGHTNING = "bare slicing loop", "Lightning, DataLoader"
CONTENDERS: dict[str, Callable[[int, int], Tensor]] = {
    BARE: bare_loop,
    LIGHTNING: default_lightning,
    "ours, blocks of 100": lambda rows, epochs: command(rows, epochs, BLOCK),
    "ours, one by one": lambda rows, epochs: command(rows, epochs, 1),
}


def check(rows: int) -> None:
    """Stop unless all come to the same coefficients in two epochs."""
    right = bare_loop(rows, 2, our_order)
    found = {name: tool(rows, 2) for name, tool in CONTENDERS.items() if name.startswith("ours")}
    for name, params in (found | {LIGHTNING: default_lightning(rows, 2, our_order)}).items():
        if not torch.allclose(params, right, rtol=TOLERANCE, atol=0):
            raise SystemExit(f"{name} after two epochs: {params.tolist()}, bare loop: {right.tolist()}")


def measure_rates(rows: dict[str, int], epochs: int, repeats: int) -> dict[str, list[float]]:
    """Return each contender's seconds per row, one per repeat."""
    work = {name: lambda name=name, tool=tool: tool(rows[name], epochs) for name, tool in CONTENDERS.items()}
    times = measure.clock(measure.take_turns(work, repeats))
    return {name: [seconds / (rows[name] * epochs) for seconds in own] for name, own in times.items()}


def main(args: Sequence[str] | None = None) -> dict[str, dict[str, float | None]]:
    """Check, measure and print the table; return rows per second and ratios."""
    parser = measure.parser(__doc__, REPEATS)
    parser.add_argument("--rows", type=int, default=ROWS, help="points (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="epochs (default: %(default)s)")
    options = parser.parse_args(args)
    check(min(CHECKED_ROWS, options.rows))
    rows = dict.fromkeys(CONTENDERS, options.rows) | {LIGHTNING: max(1, options.rows // SLOW_SHARE)}
    times = measure_rates(rows, options.epochs, options.repeats)
    table = {
        name: {
            "rate": 1 / median(own),
            "bare": measure.ratio(times[BARE], own),
            "lightning": measure.ratio(times[LIGHTNING], own),
        }
        for name, own in times.items()
    }
    print(f"{measure.versions('torch', 'lightning')}, {torch.get_num_threads()} threads")
    print(f"{options.rows:,} rows, batches of {BATCH:,}, {options.epochs} epochs, {options.repeats} repeats, medians")
    measure.print_table(
        ["contender", "rows/s", "over bare loop", "over Lightning"],
        [[name, *row.values()] for name, row in table.items()],
    )
    return table


if __name__ == "__main__":
    main()
