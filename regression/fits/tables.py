"""The coefficients of a fit as a table: of columns, for Markdown, and for LaTeX."""

import re
from typing import Any

import numpy as np

from regression.common.value_and_error import value_and_error
from regression.fits.result import FitResult

__all__ = ["coefficient_columns", "coefficient_rows", "interval_head", "latex_table", "markdown_table"]


def coefficient_columns(fit: FitResult) -> dict[str, Any]:
    """Return coefficients, errors, intervals and tests, each of shape (K,); NaN where unknown."""
    unknown = np.full(len(fit.params), np.nan)
    lower, upper = (unknown, unknown) if fit.conf_int is None else fit.conf_int.T
    known = {"bse": fit.bse, "conf_int_lower": lower, "conf_int_upper": upper, "tvalues": fit.tvalues,
             "pvalues": fit.pvalues}  # fmt: skip
    return {"params": fit.params} | {name: unknown if values is None else values for name, values in known.items()}


def coefficient_rows(fit: FitResult) -> list[list[str]]:
    """Return for each coefficient the cells name, value ± error, interval, t, p as text."""
    columns = coefficient_columns(fit)
    rows = zip(fit.names, *(values.tolist() for values in columns.values()), strict=True)
    return [
        [name, value_and_error(value, error), _interval(low, high), _format(t, ".2f"), _format(p, ".2g")]
        for name, value, error, low, high, t, p in rows
    ]


def interval_head(fit: FitResult) -> str:
    """Return the heading of the column of intervals."""
    return f"{100 * fit.level:g} % interval"


def markdown_table(fit: FitResult) -> str:
    """Return the coefficients as a Markdown table."""
    head = ["coefficient", "value ± error", interval_head(fit), "t", "p"]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *coefficient_rows(fit))]
    return "\n".join([lines[0], "|---|---:|---:|---:|---:|", *lines[1:]])


def latex_table(fit: FitResult) -> str:
    r"""Return the coefficients as a LaTeX ``tabular``, which needs no package."""
    head = ["coefficient", r"value $\pm$ error", interval_head(fit).replace("%", r"\%"), "$t$", "$p$"]
    body = [[name.replace("_", r"\_"), *map(_in_math_mode, cells)] for name, *cells in coefficient_rows(fit)]
    lines = [" & ".join(cells) + r" \\" for cells in (head, *body)]
    return "\n".join(
        [r"\begin{tabular}{lrrrr}", r"\hline", lines[0], r"\hline", *lines[1:], r"\hline", r"\end{tabular}"]
    )


def _in_math_mode(cell: str) -> str:
    text = re.sub(r"e([+-]\d+)", lambda m: rf" \times 10^{{{int(m[1])}}}", cell).replace("±", r"\pm")
    text = re.sub("unknown|exact", lambda m: rf"\mathrm{{{m[0]}}}", text)
    return f"${text}$" if text else ""


def _interval(low: float, high: float) -> str:
    return "" if np.isnan(low) else f"[{low:.6g}, {high:.6g}]"


def _format(number: float, style: str) -> str:
    return "" if np.isnan(number) else format(number, style)
