"""What the figure holds."""

import math

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

from regression import fit
from regression.fit import without_bands
from regression.plots import figure
from regression.report import formula
from tests import textbook


def drawn(losses: list[float]) -> Figure:
    return figure(
        lambda x: without_bands((1.0, -2.0), x), textbook.X, textbook.Y,
        title="a title", label="a curve", updates=range(len(losses)), losses=losses, loss_name="MSELoss",
    )  # fmt: skip


def test_panels_show_data_curve_residuals_and_losses() -> None:
    """The panels hold the data as a dashed line with round markers and the curve, the residuals, and the losses."""
    above, middle, below = drawn([4.0, 2.0, 1.0]).axes
    data, curve = above.get_lines()
    assert data.get_xydata().tolist() == pytest.approx(torch.stack([textbook.X, textbook.Y], 1).double().numpy())
    assert (data.get_linestyle(), data.get_marker()) == ("--", "o")
    x, y = curve.get_data()
    assert (x[0], x[-1]) == (0, 1)
    assert list(y) == pytest.approx([1 - 2 * value for value in x])
    assert (curve.get_label(), above.get_title()) == ("a curve", "a title")
    residuals = middle.get_lines()[1].get_ydata()
    assert list(residuals) == pytest.approx((textbook.Y - (1 - 2 * textbook.X)).tolist(), abs=1e-6)
    assert below.get_lines()[0].get_ydata().tolist() == [4, 2, 1]
    assert below.get_ylabel() == "MSELoss"


def test_bands_of_a_fit_are_drawn() -> None:
    """A fit with errors has two bands, the narrow one inside the wide one; one without errors has none."""
    known, unknown = fit([0.0, 1, 2, 3], [0.0, 1, 0, 1]), fit([0.0, 1], [0.0, 1])
    x, y = torch.arange(4.0), torch.zeros(4)
    wide, narrow = figure(known.predict, x, y, title="", label="").axes[0].collections
    assert wide.get_datalim(wide.axes.transData).height > narrow.get_datalim(narrow.axes.transData).height > 0
    assert len(figure(unknown.predict, x, y, title="", label="").axes[0].collections) == 0


def test_without_losses_there_is_no_panel_for_them() -> None:
    """A fit without updates has data and residuals alone."""
    assert len(drawn([]).axes) == 2


@pytest.mark.parametrize(("losses", "scale"), [([4, 2, 1], "linear"), ([100, 1], "log"), ([100, 0], "linear")])
def test_loss_axis_is_logarithmic_over_decades(losses: list[float], scale: str) -> None:
    """The loss axis is logarithmic where positive losses span two decades or more."""
    assert drawn(losses).axes[2].get_yscale() == scale


def test_no_global_state_is_touched() -> None:
    """Figures are not known to pyplot, so that many can be drawn."""
    drawn([1.0])
    assert plt.get_fignums() == []


def test_curves_are_named_by_their_formula() -> None:
    """A short curve is named by its formula, a long one by its degree, and none loses its sign or power."""
    assert formula((1.0, -2.0), ("intercept", "slope")) == "1 − 2 x"
    assert formula((-0.5, 0.0, 3.14159), ("c0", "c1", "c2")) == "−0.5 + 0 x + 3.142 x²"
    assert formula((2.5,), ("slope",)) == "2.5 x"
    assert formula((1.0,) * 7, tuple(f"c{k}" for k in range(7))) == "degree 6"


def test_a_curve_without_bands_says_so() -> None:
    """The curve of bare coefficients has a mean and NaN for everything unknown."""
    prediction = without_bands((1.0, 2.0), torch.tensor([0.5]))
    assert prediction.mean.tolist() == [2]
    assert all(math.isnan(part.item()) for part in prediction[1:-1])
