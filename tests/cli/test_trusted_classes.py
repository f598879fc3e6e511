"""Nothing in a hostile checkpoint, configuration, fit or table runs code, hangs, or controls the terminal."""

import contextlib
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support.command import ROOT, Command, Run, config
from tests.support.hostile import ALL, BOMB, CANARY, CRATER, Hostile, pickled

LIMIT_S = 5.0  # of processor time


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a good checkpoint and a good fit."""
    from regression.cli import main

    root = tmp_path_factory.mktemp("fitted")
    assert main(["fit", "-c", config("line"), "--trainer.default_root_dir", str(root)]) == 0
    return root / "lightning_logs" / "version_0"


@pytest.fixture
def folder(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the command's folder, with good files and a module that leaves a file when it is imported."""
    shutil.copy(fitted / "checkpoints" / "last.ckpt", tmp_path / "good.ckpt")
    shutil.copy(fitted / "fit.json", tmp_path / "good.json")
    (tmp_path / "canary.py").write_text(CANARY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    return tmp_path


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Interrupt the block after some seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def faults(done: Run, case: Hostile, folder: Path, seconds: float) -> list[str]:
    """Return the faults that a hostile input caused."""
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


@pytest.mark.parametrize("case", ALL[::2], ids=lambda case: case.name)
def test_hostile_inputs_have_no_effect(command: Command, folder: Path, case: Hostile) -> None:
    """Every second input is refused in one line, or harmless, within seconds; tests/faults has all of them."""
    assert run_hostile(command, folder, case) == []


def run_hostile(command: Command, folder: Path, case: Hostile) -> list[str]:
    """Run a hostile input and return the faults that it caused."""
    args = case.make(folder)
    start = time.process_time()  # not the clock, which counts other programs of a busy machine too
    with at_most(4 * LIMIT_S):
        done = command(*args)
    return faults(done, case, folder, time.process_time() - start)


def test_running_code_is_detected(folder: Path) -> None:
    """The module in every folder leaves a file when it is imported, and so does a bomb that is loaded."""
    (folder / "evil.ckpt").write_bytes(pickled({"state_dict": BOMB}))
    with contextlib.chdir(folder):
        importlib.import_module("canary")
        Path(CRATER).unlink()  # also tests that it was there
        torch.load("evil.ckpt", weights_only=False)
        assert Path(CRATER).exists()


LISTENER = """
import sys
sys.modules["boto3"] = None  # TensorBoard imports it where it is installed, and its urllib3 binds a socket to find IPv6
asks = ("socket.gethostname",)  # for a file's name; it opens nothing
sys.addaudithook(lambda event, _: event.startswith("socket.") and event not in asks and print("EVENT", event))
from regression.cli import main
predict = ["predict", "--ckpt_path", "good.ckpt", "--trainer.accelerator", "cpu"]
print("fit", main(sys.argv[1:]), "predict", main(predict))
"""


def test_runs_on_one_device_open_no_socket(folder: Path) -> None:
    """A fit and predictions neither listen nor connect, by audit events and, where there is strace, system calls."""
    trace, log = shutil.which("strace"), folder / "trace.txt"
    under = [trace, "-f", "--seccomp-bpf", "-qq", "-e", "trace=socket", "-o", str(log)] if trace else []
    done = subprocess.run(
        [*under, sys.executable, "-c", LISTENER, "fit", "-c", config("line"), "--trainer.accelerator", "cpu"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, cwd=folder,
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert "fit 0 predict 0" in done.stdout, done.stderr
    assert "EVENT" not in done.stdout
    assert "AF_INET" not in (log.read_text() if log.exists() else "")


def test_every_tensorboard_command_is_on_loopback(command: Command) -> None:
    """Each command for TensorBoard in the documents makes it listen on the loopback address only."""
    texts = [path.read_text() for kind in ("*.md", "regression/**/*.py", "configs/*", "docs/*.md", "benchmarks/*.py")
             for path in ROOT.glob(kind)]  # fmt: skip
    commands = re.findall(r"tensorboard --[^`\n]*", "\n".join([*texts, command("fit", "-c", config("line")).out]))
    assert len(commands) >= 2
    assert all("--host 127.0.0.1" in line for line in commands)


LINE_YAML = (ROOT / "configs" / "line.yaml").read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LINE_YAML + "#" * (2**20 - len(LINE_YAML.encode())), ""),
        (LINE_YAML + "#" * (2**20 - len(LINE_YAML.encode()) + 1), "of at most 1,048,576 bytes"),
        ("[" * 40 + "]" * 40, ""),
        ("[" * 41 + "]" * 41, "expected at most 40 levels of YAML, got more: write it flatter"),
        ("[" + "1," * 99_999 + "]", ""),
        ("[" + "1," * 100_000 + "]", "expected at most 100,000 values in YAML, got more with aliases: write less"),
    ],
    ids=["largest", "larger", "deepest", "deeper", "most", "more"],
)
def test_limits_of_a_configuration(command: Command, content: str, words: str) -> None:
    """A file at a limit of size, depth or number of values is read, and one byte, level or value more is refused."""
    Path("big.yaml").write_text(content)
    done = command("fit", "-c", "big.yaml", "--trainer.max_epochs", "1")
    if content.startswith("["):  # once read, it is refused as no configuration
        assert done.code == 2
        assert ("write" in done.err) == bool(words)
    else:
        assert done.code == (2 if words else 0)
    assert words in done.err


@pytest.mark.parametrize(("seed", "code"), [(0, 0), (2**32 - 1, 0), (2**32, 2)])
def test_ends_of_the_seeds(command: Command, seed: int, code: int) -> None:
    """The seeds of a run are those of 32 bits, both ends included."""
    done = command("fit", "-c", config("line"), "--seed_everything", str(seed), "--trainer.max_epochs", "1")
    assert done.code == code
    assert ("seed_everything must be from 0 to 2^32 - 1, got 4294967296" in done.err) == (code == 2)
