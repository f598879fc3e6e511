"""The subcommand ``export``: writes the curve of a checkpoint or a ``fit.json`` as a file for other programs."""

import os
from pathlib import Path
from typing import Any

import torch

from regression.cli.messages import one_line
from regression.common.errors import UsageError
from regression.curves.polynomial import Polynomial
from regression.fits.fit import Fit
from regression.outputs.export import SUFFIXES, Format, export
from regression.runs.checkpoint_file import read_checkpoint
from regression.runs.find_checkpoint import checkpoint_path
from regression.stores.writing import require_local
from regression.training.line_and_polynomial import LineRegression, PolynomialRegression
from regression.training.regression import Regression

__all__ = ["export_checkpoint", "rebuild"]

CLASSES: dict[str, type[Regression]] = {f"regression.{c.__name__}": c for c in (LineRegression, PolynomialRegression)}


def export_checkpoint(ckpt_path: str, to: Format, output: str | None = None) -> str:
    """Write a fitted curve as a file that other programs can run, with the same output as the model.

    Its input x holds float64 points, its output mean the curve at them, in the model's number type.

    Args:
        ckpt_path: A run's checkpoint, such as its best.ckpt, or its fit.json for the curve in float64; last or best for
            that of the newest run.
        to: onnx: for ONNX runtimes. torch: a program of torch.export.
        output: The file to write, which must not exist; by default fit.onnx or fit.pt2 in the run's folder.

    Returns:
        A line that says what was written and how to load it.

    Raises:
        UsageError: If there is no fitted curve in the file, or the output exists or cannot be written.
    """
    require_local("--output", output or "")
    source = Path(checkpoint_path(ckpt_path, os.getcwd()))
    model: Polynomial | Fit = Fit.from_json(source) if source.suffix == ".json" else rebuild(str(source)).model
    folder = source.parent
    if folder.resolve().name == "checkpoints":
        folder = Path(os.path.normpath(folder / ".."))
    path = folder / f"fit{SUFFIXES[to]}" if output is None else Path(output)
    export(model, to, path)
    load = {
        "onnx": f"onnxruntime.InferenceSession({str(path)!r}).run(['mean'], {{'x': x}})",
        "torch": f"torch.export.load({str(path)!r}).module()(x)",
    }
    return f"wrote {path}; with x in float64: {load[to]}"


def rebuild(path: str) -> Regression:
    """Return the module of a checkpoint, with its fit."""
    checkpoint = read_checkpoint(path)
    state: dict[str, Any] = checkpoint["state_dict"]
    try:
        regression = CLASSES[checkpoint["class_path"]](**checkpoint["hyper_parameters"])
        double = state["model.coefficients"].dtype == torch.float64
        regression.model.to(torch.float64 if double else torch.float32)
        regression.restore(checkpoint)
    except Exception as error:  # of many types, for options and tensors that contradict each other
        raise UsageError(f"not a checkpoint of this program: {path}: {one_line(error)}") from error
    return regression
