"""Where the public names are defined, which are also the names in configurations and checkpoints."""

from importlib import import_module
from typing import Any

__all__ = ["MODULES", "public"]

NAMES = {
    "api": ("fit", "load"),
    "common.errors": ("DivergenceError", "SaveError", "UndeterminedWarning", "UsageError"),
    "curves.polynomial": ("Line", "Polynomial"),
    "data.data_modules": ("ArrayDataModule", "SineLineDataModule"),
    "data.table_module": ("TableDataModule",),
    "estimation.bands": ("Prediction",),
    "fits.fit": ("Fit",),
    "outputs.fit_files": ("FitFiles",),
    "outputs.predictions": ("PredictionFile",),
    "outputs.report_lines": ("Report",),
    "outputs.residual_file": ("ResidualFile",),
    "runs.checkpoint_file": ("SafeCheckpointIO",),
    "series.result": ("SeriesFit",),
    "series_api": ("compare_series", "fit_series"),
    "training.line_and_polynomial": ("LineRegression", "PolynomialRegression"),
    "descent.losses": ("NormLoss",),
    "training.series_regression": ("SeriesRegression",),
}
MODULES = {name: module for module, names in NAMES.items() for name in names}


def public(name: str) -> Any:
    """Return the object of a public name, and import the file that defines it if it is not imported."""
    return getattr(import_module(f"regression.{MODULES[name]}"), name)
