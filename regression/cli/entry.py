"""The entry of the command: runs it, prints an error as one line, and returns the exit status."""

import inspect
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

import torch.distributed as dist
from jsonargparse import ArgumentParser

from regression.cli.commands import RegressionCLI
from regression.cli.help_page import help_text
from regression.cli.messages import one_line
from regression.cli.parser_internals import cached_parsers
from regression.cli.trusted_classes import only_trusted_names, require_plain_files
from regression.common.errors import Stopped, UsageError
from regression.common.text import printable, spell_out_characters
from regression.runs.environment import is_launched
from regression.runs.folder import (
    BEFORE_FIRST_UPDATE,
    REFUSALS,
    forget_rank,
    is_first_process,
    require_working_folder,
    silent_writer,
)
from regression.runs.parent_watch import PARENT
from regression.runs.processes import Outcome, Ranks, lost_line
from regression.runs.signals import RUN_ENDED, Signals, stopped_outcome

__all__ = ["main"]

CLOSED_PIPE = 141  # exit status, as of a program that SIGPIPE ended


def main(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 failed under way, 2 refused, 128 + n stopped by signal n.

    The status is 141 if standard output was closed before the end, as with ``| head``.

    Args:
        args: The command line without the program's name; by default the process's own.
    """
    if PARENT is not None:
        PARENT.join_run()
    if sys.stdout is None:  # closed by the parent process; the files are still written
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    spell_out_characters()
    forget_rank()
    is_program = args is None
    args = list(sys.argv[1:] if args is None else args) or ["--help"]
    if (text := help_text(args)) is not None:
        return _flush(0, text)
    formatter, warnings.formatwarning = warnings.formatwarning, _format_warning
    ranks = Ranks()
    try:
        with Signals(ranks.abort) as signals:
            outcome = _run(args, ranks, signals)
            # The first process prints what is the same for all; a process that does not find the others, or fails after
            # connecting, prints its line.
            has_own_cause = outcome.kind == "lost" or (_is_connected() and outcome.kind != "stopped")
            prints = is_first_process() or has_own_cause
            fails = outcome.kind == "stopped" or (outcome.kind != "done" and ranks.are_several)
            is_urgent = is_program and (fails or PARENT is not None)  # the first process waits until this one has ended
            _disconnect()
            status = _flush(ranks.conclude(outcome, prints))
            if is_urgent:
                _exit(status)
            return status
    finally:
        warnings.formatwarning = formatter
        ranks.close()
        _disconnect()


def _flush(status: int, *lines: str) -> int:
    """Print lines, flush the output and return the exit status; 141 for a closed pipe, as with ``| head``."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes again at its exit
        return CLOSED_PIPE
    return status


def _run(args: list[str], ranks: Ranks, signals: Signals) -> Outcome:
    """Run the command line and return how it ended."""
    try:
        with signals.in_effect(), warnings.catch_warnings(), only_trusted_names(), cached_parsers(), silent_writer():
            _suppress_messages()
            require_working_folder()
            require_plain_files(args)
            if args[0] in ("export", "plot"):
                print(printable(_run_without_trainer(*args)))
            else:
                RegressionCLI(args, ranks, signals)
            signals.require_none(RUN_ENDED)
        return Outcome("done", 0)
    except Stopped as stop:
        return stopped_outcome(stop.signum, stop.saved)
    except SystemExit as stop:
        return _outcome_of_exit(stop, ranks.are_several)
    except BrokenPipeError:
        return Outcome("stopped", CLOSED_PIPE)
    except Exception as error:
        if "--debug" in args:
            raise
        lost = lost_line(error) if ranks.are_several or is_launched() else None
        if lost is not None:
            return Outcome("lost", 1, lost)
        refused = isinstance(error, REFUSALS) or BEFORE_FIRST_UPDATE in getattr(error, "__notes__", ())
        return Outcome("failed", 2 if refused else 1, printable(one_line(error)))


def _outcome_of_exit(stop: SystemExit, are_several: bool) -> Outcome:
    """Return the outcome of a ``SystemExit``: a single process's parser raises it, and with several it is a failure."""
    status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    if are_several:
        return Outcome("failed", status or 1, f"a process exited under way with status {status}")
    return Outcome("done", status)


def _exit(status: int) -> NoReturn:
    """End the process without unloading its libraries, which takes a second or more."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _is_connected() -> bool:
    return dist.is_available() and dist.is_initialized()


def _disconnect() -> None:
    if _is_connected():
        dist.destroy_process_group()  # otherwise gloo's threads can abort the process at the interpreter's exit


def _run_without_trainer(name: str, *args: str) -> str:
    """Run a subcommand whose options are a function's arguments, and return the line to print."""
    module = import_module(f"regression.cli.{name}_command")  # torch's exporter takes a while to import
    command: Callable[..., str] = getattr(module, f"{name}_checkpoint")
    parser = ArgumentParser(prog=f"train.py {name}", exit_on_error=False, allow_abbrev=False)
    parser.description = inspect.cleandoc(command.__doc__ or "").partition("\n\nArgs:")[0]
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    parser.add_function_arguments(command)
    if not args:
        more = {"export": "--to", "plot": "--output"}[name]
        raise UsageError(f"{name} needs a fitted model: give --ckpt_path PATH, such as a run's best.ckpt, and {more}")
    try:
        options = vars(parser.parse_args(args))
    except Exception as error:
        raise UsageError(one_line(error, [f"--{key}" for key in vars(parser.get_defaults())])) from error
    return command(**{option: value for option, value in options.items() if option != "debug"})


def _format_warning(message: Warning | str, *_: Any, **__: Any) -> str:
    if not is_first_process():  # the first process prints the same
        return ""
    return f"regression: warning: {printable(' '.join(str(message).split()))}\n"


def _suppress_messages() -> None:
    """Suppress Lightning's start-up lines, and those of its warnings that do not apply here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # output of --trainer.profiler
    # The optimizer of the command is meant to replace the model's own.
    warnings.filterwarnings("ignore", message=r".*configure_optimizers` will be overridden by")
    warnings.filterwarnings("ignore", message=r"Total length of `list` across ranks is zero")  # nothing held out
    # Newer versions of torch deprecate functions that Lightning calls, which a user cannot change.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.")
    # The exact solver has no optimizer.
    warnings.filterwarnings("ignore", message=r"`LightningModule.configure_optimizers` returned `None`")
    # A block of updates steps the scheduler itself.
    warnings.filterwarnings("ignore", message=r".*keys will be ignored. You need to call `lr_scheduler.step\(\)`")
    # A resumed run has a new folder.
    warnings.filterwarnings("ignore", message=r"The dirpath has changed from")
    # Updates are logged within a batch too, so a run with one batch per epoch has logs.
    warnings.filterwarnings("ignore", message=r"The number of training batches .* is smaller than the logging interval")
