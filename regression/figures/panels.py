"""The two panels of a curve: points, curve and bands; and the residuals.

Points go to matplotlib as arrays of numpy: it takes a tensor for a sequence of numbers, and makes an object of each.
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

__all__ = ["BANDS", "BLUE", "FEW", "GREY", "ORANGE", "ShownCurve", "ShownPoints", "draw_curve", "draw_residuals",
           "few_ticks", "name_axes", "plain_text", "points_label"]  # fmt: skip

BLUE, ORANGE, GREEN, GREY = "#3a78c2", "#d1571b", "#2e9e6b", "#8a8a8a"  # to be seen on white and on black
BANDS = {"prediction": ("obs_ci", 0.12, "of new points"), "confidence": ("mean_ci", 0.3, "confidence")}
FEW = 30  # up to this many points are drawn large
GRID = 201  # points of a curve
LONG_NAME = 18  # signs of a name of y that leave no room for more beside the panel of residuals
MOST_BARS = 150  # of points with error bars: more hide each other
MOST_NAMED = 5  # outliers with the number of their row
NEAR = 0.12  # of the panel's width: two names there would hide each other
MOST_TICKS = 6  # an axis: each takes longer to draw than all points
TICK_INCHES = 0.25  # from one to the next, at least
MOST_LEGEND = 0.6  # of the panel's height
OUTLYING = 6  # times the standard deviation of the middle half of the residuals: beyond, they do not set the scale


@dataclass(frozen=True)
class ShownPoints:
    """Points to draw.

    Attributes:
        points: The points.
        axes: Names of x and y.
        errors: Standard deviations of y, shape (N,), for bars at up to 150 of the points, or ``None``.
        label: Name in the legend.
        held_out: Points that were not fitted, drawn in another colour, or ``None``.
        first_row: Number of the row of the first point, where the points are rows that follow each other.
    """

    points: Points
    axes: tuple[str, str] = ("x", "y")
    errors: Tensor | None = None
    label: str = "data"
    held_out: Points | None = None
    first_row: int | None = None


@dataclass(frozen=True)
class ShownCurve:
    """A curve to draw.

    Attributes:
        predict: From points (N,) to the curve: an object with ``mean`` and the limits of ``mean_ci`` and ``obs_ci``,
            NaN where unknown.
        label: Name in the legend.
        level: Probability of the bands.
        bands: Which of ``BANDS`` are drawn, where they are known.
        remark: What must be known before the curve is trusted.
    """

    predict: Callable[[Tensor], Any]
    label: str
    level: float = 0.95
    bands: Sequence[str] = tuple(BANDS)
    remark: str | None = None


def points_label(shown: int, total: int) -> str:
    """Return what points are called, such as ``2,000 of 1,000,000 points``."""
    return f"{total:,} point{'' if total == 1 else 's'}" if shown >= total else f"{shown:,} of {total:,} points"


def plain_text(text: str) -> str:
    """Return a text of a file's as matplotlib shows it: its signs are no mathematics and no commands."""
    return printable(text).replace("$", r"\$")


def draw_curve(axes: Axes, shown: ShownPoints, curve: ShownCurve) -> None:
    """Draw points, the curve over their range, and its bands."""
    x, y = shown.points.x.double(), shown.points.y.double()
    ends = x if shown.held_out is None else torch.cat([x, shown.held_out.x.double()])
    grid = torch.linspace(float(ends.min()), float(ends.max()), GRID, dtype=torch.float64)
    values = curve.predict(grid)
    for band in curve.bands:
        name, alpha, label = BANDS[band]
        lower, upper = (getattr(values, f"{name}_{end}") for end in ("lower", "upper"))
        if not lower.isnan().any():
            label = f"{100 * curve.level:g} % {label}"
            axes.fill_between(grid.numpy(), lower.numpy(), upper.numpy(), color=ORANGE, alpha=alpha, lw=0, label=label)
    _draw_points(axes, x, y, shown.errors, _size(x), shown.label)
    if shown.held_out is not None:
        held_out = shown.held_out
        label = f"{len(held_out.x):,} held out"
        axes.plot(held_out.x.numpy(), held_out.y.numpy(), "D", color=GREEN, ms=0.8 * _size(x), label=label)
    axes.plot(
        grid.numpy(), values.mean.numpy(), color=ORANGE, lw=4 / 3 * rcParams["lines.linewidth"], label=curve.label
    )
    few_ticks(axes)
    _draw_legend(axes, torch.cat([grid, x]), torch.cat([values.mean, y]), 1 if len(x) <= 10 * FEW else 3)


def draw_residuals(axes: Axes, shown: ShownPoints, curve: ShownCurve) -> None:
    """Draw what the curve leaves of y; outliers that would flatten all else are marked at the edge, by their rows."""
    x, y = shown.points.x.double(), shown.points.y.double()
    left = y - curve.predict(x).mean
    axes.axhline(0, color=ORANGE, linewidth=1)
    far = _outliers(left)
    near = ~far
    errors = None if shown.errors is None else shown.errors[near]
    _draw_points(axes, x[near], left[near], errors, _size(x) * 2 / 3)
    if shown.held_out is not None:
        held_out = shown.held_out
        rest = held_out.y.double() - curve.predict(held_out.x.double()).mean
        kept = rest.abs() <= 2 * OUTLYING * left[near].abs().max()
        axes.plot(held_out.x.double()[kept].numpy(), rest[kept].numpy(), "D", color=GREEN, ms=_size(x) / 2)
    if far.any():
        _mark_outliers(axes, x, left, far, shown.first_row)
    few_ticks(axes)


def name_axes(above: Axes, below: Axes | None, axes: tuple[str, str]) -> None:
    """Say what x and y are: x once, below the lower panel."""
    x, y = map(plain_text, axes)
    above.set_ylabel(y)
    if below is None:
        above.set_xlabel(x)
        return
    above.tick_params(labelbottom=False)
    below.set(xlabel=x, ylabel=f"{y} − fit" if len(y) <= LONG_NAME else "y − fit")


def _draw_points(axes: Axes, x: Tensor, y: Tensor, errors: Tensor | None, size: float, label: str = "") -> None:
    axes.plot(x.numpy(), y.numpy(), "o", color=BLUE, markersize=size, markeredgewidth=0, label=label)
    if errors is not None:
        order = x.argsort()[:: -(-len(x) // MOST_BARS)]
        _draw_bars(axes, x[order], y[order], errors[order])


def _draw_bars(axes: Axes, x: Tensor, y: Tensor, errors: Tensor) -> None:
    """Draw error bars; one that is out of all proportion runs out of the panel instead of flattening all else."""
    ends = torch.stack([torch.stack([x, y - errors], dim=1), torch.stack([x, y + errors], dim=1)], dim=1)
    axes.add_collection(LineCollection(list(ends.numpy()), colors=BLUE, linewidths=0.8, alpha=0.7), autolim=False)
    shown = errors.clamp(max=max(float(y.max() - y.min()), 3 * float(errors.median())))
    axes.update_datalim(torch.cat([torch.stack([x, end], dim=1) for end in (y - shown, y + shown)]).numpy())


def _outliers(left: Tensor) -> Tensor:
    """Return which residuals lie far beyond the others, if they are few."""
    size = (left - left.median()).abs()
    far = size > OUTLYING * 1.4826 * size.median()  # the median of sizes is 0.67 standard deviations of normal ones
    return far if len(left) >= 6 and size.median() > 0 and far.sum() <= len(left) / 10 else torch.zeros_like(far)


def _mark_outliers(axes: Axes, x: Tensor, left: Tensor, far: Tensor, first_row: int | None) -> None:
    """Draw triangles at the edges of the panel, the largest outliers with the numbers of their rows."""
    low, high = axes.get_ylim()
    for sign, edge, marker in ((1, high, "^"), (-1, low, "v")):
        chosen = far & (left * sign > 0)
        axes.plot(x[chosen].numpy(), [edge] * int(chosen.sum()), marker, color=BLUE, markersize=6, clip_on=False)
    named: list[tuple[float, bool]] = []
    for index in left.abs().where(far, -1).topk(min(MOST_NAMED, int(far.sum()))).indices.tolist():
        at, is_high = float(x[index]), bool(left[index] > 0)
        if any(abs(at - other) < NEAR * float(x.max() - x.min()) and side == is_high for other, side in named):
            continue
        named.append((at, is_high))
        text = f"{float(left[index]):.3g}" + ("" if first_row is None else f" in row {first_row + index}")
        axes.annotate(text, (at, high if is_high else low), (6, -4 if is_high else 4), textcoords="offset points",
                      va="top" if is_high else "bottom", fontsize="x-small")  # fmt: skip
    axes.set_ylim(low, high)


def few_ticks(axes: Axes) -> None:
    """Let an axis have no more ticks than there is room for, and short numbers at them."""
    for axis, length in zip((axes.xaxis, axes.yaxis), _inches(axes), strict=True):
        axis.set_major_locator(
            MaxNLocator(min(MOST_TICKS, max(2, int(length / TICK_INCHES))), steps=[1, 2, 2.5, 5, 10])
        )
        formatter = ScalarFormatter()
        formatter.set_powerlimits((-3, 5))
        axis.set_major_formatter(formatter)


def _inches(axes: Axes) -> tuple[float, float]:
    """Return width and height of axes."""
    box, size = axes.get_position(), axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]
    return float(box.width * size[0]), float(box.height * size[1])


def _draw_legend(axes: Axes, x: Tensor, y: Tensor, scale: float) -> None:
    """Put the legend on the side where the data are lower, and make room for it above them.

    To let matplotlib look for the best place takes long with many points, and where there is none it takes a bad one.
    """
    is_left = x <= (x.min() + x.max()) / 2
    tops = [float(y[half].max()) if half.any() else -torch.inf for half in (is_left, ~is_left)]
    side = 0 if tops[0] <= tops[1] else 1
    legend = axes.legend(frameon=False, fontsize="small", loc=("upper left", "upper right")[side], markerscale=scale)
    lines = [text.get_text().count("\n") + 1 for text in legend.get_texts()]
    points = float(legend.get_texts()[0].get_fontsize()) * (1.25 * sum(lines) + 0.5 * len(lines) + 0.8)
    share = min(points / 72 / _inches(axes)[1], MOST_LEGEND)
    low, high = axes.get_ylim()
    axes.set_ylim(low, max(high, low + (tops[side] - low) / (1 - share)))


def _size(x: Tensor) -> float:
    """Return the size of a marker in points: large for a few points, small for thousands."""
    return float(rcParams["lines.markersize"]) * (1 if len(x) <= FEW else 2 / 3 if len(x) <= 10 * FEW else 1 / 4)
