"""``regression.fit``: a fit in one call, on arrays or tensors, without a Trainer."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from regression.common.arrays import NanPolicy, as_whole, complete_columns, require_complete
from regression.common.data_frames import chosen_columns, column_name
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.rules import BOOLEAN, PATH, require_option
from regression.common.time_scale import TimeUnit, headed
from regression.common.times import timed_columns
from regression.common.weights import as_sigma, scan_repeated, whole_counts
from regression.curves.constraints import Constraints, degree_within, in_time_scales
from regression.curves.polynomial import Polynomial
from regression.estimation.degree_choice import Comparison, Criterion
from regression.estimation.sandwich import CovType
from regression.fits.build import FitOptions
from regression.fits.estimator import Estimator
from regression.fits.fit import Fit
from regression.fits.least_squares import LeastSquares
from regression.inference.distributions import require_level
from regression.inference.robust_weights import Robust
from regression.moments.passes import Passes
from regression.moments.scan import Range

__all__ = ["fit", "load"]

MOST_SAMPLED = 500  # of the points, for a small picture in notebooks


def fit(
    x: Any,
    y: Any,
    degree: int | Literal["auto"] = 1,
    sigma: Any = None,
    absolute_sigma: bool = False,
    fit_intercept: bool = True,
    max_degree: int = 10,
    criterion: Criterion = "aicc",
    folds: int = 5,
    level: float = 0.95,
    nan_policy: NanPolicy = "raise",
    terms: Sequence[int] | None = None,
    fix: Mapping[str, float] | None = None,
    through: Sequence[tuple[float, float]] | None = None,
    weights: Any = None,
    counts: Any = None,
    cov_type: CovType = "nonrobust",
    maxlags: int | None = None,
    robust: Robust | None = None,
    sigma_x: Any = None,
    data: Any = None,
    time_unit: TimeUnit | None = None,
    time_origin: Any = None,
) -> Fit:
    """Fit a polynomial by exact least squares.

    The same answer as ``train.py`` with ``--model.solver exact``, bit for bit.

    Args:
        x: Points, shape (N,) or (N, 1): a list, an array, a tensor, or a column of pandas, polars or pyarrow, taken by
            its values whatever its labels. The sums of tensors on a CUDA device are taken there.
        y: Values, likewise.
        degree: Highest power of x, or ``auto``.
        sigma: Standard deviations of y, likewise, or one number for all.
        absolute_sigma: Whether sigma is in y's unit, not only relative.
        fit_intercept: Whether there is a constant term.
        max_degree: Highest degree that ``auto`` considers.
        criterion: Criterion of ``auto``: ``aicc``, ``gcv``, ``cv`` or ``loo``. Errors and bands do not include the
            uncertainty of the choice.
        folds: Number of folds for ``cv``.
        level: Probability of the confidence intervals and bands.
        nan_policy: Whether rows with a missing, masked or infinite number are refused (``raise``), or left out and
            counted (``omit``).
        terms: The powers of x that have a coefficient, instead of all up to a degree.
        fix: Given values of coefficients by name, such as ``c1``, ``intercept`` or ``slope``.
        through: Points (x, y) that the curve goes through exactly; of a fit over times, times or numbers of its scale.
        weights: Reciprocal variances 1 / sigma² instead of sigma, in a unit that does not matter unless
            ``absolute_sigma``.
        counts: Number of equal observations that each row stands for: the result is that of a table with so many rows.
        cov_type: Standard errors, which bands and tests use too: ``nonrobust`` assumes equal scatter apart from sigma;
            ``HC0``, ``HC1`` and ``HC3`` do not, and ``HAC`` also allows for residuals that depend on each other.
        maxlags: Largest number of rows between residuals that ``HAC`` lets depend on each other, by default
            ``4 (N / 100)^(2/9)``.
        robust: ``huber`` or ``bisquare`` for an M-estimate, which outliers move little or not at all, with an estimated
            scale, as R's ``rlm``.
        sigma_x: Standard deviations of x: the line is then fitted by York's equations (2004), or Deming's with one
            number for all x and one for all y.
        data: A data frame, table or mapping; x, y, sigma, sigma_x, weights and counts are then names of its columns.
        time_unit: Unit of x or y where they hold times: ``ns``, ``us``, ``ms``, ``s``, ``min``, ``h`` or ``d``; by
            default seconds.
        time_origin: The instant at which x is 0; by default the first one.

    Returns:
        The fit: ``print`` shows its report, ``predict`` gives bands, ``plot`` draws it.

    Raises:
        UsageError: If a column holds other things than real numbers, or whole ones that float64 would round; if lengths
            differ, a number is not finite, a sigma not positive, or the degree is out of range; if no curve meets the
            constraints, or only one.
    """
    _require_one_sigma(sigma, weights, absolute_sigma)
    more = {"sigma": sigma, "weights": weights, "counts": counts, "sigma_x": sigma_x}
    named = {"x": x, "y": y} | {name: values for name, values in more.items() if values is not None}
    axes = (column_name(x, "x"), column_name(y, "y")) if data is None else (x, y)
    names, given = list(named), list(named.values()) if data is None else chosen_columns(data, named)
    timed, x_time, y_time = timed_columns(dict(zip(names, given, strict=True)), time_unit, time_origin)
    columns, is_complete = complete_columns(names, list(timed.values()), nan_policy, may_stay=True)
    degree, max_degree, folds = (as_whole(value) for value in (degree, max_degree, folds))
    require_level(level)
    points, scan = _points(dict(zip(names, columns, strict=True)))
    through = in_time_scales(through, x_time, y_time)
    degree = degree_within(degree, 1, fit_intercept, terms, fix, through)
    is_auto = degree == "auto"
    model = Polynomial(max_degree if degree == "auto" else degree, "chebyshev", fit_intercept=fit_intercept)
    model.constrain(Constraints.of(model.powers, terms, fix, through))
    estimator = Estimator(robust, cov_type, maxlags)
    estimator.require_compatible(is_auto, absolute_sigma, sigma_x is not None, model.constraints is not None)
    if cov_type == "HAC" and counts is not None:
        raise UsageError("cov_type HAC needs the rows in the order of time, got counts of them")
    if is_auto and not fit_intercept:
        raise UsageError("degree auto needs an intercept, got fit_intercept False")
    comparison = Comparison(criterion, folds, absolute_sigma)
    least_squares = LeastSquares(model, comparison if is_auto else None, estimator)
    found = Range()
    try:
        scan(found.add)
    except UsageError:
        require_complete(names, columns)  # which counts the rows of all points
        raise
    frame = found.frame()
    least_squares.begin(frame, int((~is_complete).sum()), sigma_x is not None)
    scan(least_squares.add)
    least_squares.solve(Passes.of(points, scan))
    model.set_domain(frame.low, frame.high)
    axes = headed(axes[0], x_time), headed(axes[1], y_time)
    shown: dict[str, Any] = {"axes": axes, "sample": _sample(points), "x_time": x_time, "y_time": y_time}
    options = FitOptions("Polynomial", absolute_sigma=absolute_sigma, level=float(level), **shown)
    result = least_squares.fit(None, options)
    result.warn_if_undetermined()
    return result


def load(path: str | os.PathLike[str]) -> Fit:
    """Return a fit that ``Fit.save`` or a run wrote.

    Args:
        path: The file, or the folder of the run.

    Raises:
        UsageError: If it is not a fit of this program.
    """
    require_option("path", path, PATH)
    found = Path(path)
    return Fit.from_json(found / "fit.json" if found.is_dir() else found)


def _require_one_sigma(sigma: Any, weights: Any, absolute_sigma: bool) -> None:
    require_option("absolute_sigma", absolute_sigma, BOOLEAN)
    if sigma is not None and weights is not None:
        raise UsageError("sigma and weights = 1 / sigma² say the same: give one of them")
    if absolute_sigma and sigma is None and weights is None:
        raise UsageError("absolute_sigma needs the sigma of the points, got none")


def _sample(points: Points) -> Points:
    """Return some of the points, evenly chosen."""
    return points.chosen(slice(None, None, -(-len(points.x) // MOST_SAMPLED))).to_cpu()


def _points(columns: Mapping[str, torch.Tensor]) -> tuple[Points, Callable[[Callable[[Points], None]], None]]:
    """Return points, and a function that calls another one with parts of all observations."""
    sigma = as_sigma(columns["weights"]) if "weights" in columns else columns.get("sigma")
    if (sigma_x := columns.get("sigma_x")) is not None:
        if sigma is None:
            raise UsageError("sigma_x needs the sigma of y, got none")
        require_complete(["sigma_x"], [sigma_x])
    points = Points(columns["x"], columns["y"], sigma, sigma_x=sigma_x)
    if "counts" not in columns:
        return points, points.scan
    counts = whole_counts(columns["counts"])
    points, counts = points.chosen((counts > 0).nonzero().flatten()), counts[counts > 0]
    return points, partial(scan_repeated, points, counts)
