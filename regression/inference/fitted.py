"""The attributes of a fit that figures and diagnostics need."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regression.inference.robust_weights import Robust

__all__ = ["Fitted"]


class Fitted(Protocol):
    """A fitted curve: the attributes of ``Fit`` that figures show and diagnostics use."""

    @property
    def params(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def axes(self) -> tuple[str, str]: ...  # noqa: D102
    @property
    def nobs(self) -> int: ...  # noqa: D102
    @property
    def rank(self) -> int: ...  # noqa: D102
    @property
    def degree(self) -> int: ...  # noqa: D102
    @property
    def df_resid(self) -> int: ...  # noqa: D102
    @property
    def sigma(self) -> float | None: ...  # noqa: D102
    @property
    def ssr(self) -> float | None: ...  # noqa: D102
    @property
    def rsquared(self) -> float | None: ...  # noqa: D102
    @property
    def level(self) -> float: ...  # noqa: D102
    @property
    def absolute_sigma(self) -> bool: ...  # noqa: D102
    @property
    def weighted(self) -> bool: ...  # noqa: D102
    @property
    def cov_type(self) -> str: ...  # noqa: D102
    @property
    def robust(self) -> Robust | None: ...  # noqa: D102
    @property
    def scale(self) -> float | None: ...  # noqa: D102
    @property
    def errors_in_x(self) -> bool: ...  # noqa: D102
    @property
    def converged(self) -> bool | None: ...  # noqa: D102
    @property
    def notes(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def criterion(self) -> str | None: ...  # noqa: D102
    @property
    def degree_table(self) -> Sequence[dict[str, Any]]: ...  # noqa: D102

    def predict(self, x: Any, level: float | None = None, sigma: Any = None) -> Any:
        """Return the curve with its bands."""

    def spread(self, sigma: Tensor) -> Tensor:
        """Return the standard deviations of observations with these sigma."""
