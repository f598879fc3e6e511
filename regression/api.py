"""The Python door: a fit in one call, on arrays or tensors, without a Trainer."""

from typing import Any, Literal

import numpy as np
import torch

from regression.common.errors import UsageError
from regression.common.points import Points
from regression.common.text import counted
from regression.curves.polynomial import Polynomial
from regression.data.readers.series_names import Labels
from regression.fits.bands import require_level
from regression.fits.degree_choice import Criterion
from regression.fits.least_squares import LeastSquares
from regression.fits.result import Fit
from regression.moments.scan import Range, require_finite
from regression.series.fits import Found, fit_all
from regression.series.result import SeriesFit
from regression.series.room import Model

__all__ = ["fit", "fit_series"]

Arithmetic = Literal["double-double", "double"]


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
) -> Fit:
    """Fit a polynomial by exact least squares.

    The same answer as ``train.py`` with ``--model.solver exact``, bit for bit.

    Args:
        x: Points, shape (N,): an array, a tensor or a list. The sums of tensors on a CUDA device are taken there.
        y: Values, shape (N,).
        degree: Highest power of x, or ``auto``.
        sigma: Standard deviations of y, shape (N,).
        absolute_sigma: Whether sigma is in y's unit, not only relative.
        fit_intercept: Whether there is a constant term.
        max_degree: Highest degree that ``auto`` considers.
        criterion: What ``auto`` goes by: ``aicc``, ``gcv`` or ``cv``.
        folds: Number of folds for ``cv``.
        level: Probability of the confidence intervals and bands.

    Returns:
        The fit: ``print`` shows its report, ``predict`` gives bands.

    Raises:
        UsageError: If lengths differ, a number is not finite, a sigma not positive, or the degree is out of range.
    """
    columns = _columns([x, y] if sigma is None else [x, y, sigma], may_stay=True)
    if absolute_sigma and sigma is None:
        raise UsageError("absolute_sigma needs the sigma of the points, got none")
    require_level(level)
    points = Points(*columns)
    is_auto = degree == "auto"
    if is_auto and not fit_intercept:
        raise UsageError("degree auto needs an intercept, got fit_intercept False")
    model = Polynomial(max_degree if degree == "auto" else degree, "chebyshev", fit_intercept=fit_intercept)
    least_squares = LeastSquares(model, criterion if is_auto else None, folds)
    found = Range()
    try:
        points.scan(found.add)
    except UsageError:
        require_finite(points)  # which counts the rows of all points
        raise
    frame = found.frame()
    least_squares.begin(frame, omitted=0)
    points.scan(least_squares.add)
    least_squares.solve(points.x.device, points.scan)
    model.set_domain(frame.low, frame.high)
    result = least_squares.fit(
        None, model="Polynomial", solver="exact", optimizer=None, updates=1, loss_name="MSELoss", val_loss=None,
        absolute_sigma=absolute_sigma, level=level,
    )  # fmt: skip
    result.warn_if_undetermined()
    return result


def fit_series(
    x: Any,
    y: Any,
    series: Any,
    degree: int = 1,
    sigma: Any = None,
    absolute_sigma: bool = False,
    fit_intercept: bool = True,
) -> SeriesFit:
    """Fit a polynomial to each of many series of points by exact least squares.

    The same answer as ``train.py fit`` with ``--data.series``, bit for bit, for every order of the points.

    Args:
        x: Points of all series, shape (N,): an array, a tensor or a list.
        y: Values, shape (N,).
        series: The series of each point, shape (N,): whole numbers or texts.
        degree: Highest power of x.
        sigma: Standard deviations of y, shape (N,).
        absolute_sigma: Whether sigma is in y's unit, not only relative.
        fit_intercept: Whether there is a constant term.

    Returns:
        The fits, in ascending order of the series: ``params``, ``bse`` and others are tensors.

    Raises:
        UsageError: If lengths differ, a number is not finite, a sigma not positive, or a series has no name.
    """
    columns = _columns([x, y] if sigma is None else [x, y, sigma])
    if absolute_sigma and sigma is None:
        raise UsageError("absolute_sigma needs the sigma of the points, got none")
    labels = Labels()
    codes = _codes(series, labels)
    if len(codes) != len(columns[0]):
        raise UsageError(f"series must have a name for each of {counted(len(columns[0]), 'point')}, got {len(codes)}")
    size = len(Polynomial(degree, fit_intercept=fit_intercept).names)
    model = Model(size, fit_intercept, sigma is not None, absolute_sigma)
    points = (codes, columns[0], columns[1], columns[2] if sigma is not None else None)
    found = fit_all(Found.of(points, model), lambda: [points], model)
    result = SeriesFit.of(found, model, labels.names(found.codes), "Polynomial", omitted=0)
    result.warn_if_undetermined()
    return result


def _columns(given: list[Any], may_stay: bool = False) -> list[torch.Tensor]:
    """Return columns of float64, on the CPU unless they may stay as they are on a CUDA device."""
    try:
        columns = [_column(values, may_stay) for values in given]
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(f"x, y and sigma must be real numbers: {error}") from None
    if any(values.ndim != 1 or len(values) != len(columns[0]) for values in columns):
        raise UsageError(f"x, y and sigma must be of one length, got shapes {[tuple(v.shape) for v in columns]}")
    if len(devices := {str(values.device) for values in columns}) > 1:
        raise UsageError(f"x, y and sigma must be on one device, got {' and '.join(sorted(devices))}")
    return columns


def _column(values: Any, may_stay: bool) -> torch.Tensor:
    if may_stay and isinstance(values, torch.Tensor) and values.is_cuda:
        return values.detach() if values.dtype == torch.float32 else values.detach().to(torch.float64)
    return torch.as_tensor(_plain(values), dtype=torch.float64).detach().cpu()


def _plain(values: Any) -> Any:
    """Return a copy of an array that torch would warn of or refuse.

    One that may not be written to, as those of pandas and pyarrow, is reversed, or has another byte order.
    """
    if not isinstance(values, np.ndarray):
        return values
    is_plain = values.flags.writeable and min(values.strides, default=0) >= 0 and values.dtype.isnative
    return values if is_plain else values.astype(values.dtype.newbyteorder("="), order="C")


def _codes(series: Any, labels: Labels) -> torch.Tensor:
    """Return the codes of whole numbers or texts, shape (N,)."""
    names = np.asarray(series)
    if names.dtype.kind in "iu" and names.ndim == 1:
        if len(names) and int(names.max()) >= 2**63:
            raise UsageError(f"series must be whole numbers below 2^63, got {names.max()}: name them by texts")
        return torch.as_tensor(_plain(names.astype(np.int64, copy=False)))
    texts = names.tolist()
    if names.ndim != 1 or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"series must be whole numbers or texts, shape (N,), got {names.dtype}, shape {names.shape}")
    import pyarrow as pa

    return torch.from_numpy(labels.codes(pa.array(texts, pa.string())))
