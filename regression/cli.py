"""The command: LightningCLI with this project's defaults, and every error in one line."""

import inspect
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch.distributed as dist
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from regression.callbacks import FitFiles, PredictionFile, Report, RunProgress
from regression.errors import UsageError
from regression.export import export_checkpoint
from regression.messages import one_line
from regression.modules import Regression
from regression.runs import (
    BEFORE_FIRST_UPDATE,
    REFUSALS,
    BestCheckpoint,
    LastCheckpoint,
    RefusedRun,
    RunLogger,
    read_checkpoint,
)

__all__ = ["RegressionCLI", "main"]

SUBCOMMANDS = ("fit", "validate", "test", "predict")


class RegressionCLI(LightningCLI):
    """LightningCLI for ``Regression`` models, with its own run folder, callbacks and checkpoints.

    Args:
        args: The command line without the program's name.
    """

    def __init__(self, args: Sequence[str]) -> None:
        self.checkpoint: dict[str, Any] | None = None
        strict = {"exit_on_error": False, "allow_abbrev": False}
        super().__init__(
            Regression,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            trainer_defaults={"enable_model_summary": False, "num_sanity_val_steps": 0},
            parser_kwargs={**strict, **{name: dict(strict) for name in SUBCOMMANDS}},
            load_from_checkpoint_support=False,
            args=list(args),
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the report's options and ``--debug``, and make the textbook's points the default data."""
        parser.add_lightning_class_args(Report, "report")
        parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
        parser.set_defaults({"data": {"class_path": "regression.SineLineDataModule"}})

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the command line; what it leaves open, the checkpoint it names supplies."""
        path = _checkpoint_path(args)
        needs = f"{args[0]} needs a fitted model: give --ckpt_path PATH, such as a run's last.ckpt"
        if path is None and args[0] in SUBCOMMANDS[1:] and not {"-h", "--help", "-c", "--config"} & set(args):
            raise UsageError(needs)
        if path is not None:
            self.checkpoint = read_checkpoint(path)
            args = [args[0], *_settings(self.checkpoint), *args[1:]]
        try:
            self.config = parser.parse_args(args)
        except Exception as error:
            known = vars(self._parser(args[0]).get_defaults().as_flat()) if args[0] in SUBCOMMANDS else {}
            raise UsageError(one_line(error, [f"--{key}" for key in known])) from None
        config = self.config[self.config.subcommand]
        if self.checkpoint is None and config.ckpt_path is not None:  # it stands in a configuration file
            self.checkpoint = read_checkpoint(config.ckpt_path)
        if self.checkpoint is not None:
            _require_same_model(config.model, self.checkpoint)
        elif args[0] != "fit":
            raise UsageError(needs)

    def _parse_ckpt_path(self) -> None:
        """Do nothing: parse_arguments has taken the checkpoint's settings, and refused options that contradict them.

        LightningCLI's own version comes too late, after "model is required", and overrides options silently.
        """

    def before_instantiate_classes(self) -> None:
        """Refuse options that another one would leave unused."""
        config = self.config[self.config.subcommand]
        if "spawn" in str(config.trainer.strategy):
            raise UsageError(f"strategy {config.trainer.strategy} loses the optimizer between processes: use ddp")
        if config.get("optimizer") and config.model.init_args.get("solver") == "exact":
            raise UsageError("solver exact takes no optimizer: give --optimizer null, or --model.solver gradient")
        if config.get("optimizer") and config.model.init_args.get("learning_rate") is not None:
            raise UsageError("model.learning_rate is for plain SGD without an optimizer section: use --optimizer.lr")

    def instantiate_classes(self) -> None:
        """Build everything; what fails here was asked for wrongly."""
        try:
            super().instantiate_classes()
        except Exception as error:
            if self._get(self.config, "debug"):
                raise
            raise UsageError(one_line(error)) from None

    def before_fit(self) -> None:
        """Let a checkpoint that is resumed run no code."""
        self.config_init.fit.weights_only = True

    def before_validate(self) -> None:
        """Give the model the checkpoint's coefficients; nothing else in it matters here."""
        assert self.checkpoint is not None
        self.model.load_state_dict(self.checkpoint["state_dict"])
        self.config_init[str(self.subcommand)].ckpt_path = None

    before_test = before_predict = before_validate

    def after_validate(self) -> None:
        """Say so where the validation points are those of the fit."""
        if getattr(self.datamodule, "held_out", None) == 0:
            print("no points are held out: val_loss is the loss of all points")

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Build the Trainer with this project's logger, checkpoints and callbacks, as far as they are switched on."""
        config = self._get(self.config_init, "trainer")
        if config.get("logger") in (None, True):
            kwargs["logger"] = RunLogger(config.get("default_root_dir") or os.getcwd())
        if config.get("logger") is False:  # no folder, so nothing to put into it
            self.save_config_callback = None
            kwargs["enable_checkpointing"] = config.get("enable_checkpointing") or False
        if all(config.get(limit) in (None, -1) for limit in ("max_epochs", "max_steps", "max_time")):
            kwargs["max_epochs"] = config.get("max_epochs") or 1000
        given = config.get("callbacks") or []
        given = given if isinstance(given, list) else [given]
        callbacks = [FitFiles(), PredictionFile(), RefusedRun()]
        if config.get("enable_progress_bar") in (None, True) and not any(isinstance(c, ProgressBar) for c in given):
            callbacks.append(RunProgress())
        saves = kwargs.get("enable_checkpointing", config.get("enable_checkpointing")) in (None, True)
        if saves and self.subcommand == "fit":
            callbacks += [BestCheckpoint(), LastCheckpoint()]
        kwargs["callbacks"] = [*given, *callbacks]
        return super().instantiate_trainer(**kwargs)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 stopped under way, 2 refused.

    Args:
        args: The command line without the program's name; by default the process's own.
    """
    args = list(sys.argv[1:] if args is None else args) or ["--help"]
    if args in (["--help"], ["-h"]):
        print(_overview())
    formatter, warnings.formatwarning = warnings.formatwarning, _warning_line
    try:
        with warnings.catch_warnings():
            _quieten()
            if args[0] == "export":
                print(_export(args[1:]))
            else:
                RegressionCLI(args)
        return 0
    except SystemExit as stop:
        return _stopped(stop)
    except Exception as error:
        if "--debug" in args:
            raise
        refused = isinstance(error, REFUSALS) or BEFORE_FIRST_UPDATE in getattr(error, "__notes__", ())
        if getattr(rank_zero_only, "rank", 0) == 0:
            print(f"regression: {one_line(error)}", file=sys.stderr)
        return 2 if refused else 1
    finally:
        warnings.formatwarning = formatter
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()  # left to the interpreter's end, gloo's threads can abort the process


def _export(args: Sequence[str]) -> str:
    """Run the subcommand that needs no Trainer and return what it says; its options are the function's arguments."""
    parser = ArgumentParser(prog="train.py export", exit_on_error=False, allow_abbrev=False)
    parser.description = inspect.cleandoc(export_checkpoint.__doc__ or "").partition("\n\nArgs:")[0]
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    parser.add_function_arguments(export_checkpoint)
    if not args:
        raise UsageError("export needs a fitted model: give --ckpt_path PATH, such as a run's best.ckpt, and --to")
    try:
        options = vars(parser.parse_args(args))
    except Exception as error:
        raise UsageError(one_line(error, [f"--{key}" for key in vars(parser.get_defaults())])) from None
    return export_checkpoint(**{name: value for name, value in options.items() if name != "debug"})


def _warning_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"regression: warning: {' '.join(str(message).split())}\n"


def _stopped(stop: SystemExit) -> int:
    """Return the exit status of a process that was told to stop, and say so; the parser's own exits say enough."""
    status = stop.code if isinstance(stop.code, int) else 1
    interrupted, terminated = isinstance(stop.__context__, KeyboardInterrupt), isinstance(stop, SIGTERMException)
    if interrupted or terminated:
        status = 130 if interrupted else 143
        if getattr(rank_zero_only, "rank", 0) == 0:
            how = "Ctrl-C" if interrupted else "SIGTERM"
            print(f"regression: stopped by {how}; the checkpoints in the run's folder are good", file=sys.stderr)
    return status


def _quieten() -> None:
    """Silence what is no news on a normal run: start-up lines, and warnings whose premise is wrong here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # asked for by --trainer.profiler
    # The model's own optimizer is meant to be replaced by the one of the command.
    warnings.filterwarnings("ignore", message=r".*configure_optimizers` will be overridden by")
    warnings.filterwarnings("ignore", message=r"Total length of `list` across ranks is zero")  # nothing held out
    # Newer torch deprecates what this Lightning still calls; a user can do nothing about it.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.")
    # The exact solver has no optimizer.
    warnings.filterwarnings("ignore", message=r"`LightningModule.configure_optimizers` returned `None`")
    # A block of updates steps the scheduler itself.
    warnings.filterwarnings("ignore", message=r".*keys will be ignored. You need to call `lr_scheduler.step\(\)`")
    # A resumed run goes on in a folder of its own.
    warnings.filterwarnings("ignore", message=r"The dirpath has changed from")
    # Updates are counted and logged inside a batch too, so one batch per epoch does not mean no logs.
    warnings.filterwarnings("ignore", message=r"The number of training batches .* is smaller than the logging interval")


def _overview() -> str:
    """Return what to type first: the configurations there are, each with the story on its first line."""
    stories = [f"  {path}: {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}"
               for path in sorted(Path("configs").glob("*.yaml"))]  # fmt: skip
    hint = " -c CONFIG, with one of" if stories else " --model LineRegression"
    export = "Write a fitted curve for other programs, as ONNX or for torch: python train.py export --help"
    return "\n".join([f"Fit a line or a polynomial to points: python train.py fit{hint}", *stories, export, ""])


def _checkpoint_path(args: Sequence[str]) -> str | None:
    """Return the value of ``--ckpt_path`` as written on the command line; Lightning's own words are not paths."""
    path = None
    for at, word in enumerate(args):
        if word.startswith("--ckpt_path="):
            path = word.partition("=")[2]
        elif word == "--ckpt_path" and at + 1 < len(args):
            path = args[at + 1]
    return path


def _settings(checkpoint: dict[str, Any]) -> list[str]:
    """Return the options that build the checkpoint's model and data again, to stand before the user's own."""
    model = {"class_path": checkpoint["class_path"], "init_args": checkpoint["hyper_parameters"]}
    options = [f"--model={json.dumps(model)}"]
    for name, init_args in ((key, checkpoint.get("datamodule_hyper_parameters")) for key in checkpoint):
        if init_args is not None and isinstance(checkpoint[name], dict) and "class_path" in checkpoint[name]:
            options.append(f"--data={json.dumps({**checkpoint[name], 'init_args': init_args})}")
    return options


def _require_same_model(model: Namespace, checkpoint: dict[str, Any]) -> None:
    if model.class_path != checkpoint["class_path"]:
        raise UsageError(f"--model {model.class_path} contradicts the checkpoint's {checkpoint['class_path']}")
    for name, value in model.init_args.items():
        stored = checkpoint["hyper_parameters"].get(name, value)
        if name != "updates_per_batch" and value != stored:
            raise UsageError(f"--model.{name} {value} contradicts the checkpoint's {stored}: leave the option out")
