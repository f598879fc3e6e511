"""The figure of a fit, on its own or in axes of a user's, and its files; matplotlib's global state stays as it is."""

import gc
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from textwrap import fill
from typing import Any, Literal, get_args

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from regression.common.arrays import complete_columns, require_complete
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.rules import TEXT, or_null, require_option
from regression.common.text import NOT_CONVERGED, UNDETERMINED
from regression.curves.equation import formula
from regression.figures.history import Degrees, Losses
from regression.figures.panels import (
    BANDS,
    GREY,
    ShownCurve,
    ShownPoints,
    draw_curve,
    draw_residuals,
    name_axes,
    plain_text,
    points_label,
)
from regression.inference.fitted import Fitted

__all__ = ["ENDINGS", "Bands", "Figure", "figure", "figure_file", "plot", "shown_fit", "styled"]

Bands = Literal["both", "confidence", "prediction", "none"]

COMPRESSION = 3  # a tenth larger than 6, the usual, in two thirds of the time
ENDINGS = (".png", ".pdf", ".svg")
GAPS, SHARES = (0.1, 0.65), (5, 2, 2.5)  # of the panels, in inches, and of the height
LEFT, RIGHT, BOTTOM = 0.8, 0.2, 0.55  # margins in inches
NARROW = 5  # inches of a figure in which all is smaller
SMALL: dict[Any, Any] = {"font.size": 8, "lines.markersize": 3.5, "lines.linewidth": 1.0}
MOST_SHOWN = 2000  # points: more hide each other
REMARK_WIDTH = 90  # signs of a line


class NotebookFigure(Figure):
    """A figure that a notebook shows, also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        return figure_file(self, ".png")


def figure_file(figure: Figure, ending: str, dpi: float = 120) -> bytes:
    """Return a figure as the bytes of a PNG, PDF or SVG file; drawing takes a while.

    Args:
        figure: The figure.
        ending: Which of ``ENDINGS`` the file has.
        dpi: Dots per inch of a PNG.
    """
    file, undated = io.BytesIO(), {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # the same bytes each time
    options = {"pil_kwargs": {"compress_level": COMPRESSION}} if ending == ".png" else {"metadata": undated[ending]}
    with _undisturbed(), matplotlib.rc_context({"svg.hashsalt": "regression"}):
        figure.savefig(file, format=ending[1:], dpi=dpi, **options)
    return file.getvalue()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put the collection of garbage off: it looks through all of torch several times while a figure is drawn."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def styled(style: str | None) -> Iterator[None]:
    """Draw in a style of matplotlib's, by its name or the path of its file.

    Raises:
        UsageError: If there is no such style.
    """
    if style is None:
        yield
        return
    try:
        context = matplotlib.style.context(style)
        context.__enter__()
    except OSError:
        known = ", ".join(name for name in matplotlib.style.available if not name.startswith("_"))
        raise UsageError(f"there is no style {style!r}; give a file, or one of {known}") from None
    try:
        yield
    finally:
        context.__exit__(None, None, None)


def shown_fit(
    fit: Fitted,
    points: Points,
    axes: tuple[str, str] | None = None,
    *,
    held_out: Points | None = None,
    first_row: int | None = None,
    bands: Sequence[str] = tuple(BANDS),
) -> tuple[ShownPoints, ShownCurve]:
    """Return what a figure shows of points and a fit to them: points with error bars, the curve, its bands.

    An error bar is ± sigma, times residual σ where sigma are relative, as in the prediction band. With one sigma for
    all points the prediction band is that of new points with this sigma; where sigma differ there is none. A descent
    that has not converged has no bands: they would be those of the optimum.

    Args:
        fit: The fit.
        points: Some of its points, or all.
        axes: Names of x and y; by default those of the fit.
        held_out: Points that were not fitted.
        first_row: Number of the row of the first point, where the points are rows that follow each other.
        bands: Which bands are drawn.
    """
    sigma, label = points.sigma, points_label(len(points.x), fit.nobs)
    common = None if sigma is None or not bool((sigma == sigma[0]).all()) else sigma[0]
    curve = ShownCurve(
        fit.predict if sigma is None else partial(fit.predict, sigma=common),
        _curve_label(fit),
        fit.level,
        () if fit.converged is False else bands,
        _remark(fit),
    )
    errors = None
    if sigma is not None and (fit.absolute_sigma or fit.sigma):
        factor = "" if fit.absolute_sigma else f"{fit.sigma:.3g} "
        errors, label = fit.spread(sigma.double()), f"{label} ± {factor}sigma"
    return ShownPoints(points, axes or fit.axes, errors, label, held_out, first_row), curve


def _curve_label(fit: Fitted) -> str:
    known = {"R²": fit.rsquared, "σ": fit.sigma}
    goodness = ", ".join(
        f"{name} {value:.{6 if name == 'R²' and value > 0.999 else 4}g}"
        for name, value in known.items()
        if value is not None
    )
    return "\n".join(filter(None, [formula(fit.params.tolist(), fit.names), goodness]))


def _remark(fit: Fitted) -> str | None:
    """Return the note without which the curve would be taken for more than it is."""
    grave = [note for note in fit.notes if note.startswith((UNDETERMINED, NOT_CONVERGED))]
    return fill(grave[0].partition(";")[0], REMARK_WIDTH) if grave else None


def figure(
    title: str,
    shown: ShownPoints,
    curve: ShownCurve,
    history: Losses | Degrees | None = None,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draw points and a curve with its bands, the residuals, and what led to the curve.

    An axis of losses or criteria is logarithmic where they span two decades or more.

    Args:
        title: Title of the figure.
        shown: The points.
        curve: The curve.
        history: A third panel.
        size: Width and height in inches.

    Returns:
        A figure of its own, not known to pyplot.
    """
    result = NotebookFigure(figsize=size or (7, 8 if history else 6))
    with matplotlib.rc_context(SMALL if result.get_figwidth() < NARROW else {}):
        _fill(result, title, shown, curve, history)
    return result


def _fill(result: Figure, title: str, shown: ShownPoints, curve: ShownCurve, history: Losses | Degrees | None) -> None:
    lines = 0 if curve.remark is None else curve.remark.count("\n") + 1
    above, below, *last = _panels(result, 3 if history else 2, 0.4 + 0.18 * lines)
    draw_curve(above, shown, curve)
    draw_residuals(below, shown, curve)
    name_axes(above, below, shown.axes)
    _write_title(above, title, curve.remark)
    if history:
        history.draw(last[0])
        if last[0].get_yscale() == "log":
            last[0].yaxis.set_major_locator(LogLocator(numticks=6))
        last[0].grid(True, color=GREY, alpha=0.25)
    for axes in (above, below, *last):
        axes.tick_params(labelsize=matplotlib.rcParams["font.size"])


def _panels(figure: Figure, count: int, top: float) -> list[Axes]:
    """Return panels one below the other, with margins in inches: a layout engine takes most of the time of drawing."""
    width, height = figure.get_size_inches()
    gaps, shares = (*GAPS[: count - 1], 0.0), SHARES[:count]
    room, at, found = height - top - BOTTOM - sum(gaps), height - top, list[Axes]()
    for share, gap in zip(shares, gaps, strict=True):
        tall = room * share / sum(shares)
        at -= tall
        found.append(figure.add_axes((LEFT / width, at / height, 1 - (LEFT + RIGHT) / width, tall / height)))
        at -= gap
    return found


def _write_title(axes: Axes, title: str, remark: str | None) -> None:
    """Write the title, and below it in colour what must be known before the curve is trusted."""
    lines = 0 if remark is None else remark.count("\n") + 1
    # With a place of its own matplotlib need not look for what it might hide, which takes a tenth of the time.
    axes.set_title(plain_text(title), y=1, pad=6 + 13 * lines)
    if remark is not None:
        axes.annotate(plain_text(remark), (0.5, 1), (0, 4), xycoords="axes fraction", textcoords="offset points",
                      ha="center", va="bottom", color="#c62f2f", fontsize="small")  # fmt: skip


def plot(
    fit: Fitted,
    x: Any,
    y: Any,
    sigma: Any = None,
    *,
    ax: Any = None,
    bands: Bands = "both",
    residuals: bool = True,
    labels: tuple[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw points and a fit to them, in a figure of its own or in the axes of a user's; see ``Fit.plot``."""
    names = ("x", "y", "sigma")[: 2 + (sigma is not None)]
    columns, _ = complete_columns(names, (x, y, sigma)[: len(names)], "raise")
    require_complete(names, columns, can_omit=False)
    if bands not in get_args(Bands):
        raise UsageError(f"bands must be one of {', '.join(get_args(Bands))}, got {bands!r}")
    require_option("title", title, or_null(TEXT))
    if labels is not None and not (
        isinstance(labels, list | tuple) and len(labels) == 2 and all(map(TEXT.holds, labels))
    ):
        raise UsageError(f"labels must be the names of x and y, as in ('Time (s)', 'Voltage (mV)'), got {labels!r}")
    if ax is not None and not isinstance(ax, Axes):
        raise UsageError(f"ax must be axes of matplotlib, such as plt.gca(), got {type(ax).__name__}")
    points = Points(*columns)
    if not len(points.x):
        raise UsageError("expected at least one point to draw, got none")
    some = points.chosen(slice(None, None, -(-len(points.x) // MOST_SHOWN)))
    chosen = tuple(BANDS) if bands == "both" else () if bands == "none" else (bands,)
    first_row = 0 if len(some.x) == len(points.x) else None  # as arrays count
    shown, curve = shown_fit(fit, some, labels, first_row=first_row, bands=chosen)
    if ax is None and residuals:
        return figure(title or "", shown, curve)
    above = NotebookFigure(figsize=(7, 4.5), layout="constrained").add_subplot() if ax is None else ax
    below = _panel_below(above) if residuals else None
    draw_curve(above, shown, curve)
    if below is not None:
        draw_residuals(below, shown, curve)
    name_axes(above, below, shown.axes)
    _write_title(above, title or "", curve.remark)
    drawn = above.get_figure(root=True)
    assert drawn is not None
    return drawn


def _panel_below(axes: Axes) -> Axes:
    """Return new axes that take the lower part of the room of others."""
    from mpl_toolkits.axes_grid1 import make_axes_locatable  # type: ignore[import-untyped]

    below: Axes = make_axes_locatable(axes).append_axes("bottom", size="40%", pad=0.1, sharex=axes)
    return below
