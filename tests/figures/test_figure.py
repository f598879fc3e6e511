"""The content of figures: points, curve, bands, residuals, losses and diagnostics."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import statsmodels.api as sm
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import regression
from regression import Fit, UsageError, fit
from regression.common.points import Points
from regression.curves.equation import formula
from regression.estimation.bands import without_bands
from regression.figures import figure as drawing
from regression.figures.diagnostics import draw_diagnostics
from regression.figures.figure import figure, figure_file, shown_fit, styled
from regression.figures.history import Losses, compared_degrees
from regression.figures.panels import ShownCurve, ShownPoints
from regression.inference.row_diagnostics import RowDiagnostics
from tests.support import textbook
from tests.support.command import Command, config


def curve(*params: float) -> ShownCurve:
    return ShownCurve(lambda x: without_bands(params, x), "a curve")


def drawn(losses: list[float]) -> Figure:
    panel = Losses(dict(enumerate(losses)), "MSELoss") if losses else None
    return figure("a title", ShownPoints(Points(textbook.X, textbook.Y)), curve(1, -2), panel)


def test_panels_show_data_curve_residuals_and_losses() -> None:
    """The panels have the points as unconnected round markers, the curve, the residuals, and the losses."""
    above, middle, below = drawn([4.0, 2.0, 1.0]).axes
    data, line = above.get_lines()
    assert data.get_xydata().tolist() == pytest.approx(torch.stack([textbook.X, textbook.Y], 1).double().numpy())
    assert (data.get_linestyle(), data.get_marker()) == ("None", "o")
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
    wide, narrow = figure("", *shown_fit(known, points)).axes[0].collections
    assert wide.get_datalim(wide.axes.transData).height > narrow.get_datalim(narrow.axes.transData).height > 0
    assert len(figure("", *shown_fit(unknown, points)).axes[0].collections) == 0


@pytest.mark.parametrize("criterion", ["aicc", "gcv", "cv", "loo"])
def test_the_panel_of_degrees_is_that_of_the_criterion_that_chose(criterion: Any) -> None:
    """The third panel has the values of the criterion that the degree was chosen by, and marks the chosen one."""
    x = np.linspace(0, 1, 30)
    chosen = fit(x, np.sin(7 * x) + 0.1 * np.random.default_rng(1).normal(size=30), "auto", criterion=criterion)
    panel = compared_degrees(Fit.from_json(chosen.to_json()))
    below = figure("", *shown_fit(chosen, Points(torch.tensor(x), torch.zeros(30))), panel).axes[2]
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
    figures, make = list[Figure](), drawing.figure_file
    monkeypatch.setattr(drawing, "figure_file", lambda figure, *how: figures.append(figure) or make(figure, *how))
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
    assert names[bands] == ("6 points ± sigma" if bars else f"6 points ± {scale:.3g} sigma")


def test_without_losses_there_is_no_panel_for_them() -> None:
    """A fit without updates has data and residuals alone."""
    assert len(drawn([]).axes) == 2


@pytest.mark.parametrize(("losses", "scale"), [([4, 2, 1], "linear"), ([100, 1], "log"), ([100, 0], "linear")])
def test_loss_axis_is_logarithmic_over_decades(losses: list[float], scale: str) -> None:
    """The loss axis is logarithmic where positive losses span two decades or more."""
    assert drawn(losses).axes[2].get_yscale() == scale


def test_no_global_state_is_changed() -> None:
    """Figures are not registered with pyplot, so that many can be drawn."""
    drawn([1.0])
    assert plt.get_fignums() == []


def test_curves_are_named_by_their_formula() -> None:
    """A short curve is named by its formula, a long one by its degree, and none loses its sign or power."""
    assert formula((1.0, -2.0), ("intercept", "slope")) == "1 − 2 x"
    assert formula((-0.5, 0.0, 3.14159), ("c0", "c1", "c2")) == "−0.5 + 0 x + 3.142 x²"
    assert formula((2.5,), ("slope",)) == "2.5 x"
    assert formula((1.0,) * 7, tuple(f"c{k}" for k in range(7))) == "degree 6"


def test_a_curve_without_bands_has_nan_for_them() -> None:
    """The curve of bare coefficients has a mean and NaN for everything unknown."""
    prediction = without_bands((1.0, 2.0), torch.tensor([0.5]))
    assert prediction.mean.tolist() == [2]
    assert all(math.isnan(part.item()) for part in prediction[1:-1])


X, Y = np.linspace(0, 1, 40), np.linspace(0, 1, 40) ** 2 + 0.05 * np.sin(50 * np.linspace(0, 1, 40))


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_plot_draws_the_figure_of_a_run() -> None:
    """``Fit.plot`` has curve, bands and residuals under the names of the columns, and says how good the fit is."""
    found = fit("Time (s)", "U ($)", 2, data={"Time (s)": X, "U ($)": Y})
    drawn = found.plot(X, Y, title="measured")
    above, below = drawn.axes
    assert (above.get_title(), above.get_ylabel(), below.get_xlabel()) == ("measured", r"U (\$)", "Time (s)")
    assert legend(drawn)[:3] == ["95 % of new points", "95 % confidence", "40 points"]
    right = sm.OLS(Y, np.vander(X, 3)).fit()
    assert legend(drawn)[3].endswith(f"R² {right.rsquared:.4g}, σ {right.scale**0.5:.4g}")
    assert legend(found.plot(X, Y, bands="confidence"))[:2] == ["95 % confidence", "40 points"]
    assert len(found.plot(X, Y, residuals=False).axes) == 1
    assert drawn._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_plot_draws_in_axes_of_a_user() -> None:
    """In given axes the residuals take part of their area, and other axes do not change."""
    own = Figure()
    left, right = own.subplots(1, 2)
    assert fit(X, Y).plot(X, Y, ax=left, title="on the left") is own
    assert left.get_title() == "on the left"
    assert len(own.axes) == 3
    assert len(left.lines) == 2
    assert not right.lines
    for wrong, words in (
        ({"ax": 3}, "ax must be axes of matplotlib, such as plt.gca.., got int"),
        ({"bands": "all"}, "bands must be one of both, confidence, prediction, none, got 'all'"),
    ):
        with pytest.raises(UsageError, match=f"^{words}"):
            fit(X, Y).plot(X, Y, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^y must be finite, got nan at row 0"):
        fit(X, Y).plot(X, [np.nan] * 40)


def test_the_legend_says_how_many_points_are_drawn() -> None:
    """Of many points some are drawn, and the legend has both numbers."""
    x = np.linspace(0, 1, 5001)
    assert "1,667 of 5,001 points" in legend(fit(x, x**2).plot(x, x**2))


def test_unreliable_curves_have_a_remark() -> None:
    """A descent that has not converged has a remark and no bands; an undetermined curve has a remark."""
    converged = fit(X, Y)
    points = Points(torch.tensor(X), torch.tensor(Y))
    far = dataclasses.replace(converged, converged=False, notes=("not converged: 3 standard errors away; do more",))
    drawn = figure("", *shown_fit(far, points))
    assert not drawn.axes[0].collections
    assert [text.get_text() for text in drawn.axes[0].texts] == ["not converged: 3 standard errors away"]
    with pytest.warns(regression.UndeterminedWarning):
        open_ = fit([1, 1, 1], [1, 2, 3])
    (remark,) = open_.plot([1, 1, 1], [1, 2, 3]).axes[0].texts
    assert remark.get_text() == "undetermined: the points fix 1 of 2 coefficients because all x are equal"


def test_outliers_are_marked_and_do_not_flatten_the_residuals() -> None:
    """Two outliers are drawn at the edges of the panel with the numbers of their rows; the others set its scale."""
    y = Y.copy()
    y[[7, 30]] += [50, -40]
    below = fit(X, Y, 2).plot(X, y).axes[1]
    low, high = below.get_ylim()
    assert -0.2 < low < high < 0.2
    assert sorted(text.get_text().split(" in ")[1] for text in below.texts) == ["row 30", "row 7"]
    assert [line.get_marker() for line in below.lines[2:]] == ["^", "v"]


def test_held_out_points_have_a_colour_of_their_own() -> None:
    """Points that were not fitted have another colour and marker, in both panels."""
    every = Points(torch.tensor(X), torch.tensor(Y))
    shown = shown_fit(fit(X[:30], Y[:30]), every.chosen(slice(0, 30)), held_out=every.chosen(slice(30, 40)))
    drawn = figure("", *shown)
    assert "10 held out" in legend(drawn)
    for panel in drawn.axes:
        (line,) = (line for line in panel.lines if line.get_marker() == "D")
        assert len(line.get_xdata()) == 10


def test_files_of_figures_are_the_same_each_time() -> None:
    """PNG, PDF and SVG begin as such, and hold no date."""
    for ending, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        one, two = (figure_file(fit(X, Y).plot(X, Y), ending) for _ in range(2))
        assert one.startswith(start)
        assert one == two


def test_styles() -> None:
    """A style of matplotlib is applied only within its block; an unknown one is refused with a list of the known."""
    before = mpl.rcParams["axes.facecolor"]
    with styled("dark_background"):
        assert mpl.rcParams["axes.facecolor"] == "black"
    assert mpl.rcParams["axes.facecolor"] == before
    with pytest.raises(UsageError, match=r"^there is no style 'nope'; give a file, or .*ggplot"), styled("nope"):
        pass


@pytest.mark.parametrize("weighted", [False, True])
def test_diagnostics_have_the_numbers_of_statsmodels(weighted: bool) -> None:
    """Leverage, standardized residuals and Cook's distances are those of statsmodels; three points are named."""
    sigma = np.where(np.arange(40) % 3, 0.5, 1.0)
    points = Points(*map(torch.tensor, (X, Y, *([sigma] if weighted else []))))
    found = fit(X, Y, 2, sigma if weighted else None)
    unit = sigma if weighted else np.ones(40)
    right = sm.OLS(Y / unit, np.vander(X, 3) / unit[:, None]).fit().get_influence()
    ours = RowDiagnostics.of(found, points)
    np.testing.assert_allclose(ours.leverage, right.hat_matrix_diag, rtol=1e-9)
    np.testing.assert_allclose(ours.standardized, right.resid_studentized_internal, rtol=1e-8)
    np.testing.assert_allclose(ours.cook, right.cooks_distance[0], rtol=1e-7)
    drawn = draw_diagnostics(found, points, "a title", first_row=1)
    assert [len(panel.texts) for panel in drawn.axes] == [3] * 4
    worst = {str(row + 1) for row in np.argsort(-right.cooks_distance[0])[:3]}
    assert {text.get_text() for text in drawn.axes[3].texts} == worst


def test_diagnostics_need_errors() -> None:
    """Diagnostics of a fit without errors are refused in one line."""
    points = Points(torch.tensor([1.0, 2]), torch.tensor([1.0, 3]))
    with pytest.raises(UsageError, match=r"^diagnostics need the errors of the fit"):
        draw_diagnostics(fit([1, 2], [1, 3]), points, "")


@pytest.mark.figures
def test_the_command_writes_the_files_that_are_asked_for(command: Command) -> None:
    """``--figure`` sets more files, size and diagnostics; ``plot`` draws again, and overwrites nothing."""
    np.savetxt("a.csv", np.c_[X, Y], delimiter=",", header="Time (s),U", comments="")
    done = command("fit", "a.csv", "--degree", "2", "--figure.file", "[a.pdf,b.svg]", "--figure.size", "[4,3]",
                   "--figure.dpi", "50", "--figure.diagnostics=true", "--data.validation_fraction", "0.2")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    names = {"fit.png", "a.pdf", "b.svg", "diagnostics.png", "diagnostics.pdf", "diagnostics.svg"}
    assert {path.name for path in done.folder.iterdir() if path.suffix in (".png", ".pdf", ".svg")} == names
    assert (done.folder / "fit.png").read_bytes()[16:24] == bytes([0, 0, 0, 200, 0, 0, 0, 150])
    for source in ("last", str(done.folder / "fit.json")):
        drawn = command("plot", "--ckpt_path", source, "--output", "c.png", "--dpi", "50", "--size", "[4,3]")
        assert (drawn.code, drawn.out) == (0, "wrote c.png\n")
        assert Path("c.png").read_bytes() == (done.folder / "fit.png").read_bytes()
        again = command("plot", "--ckpt_path", source, "--output", "c.png")
        assert (again.code, again.err) == (
            2, "regression: c.png is there, and nothing is written over: give another --output\n"
        )  # fmt: skip
        Path("c.png").unlink()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["fit", "--model", "LineRegression", "--figure.file", "fit.gif"],
         "figure.file must be a file name ending in .pdf, .svg or .png, got fit.gif"),
        (["fit", "--model", "LineRegression", "--figure.file", "../fit.pdf"], "figure.file must be a file name ending"),
        (["fit", "--model", "LineRegression", "--figure.size", "[1,1]"], "figure.size must be two lengths from 2 to"),
        (["fit", "--model", "LineRegression", "--figure.size", "3"],
         "--figure.size must be two lengths in inches, such as [3.4, 2.8], got 3"),
        (["fit", "--model", "LineRegression", "--figure.size", "[3,4,5]"],
         "--figure.size must be two lengths in inches, such as [3.4, 2.8], got [3, 4, 5]"),
        (["fit", "--model", "LineRegression", "--figure.dpi", "0"], "figure.dpi must be from 20 to 2400, got 0"),
        (["fit", "--model", "LineRegression", "--figure.style", "x.y"], "there is no style 'x.y'; give a file, or one"),
        (["plot"], "plot needs a fitted model: give --ckpt_path PATH, such as a run's best.ckpt, and --output"),
        (["plot", "--ckpt_path", "last", "--output", "a.doc"], "--output must end in .pdf, .svg or .png, got a.doc"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(command: Command, options: list[str], words: str) -> None:
    """Wrong options of figures are refused in one line, before anything is fitted."""
    done = command(*options)
    assert (done.code, done.folder, done.out) == (2, None, "")
    assert done.err.startswith(f"regression: {words}")
    assert done.err.count("\n") == 1
