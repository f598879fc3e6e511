"""The numbers of a fit: coefficients with errors, bands, and goodness of fit."""

import json
import math
import warnings
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from regression.common.arrays import as_column, as_points, require_complete
from regression.common.errors import UndeterminedWarning, UsageError
from regression.common.number_arrays import Numbers
from regression.common.points import Points
from regression.common.rules import BOOLEAN, require_option
from regression.common.text import UNDETERMINED, counted
from regression.common.time_scale import TimeScale
from regression.common.times import as_times, in_scale
from regression.estimation.bands import Prediction, with_bands
from regression.fits.stored_fit import require_stored_fit
from regression.inference.answers import Answers
from regression.inference.robust_weights import Robust
from regression.moments.curve import Curve

__all__ = ["FitResult"]

Array = NDArray[np.float64]
ARRAYS = ("params", "bse", "cov_params")

DEFAULTS_FOR_0_1: dict[str, Any] = {  # of fields that release 0.1 did not write
    "criterion": None, "ess": None, "fixed": {}, "through": [], "axes": ["x", "y"], "source": None,
    "x_time": None, "y_time": None, "cov_type": "nonrobust", "robust": None, "scale": None, "residual_tests": None,
    "errors_in_x": False,
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(Answers):
    """The numbers of a fitted curve. The names are those of statsmodels where it has one.

    With points' sigma the sums are weighted, ``w = 1 / sigma²``, as in ``scipy.optimize.curve_fit``: the covariance
    is ``(AᵀWA)⁻¹ · s²`` with ``s² = ssr / df_resid``, or without the factor s² if ``absolute_sigma``.

    Attributes:
        model: Class of the model.
        degree: Highest power of x.
        basis: Basis of the coefficients during the fit.
        domain: Interval of x mapped to [−1, 1] during the fit; ``None`` for raw x.
        solver: ``exact`` or ``gradient``.
        optimizer: Class of the optimizer of a gradient fit.
        updates: Number of updates made.
        loss_name: Name of the loss.
        loss: Loss of all training points at the final coefficients.
        val_loss: Loss of the held-out points, at the last validation.
        absolute_sigma: Whether the points' sigma are in y's unit, not only relative.
        level: Probability of the confidence intervals and of the bands.
        weighted: Whether the points have a sigma.
        nobs: Number of training points N.
        omitted: Number of rows that were left out because a number in them is missing.
        df_resid: Residual degrees of freedom, N − rank.
        names: Names of the coefficients.
        params: Coefficients in ascending powers of x, shape (K,).
        bse: Their standard errors.
        cov_params: Their covariance, shape (K, K).
        sigma: Residual standard deviation ``√(ssr / df_resid)``; ``None`` if a robust loss has outliers.
        ssr: ``Σ w (y − f(x))²`` at these coefficients; ``None`` if it is beyond float64's range.
        ess: Explained sum of squares, ``Σ w (y − ȳ)² − ssr``; ``None`` in a file of release 0.1.
        rsquared: ``1 − ssr / Σ w (y − ȳ)²``; about 0 instead of the mean ȳ without a constant, ``fix`` and ``through``.
        aic: ``2 K − 2 log L`` with ``log L = −N/2 (log(2π ssr / N) + 1) + Σ log(w) / 2``, as in statsmodels: K counts
            coefficients, not sigma.
        aicc: ``aic + 2 K (K + 1) / (N − K − 1)``; with ``absolute_sigma`` it is ``aic``, and ``−2 log L`` is
            ``ssr + Σ log(2π sigma²)``.
        bic: ``K log N − 2 log L``.
        rank: Number of coefficients that the points determine.
        condition_number: Condition of the design matrix in Chebyshev polynomials of x mapped from its range to
            [−1, 1], columns scaled to equal length.
        converged: Whether the coefficients are within 0.1 standard errors of the optimum of the loss.
        opt_error_se: Largest distance of a coefficient from that optimum, in standard errors.
        x_range: Smallest and largest x of the points.
        curve: The curve in well-conditioned form.
        notes: What the reader should know, such as why a value is ``None``.
        criterion: The criterion by which the degree was chosen, if it was.
        degree_table: The degrees that were then compared: for each a mapping of the numbers of ``Candidate``.
        fixed: Values of the coefficients that were kept, by name.
        through: Points (x, y) that the curve was made to go through.
        cov_type: Kind of the standard errors, see ``regression.fit``.
        robust: Which M-estimate the curve is; ``None`` for least squares.
        scale: Scale of the M-estimate, the median of ``|r|`` over 0.6745.
        residual_tests: Tests of the residuals of all rows, by the names of ``ResidualTests``; ``None`` if a run made
            none.
        errors_in_x: Whether the curve is York's line through points with errors in x; then
            ``w = 1 / (sigma² + slope² sigma_x²)``.
        axes: Names of x and y.
        source: Where the points came from, such as ``24 rows of meas.csv``.
        x_time: Unit and origin of x if it holds times; ``None`` for numbers.
        y_time: Unit of y if it holds durations; ``None`` for numbers.
        sample: Some of the points, for a small figure; not in the JSON.
    """

    model: str
    degree: int
    basis: str
    domain: tuple[float, float] | None
    solver: str
    optimizer: str | None
    updates: int
    loss_name: str
    loss: float | None
    val_loss: float | None
    absolute_sigma: bool
    level: float
    weighted: bool
    nobs: int
    omitted: int
    df_resid: int
    names: tuple[str, ...]
    params: Array
    bse: Array | None
    cov_params: Array | None
    sigma: float | None
    ssr: float | None
    rsquared: float | None
    aic: float | None
    aicc: float | None
    bic: float | None
    rank: int
    condition_number: float | None
    converged: bool | None
    opt_error_se: float | None
    x_range: tuple[float, float]
    curve: Curve
    notes: tuple[str, ...]
    criterion: str | None = None
    degree_table: tuple[dict[str, float | None], ...] = ()
    ess: float | None = None
    fixed: dict[str, float] = field(default_factory=dict)
    through: tuple[tuple[float, float], ...] = ()
    cov_type: str = "nonrobust"
    robust: Robust | None = None
    scale: float | None = None
    residual_tests: dict[str, Any] | None = None
    errors_in_x: bool = False
    axes: tuple[str, str] = ("x", "y")
    source: str | None = None
    x_time: TimeScale | None = None
    y_time: TimeScale | None = None
    sample: Points | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Make the arrays of the coefficients read-only."""
        for name in ARRAYS:
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, Numbers.of(values))

    def __eq__(self, other: object) -> bool:
        """Tell whether all digits and all texts are the same."""
        return isinstance(other, FitResult) and self.to_json() == other.to_json()

    @cached_property
    def conf_int(self) -> Array | None:
        """Confidence intervals of the coefficients, shape (K, 2): Student's t, or normal if ``absolute_sigma``."""
        if self.bse is None:
            return None
        half = self._factor() * self.bse
        return Numbers.of(np.stack([self.params - half, self.params + half], axis=1))

    def warn_if_undetermined(self) -> None:
        """Warn if the points do not determine all coefficients."""
        for note in self.notes:
            if note.startswith(UNDETERMINED):
                warnings.warn(note, UndeterminedWarning, stacklevel=3)

    def predict(self, x: Any, level: float | None = None, sigma: Any = None, simultaneous: bool = False) -> Prediction:
        """Return the curve with its confidence and prediction bands.

        Args:
            x: Points: a number, or a list, an array, a tensor or a column of another library, of shape (N,) or (N, 1);
                the results have that shape. For a fit over times these are times, or a tensor of numbers on its scale.
            level: Probability of the bands, between 0 and 1; by default that of the fit.
            sigma: For a weighted fit the sigma of each new observation, shape (N,) or one for all, on the scale of the
                points' sigma. Without it the prediction band of a weighted fit is NaN, and its ``notes`` say so: a new
                observation scatters by its own sigma, which does not follow from the points'.
            simultaneous: Whether the confidence band contains the curve at all x together with the given probability
                (Working and Hotelling 1929, Scheffé 1959); then the prediction band is unknown.

        Raises:
            UsageError: If x or sigma hold other things than real numbers, or a sigma is not positive.
        """
        require_option("simultaneous", simultaneous, BOOLEAN)
        points = as_points("x", in_scale("x", x, self.x_time))
        scales = torch.tensor(math.nan if self.weighted else 1.0, dtype=torch.float64)
        if sigma is not None:
            is_time = as_times("sigma", sigma) is not None
            scales = as_column("sigma", in_scale("sigma", sigma, self.y_time) if is_time else sigma)
            if scales.ndim and scales.numel() != points.numel():
                raise UsageError(
                    f"sigma must be a number, or one for each of {counted(points.numel(), 'point')}, got "
                    f"{scales.numel():,}"
                )
            require_complete(["sigma"], [scales.flatten()])
        flat, spread = points.flatten(), self.spread(scales.flatten()) * (math.nan if simultaneous else 1)
        factor = self._factor(level, simultaneous)
        found = with_bands(self.curve, flat, spread.expand(len(flat)), factor, self.x_range)
        return Prediction(*(column.reshape(points.shape) for column in found))

    def to_json(self, **facts: Any) -> str:
        """Return the fit as strict JSON: floats with all their digits, unknown ones and those beyond float64 as null.

        Args:
            facts: Further fields, such as where the points came from.
        """
        own = {name: getattr(self, name) for name in _stored()} | {"curve": asdict(self.curve)}
        own |= {name: scale and asdict(scale) for name, scale in (("x_time", self.x_time), ("y_time", self.y_time))}
        content = _finite(own | {"conf_int": self.conf_int} | self.tests | facts)
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | Path) -> Self:
        """Return the fit of a JSON text that ``to_json`` returned.

        Args:
            text: The text, or the path of its file.

        Raises:
            UsageError: If it is no fit of this program.
        """
        where = f"not a fit of this program: {text if isinstance(text, Path) else 'the text'}"
        try:
            content = json.loads(text.read_text(encoding="utf-8") if isinstance(text, Path) else text)
            content = {**DEFAULTS_FOR_0_1, **content}
            require_stored_fit(content)
            curve = Curve.from_json({name: _frozen(value) for name, value in content["curve"].items()})
            values: dict[str, Any] = {name: _frozen(content[name]) for name in _stored() if name in content}
            times = {name: TimeScale.stored(content[name]) for name in ("x_time", "y_time")}
            return cls(**values | {"curve": curve} | times)
        except OSError as error:
            raise UsageError(f"cannot read the fit {text}: {error.strerror}; expected the fit.json of a run") from None
        except KeyError as error:
            raise UsageError(f"{where}: {error} is missing") from None
        except json.JSONDecodeError:
            raise UsageError(f"{where} is not JSON; expected what Fit.save or a run's fit.json has") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise UsageError(f"{where}: {' '.join(str(error).split())}") from None


def _stored() -> list[str]:
    """Return the names of the fields in the JSON."""
    return [f.name for f in fields(FitResult) if f.name != "sample"]


def _finite(value: Any) -> Any:
    """Return the value with ``None`` for numbers that are not finite, also inside arrays, lists and mappings."""
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
