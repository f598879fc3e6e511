"""The same command under torchrun and SLURM gives the numbers of one process, in one folder."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from lightning.pytorch.utilities import rank_zero_only

from regression.cli import main
from regression.runs import folder as run_folder
from regression.runs.processes import CHECKPOINT, lost_line
from tests.support.command import ROOT, Command, Run, config, versions
from tests.support.preloaded import python

DATA = ("--data.points", "41", "--data.noise", "0.2", "--data.batch_size", "8", "--data.validation_fraction", "0.2",
        "--trainer.accelerator", "cpu", "--trainer.precision", "64-true")  # fmt: skip
FITS = {
    "exact": ("fit", "-c", config("polynomial_exact"), *DATA),
    "gradient": ("fit", "--model", "PolynomialRegression", *DATA, "--trainer.max_epochs", "3"),
}
NODES = {"one node": ("--trainer.devices", "2"), "two nodes": ("--trainer.devices", "1", "--trainer.num_nodes", "2")}


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def run_all(folder: Path, commands: list[list[str]], variables: list[dict[str, str]]) -> Run:
    """Run processes side by side in one folder, and return the first one's output; all must succeed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before = versions(folder)
    started = [
        subprocess.Popen(
            command, cwd=folder, env=environment | extra, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command, extra in zip(commands, variables, strict=True)
    ]
    try:
        said = [process.communicate(timeout=400) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * len(started), said
    assert [out for out, _ in said[1:]] == [""] * (len(started) - 1)
    (new,) = versions(folder) - before
    return Run(0, *said[0], new)


def under_torchrun(folder: Path, nodes: str, args: tuple[str, ...]) -> Run:
    program = [sys.executable, "-m", "torch.distributed.run", "--master-addr", "127.0.0.1", "--master-port",
               str(free_port())]  # fmt: skip
    command = [str(ROOT / "train.py"), *args, *NODES[nodes]]
    if nodes == "one node":
        return run_all(folder, [[*program, "--nproc-per-node", "2", *command]], [{}])
    shares = [["--nnodes", "2", "--node-rank", rank, "--nproc-per-node", "1"] for rank in ("0", "1")]
    return run_all(folder, [[*program, *share, *command] for share in shares], [{}, {}])


def slurm_variables(is_one_node: bool) -> list[dict[str, str]]:
    """Return what srun sets, for two tasks on this machine."""
    shared = {"NTASKS": "2", "NTASKS_PER_NODE": "2" if is_one_node else "1", "NNODES": "1" if is_one_node else "2",
              "JOB_NAME": "fit", "JOB_ID": "77", "NODELIST": "127.0.0.1"}  # fmt: skip
    variables, port = [], {"MASTER_PORT": str(free_port())}
    for rank in ("0", "1"):
        local, node = (rank, "0") if is_one_node else ("0", rank)
        own = shared | {"PROCID": rank, "LOCALID": local, "NODEID": node}
        variables.append({f"SLURM_{name}": value for name, value in own.items()} | port)
    return variables


def under_slurm(folder: Path, nodes: str, args: tuple[str, ...]) -> Run:
    command = [python(), str(ROOT / "train.py"), *args, *NODES[nodes]]
    return run_all(folder, [command] * 2, slurm_variables(nodes == "one node"))


LAUNCHERS = {"torchrun": under_torchrun, "slurm": under_slurm}


def check(folder: Path, command: Command, launcher: str, nodes: str, solver: str) -> None:
    one, two = command(*FITS[solver]), LAUNCHERS[launcher](folder, nodes, FITS[solver])
    if solver == "exact":
        rounded = {"val_loss": pytest.approx(one.fit["val_loss"], rel=1e-12)}  # float64 sums of each share
        assert two.fit == one.fit | rounded
    else:
        for name in ("params", "bse", "ssr", "val_loss"):
            assert two.fit[name] == pytest.approx(one.fit[name], rel=1e-12)
        assert (two.fit["updates"], two.fit["nobs"]) == (one.fit["updates"], one.fit["nobs"])
    names = [sorted(path.name for path in run.folder.rglob("*") if "events" not in path.name) for run in (one, two)]  # type: ignore[union-attr]
    assert names[0] == names[1]


@pytest.mark.parametrize(("launcher", "solver"), [("torchrun", "gradient"), ("slurm", "exact")])
def test_a_launcher_gives_the_numbers_of_one_process(
    tmp_path: Path, command: Command, launcher: str, solver: str
) -> None:
    """Two processes, started by torchrun or as SLURM starts them, write what one process does."""
    check(tmp_path, command, launcher, "one node", solver)


@pytest.mark.slow
@pytest.mark.parametrize("solver", FITS)
@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers_and_nodes_give_the_numbers_of_one_process(
    tmp_path: Path, command: Command, launcher: str, nodes: str, solver: str
) -> None:
    """Launchers and two nodes give the numbers of one process, with either solver."""
    check(tmp_path, command, launcher, nodes, solver)


@pytest.mark.slow
def test_all_processes_resume_from_last(tmp_path: Path, command: Command) -> None:
    """``--ckpt_path last`` under SLURM ends where one process with the path of the checkpoint does."""
    cut = command(*FITS["gradient"])
    more = (*FITS["gradient"], "--trainer.max_epochs", "6", "--ckpt_path")
    two = under_slurm(tmp_path, "one node", (*more, "last"))
    assert two.fit["params"] == pytest.approx(command(*more, cut.checkpoint).fit["params"], rel=1e-12)


def test_a_started_process_reads_the_checkpoint_of_the_first(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A started process does not resolve ``last`` itself: another run may be the newest by then."""
    old, new = (command(*FITS["gradient"]) for _ in range(2))
    assert old.folder != new.folder
    monkeypatch.setenv(CHECKPOINT, old.checkpoint)
    taken: list[Any] = []
    monkeypatch.setattr(run_folder, "all_gather_objects", lambda value: taken.append(value) or [value])
    assert command(*FITS["gradient"], "--trainer.max_epochs", "4", "--ckpt_path", "last").code == 0
    assert taken == [(old.checkpoint, 15)]


def test_processes_with_different_checkpoints_are_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """If processes of another launcher have read different checkpoints, all stop in one line."""
    monkeypatch.setattr(run_folder, "all_gather_objects", lambda value: [value, ("other.ckpt", 7)])
    run = command(*FITS["gradient"])
    assert (run.code, run.folder) == (2, None)
    assert run.err == (
        "regression: process 2 took other.ckpt at update 7 where process 1 took no checkpoint: give --ckpt_path a "
        "path, or let the run end that saves there\n"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:5. This is typically…"), "closed by peer"),
        (RuntimeError("[buffer.cc:78] Timed out waiting 4000ms for recv operation to complete"), "Timed out"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
        (ValueError("connection closed"), None),
    ],
)
def test_errors_caused_by_another_process_are_recognised(error: Exception, words: str | None) -> None:
    """A broken connection follows from the failure of another process; other errors are the process's own."""
    line = lost_line(error)
    assert (line is None) if words is None else (words in str(line) and "typically" not in str(line))


def test_a_process_that_did_not_find_the_others_prints_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be the only one that waits in vain, so it prints the line although it is not the first."""

    def connect(*_: object) -> NoReturn:
        raise RuntimeError("Gloo connectFullMesh failed with [pair.cc:152] timed out connecting: refused")

    monkeypatch.setattr("regression.cli.entry.RegressionCLI", connect)
    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
    assert main(["fit"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("regression: another process of the run failed or hangs, its own line says why: Gloo conn")
    assert said.count("\n") == 1
