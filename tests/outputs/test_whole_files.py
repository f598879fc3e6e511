"""Every file of a run is whole or not there."""

import errno
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, Command, config
from tests.support.preloaded import python

LINE = ("fit", "-c", config("line"), "--report.rows", "0")

# Each file that is opened for writing, and each that a rename or a hard link gives its name.
WATCH = """
import json, os, sys
written, named = set(), set()
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, (str, bytes, os.PathLike)) and (mode and set(str(mode)) & set("wxa+") or (flags or 0) & 3):
            written.add(os.path.basename(os.fsdecode(path)))
    elif event in ("os.rename", "os.link"):
        named.add(os.path.basename(os.fsdecode(arguments[1])))
sys.addaudithook(watch)
from regression.cli import main
for args in json.loads(sys.argv[1]):
    assert main(args) == 0, args
print(json.dumps([sorted(written), sorted(named)]))
"""


def test_every_output_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    """Each output of each command is written under another name, and renamed when it is complete."""
    Path(tmp_path, "ids.csv").write_text("id,x,y\n" + "".join(f"a,{x},{x * x}\n" for x in range(4)))
    series = ("fit", "--model", "LineRegression", "--model.solver", "exact", "--data", "TableDataModule",
              "--data.path", "ids.csv", "--data.series", "id")  # fmt: skip
    runs = [
        LINE,
        *(("predict", "--ckpt_path", "last", "--predictions.file", f"p.{kind}") for kind in ("csv", "parquet")),
        *(("export", "--ckpt_path", "last", "--to", kind) for kind in ("onnx", "torch")),
        *((*series, "--series.file", f"s.{kind}") for kind in ("csv", "parquet")),
    ]
    done = subprocess.run(
        [python(), "-c", WATCH, json.dumps(runs)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written, named = json.loads(done.stdout.splitlines()[-1])
    outputs = {"config.yaml", "fit.json", "fit.txt", "fit.png", "best.ckpt", "last.ckpt", "p.csv", "p.parquet",
               "fit.onnx", "fit.pt2", "s.csv", "s.parquet"}  # fmt: skip
    assert outputs <= set(named)
    assert not outputs & set(written)
    left = {path.name for path in tmp_path.glob("lightning_logs/**/*") if path.is_file()}
    assert {name for name in left - set(named) if not name.startswith("events.out.tfevents.")} == set()
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("name", "kept"), [("fit.json", []), ("fit.txt", ["json"]), ("fit.png", ["json", "txt"])])
def test_a_file_of_the_fit_that_cannot_be_written_is_not_there(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, kept: list[str], number: int
) -> None:
    """If a file of the fit cannot be written, it is absent, one line says so, and the files before it are whole."""
    refuse(monkeypatch, name, number)
    done = command(*LINE)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.folder is not None
    assert f"{name}: {os.strerror(number)}; there is no older one" in done.err
    assert done.err.endswith("go on with --ckpt_path last\n")
    assert sorted(path.name for path in done.folder.glob("fit.*")) == [f"fit.{ending}" for ending in kept]
    assert not [path for path in done.folder.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_run_whose_config_cannot_be_written_does_not_begin(
    command: Command, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """If config.yaml cannot be written, the run is refused in one line, without a folder."""
    refuse(monkeypatch, "config.yaml", number)
    done = command(*LINE)
    assert (done.code, done.folder) == (2, None)
    assert done.err.startswith(f"regression: cannot write to the run's folder: {os.strerror(number)}; make room")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_predictions_that_cannot_be_written_are_not_there(
    command: Command, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """If the predictions cannot be written at their end, there is no file, and one line says so."""
    path = command(*LINE).checkpoint
    refuse(monkeypatch, "predictions.csv", number)
    done = command("predict", "--ckpt_path", path)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.folder is not None
    assert f"predictions.csv: {os.strerror(number)}; there is no older one" in done.err
    assert not list(done.folder.glob("*predictions*"))


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Make the renaming of a file fail."""
    replace = os.replace

    def refusing(source: Any, target: Any) -> None:
        if Path(target).name == name:
            raise OSError(number, os.strerror(number))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refusing)
