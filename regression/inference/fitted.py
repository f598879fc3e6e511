"""The attributes of a fit that answers, figures and diagnostics need."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regression.common.time_scale import TimeScale
from regression.inference.exact_curve import FittedCurve
from regression.inference.robust_weights import Robust

__all__ = ["Fitted"]

Array = NDArray[np.float64]


class Fitted:
    """A fitted curve: the attributes of ``Fit`` that its answers, its figures and its diagnostics use."""

    params: Array
    bse: Array | None
    cov_params: Array | None
    names: tuple[str, ...]
    axes: tuple[str, str]
    degree: int
    nobs: int
    df_resid: int
    rank: int
    sigma: float | None
    ssr: float | None
    ess: float | None
    rsquared: float | None
    aic: float | None
    absolute_sigma: bool
    weighted: bool
    level: float
    x_range: tuple[float, float]
    x_time: TimeScale | None
    curve: FittedCurve
    fixed: dict[str, float]
    through: tuple[tuple[float, float], ...]
    cov_type: str
    robust: Robust | None
    scale: float | None
    errors_in_x: bool
    converged: bool | None
    notes: tuple[str, ...]
    criterion: str | None
    degree_table: tuple[dict[str, float | None], ...]

    def predict(self, x: Any, level: float | None = None, sigma: Any = None) -> Any:
        """Return the curve with its bands."""
        raise NotImplementedError

    def spread(self, sigma: Tensor) -> Tensor:
        """Return the standard deviations of observations with these sigma, 1 without weights; NaN where unknown."""
        return sigma if self.absolute_sigma else sigma * (math.nan if self.sigma is None else self.sigma)
