"""Blocks of updates against the plain torch loop."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn, optim

from regression.curves.polynomial import Polynomial
from regression.descent.losses import GlobalLoss, NormLoss
from regression.descent.updates import NUMBERS_PER_CHUNK, Objective, descend
from tests.support import textbook

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.05),
    "momentum": lambda p: optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "weight decay": lambda p: optim.SGD(p, lr=0.05, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.05),
    "AdamW": lambda p: optim.AdamW(p, lr=0.05),
    "LBFGS": lambda p: optim.LBFGS(p, max_iter=3, line_search_fn="strong_wolfe"),
}
LOSSES: dict[str, nn.Module] = {
    "MSELoss": nn.MSELoss(),
    "NormLoss": NormLoss(),
    "HuberLoss": nn.HuberLoss(),
    "SmoothL1Loss": nn.SmoothL1Loss(),
}
SCHEDULERS: dict[str, Callable[[optim.Optimizer], optim.lr_scheduler.LRScheduler] | None] = {
    "none": None,
    "step": lambda o: optim.lr_scheduler.StepLR(o, step_size=5, gamma=0.5),
    "cosine": lambda o: optim.lr_scheduler.CosineAnnealingLR(o, T_max=20),
    "plateau": lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=0.2, factor=0.5),
}
X, Y = textbook.X.double(), textbook.Y.double()


def textbook_loop(loss: nn.Module, optimizer: str, scheduler: str, updates: int) -> tuple[list[float], Tensor]:
    """Make the updates the way every tutorial does; return the losses before each and the coefficients after each."""
    model = Polynomial(3).double()
    steps = OPTIMIZERS[optimizer](model.parameters())
    make = SCHEDULERS[scheduler]
    plan = make(steps) if make else None
    losses, coefficients = [], []

    def closure() -> Tensor:
        steps.zero_grad()
        value: Tensor = loss(model(X), Y)
        value.backward()
        return value

    for _ in range(updates):
        losses.append(loss(model(X), Y).item())
        steps.step(closure)  # type: ignore[arg-type]
        coefficients.append(model.coefficients.detach().clone())
        if isinstance(plan, optim.lr_scheduler.ReduceLROnPlateau):
            plan.step(losses[-1])
        elif plan is not None:
            plan.step()
    return losses, torch.stack(coefficients)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_block_makes_the_steps_of_the_plain_loop(optimizer: str, loss: str, scheduler: str) -> None:
    """A block gives the losses and coefficients of zero_grad, backward, step, for every optimizer and scheduler."""
    expected_losses, expected = textbook_loop(LOSSES[loss], optimizer, scheduler, updates=12)
    model = Polynomial(3).double()
    steps = OPTIMIZERS[optimizer](model.parameters())
    make = SCHEDULERS[scheduler]
    objective = Objective(model.design(X), Y, 10, GlobalLoss(loss))
    losses, coefficients = descend(objective, model.coefficients, steps, 12, make(steps) if make else None)
    torch.testing.assert_close(coefficients, expected, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(losses[:-1], torch.tensor(expected_losses, dtype=torch.float64), rtol=1e-7, atol=1e-12)
    assert torch.equal(model.coefficients.detach(), coefficients[-1])
    assert losses[-1].item() == pytest.approx(LOSSES[loss](model(X), Y).item(), rel=1e-12)


def test_two_blocks_are_one() -> None:
    """A block of ten updates after one of five gives the bits of one block of fifteen, momentum included."""
    results = []
    for blocks in ([15], [5, 10]):
        model = Polynomial(3)
        steps = OPTIMIZERS["momentum"](model.parameters())
        objective = Objective(model.design(textbook.X), textbook.Y, 10, GlobalLoss("MSELoss"))
        for updates in blocks:
            descend(objective, model.coefficients, steps, updates)
        results.append(model.coefficients.detach())
    assert torch.equal(*results)


def test_a_perfect_start_stays() -> None:
    """With the norm loss at a perfect fit the coefficients stay finite and where they are."""
    model = Polynomial(1)
    objective = Objective(model.design(textbook.X), torch.zeros(10), 10, GlobalLoss("NormLoss"))
    losses, coefficients = descend(objective, model.coefficients, OPTIMIZERS["SGD"](model.parameters()), 3)
    assert losses.tolist() == [0] * 4
    assert coefficients.tolist() == [[0, 0]] * 3


def test_losses_of_many_rows_are_taken_in_chunks() -> None:
    """The losses of a batch too large for one temporary matrix equal those taken one at a time."""
    rows = NUMBERS_PER_CHUNK // 2
    x = torch.linspace(-1, 1, rows, dtype=torch.float64)
    objective = Objective(Polynomial(1).double().design(x), x, rows, GlobalLoss("MSELoss"))
    coefficients = torch.tensor([[0.0, 0.0], [0.5, 1.0], [0.0, 1.0], [1.0, -1.0], [0.0, 2.0]], dtype=torch.float64)
    alone = torch.cat([objective.losses(row[None]) for row in coefficients])
    torch.testing.assert_close(objective.losses(coefficients), alone, rtol=1e-12, atol=0)
    assert alone[2].item() == 0
    assert alone[1].item() == pytest.approx(0.25)
