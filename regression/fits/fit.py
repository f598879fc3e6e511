"""Fit: the numbers of a fit, with its report, tables and figures."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from regression.common.atomic_files import write_new
from regression.common.data_frames import as_frame
from regression.common.errors import UsageError
from regression.common.rules import PATH, require_option
from regression.common.text import shown_path
from regression.common.times import as_times, in_scale
from regression.curves.equation import equation, latex_equation
from regression.fits.diagnostics import Diagnostics, diagnose
from regression.fits.report import report, short_report
from regression.fits.result import FitResult
from regression.fits.tables import coefficient_columns, latex_table, markdown_table

if TYPE_CHECKING:  # a second to import
    from regression.figures.figure import Figure

__all__ = ["Fit"]


class Fit(FitResult):
    """A fitted curve: the numbers of ``FitResult``, with their report, tables, figures and files."""

    def __call__(self, x: Any) -> Any:
        """Return the curve at x: a number for a number, else a float64 array of the shape of x.

        Args:
            x: Points, as in ``predict``.

        Raises:
            UsageError: If x does not hold real numbers.
        """
        mean = self.predict(x).mean
        return mean.item() if mean.ndim == 0 else mean.numpy()

    def __str__(self) -> str:
        """Return the report: the model, coefficients with errors, goodness of fit, and notes."""
        return report(self)

    def __repr__(self) -> str:
        """Return a short report, which an interactive session shows."""
        return short_report(self)

    def to_html(self) -> str:
        """Return a table of the coefficients with a small figure as HTML, which a notebook shows."""
        from regression.fits.html import html

        return html(self)

    _repr_html_ = to_html

    def report(self, full: bool = False, width: int | None = None) -> str:
        """Return the report, with intervals, tests and correlations too if ``full``.

        Args:
            full: Whether to show them.
            width: Longest line of a note, in characters; by default each note is one line.
        """
        return report(self, full, width)

    def diagnostics(self, x: Any, y: Any, sigma: Any = None) -> Diagnostics:
        """Return the rows that were fitted with residuals, leverages and Cook's distances, and tests of the residuals.

        Args:
            x: The points that were fitted, in their order.
            y: Their values.
            sigma: Their sigma, if they have one.

        Raises:
            UsageError: If these are other rows, or the errors are unknown.
        """
        return diagnose(self, *self._numbers(x, y, sigma))

    def equation(self, errors: bool = False, latex: bool = False) -> str:
        """Return the curve with all its terms, such as ``(2.3 ± 0.4) + (2.95 ± 0.16) x``.

        Args:
            errors: Whether to show the standard errors, which then determine the digits.
            latex: Whether to write it for LaTeX's math mode.
        """
        write = latex_equation if latex else equation
        known = None if not errors or self.bse is None else self.bse.tolist()
        return write(self.params.tolist(), self.names, known)

    def plot(
        self,
        x: Any,
        y: Any,
        sigma: Any = None,
        *,
        ax: Any = None,
        bands: Literal["both", "confidence", "prediction", "none"] = "both",
        residuals: bool = True,
        labels: tuple[str, str] | None = None,
        title: str | None = None,
        sigma_x: Any = None,
    ) -> "Figure":
        """Draw points and the curve with its bands and residuals, as in a run's ``fit.png``.

        Args:
            x: Points, as in ``regression.fit``.
            y: Values, as in ``regression.fit``.
            sigma: Standard deviations of y, or one number for all, which error bars show.
            ax: Axes of matplotlib to draw in; the residuals take the lower part of their area.
            bands: Which bands are drawn, where they are known.
            residuals: Whether there is a panel of residuals.
            labels: Names of x and y; by default those of the fitted columns.
            title: Title of the figure.
            sigma_x: Standard deviations of x, beside sigma: for error bars across.

        Returns:
            The figure. A notebook shows it, and its ``savefig`` writes files. It is not registered with pyplot, unless
            the given axes are.

        Raises:
            UsageError: If the points are not numbers of one length, or ``ax`` is not axes of matplotlib.
        """
        from regression.figures.figure import plot  # matplotlib takes a second to import

        return plot(
            self, *self._numbers(x, y, sigma), ax=ax, bands=bands, residuals=residuals, labels=labels, title=title,
            sigma_x=sigma_x,
        )  # fmt: skip

    def _numbers(self, x: Any, y: Any, sigma: Any) -> tuple[Any, Any, Any]:
        """Return columns with times converted to numbers."""
        is_time = as_times("sigma", sigma) is not None  # otherwise numbers in the unit of y
        return (
            in_scale("x", x, self.x_time),
            in_scale("y", y, self.y_time),
            in_scale("sigma", sigma, self.y_time) if is_time else sigma,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the coefficients as columns: ``name, params, bse``, ends of intervals, ``tvalues, pvalues``."""
        return {"name": list(self.names), **coefficient_columns(self)}

    def to_frame(self) -> Any:
        """Return the columns of ``to_dict`` as a ``pandas.DataFrame`` with a row for each coefficient.

        Raises:
            UsageError: If pandas is not installed.
        """
        return as_frame(coefficient_columns(self), self.names)

    def to_markdown(self) -> str:
        """Return the coefficients as a table of Markdown."""
        return markdown_table(self)

    def to_latex(self) -> str:
        """Return the coefficients as a ``tabular`` of LaTeX."""
        return latex_table(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a new file, which ``regression.load`` reads.

        Args:
            path: A path that ends in ``.json``.

        Raises:
            UsageError: If the file is there already, has another ending, or cannot be written.
        """
        require_option("path", path, PATH)
        target = Path(path)
        if target.suffix != ".json":
            raise UsageError(f"a fit is saved as JSON: give a name that ends in .json, got {shown_path(target)}")
        exists = f"{shown_path(target)} is there, and nothing is written over: give another name"
        write_new(target, self.to_json().encode(), shown_path(target), exists, "give another folder")
