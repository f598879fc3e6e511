"""Nothing hostile in a checkpoint, a configuration, a fit or a table runs code, hangs, or reaches the terminal raw."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Command, Run, config
from tests.hostile import ALL, CANARY, CRATER, Hostile

LIMIT_S = 5.0


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a good checkpoint and a good fit."""
    from regression.cli import main

    root = tmp_path_factory.mktemp("fitted")
    assert main(["fit", "-c", config("line"), "--trainer.default_root_dir", str(root)]) == 0
    return root / "lightning_logs" / "version_0"


@pytest.fixture
def folder(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the command's folder, with good files and a module that tells when it is imported."""
    shutil.copy(fitted / "checkpoints" / "last.ckpt", tmp_path / "good.ckpt")
    shutil.copy(fitted / "fit.json", tmp_path / "good.json")
    (tmp_path / "canary.py").write_text(CANARY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    return tmp_path


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Interrupt what waits without end."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def faults(done: Run, case: Hostile, folder: Path, seconds: float) -> list[str]:
    """Return what a hostile input has achieved."""
    shown = done.out + done.err
    return [
        what
        for what, is_so in {
            "it ran code": (folder / CRATER).exists(),
            f"status {done.code}": done.code not in case.statuses,
            f"not one line: {done.err[-2000:]}": done.code != 0 and done.err.count("\n") != 1,
            "it reached the terminal raw": any(not sign.isprintable() and sign != "\n" for sign in shown),
            f"it took {seconds:.1f} s": seconds > LIMIT_S,
        }.items()
        if is_so
    ]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_nothing_hostile_is_obeyed(command: Command, folder: Path, case: Hostile) -> None:
    """The input is refused in one line, or harmless, within seconds."""
    args = case.make(folder)
    start = time.perf_counter()
    with at_most(4 * LIMIT_S):
        done = command(*args)
    assert faults(done, case, folder, time.perf_counter() - start) == []
