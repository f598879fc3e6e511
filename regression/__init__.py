"""Curves fitted to points with PyTorch Lightning.

In this package N is the number of points and K the number of coefficients. Build a data module and a regression first,
then hand both to a Lightning ``Trainer``; ``train.py`` does that from the command line.

The public names below are also the names in YAML files and checkpoints. Each is imported when it is first asked for:
``regression.fit`` needs neither Lightning nor what reads files, which take seconds to import.
"""

__version__ = "0.1.0"  # before the imports: checkpoints carry it

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from regression.lifeline import LIFELINE as LIFELINE  # before all that takes long to import

if TYPE_CHECKING:
    from regression.api import fit, fit_series
    from regression.checkpoint_io import SafeCheckpointIO
    from regression.data import SineLineDataModule, TableDataModule
    from regression.errors import DivergenceError, SaveError, UsageError
    from regression.fit import Fit, Prediction, UndeterminedWarning
    from regression.losses import NormLoss
    from regression.models import Line, Polynomial
    from regression.modules import LineRegression, PolynomialRegression
    from regression.series.result import SeriesFit
    from regression.series_module import SeriesRegression

__all__ = [
    "DivergenceError",
    "Fit",
    "Line",
    "LineRegression",
    "NormLoss",
    "Polynomial",
    "PolynomialRegression",
    "Prediction",
    "SafeCheckpointIO",
    "SaveError",
    "SeriesFit",
    "SeriesRegression",
    "SineLineDataModule",
    "TableDataModule",
    "UndeterminedWarning",
    "UsageError",
    "fit",
    "fit_series",
]

_NAMES = {
    "api": ("fit", "fit_series"),
    "checkpoint_io": ("SafeCheckpointIO",),
    "data": ("SineLineDataModule", "TableDataModule"),
    "errors": ("DivergenceError", "SaveError", "UsageError"),
    "fit": ("Fit", "Prediction", "UndeterminedWarning"),
    "losses": ("NormLoss",),
    "models": ("Line", "Polynomial"),
    "modules": ("LineRegression", "PolynomialRegression"),
    "series.result": ("SeriesFit",),
    "series_module": ("SeriesRegression",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package, in which ``fit`` stays the function: Python's import would set it to the module of that name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
