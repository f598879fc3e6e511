"""Losses as sums over points."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from regression import NormLoss, UsageError
from regression.descent.losses import GlobalLoss

PREDICTION, TARGET = torch.tensor([0.5, -1.0, 3.0, 0.0]), torch.tensor([0.0, 1.0, 2.5, 0.0])
TORCH_LOSSES = [
    ("MSELoss", {}, nn.MSELoss()),
    ("L1Loss", {}, nn.L1Loss()),
    ("HuberLoss", {"delta": 0.4}, nn.HuberLoss(delta=0.4)),
    ("SmoothL1Loss", {"beta": 2.0}, nn.SmoothL1Loss(beta=2.0)),
    ("NormLoss", {}, NormLoss()),
]


def test_norm_loss_is_the_norm_over_the_number() -> None:
    """The norm loss of residuals 3 and 4 is 5 / 2, not the mean square 25 / 2."""
    assert NormLoss()(torch.tensor([3.0, 4.0]), torch.zeros(2)).item() == 2.5


@pytest.mark.parametrize(("name", "args", "oracle"), TORCH_LOSSES, ids=[name for name, _, _ in TORCH_LOSSES])
@given(cut=st.integers(0, 4))
def test_slices_add_up_to_torchs_loss(name: str, args: dict[str, float], oracle: nn.Module, cut: int) -> None:
    """Value and gradient put together from two slices are those of the torch loss on the whole batch."""
    loss, prediction = GlobalLoss(name, args), PREDICTION.clone().requires_grad_()
    total = loss.sum(prediction[:cut], TARGET[:cut]) + loss.sum(prediction[cut:], TARGET[cut:])
    value = loss.value(total, 4)
    expected = oracle(prediction, TARGET)
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(result, prediction)[0] for result in (value, expected))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(loss.each(PREDICTION, TARGET).sum(), total.detach())


def test_norm_loss_is_flat_at_a_perfect_fit() -> None:
    """At a perfect fit the norm loss and its gradient are 0, not NaN."""
    prediction = TARGET.clone().requires_grad_()
    loss = GlobalLoss("NormLoss")
    value = loss.value(loss.sum(prediction, TARGET), 4)
    value.backward()
    assert value.item() == 0
    assert prediction.grad is not None
    assert prediction.grad.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("HubberLoss", {}, "did you mean HuberLoss?"),
        ("normloss", {}, "did you mean NormLoss?"),
        ("Linear", {}, "must be the name of a torch loss"),
        ("CrossEntropyLoss", {}, "cannot be summed over a global batch"),
        ("MultiMarginLoss", {}, "cannot be summed over a global batch"),
        ("TripletMarginLoss", {}, "cannot be summed over a global batch"),
        ("HuberLoss", {"delta": -1.0}, "HuberLoss"),
        ("MSELoss", {"reduction": "sum"}, "leave 'reduction' out"),
        ("NormLoss", {"p": 1.0}, "takes no arguments"),
    ],
)
def test_losses_of_another_kind_are_refused(name: str, args: dict[str, float], words: str) -> None:
    """What is not a sum over points, or not a loss, is refused with what would be right."""
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        GlobalLoss(name, args)
