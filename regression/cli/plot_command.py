"""The subcommand ``plot``: draws the figure of a run again, from its checkpoint or ``fit.json``, without fitting."""

import os
from pathlib import Path
from typing import Any

from regression.cli.export_command import rebuild
from regression.common.atomic_files import write_new
from regression.common.errors import UsageError
from regression.common.public_names import public
from regression.common.text import shown_path
from regression.data.data_modules import PointsDataModule
from regression.fits.fit import Fit
from regression.outputs.figure_options import FIGURE_ENDINGS, FigureOptions, draw_fit
from regression.outputs.fit_files import FitFiles
from regression.runs.checkpoint_file import read_checkpoint, read_fit
from regression.runs.find_checkpoint import checkpoint_path
from regression.stores.writing import require_local

__all__ = ["plot_checkpoint"]

DATA = ("regression.SineLineDataModule", "regression.TableDataModule")


def plot_checkpoint(
    ckpt_path: str,
    output: str,
    dpi: int = 120,
    size: tuple[float, float] | None = None,
    title: str | None = None,
    style: str | None = None,
    diagnostics: bool = False,
) -> str:
    """Draw the figure of a run again, without fitting.

    Args:
        ckpt_path: A run's checkpoint, such as its last.ckpt, or its fit.json; last or best for that of the newest run.
        output: The file to write, which must not exist; it ends in .pdf, .svg or .png.
        dpi: Dots per inch of a PNG file.
        size: Width and height in inches, such as [3.4, 2.8].
        title: Title; by default the model and how it was fitted.
        style: A style of matplotlib's, by its name or the path of its file.
        diagnostics: Whether to draw the residuals in four ways instead of the fit.

    Returns:
        A line that says what was written.

    Raises:
        UsageError: If there is no fit or no data in the file, or the output exists or cannot be written.
    """
    require_local("--output", output)
    path = Path(output)
    if path.suffix not in FIGURE_ENDINGS:
        raise UsageError(f"--output must end in .pdf, .svg or .png, got {output}")
    name = f"{'diagnostics' if diagnostics else 'fit'}{path.suffix}"
    options = FigureOptions(
        None if path.suffix == ".png" else f"fit{path.suffix}", dpi, size, title, style, diagnostics
    )
    source = checkpoint_path(ckpt_path, os.getcwd())
    checkpoint = read_fit(source) if source.endswith(".json") else read_checkpoint(source)
    fit = checkpoint["fit"] if "fit" in checkpoint else rebuild(source).result
    if not isinstance(fit, Fit):
        raise UsageError(f"nothing was fitted in {source}: take a checkpoint of a fit")
    data, files = _data(checkpoint, source), FitFiles()
    data.setup("fit")
    state = checkpoint.get("callbacks", {}).get(files.state_key)
    if state is not None:
        files.load_state_dict(state)
    pictures = draw_fit(options, fit, data.training, data, [*files.losses.items(), (fit.updates, fit.loss)])
    if name not in pictures:
        raise UsageError("there are no diagnostics: they need errors by residual σ, which this fit does not have")
    exists = f"{path} is there, and nothing is written over: give another --output"
    write_new(path, pictures[name], str(path), exists, "give another --output")
    return f"wrote {shown_path(path)}"


def _data(checkpoint: dict[str, Any], source: str) -> PointsDataModule:
    """Return the data of the run."""
    options = checkpoint.get("datamodule_hyper_parameters")
    named = [value["class_path"] for value in checkpoint.values() if isinstance(value, dict) and "class_path" in value]
    if options is None or not set(named) & set(DATA):
        raise UsageError(f"the points of {source} came from a program: draw there, with fit.plot(x, y)")
    module: PointsDataModule = public(named[0].rpartition(".")[2])(**options)
    return module
