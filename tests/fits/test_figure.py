"""What the figure holds."""

import json
import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import statsmodels.api as sm
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from regression import Fit, fit
from regression.common.points import Points
from regression.fits import figure as drawing
from regression.fits.bands import without_bands
from regression.fits.equation import formula
from regression.fits.figure import Losses, ShownCurve, ShownPoints, compared_degrees, figure, shown_fit
from tests.support import textbook
from tests.support.command import Command, config


def curve(*params: float) -> ShownCurve:
    return ShownCurve(lambda x: without_bands(params, x), "a curve")


def drawn(losses: list[float]) -> Figure:
    panel = Losses(dict(enumerate(losses)), "MSELoss") if losses else None
    return figure("a title", ShownPoints(Points(textbook.X, textbook.Y)), curve(1, -2), panel)


def test_panels_show_data_curve_residuals_and_losses() -> None:
    """The panels hold the data as a dashed line with round markers and the curve, the residuals, and the losses."""
    above, middle, below = drawn([4.0, 2.0, 1.0]).axes
    data, line = above.get_lines()
    assert data.get_xydata().tolist() == pytest.approx(torch.stack([textbook.X, textbook.Y], 1).double().numpy())
    assert (data.get_linestyle(), data.get_marker()) == ("--", "o")
    x, y = line.get_data()
    assert (x[0], x[-1]) == (0, 1)
    assert list(y) == pytest.approx([1 - 2 * value for value in x])
    assert (line.get_label(), above.get_title()) == ("a curve", "a title")
    residuals = middle.get_lines()[1].get_ydata()
    assert list(residuals) == pytest.approx((textbook.Y - (1 - 2 * textbook.X)).tolist(), abs=1e-6)
    assert below.get_lines()[0].get_ydata().tolist() == [4, 2, 1]
    assert below.get_ylabel() == "MSELoss"


def test_bands_of_a_fit_are_drawn() -> None:
    """A fit with errors has two bands, the narrow one inside the wide one; one without errors has none."""
    known, unknown = fit([0.0, 1, 2, 3], [0.0, 1, 0, 1]), fit([0.0, 1], [0.0, 1])
    points = Points(torch.arange(4.0), torch.zeros(4))
    wide, narrow = figure("", *shown_fit(known, points, ("x", "y"))).axes[0].collections
    assert wide.get_datalim(wide.axes.transData).height > narrow.get_datalim(narrow.axes.transData).height > 0
    assert len(figure("", *shown_fit(unknown, points, ("x", "y"))).axes[0].collections) == 0


@pytest.mark.parametrize("criterion", ["aicc", "gcv", "cv"])
def test_the_panel_of_degrees_is_that_of_the_criterion_that_chose(criterion: Any) -> None:
    """The third panel has the values of the criterion that the degree was chosen by, and marks the chosen one."""
    x = np.linspace(0, 1, 30)
    chosen = fit(x, np.sin(7 * x) + 0.1 * np.random.default_rng(1).normal(size=30), "auto", criterion=criterion)
    panel = compared_degrees(Fit.from_json(chosen.to_json()))
    below = figure("", *shown_fit(chosen, Points(torch.tensor(x), torch.zeros(30)), ("x", "y")), panel).axes[2]
    assert (below.get_xlabel(), below.get_ylabel()) == ("degree", criterion)
    drawn, lowest = below.get_lines()
    assert drawn.get_ydata().tolist() == [row[criterion] for row in chosen.degree_table]
    assert list(lowest.get_xdata()) == [chosen.degree]


def test_without_a_known_criterion_there_is_no_panel_of_degrees() -> None:
    """A fit of a given degree has no such panel, nor has one whose file does not name the criterion."""
    x = np.linspace(0, 1, 30)
    assert compared_degrees(fit(x, x**2)) is None
    content = json.loads(fit(x, np.sin(7 * x), "auto").to_json())
    del content["criterion"]
    assert compared_degrees(Fit.from_json(json.dumps(content))) is None


def segments(errors: list[float], rows: int) -> np.ndarray:
    """Return the error bars of the upper panel, shape (bars, 2, 2), and check that the lower one has as many."""
    x = torch.linspace(0, 1, rows)
    y, sigma = torch.sin(9 * x), torch.tensor(errors, dtype=torch.float64).expand(rows)
    panels = figure("", ShownPoints(Points(x, y), errors=sigma, label="data ± sigma"), curve(1)).axes
    above, below = ([c for c in panel.collections if isinstance(c, LineCollection)] for panel in panels)
    assert len(above[0].get_segments()) == len(below[0].get_segments())
    assert panels[0].get_legend().get_texts()[0].get_text() == "data ± sigma"
    return np.array(above[0].get_segments())


@pytest.mark.parametrize(("rows", "bars"), [(10, 10), (150, 150), (151, 76), (2000, 143)])
def test_points_with_sigma_have_bars(rows: int, bars: int) -> None:
    """Each point has a bar from y - sigma to y + sigma; of many points, evenly chosen ones have."""
    found = segments([0.25], rows)
    assert len(found) == bars
    assert found[:, 1, 1] - found[:, 0, 1] == pytest.approx(0.5)
    assert found.mean(axis=1)[:, 1] == pytest.approx(np.sin(9 * found[:, 0, 0]), abs=1e-6)


def test_a_bar_out_of_proportion_leaves_the_others_visible() -> None:
    """A point with a huge sigma does not flatten the data."""
    x = torch.arange(5.0)
    errors = torch.tensor([0.1, 0.1, 1e6, 0.1, 0.1])
    panels = figure("", ShownPoints(Points(x, x + 0.1), errors=errors), curve(0, 1)).axes
    low, high = panels[0].get_ylim()
    assert -6 < low < high < 10


@pytest.mark.parametrize(
    ("sigma", "absolute", "bands", "bars"),
    [([0.5] * 6, True, 2, [0.5] * 6), ([1.0, 2] * 3, True, 1, [1.0, 2] * 3), ([1.0, 2] * 3, False, 1, None)],
)
def test_the_figure_of_a_weighted_fit(
    command: Command, monkeypatch: pytest.MonkeyPatch, sigma: list[float], absolute: bool, bands: int, bars: Any
) -> None:
    """The confidence band is drawn with any sigma, the band of new points with equal ones, and bars have y's scale."""
    figures, png = list[Figure](), drawing.png
    monkeypatch.setattr(drawing, "png", lambda figure: figures.append(figure) or png(figure))
    x, y = np.arange(6), [1.0, 2.5, 2, 4.5, 5, 5.5]
    np.savetxt("a.csv", np.c_[x, y, sigma], delimiter=",", header="x,y,s", comments="")
    done = command("fit", "-c", config("own_file"), "--data.path", "a.csv", "--data.sigma", "s", "--model.level", "0.9",
                   "--model.absolute_sigma", str(absolute).lower())  # fmt: skip
    assert (done.code, done.err) == (0, "")
    (result,) = figures
    names = [text.get_text() for text in result.axes[0].get_legend().get_texts()]
    assert names[:bands] == ["90 % of new points", "90 % confidence"][-bands:]
    scale = sm.WLS(y, sm.add_constant(x), weights=np.array(sigma) ** -2).fit().scale ** 0.5
    (found,) = (c for c in result.axes[0].collections if isinstance(c, LineCollection))
    half = [(end[1] - start[1]) / 2 for start, end in found.get_segments()]
    assert half == pytest.approx(bars or [scale * value for value in sigma])
    assert names[bands] == ("data ± sigma" if bars else f"data ± {scale:.3g} sigma")


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
