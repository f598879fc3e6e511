"""Figures: the only file with matplotlib, and without its global state.

Points go to it as arrays of numpy: it takes a tensor for a sequence of numbers, and makes an object of each.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from regression.common.points import Points
from regression.common.text import printable
from regression.fits.equation import formula
from regression.fits.fit import Fit

__all__ = [
    "Degrees",
    "Figure",
    "Losses",
    "ShownCurve",
    "ShownPoints",
    "compared_degrees",
    "figure",
    "png",
    "shown_fit",
]

BLUE, ORANGE, GREY = "#1f5fa8", "#d1571b", "#8a8a8a"
RESOLUTION = 120  # dots per inch of a file
COMPRESSION = 3  # a tenth larger than 6, the usual, in two thirds of the time
FEW = 30  # up to this many points are drawn large
MOST_BARS = 150  # of points with error bars: more hide each other


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file; drawing takes a while."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=RESOLUTION, pil_kwargs={"compress_level": COMPRESSION})
    return file.getvalue()


@dataclass(frozen=True)
class ShownPoints:
    """Data to draw.

    Attributes:
        points: The points.
        axes: Names of x and y.
        errors: Standard deviations of y, shape (N,), for bars at up to 150 of the points, or ``None``.
        label: Name in the legend.
    """

    points: Points
    axes: tuple[str, str] = ("x", "y")
    errors: Tensor | None = None
    label: str = "data"


@dataclass(frozen=True)
class ShownCurve:
    """A curve to draw.

    Attributes:
        predict: From points (N,) to the curve: an object with ``mean`` and the limits of ``mean_ci`` and ``obs_ci``,
            NaN where unknown.
        label: Name in the legend.
        level: Probability of the bands.
    """

    predict: Callable[[Tensor], Any]
    label: str
    level: float = 0.95


@dataclass(frozen=True)
class Losses:
    """A panel of the losses on the way, by the number of updates made before each.

    Attributes:
        by_update: The losses, at least one.
        name: Name of the loss.
    """

    by_update: Mapping[int, float]
    name: str

    def draw(self, axes: Axes) -> None:
        """Draw the losses."""
        updates, losses = list(self.by_update), list(self.by_update.values())
        axes.plot(updates, losses, color=ORANGE, linewidth=1.5, marker="o" if len(losses) <= FEW else "", markersize=4)
        _use_log_scale(axes, losses)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set(xlabel="updates made", ylabel=self.name)


@dataclass(frozen=True)
class Degrees:
    """A panel of the degrees that were compared; the lowest criterion is marked.

    Attributes:
        by_degree: The criterion of each degree, at least one.
        name: Name of the criterion.
    """

    by_degree: Mapping[int, float]
    name: str

    def draw(self, axes: Axes) -> None:
        """Draw the criteria."""
        degrees, criteria = list(self.by_degree), list(self.by_degree.values())
        best = min(self.by_degree, key=lambda degree: self.by_degree[degree])
        axes.plot(degrees, criteria, "o-", color=BLUE, linewidth=1, markersize=4)
        axes.plot(best, self.by_degree[best], "o", color=ORANGE, markersize=9, label="lowest")
        axes.set_xticks(degrees)
        _use_log_scale(axes, criteria)
        axes.legend(frameon=False, fontsize="small")
        axes.set(xlabel="degree", ylabel=self.name)


def shown_fit(fit: Fit, points: Points, axes: tuple[str, str]) -> tuple[ShownPoints, ShownCurve]:
    """Return what a figure shows of points and a fit to them.

    One sigma for all points is taken for that of new ones too; where they differ there is no prediction band. Bars of
    relative sigma have the length that the residuals give them, as in the prediction band.
    """
    label, sigma = formula(fit.params.tolist(), fit.names), points.sigma
    if sigma is None:
        return ShownPoints(points, axes), ShownCurve(fit.predict, label, fit.level)
    common = sigma[0] if bool((sigma == sigma[0]).all()) else None
    curve = ShownCurve(partial(fit.predict, sigma=common), label, fit.level)
    if not (fit.absolute_sigma or fit.sigma):
        return ShownPoints(points, axes), curve
    factor = "" if fit.absolute_sigma else f"{fit.sigma:.3g} "
    return ShownPoints(points, axes, fit.spread(sigma.double()), f"data ± {factor}sigma"), curve


def compared_degrees(fit: Fit) -> Degrees | None:
    """Return the panel of the degrees that a fit's degree was chosen from, by the criterion that chose it."""
    known = {int(row["degree"] or 0): row.get(fit.criterion or "") for row in fit.degree_table}
    criteria = {degree: value for degree, value in known.items() if value is not None}
    return Degrees(criteria, fit.criterion) if criteria and fit.criterion else None


def figure(title: str, shown: ShownPoints, curve: ShownCurve, history: Losses | Degrees | None = None) -> Figure:
    """Draw data and a curve with its bands, the residuals, and what led to the curve.

    An axis of losses or criteria is logarithmic where they span two decades or more.

    Args:
        title: Title of the figure.
        shown: The data.
        curve: The curve.
        history: A third panel.

    Returns:
        A figure of its own, not known to pyplot.
    """
    x, y = shown.points.x.double(), shown.points.y.double()
    result = Figure(figsize=(7, 8 if history else 6.5))
    # Fixed margins: a layout engine takes most of the time of drawing.
    margins = {"left": 0.11, "right": 0.97, "bottom": 0.07, "top": 0.95, "hspace": 0.32}
    heights = (5, 2, 3) if history else (5, 2)
    above, middle, *below = result.subplots(len(heights), 1, height_ratios=heights, gridspec_kw=margins)
    grid = torch.linspace(float(x.min()), float(x.max()), 400, dtype=torch.float64)
    values = curve.predict(grid)
    _draw_bands(above, grid, values, curve.level)
    _draw_points(above, x, y, shown.errors, shown.label)
    above.plot(grid.numpy(), values.mean.numpy(), color=ORANGE, linewidth=2, label=curve.label)
    above.legend(frameon=False, fontsize="small")
    x_name, y_name = (printable(name).replace("$", r"\$") for name in shown.axes)  # a file's words are no mathematics
    above.set_ylabel(y_name)
    above.set_title(title, y=1)  # left to itself it looks for what it might hide, which takes a tenth of the time
    middle.axhline(0, color=ORANGE, linewidth=1)
    _draw_points(middle, x, y - curve.predict(x).mean, shown.errors)
    middle.set(xlabel=x_name, ylabel=f"{y_name} − fit")
    if history:
        history.draw(below[0])
        below[0].grid(True, color=GREY, alpha=0.25)
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


def _use_log_scale(axes: Axes, values: Sequence[float]) -> None:
    if values and min(values) > 0 and max(values) >= 100 * min(values):
        axes.set_yscale("log")
