"""``regression.fit_series`` and ``compare_series``: a fit of each of many series, and tests whether they differ."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from regression.common.arrays import NanPolicy, as_tensor, as_whole, complete_columns, require_complete
from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.rules import BOOLEAN, require_option
from regression.common.text import counted
from regression.common.time_scale import DURATIONS, TimeUnit, shown_instant
from regression.common.times import MISSING, as_times, timed_columns
from regression.curves.polynomial import Polynomial
from regression.inference.distributions import require_level
from regression.moments.scan import Range, Sums
from regression.readers.series_names import Labels
from regression.series.fits import SeriesTable, fit_all
from regression.series.group_comparison import GroupComparison, compare
from regression.series.result import SeriesFit
from regression.series.workspace import Model

__all__ = ["compare_series", "fit_series"]


def fit_series(
    x: Any,
    y: Any,
    series: Any,
    degree: int = 1,
    sigma: Any = None,
    absolute_sigma: bool = False,
    fit_intercept: bool = True,
    nan_policy: NanPolicy = "raise",
    time_unit: TimeUnit | None = None,
    time_origin: Any = None,
) -> SeriesFit:
    """Fit a polynomial to each of many series of points by exact least squares.

    The same answer as ``train.py fit`` with ``--data.series``, bit for bit, for every order of the points.

    Args:
        x: Points of all series, as in ``fit``.
        y: Values, likewise.
        series: The series of each point, shape (N,): whole numbers, texts, or instants.
        degree: Highest power of x.
        sigma: Standard deviations of y, likewise, or one number for all.
        absolute_sigma: Whether sigma is in y's unit, not only relative.
        fit_intercept: Whether there is a constant term.
        nan_policy: Whether rows with a missing, masked or infinite number are refused (``raise``), or left out and
            counted (``omit``).
        time_unit: Unit of x or y where they hold times, as in ``fit``.
        time_origin: The instant at which x is 0; by default the first of all series.

    Returns:
        The fits, in ascending order of the series: ``params``, ``bse`` and others are tensors.

    Raises:
        UsageError: If lengths differ, a number is not finite, a sigma not positive, or a series has no name.
    """
    labels = Labels()
    given = {name: values for name, values in (("x", x), ("y", y), ("sigma", sigma)) if values is not None}
    timed, x_time, y_time = timed_columns(given, time_unit, time_origin)
    x, y, sigma = (timed.get(name) for name in ("x", "y", "sigma"))
    points, omitted = _series_points((x, y, sigma), series, labels, absolute_sigma, nan_policy)
    curve = Polynomial(as_whole(degree), fit_intercept=fit_intercept)
    model = Model(curve.powers, sigma is not None, absolute_sigma)
    table = fit_all(SeriesTable.of(points, model), lambda: [points], model)
    result = SeriesFit.of(table, model, labels.names(table.codes), "Polynomial", omitted=omitted)
    result = replace(result, x_time=x_time, y_time=y_time)
    result.warn_if_undetermined()
    return result


def compare_series(
    x: Any,
    y: Any,
    series: Any,
    degree: int = 1,
    sigma: Any = None,
    absolute_sigma: bool = False,
    level: float = 0.95,
    nan_policy: NanPolicy = "raise",
) -> GroupComparison:
    """Test whether several series have one curve, parallel curves, or different curves.

    The tests follow from the sums of each series, from one pass over the points. For up to some thousands of series.

    Args:
        x: Points of all series, as in ``fit``.
        y: Values, likewise.
        series: The series of each point, shape (N,): whole numbers or texts.
        degree: Highest power of x.
        sigma: Standard deviations of y, likewise, or one number for all.
        absolute_sigma: Whether sigma is in y's unit, not only relative.
        level: Probability of intervals and bands.
        nan_policy: Whether rows with a missing, masked or infinite number are refused (``raise``), or left out and
            counted (``omit``).

    Returns:
        The comparison: ``print`` shows its tests, ``contrast`` and ``predict`` answer for single series.

    Raises:
        UsageError: If lengths differ, a number is not finite, a sigma not positive, or there is only one series.
    """
    labels, names = Labels(), Polynomial(as_whole(degree)).names
    require_level(level)
    given, _ = _series_points((x, y, sigma), series, labels, absolute_sigma, nan_policy)
    points, ranges = Points(*given[1:]), Range()
    points.scan(ranges.add)
    known, counts = np.unique(given[0].long().numpy(), return_counts=True)
    if len(known) < 2:
        raise UsageError("a comparison needs at least two series, got one")
    frame, groups = ranges.frame(), []
    for rows in torch.split(given[0].argsort(stable=True), counts.tolist()):
        own, sums = points.chosen(rows), Sums(frame, len(names) - 1)
        sums.add(own)
        groups.append((sums.moments(), (float(own.x.min()), float(own.x.max()))))
    series_names, places = labels.names(known)
    by_name = dict(zip(list(series_names), (groups[k] for k in places.tolist()), strict=True))
    return compare(by_name, names, absolute_sigma, level)


def _series_points(
    given: tuple[Any, Any, Any], series: Any, labels: Labels, absolute_sigma: bool, nan_policy: NanPolicy
) -> tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None], int]:
    """Return the codes of series, x, y and sigma of points, and the number of rows left out."""
    names, kept = ("x", "y", "sigma")[: 2 + (given[2] is not None)], given[: 2 + (given[2] is not None)]
    columns, is_complete = complete_columns(names, kept, nan_policy)
    require_option("absolute_sigma", absolute_sigma, BOOLEAN)
    if absolute_sigma and given[2] is None:
        raise UsageError("absolute_sigma needs the sigma of the points, got none")
    codes = _codes(series, labels)
    rows = len(is_complete) or len(columns[0])
    if len(codes) != rows:
        raise UsageError(f"series must have a name for each of {counted(rows, 'point')}, got {len(codes)}")
    codes = codes[is_complete] if len(is_complete) else codes
    if nan_policy == "raise":
        require_complete(names, columns)
    return (codes, columns[0], columns[1], columns[2] if len(columns) > 2 else None), int((~is_complete).sum())


def _codes(series: Any, labels: Labels) -> torch.Tensor:
    """Return the codes of whole numbers or texts, shape (N,)."""
    times = as_times("series", series)
    if times is not None and times.kind != DURATIONS:
        if (times.nanoseconds == MISSING).any():
            raise UsageError("series must have a name for each point, got a missing instant")
        series = [shown_instant(instant, times.kind) for instant in times.nanoseconds.view("M8[ns]")]
    names = np.asarray(series)
    if names.dtype.kind in "iu" and names.ndim == 1:
        if names.dtype.kind == "u" and len(names) and int(names.max()) >= 2**63:
            raise UsageError(f"series must be whole numbers below 2^63, got {names.max()}: name them by texts")
        return as_tensor(names.astype(np.int64, copy=False))
    texts = names.tolist()
    if names.ndim != 1 or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"series must be whole numbers or texts, shape (N,), got {names.dtype}, shape {names.shape}")
    import pyarrow as pa

    return torch.from_numpy(labels.codes(pa.array(texts, pa.string())))
