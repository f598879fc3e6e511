"""Curves fitted to points with PyTorch Lightning.

In this package N is the number of points and K the number of coefficients. Build a data module and a regression first,
then hand both to a Lightning ``Trainer``; ``train.py`` does that from the command line.

The public names below are also the names in YAML files and checkpoints. Each is imported at its first use:
``regression.fit`` needs neither Lightning nor what reads files, which take seconds to import.
"""

from typing import TYPE_CHECKING

from regression.common.public_names import MODULES, public
from regression.common.version import __version__ as __version__
from regression.runs.parent_watch import PARENT as PARENT  # before all that takes long to import

if TYPE_CHECKING:
    from regression.api import fit, load
    from regression.common.errors import DivergenceError, SaveError, UndeterminedWarning, UsageError
    from regression.curves.polynomial import Line, Polynomial
    from regression.data.data_modules import ArrayDataModule, SineLineDataModule
    from regression.data.table_module import TableDataModule
    from regression.descent.losses import NormLoss
    from regression.estimation.bands import Prediction
    from regression.fits.fit import Fit
    from regression.outputs.fit_files import FitFiles
    from regression.outputs.predictions import PredictionFile
    from regression.outputs.report_lines import Report
    from regression.outputs.residual_file import ResidualFile
    from regression.runs.checkpoint_file import SafeCheckpointIO
    from regression.series.result import SeriesFit
    from regression.series_api import compare_series, fit_series
    from regression.training.line_and_polynomial import LineRegression, PolynomialRegression
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
    "ResidualFile",
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


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = public(name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
