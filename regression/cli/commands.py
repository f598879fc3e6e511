"""The commands fit, validate, test and predict: LightningCLI with this project's defaults, folder and callbacks."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from jsonargparse.typing import PositiveFloat
from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.plugins.environments.kubeflow import KubeflowEnvironment
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

import regression.data.data_modules
import regression.data.table_module
import regression.training.line_and_polynomial  # noqa: F401  # as the data: the parser finds imported classes by their names
from regression.cli.arguments import (
    checkpoint_options,
    compare_points,
    put_files_first,
    require_same_model,
    resolve_last_or_new,
)
from regression.cli.checks import describe_ended_run, require_devices, require_trainer_numbers
from regression.cli.config_file import ConfigFile
from regression.cli.messages import one_line
from regression.cli.parser_internals import OwnCheckpoints
from regression.cli.short_options import SHORT, expand_options
from regression.common.command_line import option_value
from regression.common.errors import UsageError
from regression.outputs.evaluation import Evaluation
from regression.outputs.figure_options import FigureOptions
from regression.outputs.fit_files import FitFiles
from regression.outputs.inverse_file import InverseFile, InverseModule, read_y_alone
from regression.outputs.predictions import PredictionFile
from regression.outputs.progress_bar import RunProgress
from regression.outputs.report_lines import Report
from regression.outputs.residual_file import ResidualFile
from regression.outputs.series_files import SeriesFiles
from regression.runs.checkpoint_callbacks import BestCheckpoint, LastCheckpoint
from regression.runs.checkpoint_file import SafeCheckpointIO, read_checkpoint, read_fit
from regression.runs.environment import is_pod, require_world
from regression.runs.find_checkpoint import (
    CHECKPOINT_WORDS,
    LAST_OR_NEW,
    checkpoint_path,
    has_checkpoint,
    lacks_files,
    remove_partial,
)
from regression.runs.folder import RefusedRun, RunLogger, SameCheckpoint, is_first_process
from regression.runs.lightning_internals import close_ended_run
from regression.runs.processes import Ranks
from regression.runs.signals import Signals, StopAtUpdate
from regression.training.callbacks import callbacks_of
from regression.training.regression import Regression
from regression.training.series_regression import SeriesRegression

__all__ = ["RegressionCLI"]

SUBCOMMANDS = ("fit", "validate", "test", "predict")
# Help of the command's own options.
INVERSE = "Write the x of each y of a file, with the intervals of Fieller's method, instead of the curve at each x."
REPLICATES = "Number of observations that each y is the mean of; without it y is a value of the curve itself."
NAME = "What to call the run: its folder is version_N-NAME, and TensorBoard shows that."
TIMEOUT = "Longest time in seconds that the processes of a run wait for one that hangs, before all of them fail."


class RegressionCLI(OwnCheckpoints):
    """LightningCLI for ``Regression`` models, with its own run folder, callbacks and checkpoints.

    Args:
        args: The command line without the program's name.
        ranks: The processes of the run.
        signals: The signals of this process.
    """

    def __init__(self, args: Sequence[str], ranks: Ranks, signals: Signals) -> None:
        self._ranks, self._signals = ranks, signals
        self.checkpoint: dict[str, Any] | None = None
        self._first_word = next(iter(args), "")
        self._known_parsers: dict[str | None, LightningArgumentParser] = {}
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
            save_config_callback=ConfigFile,
            args=list(args),
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning calls it on the instance
        """Return the subcommands, each with the arguments of the Trainer's method that are not options here.

        If the command line names a subcommand, only that is returned: making the parsers of all takes a second.
        """
        fixed = {"verbose", "return_predictions", "weights_only"}
        known = {name: skipped | fixed for name, skipped in LightningCLI.subcommands().items()}
        return {self._first_word: known[self._first_word]} if self._first_word in known else known

    def fit(self, **options: Any) -> None:
        """Fit, without running code in a checkpoint that is resumed; series have a module and files of their own."""
        if getattr(self.datamodule, "series", None) is not None:
            if options.get("ckpt_path") is not None:
                raise UsageError("a fit of series takes one pass and is not resumed: leave --ckpt_path out")
            options["model"] = SeriesRegression.like(self.model)
            if (file := self.config_init[str(self.subcommand)].residuals.file) is not None:
                raise UsageError(f"a fit of series has no file of residuals: leave --residuals.file {file} out")
            of_one_fit = (Report, FitFiles, ResidualFile, Evaluation, BestCheckpoint, LastCheckpoint)
            callbacks = callbacks_of(self.trainer)
            for files in (one for one in callbacks if isinstance(one, SeriesFiles)):
                files.figure = self.config_init[str(self.subcommand)].figure
            callbacks[:] = [one for one in callbacks if not isinstance(one, of_one_fit)]
        self.trainer.fit(weights_only=True, **options)

    def validate(self, **options: Any) -> None:
        """Validate without Lightning's table, whose numbers are rounded to float32."""
        self.trainer.validate(verbose=False, **options)

    def test(self, **options: Any) -> None:
        """Test without Lightning's table, whose numbers are rounded to float32."""
        self.trainer.test(verbose=False, **options)

    def predict(self, **options: Any) -> None:
        """Predict without keeping all predictions in memory; ``--inverse`` has a module of its own, for x from y."""
        config = self.config_init[str(self.subcommand)]
        if config.inverse:
            fit = self.model.required_result()
            read_y_alone(self.datamodule, config.replicates is not None, fit.y_time)
            options["model"] = InverseModule(fit, config.replicates)
            files = InverseFile(config.predictions.file)
            callbacks = callbacks_of(self.trainer)
            callbacks[:] = [files if isinstance(one, PredictionFile) else one for one in callbacks]
        elif config.replicates is not None:
            raise UsageError("--replicates is for --inverse: give both")
        self.trainer.predict(return_predictions=False, **options)

    def init_parser(self, command: str | None = None, **kwargs: Any) -> LightningArgumentParser:
        """Make a parser, and keep it under the name of its subcommand."""
        parser = super().init_parser(**kwargs)
        self._command, self._known_parsers[command] = command, parser
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add each subcommand's own options and ``--debug``, and make the textbook's points the default data."""
        if self._command == "fit":
            parser.add_lightning_class_args(Report, "report")
            parser.add_lightning_class_args(SeriesFiles, "series")
            parser.add_class_arguments(FigureOptions, "figure")
            parser.add_class_arguments(ResidualFile, "residuals")
            parser.add_class_arguments(LastCheckpoint, "checkpoint")  # the callback is added only where checkpoints are
        if self._command == "predict":
            parser.add_lightning_class_args(PredictionFile, "predictions")
            parser.add_argument("--inverse", action="store_true", help=INVERSE)
            parser.add_argument("--replicates", type=int | None, default=None, help=REPLICATES)
        parser.add_argument("--name", type=str | None, default=None, help=NAME)
        parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
        parser.add_argument("--timeout", type=PositiveFloat, default=600.0, help=TIMEOUT)
        parser.set_defaults({"data": {"class_path": "regression.SineLineDataModule"}})

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the command line, with the options of its configuration files and of the checkpoint that it names."""
        root = option_value(args, "--trainer.default_root_dir")
        self._accepts_ended_run = option_value(args, "--ckpt_path") == LAST_OR_NEW
        args = resolve_last_or_new(args, lambda: bool(self._ranks.checkpoint) or has_checkpoint(root or os.getcwd()))
        args = put_files_first(expand_options(args))
        word = option_value(args, "--ckpt_path")
        needs = f"{args[0]} needs a fitted model: give --ckpt_path PATH, such as a run's last.ckpt"
        if word is None and args[0] in SUBCOMMANDS[1:] and not {"-h", "--help", "-c", "--config"} & set(args):
            raise UsageError(needs)
        self._has_other_data = any(word.split("=")[0] in ("--data", "--data.path") for word in args)
        if word is not None:
            path = self._ranks.checkpoint or checkpoint_path(word, root or os.getcwd())
            args = self._add_checkpoint_options(args, path)
        try:
            self.config = parser.parse_args(args)
        except Exception as error:
            known = vars(self._known_parsers[args[0]].get_defaults().as_flat()) if args[0] in SUBCOMMANDS else {}
            raise UsageError(one_line(error, [*SHORT, *(f"--{key}" for key in known)])) from error
        config = self.config[self.config.subcommand]
        if self.checkpoint is None and config.ckpt_path is not None:  # from a configuration file
            root = config.trainer.default_root_dir or os.getcwd()
            config.ckpt_path = self._ranks.checkpoint or checkpoint_path(config.ckpt_path, root)
            self.checkpoint = read_checkpoint(config.ckpt_path)
        elif word in CHECKPOINT_WORDS and config.trainer.default_root_dir != root:
            raise UsageError(f"--ckpt_path {word} needs --trainer.default_root_dir on the command line, not in a file")
        if self.checkpoint is not None:
            require_same_model(config.model, self.checkpoint)
        elif args[0] != "fit":
            raise UsageError(needs)
        require_trainer_numbers(config)  # here, because Lightning sets the seed next

    def _add_checkpoint_options(self, args: list[str], path: str) -> list[str]:
        """Read a checkpoint, and return the command line with the options that build its model and data."""
        if path.endswith(".json") and args[0] != "predict":
            raise UsageError(f"{args[0]} needs a checkpoint, such as the run's last.ckpt, got {path}")
        self.checkpoint = read_fit(path) if path.endswith(".json") else read_checkpoint(path)
        options = checkpoint_options(self.checkpoint, is_split=args[0] == "fit" or not self._has_other_data)
        if len(options) == 1 and not any(word.startswith(("-c", "--config", "--data")) for word in args[1:]):
            raise UsageError(f"the points of {path} came from a program: give --data.path FILE")
        return [args[0], *options, *args[1:], f"--ckpt_path={path}"]

    def before_instantiate_classes(self) -> None:
        """Refuse options that would have no effect beside another one."""
        config = self.config[self.config.subcommand]
        require_devices(config.trainer)
        if "spawn" in str(config.trainer.strategy):
            raise UsageError(f"strategy {config.trainer.strategy} loses the optimizer between processes: use ddp")
        if config.get("optimizer") and config.model.init_args.get("solver") == "exact":
            raise UsageError("solver exact takes no optimizer: give --optimizer null, or --model.solver gradient")
        if config.get("optimizer") and config.model.init_args.get("learning_rate") is not None:
            raise UsageError("model.learning_rate is for plain SGD without an optimizer section: use --optimizer.lr")

    def instantiate_classes(self) -> None:
        """Build all classes, and report errors as errors of the user's options."""
        try:
            super().instantiate_classes()
        except Exception as error:
            raise UsageError(one_line(error)) from error

    def before_fit(self) -> None:
        """Refuse to resume where nothing is left to do, unless the files of the fit are missing."""
        if self.checkpoint is None or getattr(self.datamodule, "series", None) is not None:
            return
        config, line = self.config_init[str(self.subcommand)], describe_ended_run(self.checkpoint, self.trainer)
        if line is not None:
            if not lacks_files(config.ckpt_path) and self._accepts_ended_run:
                print(line)
                raise SystemExit(0)
            if not lacks_files(config.ckpt_path):
                raise UsageError(line)
            close_ended_run(self.trainer)
        line = compare_points(self.config[self.config.subcommand].data, self.checkpoint)
        if line is not None and self.model.solver == "gradient":
            warnings.warn(line, UserWarning, stacklevel=2)
        if self.model.solver == "exact":
            config.ckpt_path = None  # an exact fit begins again: the result has the same bits

    def before_validate(self) -> None:
        """Load coefficients and fit from the checkpoint; the Trainer need not load the rest of it."""
        assert self.checkpoint is not None
        try:
            self.model.restore(self.checkpoint)
        except Exception as error:  # of many types, for contents that do not fit together
            raise UsageError(f"not a checkpoint of this program: {one_line(error)}; give another") from error
        self.config_init[str(self.subcommand)].ckpt_path = None

    before_test = before_predict = before_validate

    def after_validate(self) -> None:
        """Print a line if the validation points are those of the fit."""
        if getattr(self.datamodule, "held_out", None) == 0 and not self._has_other_data:
            print("no points are held out: these are the points of the fit")

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Build the Trainer with this project's logger, checkpoints and callbacks, unless options switch them off."""
        options = self.config_init[str(self.subcommand)]
        config = options.trainer
        root = config.get("default_root_dir") or os.getcwd()
        if is_first_process():
            remove_partial(root)
        if config.get("logger") in (None, True):
            kwargs["logger"] = RunLogger(root, options.name)
        if config.get("logger") is False:  # there is no folder to write to
            self.save_config_callback = None
            kwargs["enable_checkpointing"] = config.get("enable_checkpointing") or False
        if all(config.get(limit) in (None, -1) for limit in ("max_epochs", "max_steps", "max_time")):
            kwargs["max_epochs"] = config.get("max_epochs") or 1000
        given = config.get("callbacks") or []
        given = given if isinstance(given, list) else [given]
        path, checkpoint = options.ckpt_path, self.checkpoint
        callbacks = [Evaluation(), RefusedRun(), SameCheckpoint(path, checkpoint), StopAtUpdate(self._signals)]
        if config.get("logger") is not False:
            callbacks.insert(0, FitFiles(figure=options.get("figure")))
        if self.subcommand == "fit":
            callbacks.insert(0, options.residuals)  # before the callbacks that report its tests
        if config.get("enable_progress_bar") in (None, True) and not any(isinstance(c, ProgressBar) for c in given):
            callbacks.append(RunProgress())
        saves = kwargs.get("enable_checkpointing", config.get("enable_checkpointing")) in (None, True)
        if saves and self.subcommand == "fit":
            callbacks += [BestCheckpoint(), options.checkpoint]
        kwargs["callbacks"] = [*given, *callbacks]
        plugins = config.get("plugins") or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        for plugin in (plugin for plugin in plugins if isinstance(plugin, CheckpointIO)):
            raise UsageError(f"plugin {type(plugin).__name__} writes checkpoints that cannot be read: leave it out")
        kwargs["plugins"] = [*plugins, SafeCheckpointIO({} if checkpoint is None else {path: checkpoint})]
        if is_pod() and config.get("num_nodes") > 1:
            kwargs["plugins"].append(KubeflowEnvironment())
        trainer = super().instantiate_trainer(**kwargs)
        require_world(trainer.world_size)
        self._ranks.attach(trainer, options.timeout, path)
        return trainer
