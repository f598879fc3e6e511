"""The options of a run's figures, and the figures drawn with them."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from regression.common.atomic_files import write_whole
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.text import counted
from regression.curves.equation import formula
from regression.data.data_modules import PointsDataModule
from regression.data.rows import Rows
from regression.estimation.bands import without_bands
from regression.fits.fit import Fit
from regression.fits.report import method_of
from regression.inference.row_diagnostics import UNKNOWN, untested
from regression.training.base import CurveModule

if TYPE_CHECKING:  # matplotlib takes a second to import
    from regression.figures.history import Losses

__all__ = ["FigureOptions", "draw_fit", "draw_update", "write_pictures"]

FIGURE_ENDINGS = (".png", ".pdf", ".svg")
LEAST_SIZE, MOST_SIZE = 2.0, 100.0  # inches
LEAST_DPI, MOST_DPI = 20, 2400


class FigureOptions:
    """The options of the figure of a fit, and its files besides ``fit.png``.

    Args:
        file: More files of the figure in the run's folder, ending in .pdf, .svg or .png: a name or a list of names.
        dpi: Dots per inch of PNG files.
        size: Width and height in inches, such as ``[3.4, 2.8]``.
        title: Title; by default the model and how it was fitted.
        style: A style of matplotlib's, by its name or the path of its file.
        diagnostics: Whether four plots of the residuals are drawn too, in ``diagnostics.png`` and the like.

    Raises:
        UsageError: If a name has another ending or a folder, or a number is out of its range.
    """

    def __init__(
        self,
        file: str | list[str] | None = None,
        dpi: int = 120,
        size: tuple[float, float] | None = None,
        title: str | None = None,
        style: str | None = None,
        diagnostics: bool = False,
    ) -> None:
        self.files = [] if file is None else [file] if isinstance(file, str) else list(file)
        self.dpi, self.size, self.title, self.style, self.diagnostics = dpi, size, title, style, diagnostics
        for name in self.files:
            if Path(name).name != name or Path(name).suffix not in FIGURE_ENDINGS or not name.isprintable():
                raise UsageError(f"figure.file must be a file name ending in .pdf, .svg or .png, got {name}")
            if name == "fit.png":
                raise UsageError("figure.file is for more files than fit.png, which is always there: leave it out")
        if not LEAST_DPI <= dpi <= MOST_DPI:
            raise UsageError(f"figure.dpi must be from {LEAST_DPI} to {MOST_DPI}, got {dpi}")
        if size is not None and not all(LEAST_SIZE <= length <= MOST_SIZE for length in size):
            raise UsageError(f"figure.size must be two lengths from {LEAST_SIZE:g} to {MOST_SIZE:g} inches, got {size}")
        if style is not None:
            from regression.figures.figure import styled  # matplotlib takes a second to import

            with styled(style):
                pass


def write_pictures(folder: Path, draw: Callable[[], dict[str, bytes]]) -> bytes | None:
    """Write figures and return ``fit.png``; warn if they cannot be drawn, such as without fonts, LaTeX or memory.

    Args:
        folder: Where to write.
        draw: Returns the files by their names.
    """
    try:
        pictures = draw()
    except Exception as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        warnings.warn(f"fit.png is missing, the other files are there: {cause[:200]}", UserWarning, stacklevel=3)
        return None
    for name, content in pictures.items():
        write_whole(folder / name, content)
    return pictures["fit.png"]


def draw_fit(
    options: FigureOptions,
    fit: Fit,
    rows: Rows,
    data: PointsDataModule | None,
    losses: Sequence[tuple[int, float | None]],
    most: int = 2000,
) -> dict[str, bytes]:
    """Draw a fit, and return its files by their names, ``fit.png`` first.

    Args:
        options: The options of the figures.
        fit: The fit.
        rows: The rows that were fitted.
        data: The data module that they come from, if it is one of this package.
        losses: Losses during the run, each with the number of updates made before it.
        most: Number of points that are drawn, at most.
    """
    from regression.figures.diagnostics import draw_diagnostics
    from regression.figures.figure import figure, figure_file, shown_fit, styled  # matplotlib takes a second to import
    from regression.figures.history import compared_degrees

    points, axes = rows.sample(most), fit.axes if data is None else data.axes
    first_row = 1 if _are_all_rows(rows, points, data) else None
    title = _fit_title(fit) if options.title is None else options.title
    with styled(options.style):
        shown = shown_fit(fit, points, axes, held_out=_held_out(data, most), first_row=first_row)
        panel = _loss_panel(losses, fit.loss_name) if fit.solver == "gradient" else None
        made = figure(title, *shown, panel or compared_degrees(fit), options.size)
        names = ("fit.png", *options.files)
        found = {name: figure_file(made, Path(name).suffix, options.dpi) for name in names}
        if options.diagnostics and can_diagnose(fit):
            drawn = draw_diagnostics(fit, points, title, first_row, options.size)
            endings = dict.fromkeys(Path(name).suffix for name in names)
            found |= {f"diagnostics{ending}": figure_file(drawn, ending, options.dpi) for ending in endings}
    return found


def draw_update(
    options: FigureOptions,
    module: CurveModule,
    coefficients: Sequence[float],
    data: PointsDataModule | None,
    losses: Sequence[tuple[int, float | None]],
    most: int,
) -> bytes:
    """Draw the curve after an update of a run, without bands, and return the PNG file.

    Args:
        options: The options of the figure.
        module: The module that is fitted.
        coefficients: Its coefficients in powers of x.
        data: The data module, if it is one of this package.
        losses: Losses so far, each with the number of updates made before it.
        most: Number of points that are drawn, at most.
    """
    from regression.figures.figure import figure, figure_file, styled
    from regression.figures.panels import ShownCurve, ShownPoints, points_label

    rows = module.loader.rows
    points, axes = rows.sample(most), ("x", "y") if data is None else data.axes
    known = dict(zip(module.model.powers, coefficients, strict=True))
    powers = [known.get(power, 0.0) for power in range(module.model.degree + 1)]
    title = _title(type(module).__name__, False, losses[-1][0])
    with styled(options.style):
        shown = ShownPoints(points, axes, label=points_label(len(points.x), len(rows)), held_out=_held_out(data, most))
        curve = ShownCurve(partial(without_bands, powers), formula(coefficients, module.model.names))
        panel = _loss_panel(losses, module.loss.name)
        return figure_file(figure(title, shown, curve, panel, options.size), ".png", options.dpi)


def can_diagnose(fit: Fit) -> bool:
    """Tell whether the diagnostics of a fit can be drawn, and warn if not."""
    if fit.bse is not None and fit.sigma and fit.cov_type == "nonrobust" and not fit.errors_in_x:
        return True
    warnings.warn(f"there are no diagnostics: {untested(fit) or UNKNOWN}", UserWarning, stacklevel=2)
    return False


def _fit_title(fit: Fit) -> str:
    is_special = fit.robust is not None or fit.errors_in_x
    return f"{fit.model}, {method_of(fit)}" if is_special else _title(fit.model, fit.solver == "exact", fit.updates)


def _title(name: str, is_exact: bool, updates: int) -> str:
    return f"{name}, " + ("exact" if is_exact else counted(updates, "update"))


def _loss_panel(losses: Sequence[tuple[int, float | None]], name: str) -> "Losses | None":
    from regression.figures.history import Losses

    known = {update: float(loss) for update, loss in losses if loss is not None}
    return Losses(known, name) if known else None


def _held_out(data: PointsDataModule | None, most: int) -> Points | None:
    """Return some held-out points if these are in one block: reading several may take as long as the fit."""
    if data is None or data.validation is None or len(data.validation.counts) > 1:
        return None
    return data.validation.sample(most)


def _are_all_rows(rows: Rows, points: Points, data: PointsDataModule | None) -> bool:
    """Tell whether points are all rows of the data, in order, so that the numbers of the rows are known."""
    has_all = data is not None and data.training is data.all
    return has_all and not rows.omitted and len(points.x) == len(rows)
