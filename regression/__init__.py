"""Curves fitted to points with PyTorch Lightning.

In this package N is the number of points and K the number of coefficients. Build a data module and a regression first,
then hand both to a Lightning ``Trainer``; ``train.py`` does that from the command line.

The public names below are also the names in YAML files and checkpoints. Each is imported when it is first asked for:
``regression.fit`` needs neither Lightning nor what reads files, which take seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from regression.common.version import __version__ as __version__
from regression.runs.parent_watch import PARENT as PARENT  # before all that takes long to import

if TYPE_CHECKING:
    from regression.api import fit, load
    from regression.common.errors import DivergenceError, SaveError, UndeterminedWarning, UsageError
    from regression.curves.polynomial import Line, Polynomial
    from regression.data.data_modules import ArrayDataModule, SineLineDataModule, TableDataModule
    from regression.fits.bands import Prediction
    from regression.fits.fit import Fit
    from regression.outputs.fit_files import FitFiles
    from regression.outputs.predictions import PredictionFile
    from regression.outputs.report_lines import Report
    from regression.runs.checkpoint_file import SafeCheckpointIO
    from regression.series.result import SeriesFit
    from regression.series_api import compare_series, fit_series
    from regression.training.line_and_polynomial import LineRegression, PolynomialRegression
    from regression.training.losses import NormLoss
    from regression.training.series_regression import SeriesRegression

__all__ = [
    "ArrayDataModule",
    "DivergenceError",
    "Fit",
    "FitFiles",
    "Line",
    "LineRegression",
    "NormLoss",
    "Polynomial",
    "PolynomialRegression",
    "Prediction",
    "PredictionFile",
    "Report",
    "SafeCheckpointIO",
    "SaveError",
    "SeriesFit",
    "SeriesRegression",
    "SineLineDataModule",
    "TableDataModule",
    "UndeterminedWarning",
    "UsageError",
    "compare_series",
    "fit",
    "fit_series",
    "load",
]

_NAMES = {
    "api": ("fit", "load"),
    "common.errors": ("DivergenceError", "SaveError", "UndeterminedWarning", "UsageError"),
    "curves.polynomial": ("Line", "Polynomial"),
    "data.data_modules": ("ArrayDataModule", "SineLineDataModule", "TableDataModule"),
    "fits.bands": ("Prediction",),
    "fits.fit": ("Fit",),
    "outputs.fit_files": ("FitFiles",),
    "outputs.predictions": ("PredictionFile",),
    "outputs.report_lines": ("Report",),
    "runs.checkpoint_file": ("SafeCheckpointIO",),
    "series.result": ("SeriesFit",),
    "series_api": ("compare_series", "fit_series"),
    "training.line_and_polynomial": ("LineRegression", "PolynomialRegression"),
    "training.losses": ("NormLoss",),
    "training.series_regression": ("SeriesRegression",),
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
