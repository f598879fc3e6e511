"""What the figure holds."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

from regression.plots import figure
from tests import textbook


def drawn(losses: list[float], params: tuple[float, ...] = (1.0, -2.0)) -> Figure:
    return figure(params, textbook.X, textbook.Y, range(len(losses)), losses, title="a title", loss_name="MSELoss")


def test_two_panels_show_data_curve_and_losses() -> None:
    """Above are the data as a dashed line with round markers and the curve, below the loss over the updates."""
    above, below = drawn([4.0, 2.0, 1.0]).axes
    data, curve = above.get_lines()
    assert data.get_xydata().tolist() == pytest.approx(torch.stack([textbook.X, textbook.Y], 1).double().numpy())
    assert (data.get_linestyle(), data.get_marker()) == ("--", "o")
    x, y = curve.get_data()
    assert (x[0], x[-1]) == (0, 1)
    assert list(y) == pytest.approx([1 - 2 * value for value in x])
    assert curve.get_label() == "1 − 2 x"
    assert below.get_lines()[0].get_ydata().tolist() == [4, 2, 1]
    assert (above.get_title(), below.get_ylabel()) == ("a title", "MSELoss")


@pytest.mark.parametrize(("losses", "scale"), [([4, 2, 1], "linear"), ([100, 1], "log"), ([100, 0], "linear")])
def test_loss_axis_is_logarithmic_over_decades(losses: list[float], scale: str) -> None:
    """The loss axis is logarithmic where positive losses span two decades or more."""
    assert drawn(losses).axes[1].get_yscale() == scale


def test_no_global_state_is_touched() -> None:
    """Figures are not known to pyplot, so that many can be drawn."""
    drawn([1.0])
    assert plt.get_fignums() == []


def test_high_degrees_are_named_not_written_out() -> None:
    """A curve of many coefficients is labelled by its degree."""
    above = drawn([1.0], params=(1.0,) * 7).axes[0]
    assert above.get_lines()[1].get_label() == "fit, degree 6"
