"""The report of a fit as text."""

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations
from textwrap import fill

from regression.common.text import counted, printable
from regression.common.value_and_error import value_and_error
from regression.fits.result import FitResult
from regression.fits.tables import coefficient_rows, interval_head

__all__ = ["method_of", "report", "short_report", "title_lines"]

LEAST_CORRELATION, MOST_CORRELATIONS = 0.5, 10  # size and number of the correlations that are shown
LEAST_WIDTH = 20  # characters of a line, because some terminals report a width of about 0


def report(fit: FitResult, full: bool = False, width: int | None = None) -> str:
    """Return the report of a fit: what was fitted, coefficients with errors, goodness, and notes.

    Args:
        fit: The fit.
        full: Whether to show intervals, tests and correlations too.
        width: Longest line of a note, in characters; by default each note is one line.
    """
    facts = {"residual σ": fit.sigma, "robust scale": fit.scale, "condition": fit.condition_number}
    lines = [
        *title_lines(fit),
        *_weight_lines(fit),
        *_chi_square_lines(fit),
        *([] if fit.loss is None else [f"{fit.loss_name} {fit.loss:.8g}"]),
        *([] if fit.val_loss is None else [f"{fit.loss_name} of the held-out points {fit.val_loss:.8g}"]),
        ", ".join(_known({"sum of squared residuals": fit.ssr} | facts)),
        *(_full_lines(fit) if full else _coefficient_lines(fit, 24, [f"{value: .8g}" for value in fit.params])),
        _goodness_line(fit),
        *(_test_lines(fit) if full else []),
        *_table_lines(fit),
        *_note_lines(fit, width),
    ]
    return "\n".join(line for line in lines if line)


def short_report(fit: FitResult) -> str:
    """Return what was fitted, the coefficients with errors, R² and σ, and the notes."""
    goodness = _known({"R²": fit.rsquared, "residual σ": fit.sigma})
    coefficients = _coefficient_lines(fit, 0, [""] * len(fit.params))
    return "\n".join(filter(None, [*title_lines(fit), *coefficients, ", ".join(goodness), *_note_lines(fit, None)]))


def method_of(fit: FitResult) -> str:
    """Return how a fit was made."""
    if fit.optimizer:
        return f"{counted(fit.updates, 'update')} by {fit.optimizer}"
    if fit.errors_in_x:
        return "line with errors in x and y (York)"
    return f"M-estimate ({fit.robust})" if fit.robust else "exact least squares"


def title_lines(fit: FitResult) -> list[str]:
    """Return what was fitted, how, and to how many points."""
    return [
        *_origin_lines(fit),
        f"{fit.model}, degree {fit.degree}, {method_of(fit)}",
        f"{counted(fit.nobs, 'point')}, {counted(len(fit.params), 'coefficient')}, "
        f"{counted(fit.df_resid, 'degree of freedom', 'degrees of freedom')}",
    ]


def _origin_lines(fit: FitResult) -> list[str]:
    """Return a line that says which columns were fitted, if they have names or come from a file."""
    if fit.source is None and fit.axes == ("x", "y"):
        return []
    x, y = fit.axes
    return [printable(", ".join(filter(None, [f"{y} against {x}", fit.source])))]


def _coefficient_lines(fit: FitResult, least: int, more: Sequence[str]) -> list[str]:
    """Return a line for each coefficient: name, value ± error in at least so many characters, and one more cell."""
    width = max(map(len, fit.names))
    errors = [None] * len(fit.params) if fit.bse is None else fit.bse.tolist()
    rows = zip(fit.names, fit.params.tolist(), errors, more, strict=True)
    return [
        f"  {name:<{width}}  {value_and_error(value, error):<{least}}  {last}".rstrip()
        for name, value, error, last in rows
    ]


def _full_lines(fit: FitResult) -> list[str]:
    """Return the coefficients with intervals and tests, under a header, and the largest correlations."""
    rows = [["", "", "", interval_head(fit), "t", "p"]]
    rows += [
        [*row[:2], f"{value: .8g}", *row[2:]] for row, value in zip(coefficient_rows(fit), fit.params, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [*map(str.rstrip, lines), *_correlation_lines(fit)]


def _correlation_lines(fit: FitResult) -> list[str]:
    """Return the largest correlations between coefficients."""
    found = fit.corr_params
    if found is None or len(found) < 2:
        return []
    pairs = sorted(combinations(range(len(found)), 2), key=lambda pair: -abs(found[pair]))
    shown = [
        f"{fit.names[i]} {fit.names[j]} {found[i, j]:.3f}" for i, j in pairs if abs(found[i, j]) >= LEAST_CORRELATION
    ]
    words = ", ".join(shown[:MOST_CORRELATIONS]) or f"below {LEAST_CORRELATION} between all coefficients"
    return [f"correlations: {words}"]


def _goodness_line(fit: FitResult) -> str:
    name = "R²" if fit.is_about_mean else "R² (about 0: no intercept)"
    return ", ".join(_known({name: fit.rsquared, "AIC": fit.aic, "AICc": fit.aicc, "BIC": fit.bic}))


def _test_lines(fit: FitResult) -> list[str]:
    """Return lines on F, adjusted R² and likelihood, and on the tests of residuals, if there are any."""
    facts = _known({"adjusted R²": fit.rsquared_adj, "log likelihood": fit.llf})
    if fit.fvalue is not None and fit.f_pvalue is not None:
        df = (fit.df_model,) if fit.absolute_sigma else (fit.df_model, fit.df_resid)
        facts.insert(0, _tested("F", fit.fvalue, fit.f_pvalue, df))
    found = fit.residual_tests or {}
    names = {"PRESS": "press", "mean square left out": "loo", "Durbin–Watson": "durbin_watson"}
    lines = [", ".join(facts), ", ".join(_known({name: found.get(key) for name, key in names.items()}))]
    for name, test in {"equal scatter (Koenker): χ²": "breusch_pagan", "lack of fit: F": "lack_of_fit"}.items():
        if known := found.get(test):
            lines.append(_tested(name, known["statistic"], known["pvalue"], known["df"]))
    return [*lines, *found.get("notes", ())]


def _tested(name: str, statistic: float, pvalue: float, df: Sequence[int]) -> str:
    of = "degree" if tuple(df) == (1,) else "degrees"
    return f"{name} {statistic:.6g} with {' and '.join(map(str, df))} {of} of freedom, p {pvalue:.2g}"


def _chi_square_lines(fit: FitResult) -> list[str]:
    """Return a line on χ², which tests whether absolute sigma explain the residuals."""
    if fit.chi2 is None or fit.chi2_pvalue is None:
        return []
    probability = f"probability of a larger one {fit.chi2_pvalue:.2g}"
    return [f"χ² {fit.chi2:.6g}, χ²/df {fit.chi2 / fit.df_resid:.6g}, {probability}"]


def _note_lines(fit: FitResult, width: int | None) -> list[str]:
    notes = [f"note: {note}" for note in fit.notes]
    return notes if width is None else [fill(note, max(width, LEAST_WIDTH), subsequent_indent="  ") for note in notes]


def _weight_lines(fit: FitResult) -> list[str]:
    """Return a line on the weights of points with a sigma, and on the scale of the covariance."""
    if not fit.weighted and not fit.absolute_sigma:  # points whose sigma are all 1 are not weighted
        return []
    weights = "1/(sigma² + slope² sigma_x²)" if fit.errors_in_x else "1/sigma²"
    return [f"weighted by {weights}, {_covariance(fit)}"]


def _covariance(fit: FitResult) -> str:
    """Return how the covariance of a fit to points with sigma is scaled."""
    if fit.robust:
        return "with an estimated scale"
    if fit.cov_type != "nonrobust":
        return f"covariance by the residuals ({fit.cov_type})"
    if fit.absolute_sigma:
        return "covariance not scaled: sigma is absolute"
    if fit.sigma is None:
        return "covariance scaled by ssr/df"
    square: float | Decimal = fit.sigma * fit.sigma
    if fit.sigma and not 0 < square < math.inf:
        square = Decimal(fit.sigma) ** 2
    return f"covariance scaled by ssr/df = {square:.6g}"


def _table_lines(fit: FitResult) -> list[str]:
    """Return the table of compared degrees, with a mark at the chosen one."""
    if not fit.degree_table:
        return []
    last = fit.degree_table[-1]  # not the first, which has no F test
    columns = [name for name, value in last.items() if value is not None]
    lines = ["".join(f"{name:>12}" for name in columns)]
    chosen = "  ← chosen" + (f" by {fit.criterion}" if fit.criterion else "")
    for row in fit.degree_table:
        mark = chosen if row["degree"] == fit.degree else ""
        cells = ("" if (value := row[name]) is None else f"{value:.6g}" for name in columns)
        lines.append("".join(f"{cell:>12}" for cell in cells).rstrip() + mark)
    return lines


def _known(values: dict[str, float | None]) -> list[str]:
    return [f"{key} {value:.6g}" for key, value in values.items() if value is not None and math.isfinite(value)]
