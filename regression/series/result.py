"""SeriesFit: the fits of many series as numbers, as a report, and as strict JSON."""

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regression.common.data_frames import as_frame
from regression.common.errors import UndeterminedWarning
from regression.common.html_table import html_table, safe_html
from regression.common.text import counted, left_out, printable
from regression.common.time_scale import TimeScale
from regression.common.value_and_error import value_and_error
from regression.series.fits import SeriesTable
from regression.series.workspace import Model

__all__ = ["SeriesFit"]

MAX_LISTED = 30  # with more series, the report has no line for each
MAX_IN_NOTEBOOKS = 10


@dataclass(frozen=True)
class SeriesFit:
    """Polynomials fitted to S series, in ascending order of their names; NaN where points do not determine a number.

    Attributes:
        model: Class of the model.
        series: Names of the series: whole numbers of shape (S,), or S strings in the order of their characters.
        names: Names of the K coefficients.
        nobs: Numbers of points, shape (S,).
        rank: Numbers of coefficients that the points determine, shape (S,).
        params: Coefficients in ascending powers of x, shape (S, K).
        bse: Their standard errors, shape (S, K).
        ssr: Sums of squared residuals ``Σ w (y − f(x))²``, with ``w = 1 / sigma²`` of the points, or 1; shape (S,).
        sigma: Residual standard deviations ``√(ssr / (nobs − rank))``, shape (S,).
        rsquared: ``1 − ssr / Σ w (y − ȳ)²``; about 0 instead of the mean ȳ without an intercept; shape (S,).
        omitted: Number of rows that were left out because a number in them is missing.
        x_time: What the numbers of x mean where x holds times: their unit and origin, the same for all series.
        y_time: The same of y, whose times are durations.
    """

    model: str
    series: Sequence[int] | Sequence[str]
    names: tuple[str, ...]
    nobs: Tensor
    rank: Tensor
    params: Tensor
    bse: Tensor
    ssr: Tensor
    sigma: Tensor
    rsquared: Tensor
    omitted: int
    x_time: TimeScale | None = None
    y_time: TimeScale | None = None

    @classmethod
    def of(
        cls, table: SeriesTable, model: Model, names: tuple[Any, NDArray[np.int64]], name: str, omitted: int
    ) -> "SeriesFit":
        """Return the fits in the order of the series' names.

        Args:
            table: The fits, by codes of the series.
            model: The model.
            names: Names of the series in ascending order, and for each name the row of the table.
            name: Class of the model, which names the coefficients.
            omitted: Number of rows left out.
        """
        series, order = names
        is_sorted = bool((order[1:] > order[:-1]).all())
        numbers, nobs = (values if is_sorted else values[order] for values in (table.numbers, table.nobs))
        size, all_numbers = len(model.powers), torch.from_numpy(numbers)
        ssr, sigma, rsquared, rank = all_numbers[:, 2 * size :].T
        return cls(
            model=name, series=series, names=coefficient_names(name, model), nobs=torch.from_numpy(np.array(nobs)),
            rank=rank.long(), params=all_numbers[:, :size], bse=all_numbers[:, size : 2 * size], ssr=ssr, sigma=sigma,
            rsquared=rsquared, omitted=omitted,
        )  # fmt: skip

    @property
    def undetermined(self) -> int:
        """The number of series whose points do not determine the coefficients."""
        return int((self.rank < len(self.names)).sum())

    @property
    def pooled(self) -> float | None:
        """The residual standard deviation ``√(Σ ssr / Σ (nobs − rank))`` of the series with more points than rank."""
        free = self.nobs - self.rank
        ssr = math.fsum(self.ssr[free > 0].tolist())
        sigma = math.sqrt(ssr / int(free[free > 0].sum())) if bool((free > 0).any()) else math.nan
        return sigma if math.isfinite(sigma) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the points do not determine, in words."""
        notes = []
        if self.undetermined:
            notes.append(
                f"undetermined: {self.undetermined:,} of {len(self.nobs):,} series have fewer distinct x than "
                f"{counted(len(self.names), 'coefficient')}, or too close ones; their coefficients are null"
            )
        unknown = int((self.rank == len(self.names)).sum() - self.bse.isfinite().all(dim=1).sum())
        if unknown:
            notes.append(f"errors are unknown for {unknown:,} series, which have no point to spare for them")
        return tuple(notes)

    def warn_if_undetermined(self) -> None:
        """Warn if the points of some series do not determine the coefficients."""
        if self.undetermined:
            warnings.warn(self.notes[0], UndeterminedWarning, stacklevel=3)

    def columns(self) -> dict[str, Any]:
        """Return the numbers by the names of a file's columns."""
        params = {name: self.params[:, k] for k, name in enumerate(self.names)}
        errors = {f"{name}_se": self.bse[:, k] for k, name in enumerate(self.names)}
        goodness = {"ssr": self.ssr, "sigma": self.sigma, "rsquared": self.rsquared}
        return {"series": self.series, "nobs": self.nobs, "rank": self.rank, **params, **errors, **goodness}

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers by the same names as arrays of numpy, each of shape (S,)."""
        return {name: np.asarray(values) for name, values in self.columns().items()}

    def to_frame(self) -> Any:
        """Return the numbers by the same names as a ``pandas.DataFrame``, a row for each series."""
        return as_frame(self.to_dict())

    def summary(self) -> dict[str, tuple[float, float, float] | None]:
        """Return smallest, median and largest of each coefficient and of R²; ``None`` if no series determines it."""
        columns = {name: self.params[:, k] for k, name in enumerate(self.names)} | {"rsquared": self.rsquared}
        return {name: _spread(values[values.isfinite()]) for name, values in columns.items()}

    def to_json(self, **facts: Any) -> str:
        """Return a summary as strict JSON, floats with all their digits.

        Args:
            facts: Further fields, such as where the points came from.
        """
        content = {
            "model": self.model, "degree": len(self.names) - 1, "solver": "exact", "series": len(self.nobs),
            "nobs": int(self.nobs.sum()), "omitted": self.omitted, "undetermined": self.undetermined,
            "names": self.names, "pooled": self.pooled, "min_median_max": self.summary(), "notes": self.notes,
            "x_time": self.x_time and asdict(self.x_time), "y_time": self.y_time and asdict(self.y_time),
        }  # fmt: skip
        return json.dumps(content | facts, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        """Return the report."""
        return "\n".join([*self._lines(), *self._table_lines(), *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return a table of the first series, as HTML: what a notebook shows."""
        first, *others = self._lines()
        said = "".join(f"<div>{safe_html(line)}</div>" for line in others)
        head, *rows = self._rows(min(len(self.nobs), MAX_IN_NOTEBOOKS))
        left = len(self.nobs) - len(rows)
        rest = [f"and {counted(left, 'series', 'series')} more: to_frame() has all"] if left else []
        after = "".join(f"<div>{safe_html(line)}</div>" for line in [*rest, *(f"note: {note}" for note in self.notes)])
        return f"<div><b>{safe_html(first)}</b></div>{said}{html_table(head, rows)}{after}"

    def _lines(self) -> list[str]:
        """Return what was fitted, and what the fits of all series have in common."""
        low, high = int(self.nobs.min()), int(self.nobs.max())
        each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        lines = [
            f"{self.model}, degree {len(self.names) - 1}, exact, for each of {len(self.nobs):,} series",
            f"{counted(int(self.nobs.sum()), 'point')}, {each} a series, {counted(len(self.names), 'coefficient')}",
            *(f"{name} in {scale.words}" for name, scale in (("x", self.x_time), ("y", self.y_time)) if scale),
        ]
        if self.omitted:
            lines.append(left_out(self.omitted))
        for name, spread in self.summary().items():
            shown = "R²" if name == "rsquared" else name
            if spread:
                lines.append(f"  {shown:<9}  {spread[0]:.6g} to {spread[2]:.6g}, median {spread[1]:.6g}")
        if self.pooled is not None:
            lines.append(f"  pooled residual σ {self.pooled:.6g}")
        return lines

    def _rows(self, count: int) -> list[list[str]]:
        """Return the fits of the first series in words, below what each column holds."""
        rows = [["series", "points", *self.names, "σ"]]
        for k, name in enumerate(self.series[:count]):
            pairs = zip(self.params[k].tolist(), self.bse[k].tolist(), strict=True)
            shown = ["open" if math.isnan(value) else value_and_error(value, error) for value, error in pairs]
            sigma = float(self.sigma[k])
            end = "" if math.isnan(sigma) else f"{sigma:.4g}"
            rows.append([printable(str(name)), f"{int(self.nobs[k]):,}", *shown, end])
        return rows

    def _table_lines(self) -> list[str]:
        """Return the fits in words, a line for each of a few series."""
        if len(self.nobs) > MAX_LISTED:
            return []
        rows = self._rows(len(self.nobs))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
        return [f"  {line}".rstrip() for line in lines]


def _spread(values: Tensor) -> tuple[float, float, float] | None:
    if not len(values):
        return None
    numbers: NDArray[np.float64] = values.numpy()
    spread = (float(numbers.min()), float(np.median(numbers)), float(numbers.max()))
    return spread if all(map(math.isfinite, spread)) else None


def coefficient_names(name: str, model: Model) -> tuple[str, ...]:
    """Return the names of the coefficients in ascending powers of x."""
    return tuple(("intercept", "slope")[k] if name == "LineRegression" else f"c{k}" for k in model.powers)
