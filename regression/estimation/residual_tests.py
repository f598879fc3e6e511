"""Tests of residuals from sums over the rows: the same bits for any division of the rows into parts and processes."""

import math
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from regression.common.collectives import all_gather_objects, all_gather_rows, rank_and_size
from regression.common.points import Points
from regression.curves.decimals import finite_float, precise
from regression.curves.frame import Frame
from regression.estimation.residuals import LEAST_LEFT
from regression.estimation.solver import solve
from regression.inference.answers import Answers
from regression.inference.distributions import chi2_tail, f_tail
from regression.inference.row_diagnostics import UNKNOWN, RowDiagnostics, untested
from regression.kernels.exact_sums import UNIT, exact_sum, product_limbs, whole_sums
from regression.moments.moments import Moments
from regression.moments.scan import Sums

__all__ = ["ResidualTest", "ResidualTests", "ResidualTotals"]

Array = NDArray[np.float64]

MOST_LEVELS = 1 << 18  # distinct x that are kept, 24 MiB
SLACK = 1.001  # factor by which a squared residual may exceed the sum of all squared residuals
NOT_TESTED = "residuals are not tested: {}"
BEYOND = "PRESS is unknown: it is beyond float64's range"
ROUNDING = "residuals are not tested: they are no larger than the rounding of y"
ALONE = "PRESS is unknown: a point alone decides the curve there (its leverage is 1)"
TOO_MANY = f"lack of fit is not tested: there are more than {MOST_LEVELS:,} different x"
NO_REPEATS = "lack of fit is not tested: too few x repeat"
EQUAL = "lack of fit is not tested: rows of equal x have equal y"


class ResidualTest(NamedTuple):
    """A test of residuals.

    Attributes:
        statistic: The statistic.
        pvalue: Probability of one as large or larger under the null hypothesis.
        df: The degrees of freedom.
    """

    statistic: float
    pvalue: float
    df: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ResidualTests:
    """Tests of the residuals of all rows; ``None`` if unknown.

    Attributes:
        press: ``Σ w (r / (1 − h))²``, the squared distances of the rows from the curves of all other rows.
        loo: ``press / N``: the exact cross-validation that leaves one row out at a time.
        durbin_watson: ``Σ (r_t − r_{t−1})² / Σ r_t²``, of √w r in the order of the rows: near 2 without
            autocorrelation (Durbin and Watson 1950).
        breusch_pagan: Koenker's test of equal scatter: ``N R²`` of w r² against a polynomial of the fit's degree, χ²
            (1981).
        lack_of_fit: The F test of the curve against the means of rows of equal x, ``(Σ_levels W m² / (levels − K)) /
            (Σ w (r − m)² / (N − levels))``, m the mean residual of a level (Draper and Smith 1998, §2.1).
        notes: Why something is unknown.
    """

    press: float | None = None
    loo: float | None = None
    durbin_watson: float | None = None
    breusch_pagan: ResidualTest | None = None
    lack_of_fit: ResidualTest | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the tests as plain numbers and strings, for ``fit.json``."""
        own = {field.name: getattr(self, field.name) for field in fields(ResidualTests)} | {"notes": list(self.notes)}
        return {name: value._asdict() if isinstance(value, ResidualTest) else value for name, value in own.items()}


class ResidualTotals:
    """The sums over rows that the tests need.

    Args:
        fit: The fit whose residuals they are.
        smallest_sigma: At most the smallest sigma of the rows; 1 where they have none.
    """

    def __init__(self, fit: Answers, smallest_sigma: float = 1.0) -> None:
        self.degree, self.rank, self.exponent = fit.degree, fit.rank, math.frexp(fit.sigma or 0.0)[1]
        self.most = math.ldexp(fit.sigma or 0.0, -self.exponent) ** 2 * fit.df_resid * SLACK
        self.sums, self.least_left, self.untested = _Sums(), math.inf, untested(fit)
        self.are_known, self.is_rounding = not self.untested, False
        self._scatter = Sums(Frame.of(fit.x_range, (0.0, self.most), None), self.degree)
        self._levels = _Levels(math.frexp(self.most)[1] // 2 + 1, 1 - math.frexp(smallest_sigma)[1])
        self._latest: float | None = None  # the last residual of the rows before

    def add(self, rows: RowDiagnostics, device: torch.device) -> None:
        """Add the next rows, at most 2^22; several processes add parts of them, in the order of their ranks.

        Args:
            rows: This process's rows.
            device: Where processes exchange tensors.
        """
        if self.untested:
            return
        scaled = np.ldexp(rows.scaled.numpy(), -self.exponent)  # near 1: their squares are float64 numbers
        squares, before = scaled * scaled, self._residual_before(scaled, device)
        self.are_known = self.are_known and rows.are_known
        self.is_rounding = self.is_rounding or bool((squares > self.most).any())
        if not len(scaled) or not self.are_known or self.is_rounding:
            return
        left = 1 - rows.leverage.numpy()
        self.least_left = min(self.least_left, float(left.min()))
        steps = np.diff(scaled, prepend=scaled[0] if before is None else before)
        missed = scaled / left if self.least_left > LEAST_LEFT else scaled[:0]
        self.sums = self.sums.plus(len(scaled), *map(exact_sum, (squares, steps * steps, missed * missed)))
        self._scatter.add(Points(rows.x, torch.from_numpy(squares)))
        self._levels.add(rows.x.numpy(), scaled, rows.weight.sqrt().numpy())

    def _residual_before(self, scaled: Array, device: torch.device) -> float | None:
        """Return the residual of the row before this process's rows, ``None`` before the first of all."""
        rank = rank_and_size()[0]
        own = [[rank, scaled[0], scaled[-1]]] if len(scaled) else []
        ends = torch.tensor(own, dtype=torch.float64, device=device).reshape(-1, 3)
        lasts = {int(end[0]): end[2] for end in all_gather_rows(ends).tolist()}
        before = [last for of, last in lasts.items() if of < rank]
        found = before[-1] if before else self._latest
        self._latest = list(lasts.values())[-1] if lasts else self._latest
        return found

    def tests(self, device: torch.device) -> ResidualTests:
        """Return the tests of the rows of all processes."""
        moments = self._scatter.moments().reduced(device)
        self._levels.gather(device)
        parts = all_gather_objects((self.sums, self.least_left, self.are_known, self.is_rounding))
        every, left, known, rounding = zip(*parts, strict=True)
        if not all(known):
            return ResidualTests(notes=(NOT_TESTED.format(self.untested or UNKNOWN),))
        if any(rounding):
            return ResidualTests(notes=(ROUNDING,))
        total = reduce(lambda a, b: a.plus(*b), every)
        missed = total.press / UNIT if min(left) > LEAST_LEFT else None
        press, loo = (None if missed is None else self._in_units(missed / count) for count in (1, total.rows))
        lack = self._levels.lack_of_fit(self.rank)
        notes = [] if press is not None else [ALONE if missed is None else BEYOND]
        notes += [lack] if isinstance(lack, str) else []
        return ResidualTests(
            press=press, loo=loo, durbin_watson=total.steps / total.squares,
            breusch_pagan=self._breusch_pagan(moments), lack_of_fit=None if isinstance(lack, str) else lack,
            notes=tuple(notes),
        )  # fmt: skip

    def _in_units(self, square: float) -> float | None:
        """Return a sum of squares in the unit of the residuals; ``None`` if it is beyond float64's range."""
        with precise():
            return finite_float(Decimal(square) * Decimal(4) ** self.exponent) or None

    def _breusch_pagan(self, moments: Moments) -> ResidualTest | None:
        if not self.degree or moments.frame.low == moments.frame.high:
            return None
        found = solve(moments, self.degree)
        if found.tss <= 0:
            return None
        with precise():
            statistic = float(moments.nobs * (1 - found.ssr / found.tss))
        return ResidualTest(statistic, chi2_tail(statistic, self.degree), (self.degree,))


class _Sums(NamedTuple):
    """Number of rows, and sums of r², ``(r_t − r_{t−1})²`` and ``(r / (1 − h))²`` in units of 2^-1126."""

    rows: int = 0
    squares: int = 0
    steps: int = 0
    press: int = 0

    def plus(self, *more: int) -> "_Sums":
        return _Sums(*(a + b for a, b in zip(self, more, strict=True)))


class _Levels:
    """Sums by distinct x: of 1, w, w r and w r², the last three as whole numbers in three limbs each.

    Args:
        residual: Exponent of a power of two that is at least as large as every ``√w |r|``.
        root: The same of ``√w``.
    """

    def __init__(self, residual: int, root: int) -> None:
        self.exponents = residual, root
        self.are_too_many = False
        self._forget()

    def _forget(self) -> None:
        self.x, self.sums = np.empty(0), np.empty((10, 0), np.int64)

    def add(self, x: Array, scaled: Array, root: Array) -> None:
        """Add rows."""
        if self.are_too_many:
            return
        levels, of = np.unique(x, return_inverse=True)
        r, a = (np.ldexp(values, -exponent) for values, exponent in zip((scaled, root), self.exponents, strict=True))
        limbs = [np.ones_like(x), *product_limbs(a, a), *product_limbs(a, r), *product_limbs(r, r)]
        self._merge(levels, np.stack([np.bincount(of, limb) for limb in limbs]).astype(np.int64))

    def _merge(self, x: Array, sums: NDArray[np.int64]) -> None:
        every, columns = np.concatenate([self.x, x]), np.concatenate([self.sums, sums], axis=1)
        self.x, of = np.unique(every, return_inverse=True)
        self.sums = np.zeros((10, len(self.x)), np.int64)
        np.add.at(self.sums.T, of, columns.T)
        if len(self.x) > MOST_LEVELS:
            self.are_too_many = True
            self._forget()

    def gather(self, device: torch.device) -> None:
        """Take the sums of all processes."""
        self.are_too_many = any(all_gather_objects(self.are_too_many))
        table = torch.from_numpy(np.column_stack([self.x.view(np.int64), self.sums.T]))
        found = all_gather_rows(table.to(device)).cpu().numpy()
        self._forget()
        if not self.are_too_many:
            self._merge(found[:, 0].copy().view(np.float64), found[:, 1:].T)

    def lack_of_fit(self, rank: int) -> ResidualTest | str:
        """Return the test, or why there is none."""
        rows, levels = int(self.sums[0].sum()), len(self.x)
        df_num, df_denom = levels - rank, rows - levels
        if self.are_too_many:
            return TOO_MANY
        if df_num <= 0 or df_denom <= 0:
            return NO_REPEATS
        weights, products, squares = (whole_sums(self.sums[k : k + 3]) for k in (1, 4, 7))
        between = sum(product * product // weight for product, weight in zip(products, weights, strict=True))
        within = sum(squares) - between
        if within <= 8 * rows:  # units, of which each row's products are rounded by one
            return EQUAL
        statistic = between * df_denom / (within * df_num)
        return ResidualTest(statistic, f_tail(statistic, df_num, df_denom), (df_num, df_denom))
