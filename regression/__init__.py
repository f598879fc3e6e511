"""Curves fitted to points with PyTorch Lightning.

In this package N is the number of points and K the number of coefficients. Build a data module and a regression first,
then hand both to a Lightning ``Trainer``; ``train.py`` does that from the command line.

The public names below are also the names in YAML files and checkpoints.
"""

__version__ = "0.1.0"  # before the imports: checkpoints carry it

from regression.lifeline import LIFELINE as LIFELINE  # before all that takes long to import

# isort: split
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
