"""Two real processes give the numbers of one."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from regression.common.collectives import all_gather_rows, all_sum, global_sum
from regression.common.points import Batch, gathered
from regression.curves.polynomial import Polynomial
from regression.descent.losses import GlobalLoss
from regression.descent.updates import Objective, descend
from tests.support import textbook
from tests.support.command import Command, config, run_process
from tests.support.preloaded import python

OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.05),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.05),
    "LBFGS": lambda parameters: torch.optim.LBFGS(parameters, max_iter=4, line_search_fn="strong_wolfe"),
}
LOSSES = ("MSELoss", "NormLoss", "HuberLoss", "L1Loss")


def coefficients(loss: str, optimizer: str, shares: slice) -> torch.Tensor:
    model = Polynomial(2).double()
    x, y = textbook.X.double(), textbook.Y.double()
    objective = Objective(model.design(x)[shares], y[shares], 10, GlobalLoss(loss))
    descend(objective, model.coefficients, OPTIMIZERS[optimizer]([model.coefficients]), updates=30)
    return model.coefficients.detach()


def check_collectives(rank: int) -> None:
    ones = torch.ones(rank + 1, 2)
    assert all_gather_rows(ones * (rank + 1)).sum(dim=1).tolist() == [2, 4, 4]
    assert gathered(Batch(torch.ones(rank), torch.zeros(rank), None, 1)).x.tolist() == [1]
    value = torch.tensor(2.0 + rank, requires_grad=True)
    (gradient,) = torch.autograd.grad(global_sum(value) ** 2, value)
    assert gradient.item() == 2 * 5 * 2  # d(sum²) = 2 sum, times the two processes that DDP will divide by
    assert all_sum(torch.tensor(rank)).item() == 1


def work(rank: int, folder: str, expected: dict[tuple[str, str], torch.Tensor]) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    check_collectives(rank)
    share = slice(0, 7) if rank == 0 else slice(7, 10)
    for (loss, optimizer), whole in expected.items():
        torch.testing.assert_close(coefficients(loss, optimizer, share), whole, rtol=1e-9, atol=1e-12)
    dist.destroy_process_group()


def test_shared_batch_gives_the_same_steps(tmp_path: Path) -> None:
    """Two processes that share a batch unevenly make the updates of one process, for each loss and optimizer."""
    pairs = [(loss, name) for loss in LOSSES for name in OPTIMIZERS if (loss, name) != ("L1Loss", "LBFGS")]
    expected = {pair: coefficients(*pair, slice(None)) for pair in pairs}
    mp.set_executable(python())
    mp.spawn(work, args=(str(tmp_path), expected), nprocs=2, join=True)


@pytest.mark.parametrize(
    ("name", "update", "expected", "tolerance"),
    [
        ("line", 9, textbook.LINE[9], 1e-6),
        pytest.param("line_norm", 1800, textbook.NORM_DIGITS[1800], 1e-6, marks=pytest.mark.slow),
        pytest.param("polynomial", 90_000, textbook.POLYNOMIAL[90_000], 1e-4, marks=pytest.mark.slow),
    ],
)
def test_two_devices_give_the_textbooks_numbers(
    tmp_path: Path, name: str, update: int, expected: tuple[float, ...], tolerance: float
) -> None:
    """Each textbook configuration gives its numbers with ``--trainer.devices 2`` too, and prints nothing on stderr."""
    run = run_process(tmp_path, "fit", "-c", config(name), "--trainer.accelerator", "cpu", "--trainer.devices", "2")
    assert (run.code, run.err) == (0, "")
    assert run.fit["nobs"] == 10
    names = ("c0", "c1", "c2", "c3", "c4") if name == "polynomial" else ("slope", "intercept")
    logged = [run.scalars(f"coefficients/{name}")[update] for name in names]
    if name == "line_norm":
        assert logged == pytest.approx(expected[:2], rel=tolerance)
    else:
        assert [run.scalars("train_loss")[update], *logged] == pytest.approx(expected, rel=tolerance)


def test_two_devices_share_small_batches(tmp_path: Path, command: Command) -> None:
    """Mini-batches, validation and predictions on two devices equal those on one, with uneven slices."""
    options = ("--data.points", "13", "--data.noise", "0.1", "--data.batch_size", "3", "--trainer.max_epochs", "3",
               "--data.validation_fraction", "0.3", "--trainer.accelerator", "cpu")  # fmt: skip
    runs = [
        command("fit", "-c", config("line"), *options),
        run_process(tmp_path, "fit", "-c", config("line"), *options, "--trainer.devices", "2"),
    ]
    one, two = (run.fit for run in runs)
    assert two["params"] == pytest.approx(one["params"], rel=1e-5)
    assert (two["nobs"], two["updates"]) == (one["nobs"], one["updates"]) == (9, 9)
    assert two["ssr"] == pytest.approx(one["ssr"], rel=1e-5)
    assert two["val_loss"] == pytest.approx(one["val_loss"], rel=1e-5)
    assert runs[1].scalars("val_loss").values() == pytest.approx(list(runs[0].scalars("val_loss").values()), rel=1e-5)
    predict = ("predict", "--ckpt_path", runs[0].checkpoint, "--trainer.accelerator", "cpu")
    tables = []
    for done in (command(*predict), run_process(tmp_path, *predict, "--trainer.devices", "2")):
        assert (done.code, done.err) == (0, "")
        assert done.folder is not None
        tables.append((done.folder / "predictions.csv").read_text())
    assert tables[0] == tables[1]
    assert len(tables[0].splitlines()) == 14
