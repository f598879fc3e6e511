"""The command: LightningCLI with this project's defaults, and every error in one line."""

import inspect
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import lightning.pytorch as pl
import torch.distributed as dist
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveFloat
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only

import regression
from regression.callbacks import FitFiles, Report
from regression.checkpoint_io import SafeCheckpointIO, read_checkpoint, read_fit
from regression.checkpoint_paths import WORDS, checkpoint_path, sweep
from regression.checkpoints import BestCheckpoint, LastCheckpoint
from regression.checks import require_devices, require_trainer_numbers, require_updates_left
from regression.errors import Stopped, UsageError, printable
from regression.evaluation import Evaluation
from regression.messages import one_line
from regression.modules import Regression
from regression.predictions import PredictionFile
from regression.progress import RunProgress
from regression.ranks import Outcome, Ranks, lost_line
from regression.runs import (
    BEFORE_FIRST_UPDATE,
    REFUSALS,
    RefusedRun,
    RunLogger,
    SameCheckpoint,
    require_working_folder,
    silent_writer,
)
from regression.series_files import SeriesFiles
from regression.series_module import SeriesRegression
from regression.signals import Signals, StopAtUpdate, stopped_outcome
from regression.trust import OPTIONS, only_trusted_names, require_plain_files

__all__ = ["RegressionCLI", "main"]

READER_GONE = 141  # of a program that SIGPIPE ended
SUBCOMMANDS = ("fit", "validate", "test", "predict")


class RegressionCLI(LightningCLI):
    """LightningCLI for ``Regression`` models, with its own run folder, callbacks and checkpoints.

    Args:
        args: The command line without the program's name.
        ranks: The processes of the run.
        signals: The signals of this process.
    """

    def __init__(self, args: Sequence[str], ranks: Ranks, signals: Signals) -> None:
        self._ranks, self._signals = ranks, signals
        self.checkpoint: dict[str, Any] | None = None
        self._named = next(iter(args), "")
        strict = {"exit_on_error": False, "allow_abbrev": False}
        super().__init__(
            Regression,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            trainer_defaults={"enable_model_summary": False, "num_sanity_val_steps": 0},
            parser_kwargs={**strict, **{name: {**strict, "command": name} for name in self.subcommands()}},
            load_from_checkpoint_support=False,
            args=list(args),
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning calls it on the instance
        """Return the subcommands, and the arguments of the Trainer's methods that are no options here.

        Where the command line names one, it is the only one: making a parser for each takes a second.
        """
        fixed = {"verbose", "return_predictions", "weights_only"}
        known = {name: skipped | fixed for name, skipped in LightningCLI.subcommands().items()}
        return {self._named: known[self._named]} if self._named in known else known

    def fit(self, **options: Any) -> None:
        """Fit; a checkpoint that is resumed runs no code. Series have a module and files of their own."""
        if getattr(self.datamodule, "series", None) is not None:
            if options.get("ckpt_path") is not None:
                raise UsageError("a fit of series takes moments and is not resumed: leave --ckpt_path out")
            options["model"] = SeriesRegression.like(self.model)
            single = (Report, FitFiles, Evaluation, BestCheckpoint, LastCheckpoint)
            callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
            callbacks[:] = [callback for callback in callbacks if not isinstance(callback, single)]
        self.trainer.fit(weights_only=True, **options)

    def validate(self, **options: Any) -> None:
        """Validate without Lightning's table, which rounds to float32."""
        self.trainer.validate(verbose=False, **options)

    def test(self, **options: Any) -> None:
        """Test without Lightning's table, which rounds to float32."""
        self.trainer.test(verbose=False, **options)

    def predict(self, **options: Any) -> None:
        """Predict without keeping all predictions in memory."""
        self.trainer.predict(return_predictions=False, **options)

    def init_parser(self, command: str | None = None, **kwargs: Any) -> LightningArgumentParser:
        """Make a parser, and remember the subcommand that it is for."""
        self._command = command
        return super().init_parser(**kwargs)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add each subcommand's own options and ``--debug``, and make the textbook's points the default data."""
        if self._command == "fit":
            parser.add_lightning_class_args(Report, "report")
            parser.add_lightning_class_args(SeriesFiles, "series")
            parser.add_class_arguments(LastCheckpoint, "checkpoint")  # no callback where nothing is saved
        if self._command == "predict":
            parser.add_lightning_class_args(PredictionFile, "predictions")
        parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
        waits = "Longest time in seconds that the processes of a run wait for one that hangs, before all of them fail."
        parser.add_argument("--timeout", type=PositiveFloat, default=600.0, help=waits)
        parser.set_defaults({"data": {"class_path": "regression.SineLineDataModule"}})

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the command line; what it leaves open, its files supply, and the checkpoint it names."""
        args = _files_first(args)
        word, root = _option(args, "--ckpt_path"), _option(args, "--trainer.default_root_dir")
        needs = f"{args[0]} needs a fitted model: give --ckpt_path PATH, such as a run's last.ckpt"
        if word is None and args[0] in SUBCOMMANDS[1:] and not {"-h", "--help", "-c", "--config"} & set(args):
            raise UsageError(needs)
        self._has_other_data = any(word.split("=")[0] in ("--data", "--data.path") for word in args)
        if word is not None:
            path = self._ranks.checkpoint or checkpoint_path(word, root or os.getcwd())
            if path.endswith(".json") and args[0] != "predict":
                raise UsageError(f"{args[0]} needs a checkpoint, such as the run's last.ckpt, got {path}")
            self.checkpoint = read_fit(path) if path.endswith(".json") else read_checkpoint(path)
            settings = _settings(self.checkpoint, is_split=args[0] == "fit" or not self._has_other_data)
            args = [args[0], *settings, *args[1:], f"--ckpt_path={path}"]
        try:
            self.config = parser.parse_args(args)
        except Exception as error:
            known = vars(self._parser(args[0]).get_defaults().as_flat()) if args[0] in SUBCOMMANDS else {}
            raise UsageError(one_line(error, [f"--{key}" for key in known])) from error
        config = self.config[self.config.subcommand]
        if self.checkpoint is None and config.ckpt_path is not None:  # it stands in a configuration file
            root = config.trainer.default_root_dir or os.getcwd()
            config.ckpt_path = self._ranks.checkpoint or checkpoint_path(config.ckpt_path, root)
            self.checkpoint = read_checkpoint(config.ckpt_path)
        elif word in WORDS and config.trainer.default_root_dir != root:
            raise UsageError(f"--ckpt_path {word} needs --trainer.default_root_dir on the command line, not in a file")
        if self.checkpoint is not None:
            _require_same_model(config.model, self.checkpoint)
        elif args[0] != "fit":
            raise UsageError(needs)
        require_trainer_numbers(config)  # before the seed is set

    def _parse_ckpt_path(self) -> None:
        """Do nothing: parse_arguments has taken the checkpoint's settings, and refused options that contradict them.

        LightningCLI's own version comes too late, after "model is required", and overrides options silently.
        """

    def before_instantiate_classes(self) -> None:
        """Refuse options that another one would leave unused."""
        config = self.config[self.config.subcommand]
        require_devices(config.trainer)
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
            raise UsageError(one_line(error)) from error

    def before_fit(self) -> None:
        """Refuse to resume where nothing is left to do."""
        if self.checkpoint is not None:
            require_updates_left(self.checkpoint, self.trainer)

    def before_validate(self) -> None:
        """Give the model the checkpoint's coefficients; nothing else in it matters here."""
        assert self.checkpoint is not None
        try:
            self.model.restore(self.checkpoint)
        except Exception as error:  # many kinds, for parts that do not belong together
            raise UsageError(f"not a checkpoint of this program: {one_line(error)}; give another") from error
        self.config_init[str(self.subcommand)].ckpt_path = None

    before_test = before_predict = before_validate

    def after_validate(self) -> None:
        """Say so where the validation points are those of the fit."""
        if getattr(self.datamodule, "held_out", None) == 0 and not self._has_other_data:
            print("no points are held out: these are the points of the fit")

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Build the Trainer with this project's logger, checkpoints and callbacks, as far as they are switched on."""
        config = self._get(self.config_init, "trainer")
        root = config.get("default_root_dir") or os.getcwd()
        if getattr(rank_zero_only, "rank", 0) == 0:
            sweep(root)
        if config.get("logger") in (None, True):
            kwargs["logger"] = RunLogger(root)
        if config.get("logger") is False:  # no folder, so nothing to put into it
            self.save_config_callback = None
            kwargs["enable_checkpointing"] = config.get("enable_checkpointing") or False
        if all(config.get(limit) in (None, -1) for limit in ("max_epochs", "max_steps", "max_time")):
            kwargs["max_epochs"] = config.get("max_epochs") or 1000
        given = config.get("callbacks") or []
        given = given if isinstance(given, list) else [given]
        path, taken = self._get(self.config_init, "ckpt_path"), self.checkpoint
        callbacks = [FitFiles(), Evaluation(), RefusedRun(), SameCheckpoint(path, taken), StopAtUpdate(self._signals)]
        if config.get("enable_progress_bar") in (None, True) and not any(isinstance(c, ProgressBar) for c in given):
            callbacks.append(RunProgress())
        saves = kwargs.get("enable_checkpointing", config.get("enable_checkpointing")) in (None, True)
        if saves and self.subcommand == "fit":
            callbacks += [BestCheckpoint(), self._get(self.config_init, "checkpoint")]
        kwargs["callbacks"] = [*given, *callbacks]
        plugins = config.get("plugins") or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        for plugin in (plugin for plugin in plugins if isinstance(plugin, CheckpointIO)):
            raise UsageError(f"plugin {type(plugin).__name__} writes checkpoints that cannot be read: leave it out")
        kwargs["plugins"] = [*plugins, SafeCheckpointIO({} if taken is None else {path: taken})]
        trainer = super().instantiate_trainer(**kwargs)
        self._ranks.attach(trainer, self._get(self.config_init, "timeout"), path)
        return trainer


def main(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 stopped under way, 2 refused.

    Args:
        args: The command line without the program's name; by default the process's own.
    """
    if sys.stdout is None:  # closed by whoever started this; the files are written all the same
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    is_program = args is None
    args = list(sys.argv[1:] if args is None else args) or ["--help"]
    if args in (["--help"], ["-h"]):
        print(_overview())
    formatter, warnings.formatwarning = warnings.formatwarning, _warning_line
    ranks = Ranks()
    try:
        with Signals(ranks.leave) as signals:
            outcome = _run(args, ranks, signals)
            signals.hold()
            # What all processes refuse alike, or agree on, is said once; a failure under way may be one's own.
            has_own_cause = _is_connected() and outcome.kind != "stopped"
            speaks = getattr(rank_zero_only, "rank", 0) == 0 or has_own_cause
            is_urgent = is_program and (outcome.kind == "stopped" or (outcome.kind != "done" and ranks.are_several))
            _disconnect()
            status = _flushed(ranks.conclude(outcome, speaks))
            if is_urgent:
                _exit(status)
            return status
    finally:
        warnings.formatwarning = formatter
        ranks.close()
        _disconnect()


def _flushed(status: int) -> int:
    """Return the exit status, once all is printed; where nobody reads it, as after ``| head``, that is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter will try once more
        return READER_GONE
    return status


def _run(args: list[str], ranks: Ranks, signals: Signals) -> Outcome:
    """Do what the command line says and return how it ended."""
    try:
        with warnings.catch_warnings(), only_trusted_names(), silent_writer():
            _quieten()
            require_working_folder()
            require_plain_files(args)
            if args[0] == "export":
                print(printable(_export(args[1:])))
            else:
                RegressionCLI(args, ranks, signals)
        signals.require_none()
        return Outcome("done", 0)
    except Stopped as stop:
        return stopped_outcome(stop.signum, stop.saved)
    except SystemExit as stop:
        return _exited(stop, ranks.are_several)
    except BrokenPipeError:
        return Outcome("stopped", READER_GONE)
    except Exception as error:
        if "--debug" in args:
            raise
        lost = lost_line(error) if ranks.are_several else None
        if lost is not None:
            return Outcome("lost", 1, lost)
        refused = isinstance(error, REFUSALS) or BEFORE_FIRST_UPDATE in getattr(error, "__notes__", ())
        return Outcome("failed", 2 if refused else 1, printable(one_line(error)))


def _exited(stop: SystemExit, is_under_way: bool) -> Outcome:
    """Return how a process ended that left by itself: the parser's exits are as they should be, others are not."""
    status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    if is_under_way:
        return Outcome("failed", status or 1, f"a process exited under way with status {status}")
    return Outcome("done", status)


def _exit(status: int) -> NoReturn:
    """End the process without unloading its libraries, which takes a second or more of the few that are given."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _is_connected() -> bool:
    return dist.is_available() and dist.is_initialized()


def _disconnect() -> None:
    if _is_connected():
        dist.destroy_process_group()  # left to the interpreter's end, gloo's threads can abort the process


def _export(args: Sequence[str]) -> str:
    """Run the subcommand that needs no Trainer and return what it says; its options are the function's arguments."""
    from regression.export import export_checkpoint  # torch's exporter takes a while to import

    parser = ArgumentParser(prog="train.py export", exit_on_error=False, allow_abbrev=False)
    parser.description = inspect.cleandoc(export_checkpoint.__doc__ or "").partition("\n\nArgs:")[0]
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    parser.add_function_arguments(export_checkpoint)
    if not args:
        raise UsageError("export needs a fitted model: give --ckpt_path PATH, such as a run's best.ckpt, and --to")
    try:
        options = vars(parser.parse_args(args))
    except Exception as error:
        raise UsageError(one_line(error, [f"--{key}" for key in vars(parser.get_defaults())])) from error
    return export_checkpoint(**{name: value for name, value in options.items() if name != "debug"})


def _warning_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"regression: warning: {printable(' '.join(str(message).split()))}\n"


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


def _files_first(args: Sequence[str]) -> list[str]:
    """Return the command line with its configuration files before its options, each in their order.

    The parser lets the later one win, so that ``--model X -c FILE`` would drop X in silence.
    """
    files: list[str] = []
    others: list[str] = []
    words = iter(args[1:])
    for word in words:
        if word in OPTIONS:
            files += [word, *islice(words, 1)]
        else:
            (files if word.startswith(tuple(f"{option}=" for option in OPTIONS)) else others).append(word)
    return [args[0], *files, *others]


def _option(args: Sequence[str], name: str) -> str | None:
    """Return the value of an option as written on the command line, the last one if there are several."""
    value = None
    for at, word in enumerate(args):
        if word.startswith(f"{name}="):
            value = word.partition("=")[2]
        elif word == name and at + 1 < len(args):
            value = args[at + 1]
    return value


def _settings(checkpoint: dict[str, Any], is_split: bool) -> list[str]:
    """Return the options that build the checkpoint's model and data again, to stand before the user's own.

    Args:
        checkpoint: The checkpoint.
        is_split: Whether the data are those of the fit, so that its split into training and validation points holds.
    """
    model = {"class_path": checkpoint["class_path"], "init_args": checkpoint["hyper_parameters"]}
    options = [f"--model={json.dumps(model)}"]
    for name, stored in ((key, checkpoint.get("datamodule_hyper_parameters")) for key in checkpoint):
        if stored is not None and isinstance(checkpoint[name], dict) and "class_path" in checkpoint[name]:
            split = ("validation_fraction", "validation_path")
            init_args = {key: value for key, value in stored.items() if is_split or key not in split}
            options.append(f"--data={json.dumps({**checkpoint[name], 'init_args': init_args})}")
    return options


def _require_same_model(model: Namespace, checkpoint: dict[str, Any]) -> None:
    if model.class_path != checkpoint["class_path"]:
        raise UsageError(f"--model {model.class_path} contradicts the checkpoint's {checkpoint['class_path']}")
    # A module built in Python stores the options that were given; the others have their defaults.
    bases = getattr(regression, model.class_path.rpartition(".")[2]).__mro__[:-1]
    defaults = {name: given.default for base in bases for name, given in inspect.signature(base).parameters.items()}
    for name, value in model.init_args.items():
        stored = checkpoint["hyper_parameters"].get(name, defaults[name])
        if name not in ("updates_per_batch", "level") and value != stored:
            raise UsageError(f"--model.{name} {value} contradicts the checkpoint's {stored}: leave the option out")
