"""Small least-squares problems side by side, and their solutions.

The same factorization ``M = L D Lᵀ`` as in ``solver``, a tensor operation for all series in place of a number. The
arithmetic is that of the sums: about 32 digits, or float64 for sums in double. Torch only.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from regression.doubled import Doubled
from regression.moments import Arithmetic
from regression.series import SPLIT_BITS, Series
from regression.series_terms import FINE_UNIT, UNIT, Frames
from regression.sums import room_for

__all__ = ["Problem", "SeriesSolution"]

# As in ``solver``: a smaller share of a column's square, or of Σ v², is rounding.
TOLERANCE: dict[Arithmetic, tuple[float, float]] = {"double-double": (1e-24, 2e-29), "double": (1e-12, 1e-13)}

Number = Any  # Doubled or Tensor, which have the same operators


@dataclass(frozen=True)
class SeriesSolution:
    """The least-squares polynomial of each series; NaN where its points leave a number open.

    Attributes:
        nobs: Numbers of points, shape (S,).
        rank: Numbers of coefficients that the points determine, shape (S,).
        params: Coefficients in ascending powers of x, all or none of a series, shape (K, S).
        bse: Their standard errors, with ``sigma`` for the points' unknown errors, shape (K, S).
        ssr: Sums of squared residuals, shape (S,).
        sigma: Residual standard deviations ``√(ssr / (nobs - rank))``, shape (S,).
        rsquared: ``1 - ssr / Σ (y - ȳ)²``; open where y does not vary, shape (S,).
    """

    nobs: Tensor
    rank: Tensor
    params: Tensor
    bse: Tensor
    ssr: Tensor
    sigma: Tensor
    rsquared: Tensor

    @classmethod
    def room(cls, series: Series) -> "SeriesSolution":
        """Return room for the solutions of series."""
        numbers = room_for((2 * series.degree + 5, len(series.nobs)), series.ends.device)
        params, bse, rest = torch.split(numbers, [series.degree + 1, series.degree + 1, 3])
        return cls(series.nobs, torch.empty_like(series.nobs), params, bse, *rest)

    @classmethod
    def joined(cls, parts: list["SeriesSolution"]) -> "SeriesSolution":
        """Return the solutions of all parts, in order."""
        return cls(*(torch.cat([getattr(part, f.name) for part in parts], dim=-1) for f in fields(cls)))

    def chosen(self, series: Tensor) -> "SeriesSolution":
        """Return the solutions at some positions."""
        return replace(self, **{f.name: getattr(self, f.name)[..., series] for f in fields(self)})


class Problem:
    """The normal equations of some series in T_k(u).

    Args:
        nobs: Numbers of points, shape (S,).
        frames: Their coordinates.
        sums: As in ``Series``.
        arithmetic: That of the sums.
    """

    def __init__(self, nobs: Tensor, frames: Frames, sums: Tensor, arithmetic: Arithmetic) -> None:
        degree = (sums.shape[2] - 2) // 3
        self.nobs, self.degree, self.size = nobs, degree, degree + 1
        (self.center, self.y_center), (self.inverse, self.y_inverse) = frames.centers, frames.inverses
        self.is_double, (self.tolerance, self.perfect) = arithmetic == "double", TOLERANCE[arithmetic]
        values = [self._number(sums[:, :, k]) for k in range(3 * degree + 2)]
        s, last = [self._of(nobs), *values[:degree]], values[self.size : 2 * degree + 1]
        s += [_twice(value) - s[degree - k] for k, value in enumerate(last[:-1], start=1)]
        self.matrix = [[s[i], *(_half(s[i + j] + s[i - j]) for j in range(1, i + 1))] for i in range(degree)]
        self.matrix.append([s[degree], *last])
        self.right, self.square = [values[degree], *values[2 * degree + 1 : -1]], values[-1]

    def _of(self, values: Tensor) -> Number:
        return values.double() if self.is_double else Doubled.of(values)

    def _number(self, sums: Tensor) -> Number:
        """Return the number that whole numbers of shape (parts, halves, S) stand for."""
        total = None
        for part, unit in zip(sums, (UNIT, FINE_UNIT), strict=False):
            for half, power in zip(part.flip(0), (1.0, 2.0**SPLIT_BITS), strict=False):
                value = self._of(half)
                value = value * (unit * power) if self.is_double else value.times(unit * power)
                total = value if total is None else total + value
        return total

    def solution(self) -> SeriesSolution:
        """Solve, and describe how well the curves go through the points."""
        lower, pivots, kept = self._factors()
        forward = self._forward(lower)
        weights = [_where(keep, z / d, 0.0) for z, d, keep in zip(forward, pivots, kept, strict=True)]
        left = [self.square]
        for w, z in zip(weights, forward, strict=True):
            left.append(left[-1] - w * z)
        rank = torch.stack(kept).sum(dim=0)
        is_full, free = rank == self.size, (self.nobs - rank).double()
        square, tss, ssr = _float(self.square), _float(left[1]), _float(left[-1])
        least = self.perfect * square
        rsquared = 1 - ssr / tss
        variance = ssr / free
        is_lost = ssr <= least
        if bool(is_lost.any()):  # rare, and each of these costs as much as a division or more
            is_exact = is_lost & ((free == 0) | (square == 0) | (not self.is_double))
            ssr = torch.where(is_exact, 0.0, torch.where(is_lost, torch.nan, ssr))
            rsquared = torch.where(tss > least, torch.where(is_lost, 1.0, rsquared), torch.nan)
            variance = torch.where(free > 0, ssr / free, torch.nan)
        params = torch.stack(self._params(lower, weights))
        errors = self._unit_errors([list(map(_float, row)) for row in lower], list(map(_float, pivots)))
        y_scale = 1 / self.y_inverse
        sigma = variance.sqrt() * y_scale
        found = SeriesSolution(
            nobs=self.nobs,
            rank=rank,
            params=params,
            bse=errors * sigma,
            ssr=ssr * y_scale * y_scale,
            sigma=sigma,
            rsquared=rsquared,
        )
        if not bool(is_full.all()):
            found.params.masked_fill_(~is_full, torch.nan)
            found.bse.masked_fill_(~is_full, torch.nan)
        # Infinities, from numbers beyond float64, become NaN.
        return replace(
            found, **{name: (v := getattr(found, name)) + (v - v) for name in ("params", "bse", "ssr", "sigma")}
        )

    def _factors(self) -> tuple[list[list[Number]], list[Number], list[Tensor]]:
        """Return L below its diagonal, D, and which columns do not depend on those before; others have D = 1."""
        lower: list[list[Number]] = [[] for _ in range(self.size)]
        pivots: list[Number] = []
        kept = []
        for j in range(self.size):
            rest = [self.matrix[i][j] for i in range(j, self.size)]
            for k in range(j):
                factor = lower[j][k] * pivots[k]
                rest = [value - lower[j + i][k] * factor for i, value in enumerate(rest)]
            keep = _float(rest[0]) > self.tolerance * _float(self.matrix[j][j])
            kept.append(keep)
            pivots.append(_where(keep, rest[0], 1.0))
            for i, value in enumerate(rest[1:], start=j + 1):
                lower[i].append(_where(keep, value / pivots[j], 0.0))
        return lower, pivots, kept

    def _forward(self, lower: list[list[Number]]) -> list[Number]:
        """Return z of ``L z = b``."""
        found: list[Number] = []
        for row, value in zip(lower, self.right, strict=True):
            for factor, known in zip(row, found, strict=False):
                value = value - factor * known
            found.append(value)
        return found

    def _params(self, lower: list[list[Number]], weights: list[Number]) -> list[Tensor]:
        """Return the coefficients of 1, x, … x^d of the a with ``Lᵀ a = w``."""
        found = list(weights)
        for j in reversed(range(self.size)):
            for i in range(j + 1, self.size):
                found[j] = found[j] - lower[i][j] * found[i]
        scale, shift = 1 / self.y_inverse, self._of(self.center * self.inverse)
        powers = chebyshev_in_powers(-shift, self.degree, self._of(torch.ones_like(scale)))
        params = []
        for j in range(self.size):
            total = found[j] * powers[j][j]
            for k in range(j + 1, self.size):
                total = total + found[k] * powers[k][j]
            total = total * scale if self.is_double else total.times(scale)
            params.append(_float(total if j else total + self._of(self.y_center)))
            scale = scale * self.inverse
        return params

    def _unit_errors(self, lower: list[list[Tensor]], pivots: list[Tensor]) -> Tensor:
        """Return the coefficients' standard errors in powers of x for points with errors of 1, shape (K, S)."""
        shift = self.center * self.inverse
        powers = chebyshev_in_powers(-shift, self.degree, torch.ones_like(shift))
        errors, scale = [], torch.ones_like(shift)
        for j in range(self.size):
            row: list[Tensor] = []  # q of ``q Lᵀ = p``
            for k in range(j, self.size):
                value = powers[k][j]
                for i, known in enumerate(row, start=j):
                    value = value - lower[k][i] * known
                row.append(value)
            squares = torch.stack([q * q / d for q, d in zip(row, pivots[j:], strict=True)])
            errors.append(squares.sum(dim=0).sqrt() * scale)
            scale = scale * self.inverse
        return torch.stack(errors)


def chebyshev_in_powers(shift: Number, degree: int, one: Number) -> list[list[Number]]:
    """Return T_k(shift + t) in powers of t, a row for each k = 0 … d, by the polynomials' recurrence."""
    rows = [[one], [shift, one]]
    for _ in range(2, degree + 1):
        last, before = rows[-1], rows[-2]
        shifted = [shift * value for value in last]
        total = [shifted[0], *(a + b for a, b in zip(shifted[1:], last, strict=False)), last[-1]]
        doubled = list(map(_twice, total))
        rows.append([a - b for a, b in zip(doubled, before, strict=False)] + doubled[len(before) :])
    return rows[: degree + 1]


def _float(value: Number) -> Tensor:
    number: Tensor = value.high if isinstance(value, Doubled) else value
    return number


def _twice(value: Number) -> Number:
    return value + value


def _half(value: Number) -> Number:
    return value.times(0.5) if isinstance(value, Doubled) else value / 2


def _where(condition: Tensor, value: Number, other: float) -> Number:
    if bool(condition.all()):
        return value
    return value.where(condition, other) if isinstance(value, Doubled) else torch.where(condition, value, other)
