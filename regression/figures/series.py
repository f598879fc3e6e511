"""The figure of many fits: a small panel for each series, or histograms of the numbers of many series."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from regression.figures.panels import BLUE, GREY, ORANGE, plain_text

__all__ = ["MOST_PANELS", "SeriesPanel", "draw_panels", "draw_spread"]

Array = NDArray[np.float64]
MOST_PANELS = 30
CURVE_POINTS = 60
PANEL_INCHES = 2.0, 1.6
MAX_NAME_CHARACTERS = 24


class SeriesPanel(NamedTuple):
    """A series to draw: its name, points of shape (N,), and its coefficients c0, c1, …, NaN if undetermined."""

    name: str
    x: Array
    y: Array
    params: Array


def draw_panels(
    panels: Sequence[SeriesPanel], axes: tuple[str, str], title: str, size: tuple[float, float] | None = None
) -> Figure:
    """Draw the points and the curve of each series, all on the same scales.

    Args:
        panels: The series, at most 30.
        axes: Names of x and y.
        title: Title of the figure.
        size: Width and height in inches.
    """
    columns = math.ceil(math.sqrt(1.2 * len(panels)))
    rows = math.ceil(len(panels) / columns)
    inches = 1.2 + PANEL_INCHES[0] * columns, 1.1 + PANEL_INCHES[1] * rows
    result = Figure(figsize=size or inches, layout="constrained")
    result.suptitle(plain_text(title))
    with matplotlib.rc_context({"font.size": 8}):
        grid = result.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel_axes, panel in zip(grid.flat, panels, strict=False):
        panel_axes.plot(panel.x, panel.y, "o", color=BLUE, markersize=3 if len(panel.x) <= 60 else 1, markeredgewidth=0)
        if np.isfinite(panel.params).all() and len(panel.x):
            x = np.linspace(panel.x.min(), panel.x.max(), CURVE_POINTS)
            panel_axes.plot(x, np.polynomial.polynomial.polyval(x, panel.params), color=ORANGE, linewidth=1.2)
        else:
            panel_axes.text(0.5, 0.5, "undetermined", transform=panel_axes.transAxes, ha="center", color=GREY)
        name = panel.name if len(panel.name) <= MAX_NAME_CHARACTERS else panel.name[: MAX_NAME_CHARACTERS - 1] + "…"
        panel_axes.set_title(plain_text(name), fontsize="medium", pad=3)
        panel_axes.tick_params(labelsize="small")
    for panel_axes in grid.flat[max(0, len(panels) - columns) : len(panels)]:  # the lowest of each column
        panel_axes.tick_params(labelbottom=True)
    for panel_axes in grid.flat[len(panels) :]:
        panel_axes.set_axis_off()
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(3))
    grid[0, 0].yaxis.set_major_locator(MaxNLocator(4))
    result.supxlabel(plain_text(axes[0]), fontsize="medium")
    result.supylabel(plain_text(axes[1]), fontsize="medium")
    return result


def draw_spread(numbers: dict[str, Array], title: str, size: tuple[float, float] | None = None) -> Figure:
    """Draw histograms of numbers of the series; numbers outside of the central 99 % are counted in the outermost bins.

    Args:
        numbers: Numbers of shape (S,) by their names, NaN where they are undetermined.
        title: Title of the figure.
        size: Width and height in inches.
    """
    result = Figure(figsize=size or (3.6 * len(numbers), 3.4), layout="constrained")
    result.suptitle(plain_text(title))
    for axes, (name, values) in zip(result.subplots(1, len(numbers), squeeze=False).flat, numbers.items(), strict=True):
        known = values[np.isfinite(values)]
        axes.set(xlabel=name, ylabel="series")
        if len(known):
            low, high = np.percentile(known, [0.5, 99.5])
            axes.hist(np.clip(known, low, high), bins=min(60, max(8, int(math.sqrt(len(known))))), color=BLUE)
            axes.axvline(float(np.median(known)), color=ORANGE, label=f"median {np.median(known):.4g}")
            axes.legend(frameon=False, fontsize="small")
        if len(known) < len(values):
            axes.set_title(f"{len(values) - len(known):,} undetermined", fontsize="small", color=GREY)
    return result
