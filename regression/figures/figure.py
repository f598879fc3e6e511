"""The figure of a fit, new or in a user's axes, and its files; matplotlib's global state is not changed."""

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

COMPRESSION = 3  # level of PNG: takes two thirds of the time of the usual 6, for files that are a tenth larger
ENDINGS = (".png", ".pdf", ".svg")
GAPS_INCHES, HEIGHT_SHARES = (0.1, 0.65), (5, 2, 2.5)  # between panels, and of the panels
LEFT_INCHES, RIGHT_INCHES, BOTTOM_INCHES = 0.8, 0.2, 0.55  # margins
NARROW_INCHES = 5  # width below which letters, markers and lines are small
SMALL: dict[Any, Any] = {"font.size": 8, "lines.markersize": 3.5, "lines.linewidth": 1.0}
MAX_POINTS = 2000  # that are drawn: more would hide each other
REMARK_CHARACTERS = 90  # of a line of the remark


class NotebookFigure(Figure):
    """A figure that a notebook shows even if pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        return figure_file(self, ".png")


def figure_file(figure: Figure, ending: str, dpi: float = 120) -> bytes:
    """Return the bytes of a PNG, PDF or SVG file of a figure; this draws it, which takes most of the time.

    Args:
        figure: The figure.
        ending: One of ``ENDINGS``.
        dpi: Dots per inch of a PNG.
    """
    file, undated = io.BytesIO(), {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # for reproducible bytes
    options = {"pil_kwargs": {"compress_level": COMPRESSION}} if ending == ".png" else {"metadata": undated[ending]}
    with _without_garbage_collection(), matplotlib.rc_context({"svg.hashsalt": "regression"}):
        figure.savefig(file, format=ending[1:], dpi=dpi, **options)
    return file.getvalue()


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disable garbage collection, which would scan all objects of torch several times while a figure is drawn."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def styled(style: str | None) -> Iterator[None]:
    """Apply a style of matplotlib within the block; it is given by its name or the path of its file.

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
    """Return the content of a figure: points with error bars, the curve of a fit to them, and its bands.

    An error bar is ± sigma, times residual σ if sigma are relative, as in the prediction band. If all points have one
    sigma, the prediction band is that of new points with this sigma; if sigma differ, there is none. A fit by gradient
    descent that has not converged has no bands, because they would be those of the optimum.

    Args:
        fit: The fit.
        points: Some of its points, or all.
        axes: Names of x and y; by default those of the fit.
        held_out: Points that were not fitted.
        first_row: Number of the row of the first point, if the points are consecutive rows.
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
    x_errors = None if errors is None or points.sigma_x is None else fit.spread(points.sigma_x.double())
    return ShownPoints(points, axes or fit.axes, errors, label, held_out, first_row, x_errors), curve


def _curve_label(fit: Fitted) -> str:
    known = {"R²": fit.rsquared, "σ": fit.sigma}
    goodness = ", ".join(
        f"{name} {value:.{6 if name == 'R²' and value > 0.999 else 4}g}"
        for name, value in known.items()
        if value is not None
    )
    return "\n".join(filter(None, [formula(fit.params.tolist(), fit.names), goodness]))


def _remark(fit: Fitted) -> str | None:
    """Return the note that the curve is undetermined, or has not converged, if there is one."""
    notes = [note for note in fit.notes if note.startswith((UNDETERMINED, NOT_CONVERGED))]
    return fill(notes[0].partition(";")[0], REMARK_CHARACTERS) if notes else None


def figure(
    title: str,
    shown: ShownPoints,
    curve: ShownCurve,
    history: Losses | Degrees | None = None,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draw points and a curve with its bands, the residuals, and the losses or criteria that led to the curve.

    The axis of losses or criteria is logarithmic if they span two decades or more.

    Args:
        title: Title of the figure.
        shown: The points.
        curve: The curve.
        history: The third panel, if any.
        size: Width and height in inches.

    Returns:
        A new figure, not known to pyplot.
    """
    result = NotebookFigure(figsize=size or (7, 8 if history else 6))
    with matplotlib.rc_context(SMALL if result.get_figwidth() < NARROW_INCHES else {}):
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
    """Return panels one below the other, with fixed margins: a layout engine takes most of the time of drawing."""
    width, height = figure.get_size_inches()
    gaps, shares = (*GAPS_INCHES[: count - 1], 0.0), HEIGHT_SHARES[:count]
    total, edge, panels = height - top - BOTTOM_INCHES - sum(gaps), height - top, list[Axes]()  # heights in inches
    for share, gap in zip(shares, gaps, strict=True):
        size = total * share / sum(shares)
        edge -= size
        inner = 1 - (LEFT_INCHES + RIGHT_INCHES) / width
        panels.append(figure.add_axes((LEFT_INCHES / width, edge / height, inner, size / height)))
        edge -= gap
    return panels


def _write_title(axes: Axes, title: str, remark: str | None) -> None:
    """Write the title, and the remark below it in red."""
    lines = 0 if remark is None else remark.count("\n") + 1
    # Without a given y matplotlib searches for what the title might hide, in a tenth of the time of drawing.
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
    sigma_x: Any = None,
) -> Figure:
    """Draw points and a fit to them, in a new figure or in a user's axes; see ``Fit.plot``."""
    given = {"x": x, "y": y} | {
        name: values for name, values in (("sigma", sigma), ("sigma_x", sigma_x)) if values is not None
    }
    columns, _ = complete_columns(list(given), list(given.values()), "raise")
    require_complete(list(given), columns, can_omit=False)
    named = dict(zip(given, columns, strict=True))
    if bands not in get_args(Bands):
        raise UsageError(f"bands must be one of {', '.join(get_args(Bands))}, got {bands!r}")
    require_option("title", title, or_null(TEXT))
    if labels is not None and not (
        isinstance(labels, list | tuple) and len(labels) == 2 and all(map(TEXT.holds, labels))
    ):
        raise UsageError(f"labels must be the names of x and y, as in ('Time (s)', 'Voltage (mV)'), got {labels!r}")
    if ax is not None and not isinstance(ax, Axes):
        raise UsageError(f"ax must be axes of matplotlib, such as plt.gca(), got {type(ax).__name__}")
    points = Points(named["x"], named["y"], named.get("sigma"), sigma_x=named.get("sigma_x"))
    if not len(points.x):
        raise UsageError("expected at least one point to draw, got none")
    some = points.chosen(slice(None, None, -(-len(points.x) // MAX_POINTS)))
    chosen = tuple(BANDS) if bands == "both" else () if bands == "none" else (bands,)
    first_row = 0 if len(some.x) == len(points.x) else None  # rows of arrays are counted from 0
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
    root = above.get_figure(root=True)
    assert root is not None
    return root


def _panel_below(axes: Axes) -> Axes:
    """Return new axes in the lower part of the area of given ones."""
    from mpl_toolkits.axes_grid1 import make_axes_locatable  # type: ignore[import-untyped]

    below: Axes = make_axes_locatable(axes).append_axes("bottom", size="40%", pad=0.1, sharex=axes)
    return below
