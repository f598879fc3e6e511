"""Figures. The only room that knows matplotlib, and without its global state.

Points go to it as arrays of numpy: it takes a tensor for a sequence of numbers, and makes an object of each.
"""

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor

from regression.common.text import printable

__all__ = ["Figure", "Picture", "drawn", "figure"]

BLUE, ORANGE, GREY = "#1f5fa8", "#d1571b", "#8a8a8a"
RESOLUTION = 120  # dots per inch of a file
COMPRESSION = 3  # as small as 6, the usual, in half the time, without the channel of opacity
FEW = 30  # up to this many points are drawn large
MOST_BARS = 150  # of points with error bars: more hide each other


class Picture(NamedTuple):
    """A drawn figure.

    Attributes:
        png: The bytes of a PNG file.
        width: Its width in pixels.
        height: Its height in pixels.
    """

    png: bytes
    width: int
    height: int

    def summary(self, tag: str) -> Summary:
        """Return what TensorBoard shows under a tag."""
        size = {"width": self.width, "height": self.height, "colorspace": 3}  # red, green, blue
        return Summary(value=[Summary.Value(tag=tag, image=Summary.Image(encoded_image_string=self.png, **size))])


def drawn(figure: Figure) -> Picture:
    """Draw a figure, which takes a while."""
    figure.set_dpi(RESOLUTION)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])  # type: ignore[no-untyped-call]
    file = io.BytesIO()
    pixels.save(file, "png", dpi=(RESOLUTION, RESOLUTION), compress_level=COMPRESSION)
    return Picture(file.getvalue(), *pixels.size)


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
    level: float = 0.95,
    errors: Tensor | None = None,
    errors_label: str = "data ± sigma",
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
        level: Probability of the bands.
        errors: Standard deviations of y, shape (N,), for bars at up to 150 of the points, or ``None``.
        errors_label: The legend's name of data with bars.

    Returns:
        A figure of its own, not known to pyplot.
    """
    x, y = x.double(), y.double()
    heights = (5, 2, 3) if losses or degrees else (5, 2)
    result = Figure(figsize=(7, 8 if len(heights) == 3 else 6.5))
    # Fixed margins: a layout engine takes most of the time of drawing.
    margins = {"left": 0.11, "right": 0.97, "bottom": 0.07, "top": 0.95, "hspace": 0.32}
    panels = result.subplots(len(heights), 1, height_ratios=heights, gridspec_kw=margins)
    grid = torch.linspace(float(x.min()), float(x.max()), 400, dtype=torch.float64)
    curve = predict(grid)
    _draw_bands(panels[0], grid, curve, level)
    _draw_points(panels[0], x, y, errors, "data" if errors is None else errors_label)
    panels[0].plot(grid.numpy(), curve.mean.numpy(), color=ORANGE, linewidth=2, label=label)
    panels[0].legend(frameon=False, fontsize="small")
    x_name, y_name = (printable(name).replace("$", r"\$") for name in axes)  # a file's words are no mathematics
    panels[0].set_ylabel(y_name)
    panels[0].set_title(title, y=1)  # left to itself it looks for what it might hide, which takes a tenth of the time
    panels[1].axhline(0, color=ORANGE, linewidth=1)
    _draw_points(panels[1], x, y - predict(x).mean, errors)
    panels[1].set(xlabel=x_name, ylabel=f"{y_name} − fit")
    if losses:
        _draw_losses(panels[2], updates, losses)
        panels[2].set(xlabel="updates made", ylabel=loss_name)
    elif degrees:
        _draw_degrees(panels[2], degrees, criteria)
        panels[2].set(xlabel="degree", ylabel=criterion)
    return result


def _draw_bands(axes: Axes, grid: Tensor, curve: Any, level: float) -> None:
    for lower, upper, alpha, label in (
        (curve.obs_ci_lower, curve.obs_ci_upper, 0.12, "of new points"),
        (curve.mean_ci_lower, curve.mean_ci_upper, 0.3, "confidence"),
    ):
        if not lower.isnan().any():
            name = f"{100 * level:g} % {label}"
            axes.fill_between(
                grid.numpy(), lower.numpy(), upper.numpy(), color=ORANGE, alpha=alpha, linewidth=0, label=name
            )


def _draw_points(axes: Axes, x: Tensor, y: Tensor, errors: Tensor | None, label: str = "") -> None:
    """Draw the data under their label, few of them joined by a line; or residuals, which have none."""
    order = x.argsort()
    style = "o--" if label and errors is None and len(x) <= FEW else "o"
    size = _size(x) if label else _size(x) * 2 / 3
    axes.plot(x[order].numpy(), y[order].numpy(), style, color=BLUE, markersize=size, linewidth=1, label=label)
    if errors is not None:
        _draw_bars(axes, *(values[:: -(-len(x) // MOST_BARS)] for values in (x[order], y[order], errors[order])))


def _draw_bars(axes: Axes, x: Tensor, y: Tensor, errors: Tensor) -> None:
    """Draw error bars; one that is out of all proportion runs out of the panel instead of flattening all else."""
    ends = torch.stack([torch.stack([x, y - errors], dim=1), torch.stack([x, y + errors], dim=1)], dim=1)
    axes.add_collection(LineCollection(list(ends.numpy()), colors=BLUE, linewidths=0.8, alpha=0.7), autolim=False)
    shown = errors.clamp(max=max(float(y.max() - y.min()), 3 * float(errors.median())))
    axes.update_datalim(torch.cat([torch.stack([x, end], dim=1) for end in (y - shown, y + shown)]).numpy())


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
