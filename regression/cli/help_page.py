"""The help of one screen: the options that are used most, with their defaults, and where to find the others."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import lightning.pytorch as pl

from regression.common.version import __version__
from regression.data.data_modules import PointsDataModule
from regression.data.table_module import TableDataModule
from regression.outputs.predictions import PredictionFile
from regression.outputs.report_lines import Report
from regression.training.line_and_polynomial import PolynomialRegression
from regression.training.regression import Regression

__all__ = ["command_page", "help_text", "overview"]

COMMANDS = {
    "fit": "fit a line or a polynomial to points",
    "validate": "evaluate a fit on its held-out points, or on other points",
    "test": "the same on test points",
    "predict": "write a fitted curve with its bands at given points",
    "plot": "draw the figure of a run again, as PDF, SVG or PNG",
    "export": "write a fitted curve for other programs, as ONNX or for torch",
}
FIT, AFTER_FIT, ALL = ("fit",), ("validate", "test", "predict"), ("fit", "validate", "test", "predict")

REST_OF_HELP = (
    "All options: python train.py COMMAND --help all",
    "Those of a class: --model.help NAME, --data.help NAME, --optimizer.help NAME",
    "config.yaml in the run's folder has every option with its value.",
)


class Group(NamedTuple):
    """Options under a heading: the commands that have them, and for each option a line of help."""

    heading: str
    commands: Sequence[str]
    lines: dict[str, str]


GROUPS = (
    Group("A table, the short way", FIT, {
        "FILE": "CSV, TSV, Parquet, Arrow, NPY, NPZ; or a folder",
        "--x NAME, --y NAME": "columns, by name or number from 1",
        "--sigma NAME": "column of standard deviations of y",
        "--series NAME": "column that names the series of each row",
        "--degree D": "highest power, or auto; without it, a line",
        "--terms 0,2": "powers that have a coefficient, instead",
        "--fix slope=4": "coefficient that is kept and not fitted",
        "--through 4,2": "point that the curve goes through",
    }),
    Group("What was fitted, and the points", AFTER_FIT, {
        "--ckpt_path PATH": "checkpoint, last or best; predict: or fit.json",
        "FILE": "CSV, TSV, Parquet, Arrow, NPY, NPZ; or a folder",
    }),
    Group("Model: --model LineRegression | PolynomialRegression", FIT, {
        "--model.solver": "exact (one pass), or gradient",
        "--model.loss": "for gradient, as torch.nn names it",
        "--model.learning_rate": "step of plain SGD; by default the best one",
        "--model.absolute_sigma": "whether sigma is in y's unit",
        "--model.level": "probability of intervals and bands",
        "--optimizer NAME": "of torch.optim, as in Adam --optimizer.lr 0.1",
        "--lr_scheduler NAME": "of torch.optim.lr_scheduler",
    }),
    Group("Data: --data TableDataModule | SineLineDataModule", ALL, {
        "--data.batch_size": "rows over all devices; by default all",
        "--data.validation_fraction": "share held out at random",
        "--data.nan_policy": "rows without a number: raise or omit",
    }),
    Group("Run", FIT, {
        "-c, --config FILE": "options from a file, as configs/line.yaml",
        "--ckpt_path PATH": "go on with a checkpoint, last, last_or_new",
        "--name NAME": "of the run: its folder is version_N-NAME",
        "--report.rows": "about how many lines a run prints",
        "--report.full": "whether it has intervals and tests too",
        "--residuals.file NAME": "write the fitted rows, as residuals.csv",
        "--figure.file NAME": "more files of the figure, as fit.pdf",
        "--seed_everything": "seed of all random numbers; by default 0",
        "--trainer.max_epochs": "end after so many epochs; by default 1000",
        "--trainer.max_steps": "end after so many updates",
        "--trainer.max_time": "end after a time, as 00:12:00:00",
    }),
    Group("Output", ("predict",), {
        "--predictions.file": "its name, .csv or .parquet",
        "--inverse": "x from the y of FILE, with intervals",
        "--replicates M": "each y is the mean of M observations",
    }),
    Group("Machine", ALL, {
        "--trainer.accelerator": "cpu, gpu or auto",
        "--trainer.devices": "how many processes or GPUs",
        "--trainer.precision": "32-true or 64-true, of the gradient solver",
        "--trainer.default_root_dir": "holds lightning_logs; by default this folder",
        "--trainer.enable_progress_bar": "whether a bar shows how far it is",
    }),
)  # fmt: skip
OWNERS = {
    "model": (PolynomialRegression, Regression),
    "data": (TableDataModule, PointsDataModule),
    "report": (Report,),
    "predictions": (PredictionFile,),
    "trainer": (pl.Trainer,),
}


def help_text(args: Sequence[str]) -> str | None:
    """Return the help or version to print, or ``None`` if there is a command to run; the parser does ``--help all``.

    Args:
        args: The command line without the program's name.
    """
    match list(args):
        case ["--version"]:
            return f"regression {__version__}"
        case ["--help" | "-h"]:
            return overview()
        case [command, *_, "--help" | "-h"] if command in ALL:
            return command_page(command)
    return None


def overview() -> str:
    """Return the commands, and the configurations with the first line of each, which states its purpose."""
    configs = [f"  {path}: {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}"
               for path in sorted(Path("configs").glob("*.yaml"))]  # fmt: skip
    lines = [
        f"regression {__version__}: lines and polynomials fitted to points",
        "",
        "usage: python train.py COMMAND [option ...]",
        "",
        *(f"  {name:<10}{what}" for name, what in COMMANDS.items()),
        "",
        "COMMAND --help shows its options, --version the version.",
        "",
        "Your own table: python train.py fit FILE --x NAME --y NAME --degree 2",
    ]
    hint = ["Or python train.py fit -c CONFIG, with one of", *configs] if configs else []
    return "\n".join([*lines, *hint])


def command_page(command: str) -> str:
    """Return the help of a command, less than 60 lines of 80 characters."""
    lines = [f"usage: python train.py {command} [FILE] [option ...]", "", f"{COMMANDS[command].capitalize()}."]
    for heading, commands, options in GROUPS:
        if command in commands:
            lines += ["", f"{heading}:", *(f"  {name:<30}{text}{default_of(name)}" for name, text in options.items())]
    return "\n".join([*lines, "", *REST_OF_HELP]).replace("COMMAND", command)


def default_of(option: str) -> str:
    """Return the default of an option in brackets, or an empty text if it has none."""
    owner, _, name = option.removeprefix("--").partition(".")
    for cls in OWNERS.get(owner, ()):
        given = inspect.signature(cls).parameters.get(name)
        if given is not None:
            return "" if given.default in (None, -1, inspect.Parameter.empty) else f" [{given.default}]"
    return ""
