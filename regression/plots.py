"""Figures. The only room that knows matplotlib, and without its global state."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray
from torch import Tensor

from regression.errors import printable

__all__ = ["figure", "write_png"]

BLUE, ORANGE, GREY = "#1f5fa8", "#d1571b", "#8a8a8a"
RESOLUTION = 120  # dots per inch of a file
FEW = 30  # up to this many points are drawn large


def write_png(figure: Figure, path: Path) -> NDArray[np.uint8]:
    """Draw a figure, which takes a while, into a file, and return its pixels, shape (height, width, 4)."""
    figure.set_dpi(RESOLUTION)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    imsave(path, pixels, dpi=RESOLUTION)
    return pixels


def figure(
    predict: Callable[[Tensor], Any],
    x: Tensor,
    y: Tensor,
    *,
    title: str,
    label: str,
    updates: Sequence[int] = (),
    losses: Sequence[float] = (),
    loss_name: str = "",
    degrees: Sequence[int] = (),
    criteria: Sequence[float] = (),
    criterion: str = "",
    axes: tuple[str, str] = ("x", "y"),
) -> Figure:
    """Draw data and fitted curve with its bands, the residuals, and the loss over the updates or the degrees compared.

    An axis of losses or criteria is logarithmic where they span two decades or more; without them it is left out.

    Args:
        predict: From points (N,) to the curve: an object with ``mean`` and the limits of ``mean_ci`` and ``obs_ci``,
            NaN where unknown.
        x: Points, shape (N,).
        y: Values, shape (N,).
        title: Title of the figure.
        label: The curve's name in the legend.
        updates: Numbers of updates made when each loss was taken, shape (U,).
        losses: Losses, shape (U,).
        loss_name: Name of the loss.
        degrees: Degrees that were compared, shape (D,).
        criteria: What they were compared by, shape (D,); the lowest is marked.
        criterion: Its name.
        axes: Names of x and y.

    Returns:
        A figure of its own, not known to pyplot.
    """
    x, y = x.double(), y.double()
    heights = (5, 2, 3) if losses or degrees else (5, 2)
    result = Figure(figsize=(7, 8 if len(heights) == 3 else 6.5))
    # Fixed margins: a layout engine takes most of the time of drawing.
    margins = {"left": 0.11, "right": 0.97, "bottom": 0.07, "top": 0.95, "hspace": 0.32}
    panels = result.subplots(len(heights), 1, height_ratios=heights, gridspec_kw=margins)
    _draw_curve(panels[0], predict, x, y, label)
    x_name, y_name = (printable(name).replace("$", r"\$") for name in axes)  # a file's words are no mathematics
    panels[0].set(ylabel=y_name, title=title)
    _draw_residuals(panels[1], x, y - predict(x).mean)
    panels[1].set(xlabel=x_name, ylabel=f"{y_name} − fit")
    if losses:
        _draw_losses(panels[2], updates, losses)
        panels[2].set(xlabel="updates made", ylabel=loss_name)
    elif degrees:
        _draw_degrees(panels[2], degrees, criteria)
        panels[2].set(xlabel="degree", ylabel=criterion)
    return result


def _draw_curve(axes: Axes, predict: Callable[[Tensor], Any], x: Tensor, y: Tensor, label: str) -> None:
    order = x.argsort()
    few = len(x) <= FEW
    grid = torch.linspace(float(x.min()), float(x.max()), 400, dtype=torch.float64)
    curve = predict(grid)
    if not curve.obs_ci_lower.isnan().any():
        axes.fill_between(grid, curve.obs_ci_lower, curve.obs_ci_upper, color=ORANGE, alpha=0.12, linewidth=0,
                          label="95 % of new points")  # fmt: skip
        axes.fill_between(grid, curve.mean_ci_lower, curve.mean_ci_upper, color=ORANGE, alpha=0.3, linewidth=0,
                          label="95 % confidence")  # fmt: skip
    axes.plot(x[order], y[order], "o--" if few else "o", color=BLUE, markersize=_size(x), linewidth=1,
              label="data")  # fmt: skip
    axes.plot(grid, curve.mean, color=ORANGE, linewidth=2, label=label)
    axes.legend(frameon=False, fontsize="small")


def _draw_residuals(axes: Axes, x: Tensor, residuals: Tensor) -> None:
    axes.axhline(0, color=ORANGE, linewidth=1)
    axes.plot(x, residuals, "o", color=BLUE, markersize=_size(x) * 2 / 3)


def _size(x: Tensor) -> float:
    """Return the size of a marker in points: large for a few points, small for thousands."""
    return 6 if len(x) <= FEW else 4 if len(x) <= 10 * FEW else 1.5


def _draw_losses(axes: Axes, updates: Sequence[int], losses: Sequence[float]) -> None:
    axes.plot(updates, losses, color=ORANGE, linewidth=1.5, marker="o" if len(losses) <= FEW else "", markersize=4)
    _use_log_scale(axes, losses)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(True, color=GREY, alpha=0.25)


def _draw_degrees(axes: Axes, degrees: Sequence[int], criteria: Sequence[float]) -> None:
    best = min(range(len(degrees)), key=lambda k: criteria[k])
    axes.plot(degrees, criteria, "o-", color=BLUE, linewidth=1, markersize=4)
    axes.plot(degrees[best], criteria[best], "o", color=ORANGE, markersize=9, label="lowest")
    axes.set_xticks(list(degrees))
    _use_log_scale(axes, criteria)
    axes.legend(frameon=False, fontsize="small")
    axes.grid(True, color=GREY, alpha=0.25)


def _use_log_scale(axes: Axes, values: Sequence[float]) -> None:
    if values and min(values) > 0 and max(values) >= 100 * min(values):
        axes.set_yscale("log")
