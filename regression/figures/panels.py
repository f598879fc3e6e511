"""The two panels of a curve: points, curve and bands; and the residuals.

matplotlib gets arrays of numpy, because it treats a tensor as a sequence and makes an object of each number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from torch import Tensor

from regression.common.points import Points
from regression.common.text import printable

__all__ = ["BANDS", "BLUE", "GREY", "MAX_LARGE_POINTS", "ORANGE", "ShownCurve", "ShownPoints", "draw_curve",
           "draw_residuals", "few_ticks", "name_axes", "plain_text", "points_label"]  # fmt: skip

BLUE, ORANGE, GREEN, GREY = "#3a78c2", "#d1571b", "#2e9e6b", "#8a8a8a"  # visible on white and on black
BANDS = {"prediction": ("obs_ci", 0.12, "of new points"), "confidence": ("mean_ci", 0.3, "confidence")}
MAX_LARGE_POINTS = 30  # of more points each is drawn smaller
CURVE_POINTS = 201
MAX_NAME_CHARACTERS = 18  # of y: a longer name does not fit with "− fit" beside the panel of residuals
MAX_BARS = 150  # error bars: more would hide each other
MAX_LABELLED = 5  # outliers that have the number of their row
LABEL_WIDTH = 0.12  # of the panel: two labels nearer to each other would overlap
MAX_TICKS = 6  # of an axis: each takes longer to draw than all points
MIN_TICK_INCHES = 0.25  # from one tick to the next
MAX_LEGEND_HEIGHT = 0.6  # of the panel
OUTLYING = 6  # standard deviations, estimated by the median of sizes, from which a residual is an outlier


@dataclass(frozen=True)
class ShownPoints:
    """Points to draw.

    Attributes:
        points: The points.
        axes: Names of x and y.
        errors: Standard deviations of y, shape (N,), for bars at up to 150 of the points, or ``None``.
        label: Name in the legend.
        held_out: Points that were not fitted, drawn in another colour, or ``None``.
        first_row: Number of the row of the first point, if the points are consecutive rows.
        x_errors: Standard deviations of x, likewise.
    """

    points: Points
    axes: tuple[str, str] = ("x", "y")
    errors: Tensor | None = None
    label: str = "data"
    held_out: Points | None = None
    first_row: int | None = None
    x_errors: Tensor | None = None


@dataclass(frozen=True)
class ShownCurve:
    """A curve to draw.

    Attributes:
        predict: From points of shape (N,) to an object such as ``Prediction``, with NaN for unknown bands.
        label: Name in the legend.
        level: Probability of the bands.
        bands: Which of ``BANDS`` are drawn, where they are known.
        remark: Why the curve is not to be trusted, written below the title.
    """

    predict: Callable[[Tensor], Any]
    label: str
    level: float = 0.95
    bands: Sequence[str] = tuple(BANDS)
    remark: str | None = None


def points_label(shown: int, total: int) -> str:
    """Return the name of the points in the legend, such as ``2,000 of 1,000,000 points``."""
    return f"{total:,} point{'' if total == 1 else 's'}" if shown >= total else f"{shown:,} of {total:,} points"


def plain_text(text: str) -> str:
    """Return a text from a file such that matplotlib shows its characters, instead of mathematics."""
    return printable(text).replace("$", r"\$")


def draw_curve(axes: Axes, shown: ShownPoints, curve: ShownCurve) -> None:
    """Draw points, the curve over their range, and its bands."""
    x, y = shown.points.x.double(), shown.points.y.double()
    ends = x if shown.held_out is None else torch.cat([x, shown.held_out.x.double()])
    grid = torch.linspace(float(ends.min()), float(ends.max()), CURVE_POINTS, dtype=torch.float64)
    values = curve.predict(grid)
    for band in curve.bands:
        name, alpha, label = BANDS[band]
        lower, upper = (getattr(values, f"{name}_{end}") for end in ("lower", "upper"))
        if not lower.isnan().any():
            label = f"{100 * curve.level:g} % {label}"
            axes.fill_between(grid.numpy(), lower.numpy(), upper.numpy(), color=ORANGE, alpha=alpha, lw=0, label=label)
    _draw_points(axes, x, y, (shown.errors, shown.x_errors), _size(x), shown.label)
    if shown.held_out is not None:
        held_out = shown.held_out
        label = f"{len(held_out.x):,} held out"
        axes.plot(held_out.x.numpy(), held_out.y.numpy(), "D", color=GREEN, ms=0.8 * _size(x), label=label)
    axes.plot(
        grid.numpy(), values.mean.numpy(), color=ORANGE, lw=4 / 3 * rcParams["lines.linewidth"], label=curve.label
    )
    few_ticks(axes)
    _draw_legend(axes, torch.cat([grid, x]), torch.cat([values.mean, y]), 1 if len(x) <= 10 * MAX_LARGE_POINTS else 3)


def draw_residuals(axes: Axes, shown: ShownPoints, curve: ShownCurve) -> None:
    """Draw the residuals; outliers do not set the scale, and are marked at the edges with the numbers of their rows."""
    x, y = shown.points.x.double(), shown.points.y.double()
    residual = y - curve.predict(x).mean
    axes.axhline(0, color=ORANGE, linewidth=1)
    is_outlier = _outliers(residual)
    others = ~is_outlier
    errors, x_errors = (None if all_of is None else all_of[others] for all_of in (shown.errors, shown.x_errors))
    _draw_points(axes, x[others], residual[others], (errors, x_errors), _size(x) * 2 / 3)
    if shown.held_out is not None:
        held_out = shown.held_out
        rest = held_out.y.double() - curve.predict(held_out.x.double()).mean
        kept = rest.abs() <= 2 * OUTLYING * residual[others].abs().max()
        axes.plot(held_out.x.double()[kept].numpy(), rest[kept].numpy(), "D", color=GREEN, ms=_size(x) / 2)
    if is_outlier.any():
        _mark_outliers(axes, x, residual, is_outlier, shown.first_row)
    few_ticks(axes)


def name_axes(above: Axes, below: Axes | None, axes: tuple[str, str]) -> None:
    """Write the names of x and y: that of x once, below the lower panel."""
    x, y = map(plain_text, axes)
    above.set_ylabel(y)
    if below is None:
        above.set_xlabel(x)
        return
    above.tick_params(labelbottom=False)
    below.set(xlabel=x, ylabel=f"{y} − fit" if len(y) <= MAX_NAME_CHARACTERS else "y − fit")


def _draw_points(
    axes: Axes, x: Tensor, y: Tensor, errors: tuple[Tensor | None, Tensor | None], size: float, label: str = ""
) -> None:
    """Draw points with bars for the errors of y, and of x."""
    axes.plot(x.numpy(), y.numpy(), "o", color=BLUE, markersize=size, markeredgewidth=0, label=label)
    for sizes, across in zip(errors, (False, True), strict=True):
        if sizes is not None:
            order = x.argsort()[:: -(-len(x) // MAX_BARS)]
            _draw_bars(axes, x[order], y[order], sizes[order], across)


def _draw_bars(axes: Axes, x: Tensor, y: Tensor, errors: Tensor, across: bool) -> None:
    """Draw error bars of y, or of x; those that are far longer than the others are cut off by the panel."""
    value = x if across else y
    shown = errors.clamp(max=max(float(value.max() - value.min()), 3 * float(errors.median())))
    (left, right), (short_left, short_right) = (_ends(x, y, sizes, across) for sizes in (errors, shown))
    bars = list(torch.stack([left, right], dim=1).numpy())
    axes.add_collection(LineCollection(bars, colors=BLUE, linewidths=0.8, alpha=0.7), autolim=False)
    axes.update_datalim(torch.cat([short_left, short_right]).numpy())


def _ends(x: Tensor, y: Tensor, errors: Tensor, across: bool) -> list[Tensor]:
    """Return both ends of error bars, shape (N, 2) each."""
    return [torch.stack([x + side * errors, y] if across else [x, y + side * errors], dim=1) for side in (-1.0, 1.0)]


def _outliers(residual: Tensor) -> Tensor:
    """Return which residuals are outliers; none if more than a tenth would be."""
    size = (residual - residual.median()).abs()
    is_far = size > OUTLYING * 1.4826 * size.median()  # normal residuals have a median size of σ / 1.4826
    is_usable = len(residual) >= 6 and size.median() > 0 and is_far.sum() <= len(residual) / 10
    return is_far if is_usable else torch.zeros_like(is_far)


def _mark_outliers(axes: Axes, x: Tensor, residual: Tensor, is_outlier: Tensor, first_row: int | None) -> None:
    """Draw triangles at the edges of the panel, the largest outliers with the numbers of their rows."""
    low, high = axes.get_ylim()
    for sign, edge, marker in ((1, high, "^"), (-1, low, "v")):
        chosen = is_outlier & (residual * sign > 0)
        axes.plot(x[chosen].numpy(), [edge] * int(chosen.sum()), marker, color=BLUE, markersize=6, clip_on=False)
    labelled: list[tuple[float, bool]] = []
    width = LABEL_WIDTH * float(x.max() - x.min())
    largest = residual.abs().where(is_outlier, -1).topk(min(MAX_LABELLED, int(is_outlier.sum())))
    for index in largest.indices.tolist():
        x_label, is_high = float(x[index]), bool(residual[index] > 0)
        if any(abs(x_label - other) < width and side == is_high for other, side in labelled):
            continue
        labelled.append((x_label, is_high))
        text = f"{float(residual[index]):.3g}" + ("" if first_row is None else f" in row {first_row + index}")
        axes.annotate(text, (x_label, high if is_high else low), (6, -4 if is_high else 4), textcoords="offset points",
                      va="top" if is_high else "bottom", fontsize="x-small")  # fmt: skip
    axes.set_ylim(low, high)


def few_ticks(axes: Axes) -> None:
    """Limit the ticks of axes to those that there is space for, with short numbers."""
    for axis, length in zip((axes.xaxis, axes.yaxis), _inches(axes), strict=True):
        axis.set_major_locator(
            MaxNLocator(min(MAX_TICKS, max(2, int(length / MIN_TICK_INCHES))), steps=[1, 2, 2.5, 5, 10])
        )
        formatter = ScalarFormatter()
        formatter.set_powerlimits((-3, 5))
        axis.set_major_formatter(formatter)


def _inches(axes: Axes) -> tuple[float, float]:
    """Return width and height of axes."""
    box, size = axes.get_position(), axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]
    return float(box.width * size[0]), float(box.height * size[1])


def _draw_legend(axes: Axes, x: Tensor, y: Tensor, scale: float) -> None:
    """Put the legend on the side where the data are lower, and extend the y axis so that it lies above them.

    matplotlib's search for the best place takes long with many points, and if there is no free place the legend hides
    points.
    """
    is_left = x <= (x.min() + x.max()) / 2
    tops = [float(y[half].max()) if half.any() else -torch.inf for half in (is_left, ~is_left)]
    side = 0 if tops[0] <= tops[1] else 1
    legend = axes.legend(frameon=False, fontsize="small", loc=("upper left", "upper right")[side], markerscale=scale)
    lines = [text.get_text().count("\n") + 1 for text in legend.get_texts()]
    points = float(legend.get_texts()[0].get_fontsize()) * (1.25 * sum(lines) + 0.5 * len(lines) + 0.8)
    share = min(points / 72 / _inches(axes)[1], MAX_LEGEND_HEIGHT)
    low, high = axes.get_ylim()
    axes.set_ylim(low, max(high, low + (tops[side] - low) / (1 - share)))


def _size(x: Tensor) -> float:
    """Return the size of a marker in points: large for a few points, small for thousands."""
    return float(rcParams["lines.markersize"]) * (
        1 if len(x) <= MAX_LARGE_POINTS else 2 / 3 if len(x) <= 10 * MAX_LARGE_POINTS else 1 / 4
    )
