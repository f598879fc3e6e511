"""Tests whether groups of points have one curve, by nested models, from the sums of each group."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regression.common.arrays import as_points
from regression.common.errors import UsageError
from regression.common.rules import MAPPING, require_option
from regression.common.text import counted, printable
from regression.common.value_and_error import value_and_error
from regression.curves.decimals import Matrix, Vector, dot, orthogonalize, precise, unit_vectors
from regression.estimation.bands import Prediction, curve_of, with_bands
from regression.estimation.solver import solve, system, term_error, weight_unit
from regression.inference.distributions import f_tail, quantile
from regression.inference.exact_curve import Estimate
from regression.moments.moments import Moments
from regression.solutions.solution import Solution
from regression.solutions.standard_errors import standard_errors

__all__ = ["GroupComparison", "GroupModel", "compare"]

Array = NDArray[np.float64]
Group = tuple[Moments, tuple[float, float]]  # moments, and smallest and largest x


class GroupModel(NamedTuple):
    """One of the nested models, tested against the one before it as R's ``anova`` does.

    Attributes:
        model: ``one curve``, ``own constants`` (parallel curves), or ``own curves``.
        ssr: ``Σ w (y − f(x))²`` of all groups.
        df_resid: Residual degrees of freedom.
        fvalue: ``(ssr₀ − ssr) / (df₀ − df) / s²``, s² that of own curves, 1 for known sigma; ``None`` for the first.
        pvalue: Probability of an F at least as large, or of such a χ² for known sigma, if the simpler model is right.
    """

    model: str
    ssr: float
    df_resid: int
    fvalue: float | None
    pvalue: float | None


@dataclass(frozen=True, eq=False)
class GroupComparison:
    """Polynomials of one degree fitted to G groups, and whether they differ.

    Attributes:
        series: Names of the groups, in ascending order.
        names: Names of the K coefficients.
        nobs: Numbers of points, shape (G,).
        rank: Numbers of coefficients that the points of each determine, shape (G,).
        models: The nested models and their tests.
        sigma: Pooled residual standard deviation ``√(Σ ssr / Σ (nobs − rank))`` of own curves; ``None`` without
            residual degrees of freedom.
        df_resid: Its degrees of freedom.
        absolute_sigma: Whether the points' sigma are in y's unit.
        weighted: Whether the points have a sigma.
        level: Probability of intervals and bands.
        common: The coefficients of parallel curves except the constants, shape (K − 1,).
        common_se: Their standard errors, from the residuals of parallel curves.
        solutions: The optimum of each group.
        x_ranges: Smallest and largest x of each group.
    """

    series: Sequence[Any]
    names: tuple[str, ...]
    nobs: NDArray[np.int64]
    rank: NDArray[np.int64]
    models: tuple[GroupModel, ...]
    sigma: float | None
    df_resid: int
    absolute_sigma: bool
    weighted: bool
    level: float
    common: Array
    common_se: Array
    solutions: tuple[Solution, ...]
    x_ranges: tuple[tuple[float, float], ...]

    @cached_property
    def _scale(self) -> Decimal | None:
        """The factor from ``(AᵀWA)⁻¹`` of a group to its covariance: the pooled variance."""
        if self.absolute_sigma:
            return Decimal(1)
        return None if self.sigma is None else Decimal(self.sigma) ** 2

    @cached_property
    def params(self) -> Array:
        """Coefficients of each group in ascending powers of x, shape (G, K); NaN where they are undetermined."""
        return self._by_group(lambda solution: None if solution.null else solution.params)

    @cached_property
    def bse(self) -> Array:
        """Their standard errors by the pooled σ, shape (G, K)."""
        return self._by_group(lambda solution: standard_errors(solution, self._scale))

    def _by_group(self, read: Any) -> Array:
        unknown = [math.nan] * len(self.names)
        return np.array([list(map(float, read(solution) or unknown)) for solution in self.solutions])

    def contrast(self, weights: Mapping[Any, float], name: str, level: float | None = None) -> Estimate[float]:
        """Return ``Σ w_g c_g`` of one coefficient c of several groups, with the error by the pooled σ.

        Args:
            weights: The weights of groups by their names, such as ``{"a": 1, "b": -1}``; others have weight 0.
            name: Name of the coefficient.
            level: Probability of the interval, by default that of the comparison.

        Raises:
            UsageError: If there is no such group or coefficient.
        """
        require_option("weights", weights, MAPPING)
        if name not in self.names:
            raise UsageError(f"a contrast needs one of the coefficients {', '.join(self.names)}, got {name!r}")
        k, rows = self.names.index(name), [self._index(group) for group in weights]
        factors = np.array(list(weights.values()), dtype=np.float64)
        value, se = factors @ self.params[rows, k], np.hypot.reduce(factors * self.bse[rows, k])
        return Estimate.of(float(value), float(se), self._factor(level))

    def predict(self, group: Any, x: Any, level: float | None = None, sigma: float | None = None) -> Prediction:
        """Return the curve of a group with its bands by the pooled σ, as ``Fit.predict`` does.

        Args:
            group: Name of the group.
            x: Points.
            level: Probability of the bands, by default that of the comparison.
            sigma: The sigma of a new observation, if the points have a sigma.
        """
        index, points = self._index(group), as_points("x", x)
        solution = self.solutions[index]
        scale = math.nan if self.weighted and sigma is None else 1.0 if sigma is None else sigma
        spread = scale * (1.0 if self.absolute_sigma else math.nan if self.sigma is None else self.sigma)
        curve = curve_of(solution, solution.coefficients, self._scale)
        flat = points.flatten()
        bands = with_bands(curve, flat, flat.new_full((len(flat),), spread), self._factor(level), self.x_ranges[index])
        return Prediction(*(column.reshape(points.shape) for column in bands))

    def _index(self, group: Any) -> int:
        names = list(self.series)
        if group not in names:
            raise UsageError(f"there is no series {group!r}; the first ones are {', '.join(map(repr, names[:5]))}")
        return names.index(group)

    def _factor(self, level: float | None) -> float:
        return quantile(self.level if level is None else level, self.df_resid, self.absolute_sigma)

    def __str__(self) -> str:
        """Return the models with their tests, and what parallel curves share."""
        lines = [
            f"{counted(len(self.series), 'series', 'series')}, {counted(int(self.nobs.sum()), 'point')}, "
            f"degree {len(self.names) - 1}",
            f"{'':<14}{'ssr':>12}{'df':>8}{'F':>12}{'p':>12}",
        ]
        for row in self.models:
            tests = "" if row.fvalue is None else f"{row.fvalue:>12.6g}{row.pvalue:>12.3g}"
            lines.append(f"{row.model:<14}{row.ssr:>12.6g}{row.df_resid:>8}{tests}")
        shared = zip(self.names[1:], self.common.tolist(), self.common_se.tolist(), strict=True)
        lines += [f"common {name}  {value_and_error(value, error)}" for name, value, error in shared]
        if self.sigma is not None:
            lines.append(f"pooled residual σ {self.sigma:.6g}")
        has_few = self.rank < len(self.names)
        few = [printable(str(name)) for name, is_few in zip(self.series, has_few, strict=True) if is_few]
        if few:
            lines.append(f"note: {counted(len(few), 'series', 'series')} with too few distinct x: {', '.join(few[:5])}")
        return "\n".join(lines)


def compare(groups: Mapping[Any, Group], names: tuple[str, ...], absolute_sigma: bool, level: float) -> GroupComparison:
    """Return the comparison of groups whose sums are taken in one frame.

    Args:
        groups: Moments of each group, and its smallest and largest x, by names in ascending order.
        names: Names of the coefficients.
        absolute_sigma: Whether the points' sigma are in y's unit.
        level: Probability of intervals and bands.
    """
    degree, sums = len(names) - 1, [moments for moments, _ in groups.values()]
    whole = reduce(Moments.merge, sums)
    solutions = tuple(solve(moments, degree) for moments in sums)
    one_curve = solve(whole, degree)
    with precise():
        parallel = _Parallel.of(sums, whole, degree)
        ssr = sum((solution.ssr for solution in solutions), Decimal(0))
        df = whole.nobs - sum(solution.rank for solution in solutions)
        rows = [("one curve", one_curve.ssr, whole.nobs - one_curve.rank)]
        rows += [("own constants", parallel.ssr, parallel.df_resid)] if degree else []
        rows += [("own curves", ssr, df)]
        scale = Decimal(1) if absolute_sigma else ssr / df if df > 0 else None
        models = [GroupModel(rows[0][0], float(rows[0][1]), rows[0][2], None, None)]
        df_denom = None if absolute_sigma else df
        models += [_test_against(before, row, scale, df_denom) for before, row in pairwise(rows)]
        common, common_se = parallel.shared(one_curve, absolute_sigma)
    return GroupComparison(
        tuple(groups), names, np.array([m.nobs for m in sums]), np.array([s.rank for s in solutions]), tuple(models),
        None if df <= 0 else math.sqrt(ssr / df), df, absolute_sigma, whole.is_weighted, level, common, common_se,
        solutions, tuple(x_range for _, x_range in groups.values()),
    )  # fmt: skip


def _test_against(
    before: tuple[str, Decimal, int], row: tuple[str, Decimal, int], scale: Decimal | None, df_denom: int | None
) -> GroupModel:
    """Return a model with its F test against the simpler one before it."""
    name, ssr, df = row
    steps = before[2] - df
    if not scale or steps <= 0:
        return GroupModel(name, float(ssr), df, None, None)
    f = float((before[1] - ssr) / steps / scale)
    return GroupModel(name, float(ssr), df, f, f_tail(f, steps, df_denom))


@dataclass(frozen=True)
class _Parallel:
    """Curves whose coefficients are common except the constants, from sums about the groups' means.

    Attributes:
        functions: Orthogonal functions without a constant, in T_1 … T_d.
        squares: Their sums of squares.
        projections: Sums of their products with y.
        ssr: ``Σ w (y − f(x))²``.
        df_resid: Residual degrees of freedom.
    """

    functions: Matrix
    squares: Vector
    projections: Vector
    ssr: Decimal
    df_resid: int

    @classmethod
    def of(cls, groups: Sequence[Moments], whole: Moments, degree: int) -> "_Parallel":
        size = range(1, degree + 1)
        matrix, right, square = [[Decimal(0)] * degree for _ in size], [Decimal(0)] * degree, Decimal(0)
        for moments in groups:
            equations = system(moments, degree, moments.frame.y_center)
            weight, total = equations.matrix[0][0], equations.right[0]
            square += equations.square - total * total / weight
            for i in size:
                product = equations.matrix[i][0]
                right[i - 1] += equations.right[i] - product * total / weight
                for j in size:
                    matrix[i - 1][j - 1] += equations.matrix[i][j] - product * equations.matrix[j][0] / weight
        noise = whole.nobs * term_error(whole.degree, whole.term_bits) * weight_unit(whole.frame)
        functions, squares, _ = orthogonalize(unit_vectors(degree), matrix, noise)
        projections = [dot(right, function) for function in functions]
        explained = sum((p * p / s for p, s in zip(projections, squares, strict=True)), Decimal(0))
        df = whole.nobs - len(groups) - len(functions)
        return cls(functions, squares, projections, max(square - explained, Decimal(0)), df)

    def shared(self, one_curve: Solution, absolute_sigma: bool) -> tuple[Array, Array]:
        """Return the coefficients of x, x², … and their standard errors; NaN if the points do not determine them."""
        degree = one_curve.degree
        if len(self.functions) < degree:
            return np.full(degree, math.nan), np.full(degree, math.nan)
        powers = [one_curve.params_of([Decimal(0), *function])[1:] for function in self.functions]
        scale = Decimal(1) if absolute_sigma else self.ssr / self.df_resid if self.df_resid > 0 else Decimal("NaN")
        values, errors = [], []
        for column in zip(*powers, strict=True):
            terms = list(zip(column, self.projections, self.squares, strict=True))
            values.append(float(sum((c * p / s for c, p, s in terms), Decimal(0))))
            errors.append(math.sqrt(scale * sum((c * c / s for c, _, s in terms), Decimal(0))))
        return np.array(values), np.array(errors)
