"""A run that receives a signal saves after the current update and ends; the resumed run has the same bits."""

import gc
import hashlib
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer

import regression
from regression.common.errors import Stopped
from regression.descent import updates as descent
from regression.fits.least_squares import LeastSquares
from regression.runs.checkpoint_callbacks import LastCheckpoint
from regression.runs.checkpoint_file import read_checkpoint
from regression.runs.processes import Outcome
from regression.runs.signals import Signals, StopAtUpdate
from regression.training.regression import Regression
from tests.support.command import ROOT, Command, Run, config
from tests.support.processes import FIT, ended, numbers, started, wait_for

BATCHES = (*FIT[:7], "--data.shuffle", "true", "--trainer.max_epochs", "8", *FIT[9:])  # 4 updates an epoch
BLOCKS = ("fit", "-c", config("polynomial"), "--trainer.max_steps", "4000", "--model.updates_per_batch", "1700")


def hit_at(monkeypatch: pytest.MonkeyPatch, place: Any, method: str, call: int, *signals: int) -> None:
    """Make this process send itself signals within a call of a method, counted from 0."""
    original, calls = getattr(place, method), iter(range(10**9))

    def hit(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            for signum in signals:
                os.kill(os.getpid(), signum)
        return original(*args, **kwargs)

    monkeypatch.setattr(place, method, hit)


def numbers_of(run: Run) -> dict[str, Any]:
    """Return the fit and the score of the last checkpoint, without folder and limits of the run."""
    state = read_checkpoint(run.checkpoint)
    return {**run.fit, "metrics": state["metrics"], "position": state["position"], "step": state["global_step"]}


CASES = {
    "batch": (BATCHES, Regression, "training_step", 5, 6),
    "last batch": (BATCHES, Regression, "training_step", 15, 16),  # before its validation
    "validation": (BATCHES, Regression, "validation_step", 2, 12),
    "block": (BLOCKS, descent, "_plain_sgd", 1, 1000),  # within 1,700 updates, of which 1,000 have been made
    "later block": (BLOCKS, descent, "_plain_sgd", 5, 2700),
}


def require_cut(args: Sequence[str], whole: Run, cut: Run, updates: int, rerun: Callable[..., Run]) -> None:
    """Fail unless a run was stopped after so many updates, and the resumed run has the bits of a whole one."""
    assert read_checkpoint(cut.checkpoint)["global_step"] == updates
    rest = rerun(*args, "--ckpt_path", cut.checkpoint)
    assert (rest.code, rest.err) == (0, "")
    assert numbers_of(rest).keys() == numbers_of(whole).keys()
    differing = [name for name, value in numbers_of(whole).items() if numbers_of(rest)[name] != value]
    assert differing == []


@pytest.mark.parametrize(("name", "signum"), list(zip(CASES, [signal.SIGTERM, signal.SIGINT] * 3, strict=False)))
def test_a_signal_stops_after_the_update(command: Command, name: str, signum: int) -> None:
    """One signal ends the run after the current update, and the resumed run has the bits of a whole one."""
    args, place, method, call, updates = CASES[name]
    whole = command(*args)
    with pytest.MonkeyPatch.context() as patch:
        hit_at(patch, place, method, call, signum)
        cut = command(*args)
    how = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}[signal.Signals(signum)]
    assert cut.code == 128 + signum
    assert cut.err.startswith(f"regression: stopped by {how}; saved after {updates:,} updates: go on with --ckpt_path")
    assert cut.err.count("\n") == 1
    assert Path(cut.err.split("--ckpt_path ")[1].strip()).resolve() == Path(cut.checkpoint).resolve()
    require_cut(args, whole, cut, updates, command)


@pytest.mark.figures
def test_ctrl_c_leaves_report_and_figure_of_the_updates_made(command: Command) -> None:
    """After Ctrl-C ``fit.txt`` and ``fit.png`` are those of the updates made, and say so; there is no ``fit.json``."""
    with pytest.MonkeyPatch.context() as patch:
        hit_at(patch, Regression, "training_step", 5, signal.SIGINT)
        cut = command(*BATCHES)
    assert cut.folder is not None
    report = (cut.folder / "fit.txt").read_text()
    assert ", 6 updates by SGD\n" in report
    assert "\nnote: stopped by Ctrl-C after 6 updates\n" in report
    assert (cut.folder / "fit.png").read_bytes().startswith(b"\x89PNG")
    assert not (cut.folder / "fit.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        hit_at(patch, Regression, "training_step", 5, signal.SIGTERM)
        ended = command(*BATCHES)
    assert not [*(ended.folder or Path()).glob("fit.*")]


@pytest.mark.parametrize(("call", "updates"), [(0, 2), (5, 6), (6, 7)])
def test_a_signal_stops_within_a_block_of_mini_batches(
    command: Command, monkeypatch: pytest.MonkeyPatch, call: int, updates: int
) -> None:
    """A run stops within a block of updates on mini-batches, also the first block, and is resumed there."""
    monkeypatch.setattr(
        descent, "NUMBERS_PER_CHUNK", 16
    )  # so that signals are checked after each second update on 8 rows
    args = (*BATCHES, "--model.updates_per_batch", "3")  # an epoch of 3 and 1
    whole = command(*args)
    with pytest.MonkeyPatch.context() as patch:
        hit_at(patch, descent, "_plain_sgd", call, signal.SIGTERM)
        cut = command(*args)
    assert (cut.code, cut.err.count("\n")) == (143, 1)
    require_cut(args, whole, cut, updates, command)
    other = command(*args[:-1], "2", "--ckpt_path", cut.checkpoint)
    assert other.code == 2
    assert "within an epoch of 2 batches of 24 rows, which now has 2 of 16: expected the data, " in other.err
    other = command(*args, "--data.seed", "5", "--ckpt_path", cut.checkpoint)
    assert (other.code, "expected --data.seed and --data.shuffle of the interrupted run" in other.err) == (2, True)


def test_a_signal_before_the_first_update_ends_the_run_at_once(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal while the points are scanned ends the run at once: nothing is saved, and no folder is left."""
    hit_at(monkeypatch, LeastSquares, "add", 0, signal.SIGTERM)
    run = command(*BATCHES)
    assert (run.code, run.folder) == (143, None)
    assert run.err == "regression: stopped by SIGTERM; nothing is lost: no update was under way\n"


def test_sigusr1_saves_and_the_run_continues(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside SLURM the state after the update is saved, and the run continues to its end."""
    hit_at(monkeypatch, Regression, "training_step", 5, signal.SIGUSR1)
    run = command(*BATCHES)
    assert run.code == 0
    assert run.err.startswith("regression: SIGUSR1; saved after 6 updates: go on with")
    assert run.fit["updates"] == 32


def test_sigusr1_requeues_a_slurm_job(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a SLURM job the state is saved and the job requeued; its next start resumes without an option."""
    whole = command(*BATCHES)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    (programs / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for name, value in {"NTASKS": "1", "JOB_ID": "77", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.MonkeyPatch.context() as patch:
        hit_at(patch, Regression, "training_step", 5, signal.SIGUSR1)
        hit_at(patch, Regression, "validation_step", 2, signal.SIGTERM)  # as SLURM does next
        assert command(*BATCHES).code == 143
    assert (tmp_path / "asked").read_text() == "requeue 77\n"
    rest = command(*BATCHES)
    assert (rest.code, rest.err) == (0, "")
    assert numbers_of(rest)["step"] == 32
    assert rest.fit["params"] == whole.fit["params"]
    assert list(tmp_path.glob("*.ckpt")) == []


def test_a_second_ctrl_c_and_a_long_update_end_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second Ctrl-C, or an update that takes too long, ends the process while the main thread is busy."""
    monkeypatch.setattr("regression.runs.signals.SECONDS_TO_UPDATE", 0.3)
    for signals, words in (([signal.SIGINT] * 2, "at the second one"), ([signal.SIGTERM], "took too long")):
        left: list[Outcome] = []
        leave: Callable[[Outcome], None] = left.append
        with Signals(leave) as received:
            received.defer()
            for signum in signals:
                os.kill(os.getpid(), signum)
                time.sleep(0.1)
            assert len(left) == len(signals) - 1
            time.sleep(0.4)
        assert left[0].status == 128 + signals[0]
        assert words in left[0].line


def test_a_long_operation_before_the_updates_ends_at_once_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's handler waits for the end of the operation, here a digest, as where the processes meet."""
    monkeypatch.setattr("regression.runs.signals.SECONDS_TO_UPDATE", 0.1)
    left: list[Outcome] = []
    leave: Callable[[Outcome], None] = left.append
    with suppress(Stopped), Signals(leave) as signals, signals.in_effect():
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        end = time.monotonic() + 30
        while not left and time.monotonic() < end:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 3_000_000)
    assert left[0].line == "stopped by SIGTERM; nothing is lost: no update was under way"


def test_signals_around_a_run_are_reported_by_it_or_wait() -> None:
    """A signal between the setting of the handlers and the run stops the run; one after the run raises nothing."""
    with Signals(lambda _: None) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped, match="143"), signals.in_effect():
            pytest.fail("the run began")
        os.kill(os.getpid(), signal.SIGTERM)
    with Signals(lambda _: None) as signals:
        with signals.in_effect():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.stop == signal.SIGTERM


def test_a_signal_while_others_end_does_not_say_that_an_update_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the run a process may wait for others; a signal then ends it with the truth about what was saved."""
    monkeypatch.setattr("regression.runs.signals.SECONDS_TO_UPDATE", 0.1)
    left: list[Outcome] = []
    leave: Callable[[Outcome], None] = left.append
    with Signals(leave) as signals:
        with signals.in_effect():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.4)
    assert left[0].line == "stopped by SIGTERM; the run had come to its end"


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")  # advice for other models
@pytest.mark.parametrize(
    ("is_saving", "words"),
    [(True, "saved after 3 updates: go on with --ckpt_path "), (False, "not saved after 3 updates: checkpoints are ")],
)
def test_a_signal_after_the_last_update_says_where_the_state_is(tmp_path: Path, is_saving: bool, words: str) -> None:
    """While report and figure are written a signal may end the process: its line says that no update is lost."""
    seen: list[str] = []

    class Writer(Callback):
        def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            seen.append(signals.saved)

    with Signals(lambda _: None) as signals, signals.in_effect():
        callbacks = [Writer(), StopAtUpdate(signals), *([LastCheckpoint()] if is_saving else [])]
        trainer = Trainer(
            max_epochs=3, callbacks=callbacks, enable_checkpointing=is_saving, logger=False, default_root_dir=tmp_path,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(regression.LineRegression(), regression.ArrayDataModule([0.0, 1, 2], [1.0, 2, 2]))
    assert seen[0].startswith(words)
    assert not is_saving or Path(seen[0].split()[-1]).is_file()
    assert signals.saved == "the run had come to its end"


def test_handlers_are_restored() -> None:
    """After a run the calling program has its own handlers again."""
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    with Signals(lambda _: None):
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before


def stop(folder: Path, count: int, rank: int, phase: str, signum: int) -> str:
    """Send a signal to a process in a phase, and return what is wrong with how the processes end, if anything."""
    with started(folder, f"slow:all:{phase}", *FIT, "--trainer.devices", str(count)) as process:
        wait_for(lambda: (folder / "fault").exists() and len(numbers(folder)) == count)
        os.kill(numbers(folder)[rank], signum)
        end = ended(process, folder, time.time())
    saved = [read_checkpoint(str(path))["global_step"] for path in folder.rglob("last.ckpt")]
    said = f"saved after {saved[0]:,} updates" if saved else "nothing is lost"
    if end.left or end.status != 128 + signum or end.seconds > 5 or said not in end.line:
        return f"{end}, saved at {saved}"
    return ""


@pytest.mark.parametrize(
    ("phase", "rank", "signum"),
    [
        ("training", 1, signal.SIGTERM),
        ("scan", 1, signal.SIGINT),
        pytest.param("scan", 0, signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_one_of_two_processes_stops_both(tmp_path: Path, phase: str, rank: int, signum: int) -> None:
    """A signal to one of two processes stops both, in training after the same update, within five seconds."""
    assert stop(tmp_path, 2, rank, phase, signum) == ""


@pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_to_all_while_they_connect_ends_the_run(tmp_path: Path, signum: int) -> None:
    """A signal to all processes while they connect, as a terminal sends it: one line, and the signal's own status."""
    with started(tmp_path, "slow:0:start", *FIT, "--trainer.devices", "2") as process:
        wait_for((tmp_path / "fault").exists)
        os.killpg(process.pid, signum)
        end = ended(process, tmp_path, time.time())
    assert (end.status, end.left) == (128 + signum, [])
    assert end.line.startswith("regression: stopped by")


def test_ctrl_c_during_the_imports_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interrupt while the program's own modules are loaded leaves no traceback."""

    class Interrupted:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "regression.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "regression.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit, match="130"):
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    gc.enable()
    assert capsys.readouterr().err == "regression: stopped by Ctrl-C; nothing is lost: the run had not begun\n"
