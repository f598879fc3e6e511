"""What the fits of many series are: their numbers, in words, and as strict JSON."""

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from regression.errors import counted
from regression.fit import UndeterminedWarning
from regression.labels import Labels
from regression.report import left_out
from regression.series_problem import SeriesSolution

__all__ = ["SeriesFit"]


@dataclass(frozen=True)
class SeriesFit:
    """Polynomials fitted to S series, in ascending order of their names; NaN where the points leave a number open.

    Attributes:
        model: Class of the model.
        series: Names of the series: whole numbers of shape (S,), or S texts in the order of their characters.
        names: Names of the K coefficients.
        nobs: Numbers of points, shape (S,).
        rank: Numbers of coefficients that the points determine, shape (S,).
        params: Coefficients in ascending powers of x, shape (S, K).
        bse: Their standard errors, shape (S, K).
        ssr: Sums of squared residuals, shape (S,).
        sigma: Residual standard deviations, shape (S,).
        rsquared: ``1 − ssr / Σ (y − ȳ)²``, shape (S,).
        omitted: Number of rows that were left out because a number in them is missing.
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

    @classmethod
    def of(cls, codes: Tensor, solution: SeriesSolution, labels: Labels, model: str, omitted: int) -> "SeriesFit":
        """Put solutions in order.

        Args:
            codes: Codes of the series, shape (S,).
            solution: Their polynomials.
            labels: What the codes mean.
            model: Class of the model.
            omitted: Number of rows left out.
        """
        series, order = labels.names(codes.cpu().numpy())
        place = torch.from_numpy(order).to(codes.device)
        is_sorted = torch.equal(place, torch.arange(len(place), device=place.device))
        found = solution if is_sorted else solution.chosen(place)
        size = len(solution.params)
        names = ("intercept", "slope") if model == "LineRegression" else tuple(f"c{k}" for k in range(size))
        return cls(
            model=model, series=series, names=names, nobs=found.nobs.cpu(), rank=found.rank.cpu(),
            params=found.params.T.cpu(), bse=found.bse.T.cpu(), ssr=found.ssr.cpu(), sigma=found.sigma.cpu(),
            rsquared=found.rsquared.cpu(), omitted=omitted,
        )  # fmt: skip

    @property
    def undetermined(self) -> int:
        """The number of series whose points do not determine the coefficients."""
        return int((self.rank < len(self.names)).sum())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is open, in words."""
        found = []
        if self.undetermined:
            found.append(
                f"undetermined: {self.undetermined:,} of {len(self.nobs):,} series have fewer distinct x than "
                f"{counted(len(self.names), 'coefficient')}, or too close ones; their coefficients are null"
            )
        open_errors = int((self.rank == len(self.names)).sum() - self.bse.isfinite().all(dim=1).sum())
        if open_errors:
            found.append(f"errors are unknown for {open_errors:,} series, which have no point to spare for them")
        return tuple(found)

    def warn_if_undetermined(self) -> None:
        """Warn where the points of some series do not determine the coefficients."""
        if self.undetermined:
            warnings.warn(self.notes[0], UndeterminedWarning, stacklevel=3)

    def columns(self) -> dict[str, Any]:
        """Return the numbers by the names of a file's columns."""
        params = {name: self.params[:, k] for k, name in enumerate(self.names)}
        errors = {f"{name}_se": self.bse[:, k] for k, name in enumerate(self.names)}
        goodness = {"ssr": self.ssr, "sigma": self.sigma, "rsquared": self.rsquared}
        return {"series": self.series, "nobs": self.nobs, "rank": self.rank, **params, **errors, **goodness}

    def summary(self) -> dict[str, tuple[float, float, float] | None]:
        """Return smallest, median and largest of each coefficient and of R², where there is one."""
        columns = {name: self.params[:, k] for k, name in enumerate(self.names)} | {"rsquared": self.rsquared}
        return {name: _spread(values[values.isfinite()]) for name, values in columns.items()}

    def to_json(self, **facts: Any) -> str:
        """Return a summary as strict JSON, floats with all their digits.

        Args:
            facts: More to write beside it, such as where the points came from.
        """
        content = {
            "model": self.model, "degree": len(self.names) - 1, "solver": "exact", "series": len(self.nobs),
            "nobs": int(self.nobs.sum()), "omitted": self.omitted, "undetermined": self.undetermined,
            "names": self.names, "min_median_max": self.summary(), "notes": self.notes,
        }  # fmt: skip
        return json.dumps(content | facts, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        """Return the report."""
        low, high = int(self.nobs.min()), int(self.nobs.max())
        each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        lines = [
            f"{self.model}, degree {len(self.names) - 1}, exact, for each of {len(self.nobs):,} series",
            f"{counted(int(self.nobs.sum()), 'point')}, {each} a series, {counted(len(self.names), 'coefficient')}",
        ]
        if self.omitted:
            lines.append(left_out(self.omitted))
        for name, spread in self.summary().items():
            shown = "R²" if name == "rsquared" else name
            if spread:
                lines.append(f"  {shown:<9}  {spread[0]:.6g} to {spread[2]:.6g}, median {spread[1]:.6g}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _spread(values: Tensor) -> tuple[float, float, float] | None:
    if not len(values):
        return None
    found = (float(values.min()), float(values.median()), float(values.max()))
    return found if all(map(math.isfinite, found)) else None
