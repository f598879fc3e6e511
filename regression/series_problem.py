"""Small least-squares problems side by side, and their solutions.

The same factorization ``M = L D Lᵀ`` as in ``solver``, a tensor operation for all series in place of a number. The
arithmetic is that of the sums: about 32 digits, or float64 for sums in double. Torch, and numpy where it is
faster.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from regression.doubled import Doubled

Arithmetic = Literal["double-double", "double"]
from regression.series import SPLIT_BITS, Series
from regression.series_terms import FINE_UNIT, UNIT, Frames

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
    def over(cls, series: Series) -> "SeriesSolution":
        """Return room for the solutions of series, where their sums and ranges are.

        New memory would cost as much time as the solutions do.
        """
        size, numbers = series.degree + 1, series.sums[0, 0].view(torch.float64)
        ssr, sigma, rsquared, rank = series.ends
        return cls(series.nobs, rank.view(torch.int64), numbers[:size], numbers[size : 2 * size], ssr, sigma, rsquared)

    @classmethod
    def joined(cls, parts: list["SeriesSolution"]) -> "SeriesSolution":
        """Return the solutions of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(torch.cat([getattr(part, f.name) for part in parts], dim=-1) for f in fields(cls)))

    def chosen(self, series: Tensor | slice) -> "SeriesSolution":
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
        values = self._numbers(sums)
        # Lower triangle of the matrix, to which v is one more column: its row of L holds the solution. The first
        # column has the number of points above what is below.
        self.count, self.below, self.square = self._of(nobs.double().div_(UNIT)), values[: self.size], values[-1]
        if degree == 1:
            self.columns = [values[2:4]]  # side by side already
            return
        s = [self.count, *(values[k] for k in range(degree))]
        last = [values[self.size + k] for k in range(degree)]
        s += [_scaled(value, 2.0) - s[degree - k] for k, value in enumerate(last[:-1], start=1)]
        self.columns = [
            _stacked(
                [*(_scaled(s[i + j] + s[i - j], 0.5) for i in range(j, degree)), last[j - 1], values[2 * degree + j]]
            )
            for j in range(1, self.size)
        ]

    def _of(self, values: Tensor) -> Number:
        return values if self.is_double else Doubled.of(values)

    def _numbers(self, sums: Tensor) -> Number:
        """Return what whole numbers of shape (parts, halves, R, S) stand for, of shape (R, S), in units of 2^-50."""
        total, *rest = map(self._number, sums.unbind(1))
        for half in rest:
            total = _scaled(total, 2.0**SPLIT_BITS) + half
        return total

    def _number(self, parts: Tensor) -> Number:
        if self.is_double:
            return parts[0].double()
        return Doubled.of(parts[0]).plus(parts[1].double().mul_(FINE_UNIT / UNIT))

    def solve(self, out: SeriesSolution) -> None:
        """Write the solutions, and how well the curves go through the points, where the sums may have been."""
        lower, pivots, kept, (square, *left) = self._factors()
        lost = [~keep for keep in kept if keep is not None]
        out.rank.fill_(self.size)
        for columns in lost:
            out.rank.sub_(columns.long())
        rsquared, variance, ssr = self._goodness(square, left[0], left[-1], (self.nobs - out.rank).double())
        y_scale, shift = self.y_inverse.reciprocal(), torch.mul(self.center, self.inverse).neg_()
        out.rsquared.copy_(rsquared)
        in_units, sigma = y_scale * math.sqrt(UNIT), self._root(variance)
        torch.mul(ssr, in_units, out=out.ssr).mul_(in_units)
        torch.mul(sigma, in_units, out=out.sigma)
        self._write_errors(list(map(_float, lower)), list(map(_float, pivots)), shift, out.bse)
        out.bse.mul_(sigma.mul_(y_scale))
        self._write_params(lower, y_scale, self._of(shift), out.params)
        for columns in lost:
            out.params.masked_fill_(columns, torch.nan)
            out.bse.masked_fill_(columns, torch.nan)
        numbers = (out.params, out.bse, out.ssr, out.sigma)
        if not math.isfinite(sum(float(values.sum()) for values in numbers)):
            for values in numbers:
                values.add_(values - values)  # infinities, from numbers beyond float64, become NaN

    def _goodness(self, square: Tensor, tss: Tensor, ssr: Tensor, free: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return R², the variance of the residuals and their sum of squares, in the series' coordinates."""
        rsquared, variance, least = torch.rsub(ssr / tss, 1), ssr / free, square * self.perfect
        if not _are_above(ssr, least):  # rare, and each of these costs as much as a division or more
            is_lost = ssr <= least
            is_exact = is_lost & ((free == 0) | (square == 0) | (not self.is_double))
            ssr = torch.where(is_exact, 0.0, torch.where(is_lost, torch.nan, ssr))
            rsquared = torch.where(tss > least, torch.where(is_lost, 1.0, rsquared), torch.nan)
            variance = torch.where(free > 0, ssr / free, torch.nan)
        return rsquared, variance, ssr

    def _root(self, values: Tensor) -> Tensor:
        """Write square roots over values and return them, in double by numpy: in two thirds of the time."""
        if self.is_double and values.is_cpu:
            np.sqrt(values.numpy(), out=values.numpy())
            return values
        return values.sqrt_()

    def _factors(self) -> tuple[list[Number], list[Number], list[Tensor | None], list[Tensor]]:
        """Return columns of L, D, which columns do not depend on those before, and what is left of Σ v² after each.

        A column of L is below the diagonal, of shape (K - j, S), v's row last. Columns that depend on those before
        have D = 1 and zeros in L. Where all columns are independent there is ``None`` in place of which.
        """
        lower, products, pivots = [self.below / self.count], [self.below], [self.count]  # products: L D
        kept: list[Tensor | None] = [None]
        left = [self.square, self.square - lower[0][-1] * products[0][-1]]
        for j, column in enumerate(self.columns, start=1):
            least = _float(column[0]) * self.tolerance
            for k in range(j):
                column = column - lower[k][j - k - 1 :] * products[k][j - k - 1]
            keep = None if _are_above(_float(column[0]), least) else _float(column[0]) > least
            kept.append(keep)
            pivots.append(_where(keep, column[0], 1.0))
            products.append(_where(keep, column[1:], 0.0))
            lower.append(products[j] / pivots[j])
            left.append(left[j] - lower[j][-1] * products[j][-1])
        return lower, pivots, kept, list(map(_float, left))

    def _write_params(self, lower: list[Number], scale: Tensor, shift: Number, out: Tensor) -> None:
        """Write the coefficients of 1, x, … x^d of the a with ``Lᵀ a = w``, w the row of v in L."""
        found = [column[-1] for column in lower]
        for j in reversed(range(self.size)):
            for i in range(j + 1, self.size):
                found[j] = found[j] - lower[j][i - j - 1] * found[i]
        one = 1.0 if self.is_double else Doubled.of(torch.ones_like(scale))
        powers = chebyshev_in_powers(shift, self.degree, one)
        for j, row in enumerate(out):
            total = found[j] if j < 2 else found[j] * powers[j][j]  # T_0 = 1, T_1 = u
            for k in range(j + 1, self.size):
                total = total + found[k] * powers[k][j]
            if j:
                scale = scale * self.inverse
                torch.mul(_float(total), scale, out=row)
            elif self.is_double:
                torch.mul(total, scale, out=row).add_(self.y_center)
            else:
                row.copy_(_float(_scaled(total, scale) + self._of(self.y_center)))

    def _write_errors(self, lower: list[Tensor], pivots: list[Tensor], shift: Tensor, out: Tensor) -> None:
        """Write the coefficients' standard errors in powers of x for points with errors of 1, shape (K, S)."""
        powers, scale = chebyshev_in_powers(shift, self.degree, 1.0), None
        for j, errors in enumerate(out):
            first: float = powers[j][j]  # a power of two
            row: list[Tensor] = []  # q of ``q Lᵀ = p`` after the first one
            for k in range(j + 1, self.size):
                value = torch.sub(powers[k][j], lower[j][k - j - 1], alpha=first)
                for i, known in enumerate(row, start=j + 1):
                    value = value - lower[i][k - i - 1] * known
                row.append(value)
            torch.reciprocal(pivots[j], out=errors)
            if first != 1:
                errors.mul_(first * first)
            for q, d in zip(row, pivots[j + 1 :], strict=True):
                errors.add_((q * q).div_(d))
        self._root(out)
        for errors in out[1:]:
            scale = self.inverse if scale is None else scale * self.inverse
            errors.mul_(scale)


def chebyshev_in_powers(shift: Number, degree: int, one: Number) -> list[list[Number]]:
    """Return T_k(shift + t) in powers of t, a row for each k = 0 … d, by the polynomials' recurrence.

    The last number of a row is a power of two, as ``one`` is.
    """
    rows = [[one], [shift, one]]
    for _ in range(2, degree + 1):
        last, before = rows[-1], rows[-2]
        shifted = [shift * value for value in last]
        total = [shifted[0], *(a + b for a, b in zip(shifted[1:], last, strict=False)), last[-1]]
        doubled = [_scaled(value, 2.0) for value in total]
        rows.append([a - b for a, b in zip(doubled, before, strict=False)] + doubled[len(before) :])
    return rows[: degree + 1]


def _float(value: Number) -> Tensor:
    number: Tensor = value.high if isinstance(value, Doubled) else value
    return number


def _scaled(value: Number, power: Tensor | float) -> Number:
    """Return the product with powers of two."""
    return value.times(power) if isinstance(value, Doubled) else value * power


def _stacked(rows: list[Number]) -> Number:
    if isinstance(rows[0], Doubled):
        return Doubled(torch.stack([row.high for row in rows]), torch.stack([row.low for row in rows]))
    return torch.stack(rows)


def _are_above(values: Tensor, bounds: Tensor) -> bool:
    """Tell whether all values are above their bounds: faster than to compare each of them."""
    return bool((values - bounds).amin() > 0)


def _where(condition: Tensor | None, value: Number, other: float) -> Number:
    if condition is None:
        return value
    return value.where(condition, other) if isinstance(value, Doubled) else torch.where(condition, value, other)
