"""Four panels of residuals that show whether a fit can be trusted, as R's ``plot(lm)`` does."""

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from regression.common.points import Points
from regression.figures.panels import BLUE, GREY, ORANGE, few_ticks, plain_text
from regression.inference.fitted import Fitted
from regression.inference.row_diagnostics import RowDiagnostics

__all__ = ["draw_diagnostics"]

COOK = 0.5, 1.0  # Cook's distances with lines: a point beyond 1 has a large influence on the curve
LEVERAGE_TITLE = f"leverage (Cook's distance: dotted {COOK[0]:g}, dashed {COOK[1]:g})"
MAX_LABELLED = 3  # points of a panel that have the numbers of their rows
MIN_MEDIAN_POINTS = 30  # for a running median


def draw_diagnostics(
    fit: Fitted,
    points: Points,
    title: str,
    first_row: int | None = None,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draw four panels: residuals against fitted values, their quantiles, their size, and leverage.

    The three largest residuals, or Cook's distances, of each panel are labelled with the numbers of their rows.

    Args:
        fit: The fit.
        points: Some of its points, or all.
        title: Title of the figure.
        first_row: Number of the row of the first point, if the points are consecutive rows.
        size: Width and height in inches.

    Raises:
        UsageError: If the errors of the fit are unknown, or 0.
    """
    rows = RowDiagnostics.known(fit, points)
    root_size = rows.standardized.abs().sqrt()
    result = Figure(figsize=size or (9, 8), layout="constrained")
    result.suptitle(plain_text(title))
    (first, second), (third, fourth) = result.subplots(2, 2)
    labelled = _largest(rows.standardized.abs())
    _scatter(first, rows.fitted, rows.residual, labelled, first_row, "residuals and fitted values")
    first.axhline(0, color=GREY, linewidth=1)
    first.set(xlabel=f"fitted {plain_text(fit.axes[1])}", ylabel="residual")
    _draw_quantiles(second, rows.standardized, labelled, first_row)
    _scatter(third, rows.fitted, root_size, labelled, first_row, "scale and location")
    third.set(xlabel=f"fitted {plain_text(fit.axes[1])}", ylabel="√|standardized residual|", ylim=(0, None))
    for axes, values in ((first, rows.residual), (third, root_size)):
        _draw_median(axes, rows.fitted, values)
    _draw_leverage(fourth, rows, fit.rank, first_row)
    third.set_ylim(0, 1.1 * float(root_size.max()))  # space for the labels
    return result


def _largest(size: Tensor) -> list[int]:
    return size.topk(min(MAX_LABELLED, len(size))).indices.tolist()


def _scatter(axes: Axes, x: Tensor, y: Tensor, labelled: list[int], first_row: int | None, title: str) -> None:
    axes.plot(x.numpy(), y.numpy(), "o", color=BLUE, markersize=4 if len(x) <= 300 else 1.5, markeredgewidth=0)
    axes.set_title(title, fontsize="medium")
    for index in labelled if first_row is not None else []:
        is_right = float(x[index]) > float(x.min() + x.max()) / 2
        axes.annotate(f"{(first_row or 0) + index}", (float(x[index]), float(y[index])), (-5 if is_right else 5, 2),
                      textcoords="offset points", ha="right" if is_right else "left", fontsize="small")  # fmt: skip
    few_ticks(axes)


def _draw_quantiles(axes: Axes, standardized: Tensor, labelled: list[int], first_row: int | None) -> None:
    """Draw residuals against the quantiles of as many normal residuals, and the line on which normal ones would lie."""
    order = standardized.argsort()
    probabilities = torch.empty_like(standardized)
    probabilities[order] = (torch.arange(len(order), dtype=torch.float64) + 0.5) / len(order)
    normal = torch.special.ndtri(probabilities)
    ends = torch.stack([normal.min(), normal.max()])
    axes.plot(ends.numpy(), ends.numpy(), color=ORANGE, linewidth=1)
    _scatter(axes, normal, standardized, labelled, first_row, "normal Q–Q")
    axes.set(xlabel="quantile of normal residuals", ylabel="standardized residual")


def _draw_median(axes: Axes, x: Tensor, y: Tensor) -> None:
    """Draw the medians of about ten ranges of x, if there are enough points for them."""
    if len(x) < MIN_MEDIAN_POINTS:
        return
    parts = x.argsort().tensor_split(min(10, len(x) // 10))
    middles = [(float(x[part].median()), float(y[part].median())) for part in parts]
    axes.plot(*zip(*middles, strict=True), color=ORANGE, linewidth=1.5)
    # In the title, because a legend would hide points.
    axes.set_title(f"{axes.get_title()} (line: running median)", fontsize="medium")


def _draw_leverage(axes: Axes, rows: RowDiagnostics, size: int, first_row: int | None) -> None:
    """Draw residuals against leverage, with lines of equal Cook's distance."""
    axes.axhline(0, color=GREY, linewidth=1)
    _scatter(axes, rows.leverage, rows.standardized, _largest(rows.cook), first_row, LEVERAGE_TITLE)
    low, high = axes.get_ylim()
    top = float(rows.leverage.max())
    leverage = torch.linspace(top / 100, min(1.15 * top, 0.999), 100, dtype=torch.float64)
    color = matplotlib.rcParams["text.color"]
    for distance, style in zip(COOK, (":", "--"), strict=True):
        edge = (distance * size * (1 - leverage) / leverage).sqrt()
        for sign in (1, -1):
            axes.plot(leverage.numpy(), (sign * edge).numpy(), style, color=color, linewidth=1)
    axes.set(xlabel="leverage", ylabel="standardized residual", xlim=(0, 1.15 * top), ylim=(low, high))
