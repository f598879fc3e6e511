"""Variables of shells, containers and notebooks do not change a run, or are refused in one line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from lightning.pytorch.utilities import rank_zero_only

from regression.common.errors import UsageError
from regression.figures import figure as drawing
from regression.runs.environment import RANK_VARIABLES, clean_environment, is_launched, is_pod, require_world
from regression.runs.folder import forget_rank
from tests.runs.test_launchers import FITS, free_port, run_all
from tests.support.command import ROOT, Command, config, versions
from tests.support.preloaded import python

RENDEZVOUS = {"MASTER_ADDR": "h", "MASTER_PORT": "1"}
LEFT_OVER = [
    {},
    {"RANK": "1"},
    {"RANK": "x", "LOCAL_RANK": "", "SLURM_PROCID": "-", "JSM_NAMESPACE_RANK": "?"},
    {"LOCAL_RANK": "1", "WORLD_SIZE": "2"},
    {"LOCAL_RANK": "1", "MASTER_ADDR": "h"},
    {"SLURM_PROCID": "3", "SLURM_JOB_ID": "7"},
    {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "bash"},
    {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"},
    {"RANK": "0", "WORLD_SIZE": "1", **RENDEZVOUS},
    {"RANK": "1", "WORLD_SIZE": "all", **RENDEZVOUS},
]
LAUNCHED = [
    {"TORCHELASTIC_RUN_ID": "7", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", **RENDEZVOUS},
    {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "fit"},
    {"LOCAL_RANK": "1", **RENDEZVOUS},
    {"JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "2"},
]
POD = {"RANK": "1", "WORLD_SIZE": "2", **RENDEZVOUS}


@pytest.mark.parametrize("environment", LEFT_OVER)
def test_ranks_that_no_launcher_set_are_removed(environment: dict[str, str]) -> None:
    """Ranks that no launcher set are removed before Lightning is imported, which fails if one is not a number."""
    assert not is_launched(environment)
    assert not is_pod(environment)
    settled = dict(environment)
    clean_environment(settled)
    assert settled == {k: v for k, v in environment.items() if k not in RANK_VARIABLES} | {"MPLBACKEND": "agg"}


@pytest.mark.parametrize("environment", [*LAUNCHED, POD])
def test_ranks_of_a_launcher_are_kept(environment: dict[str, str]) -> None:
    """Ranks are kept that torchrun, srun, jsrun, a user or a PyTorchJob has set."""
    assert is_launched(environment) == (environment is not POD)
    assert is_pod(environment) == (environment is POD)
    settled = dict(environment)
    clean_environment(settled)
    assert settled == environment | {"MPLBACKEND": "agg"}


def test_in_a_notebook_the_backend_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook matplotlib's backend is the kernel's own."""
    monkeypatch.setitem(sys.modules, "IPython", pytest)
    settled = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    clean_environment(settled)
    assert settled == {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


@pytest.mark.parametrize("is_started", [True, False])
def test_a_process_without_a_launcher_is_the_first(monkeypatch: pytest.MonkeyPatch, is_started: bool) -> None:
    """A process without a launcher writes and prints, also if Lightning was imported with a rank that was left over."""
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    if is_started:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
    forget_rank()
    assert rank_zero_only.rank == (3 if is_started else 0)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("environment", "processes", "options"),
    [
        ({}, 1, ""),
        ({"WORLD_SIZE": "1"}, 1, ""),
        ({"WORLD_SIZE": "2"}, 2, ""),
        ({"WORLD_SIZE": "1"}, 2, ""),  # a single pod with two devices
        ({"WORLD_SIZE": "many"}, 1, ""),
        ({"WORLD_SIZE": "2"}, 1, "--trainer.num_nodes 2 --trainer.devices 1"),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, 4, "--trainer.num_nodes 2 --trainer.devices 4"),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "0"}, 7, "--trainer.num_nodes 8 --trainer.devices 0"),
    ],
)
def test_fewer_processes_than_the_environment_has_are_refused(
    environment: dict[str, str], processes: int, options: str
) -> None:
    """Only fewer processes than ``WORLD_SIZE`` are refused, with the options that give as many."""
    if not options:
        require_world(processes, environment)
        return
    with pytest.raises(UsageError, match=rf"^WORLD_SIZE is \d, .* give {options}, or unset WORLD_SIZE$"):
        require_world(processes, environment)


def test_variables_left_over_change_nothing(tmp_path: Path) -> None:
    """With ranks, an unknown backend and an ASCII terminal a run ends with status 0 and a readable report."""
    odd = {"RANK": "1", "LOCAL_RANK": "", "SLURM_PROCID": "x", "MPLBACKEND": "nonsense", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "fit", "-c", config("line")],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)} | odd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "\n  intercept  " in done.stdout
    assert ", residual sigma 0." in done.stdout
    assert "R^2 0." in done.stdout
    (folder,) = versions(tmp_path)
    assert {path.name for path in folder.glob("fit.*")} == {"fit.json", "fit.txt", "fit.png"}
    assert "residual σ" in (folder / "fit.txt").read_text(encoding="utf-8")


def test_pods_are_refused_without_options_and_fit_together_with_them(tmp_path: Path, command: Command) -> None:
    """Each of two pods names the options that it needs in its own output; with them both give one process's numbers."""
    program = [python(), str(ROOT / "train.py"), *FITS["exact"]]
    pods = [{"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
            for rank in ("0", "1")]  # fmt: skip
    alone = subprocess.run(
        program, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)} | pods[1], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (alone.returncode, alone.stderr.count("\n"), versions(tmp_path)) == (2, 1, set())
    told = re.search(r"give (--trainer\.num_nodes \d+ --trainer\.devices \d+), or", alone.stderr)
    assert told is not None
    pods[0]["MASTER_PORT"] = pods[1]["MASTER_PORT"]
    together = run_all(tmp_path, [[*program, *told[1].split()]] * 2, pods)
    one = command(*FITS["exact"])
    assert together.fit == one.fit | {"val_loss": pytest.approx(one.fit["val_loss"], rel=1e-12)}


@pytest.mark.parametrize("error", [RuntimeError("no LaTeX\n  here"), MemoryError(), OSError(24, "Too many open files")])
def test_a_figure_that_fails_leaves_the_fit(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """If drawing fails, the other files are whole, the report is printed, and a line says what is missing."""

    def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(drawing, "figure_file", fail)
    words = " ".join(str(error).split()) or "MemoryError"
    with pytest.warns(UserWarning, match=rf"^fit\.png is missing, the other files are there: {re.escape(words)}$"):
        done = command("fit", "-c", config("line"))
    assert (done.code, done.fit["updates"]) == (0, 10)
    assert done.folder is not None
    assert sorted(path.name for path in done.folder.glob("fit.*")) == ["fit.json", "fit.txt"]
    assert (done.folder / "fit.txt").read_text() in done.out


@pytest.mark.figures
@pytest.mark.skipif(shutil.which("latex") is not None, reason="LaTeX is installed")
def test_a_style_that_needs_latex_leaves_the_fit(command: Command) -> None:
    """With a ``matplotlibrc`` for LaTeX, on a machine without it, only the figure is missing."""
    with mpl.rc_context({"text.usetex": True}), pytest.warns(UserWarning, match="fit.png is missing.*latex"):
        done = command("fit", "-c", config("line"))
    assert done.code == 0
    assert done.folder is not None
    assert not (done.folder / "fit.png").exists()
