"""Figures. The only room that knows matplotlib, and without its global state."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from regression.basis import polynomial

__all__ = ["figure"]

BLUE, ORANGE, GREY = "#1f5fa8", "#d1571b", "#8a8a8a"


def figure(
    params: Sequence[float],
    x: Tensor,
    y: Tensor,
    updates: Sequence[int],
    losses: Sequence[float],
    *,
    title: str,
    loss_name: str,
) -> Figure:
    """Draw data and fitted curve above, the loss over the updates below.

    The loss axis is logarithmic where the losses span two decades or more.

    Args:
        params: Coefficients of the curve in ascending powers of x, shape (K,).
        x: Points, shape (N,).
        y: Values, shape (N,).
        updates: Numbers of updates made when each loss was taken, shape (U,).
        losses: Losses, shape (U,).
        title: Title of the figure.
        loss_name: Name of the loss.

    Returns:
        A figure of its own, not known to pyplot.
    """
    result = Figure(figsize=(7, 6.5))  # fixed margins: a layout engine takes most of the time of drawing
    margins = {"left": 0.1, "right": 0.97, "bottom": 0.08, "top": 0.95, "hspace": 0.25}
    above, below = result.subplots(2, 1, height_ratios=(3, 2), gridspec_kw=margins)
    _draw_curve(above, params, x.double(), y.double())
    above.set(xlabel="x", ylabel="y", title=title)
    _draw_losses(below, updates, losses)
    below.set(xlabel="updates made", ylabel=loss_name)
    return result


def _draw_curve(axes: Axes, params: Sequence[float], x: Tensor, y: Tensor) -> None:
    order = x.argsort()
    few = len(x) <= 30
    axes.plot(
        x[order], y[order], "o--" if few else ".", color=BLUE, markersize=6 if few else 3, linewidth=1, label="data"
    )
    grid = torch.linspace(float(x.min()), float(x.max()), 400, dtype=torch.float64)
    axes.plot(grid, polynomial(params, grid), color=ORANGE, linewidth=2, label=_formula(params))
    axes.legend(frameon=False)


def _draw_losses(axes: Axes, updates: Sequence[int], losses: Sequence[float]) -> None:
    axes.plot(updates, losses, color=ORANGE, linewidth=1.5, marker="o" if len(losses) <= 30 else "", markersize=4)
    if losses and min(losses) > 0 and max(losses) >= 100 * min(losses):
        axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(True, color=GREY, alpha=0.25)


def _formula(params: Sequence[float]) -> str:
    if len(params) > 5:
        return f"fit, degree {len(params) - 1}"
    powers = ["", " x", " x²", " x³", " x⁴"]
    signed = [f"{'−' if c < 0 else '+'} {abs(c):.4g}{power}" for c, power in zip(params, powers, strict=False)]
    return " ".join([signed[0].removeprefix("+ ").replace("− ", "−"), *signed[1:]])
