"""Hostile inputs: each is a command line, and files in its working folder.

If any of its code runs, it makes a file ``crater`` there: ``canary.py`` when it is imported, all others by a
shell command.
"""

import functools
import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from regression.runs.checkpoint_file import SafeCheckpointIO, read_checkpoint
from tests.support.command import config

CRATER = "crater"
SHELL = f"touch {CRATER}"
CANARY = f"""
import pathlib
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Callback as Callback
from lightning.pytorch.loggers import Logger as Logger
from torch.optim import SGD as Optimizer
pathlib.Path({CRATER!r}).touch()
class Model(LightningModule): pass
class Data(LightningDataModule): pass
"""
MARKUP = "<img src=x onerror=alert(1)>"
ESCAPE = "\x1b]0;owned\x07\x1b[2J"  # sets a terminal's title and clears it


class Hostile(NamedTuple):
    """An input: its name, a function that writes its files and returns its command line, the allowed exit statuses."""

    name: str
    make: Callable[[Path], list[str]]
    statuses: tuple[int, ...] = (2,)


class Reduced:
    """An object that makes a call when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.args


BOMB = Reduced(os.system, SHELL)
EVALUATED = Reduced(eval, f"__import__('os').system({SHELL!r})")


def good(folder: Path) -> dict[str, Any]:
    """Return the content of the valid checkpoint in every folder."""
    return read_checkpoint(str(folder / "good.ckpt"))


def sealed(folder: Path, archive: bytes) -> str:
    """Write an archive with a valid digest, which an attacker can compute too."""
    import hashlib

    body = archive[:-2] + (71).to_bytes(2, "little") + b"sha256 "
    (folder / "evil.ckpt").write_bytes(body + hashlib.sha256(body).hexdigest().encode())
    return "evil.ckpt"


def changed(folder: Path, **entries: Any) -> str:
    """Write the valid checkpoint with some entries replaced."""
    SafeCheckpointIO().save_checkpoint(good(folder) | entries, folder / "evil.ckpt")
    return "evil.ckpt"


def loaded(make: Callable[[Path], str], subcommand: str = "predict") -> Callable[[Path], list[str]]:
    fit = ["-c", config("line"), "--trainer.max_epochs", "20"] if subcommand == "fit" else []
    return lambda folder: [subcommand, *fit, "--ckpt_path", make(folder)]


def at(path: str) -> Callable[[Path], list[str]]:
    return lambda _: ["predict", "--ckpt_path", path]


def entry(subcommand: str = "predict", **entries: Any) -> Callable[[Path], list[str]]:
    return loaded(lambda folder: changed(folder, **entries), subcommand)


def pickled(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def bare_pickle(folder: Path) -> str:
    import pickle

    (folder / "evil.ckpt").write_bytes(pickle.dumps(BOMB))
    return "evil.ckpt"


def unsealed(folder: Path) -> str:
    (folder / "evil.ckpt").write_bytes(pickled({"state_dict": BOMB}))
    return "evil.ckpt"


def in_other_form(folder: Path) -> str:
    (folder / "evil.ckpt").write_bytes(pickled({"state_dict": BOMB}, _use_new_zipfile_serialization=False))
    return "evil.ckpt"


def scripted(folder: Path) -> str:
    with warnings.catch_warnings(action="ignore"):  # TorchScript is deprecated, but its archives exist
        module = torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1, 1))  # type: ignore[no-untyped-call]
    return sealed(folder, bytes(module.save_to_buffer()))


def zip_bomb(folder: Path) -> str:
    """Write an archive of half a MiB with weights of 512 MiB."""
    source, buffer = zipfile.ZipFile(io.BytesIO(pickled({"w": torch.zeros(1 << 10)}))), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for info in source.infolist():
            if not info.filename.endswith("data/0"):
                packed.writestr(info.filename, source.read(info))
                continue
            with packed.open(info.filename, "w", force_zip64=True) as file:
                for _ in range(1 << 5):
                    file.write(bytes(1 << 24))
    return sealed(folder, buffer.getvalue())


def wide_weights(folder: Path) -> str:
    """Claim 80 TB of weights by a stride of 0."""
    return changed(folder, state_dict={"model.coefficients": torch.zeros(1).expand(10**13)})


def other_moments(folder: Path) -> str:
    """Replace the sums in the checkpoint's fit by sums of another shape."""
    state = good(folder)["state_dict"]
    return changed(folder, state_dict=state | {"_extra_state": state["_extra_state"] | {"moments": {"frame": [1, 2]}}})


def configured(text: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "evil.yaml").write_text(text)
        return ["fit", "-c", "evil.yaml"]

    return make


def fit(*options: str) -> Callable[[Path], list[str]]:
    return lambda _: ["fit", "-c", config("line"), *options]


def fit_file(**entries: Any) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        content = json.loads((folder / "good.json").read_text())
        (folder / "evil.json").write_text(json.dumps(content | entries))
        return ["predict", "--ckpt_path", "evil.json"]

    return make


def table(name: str, write: Callable[[Path], object], *options: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        write(folder / name)
        return ["fit", "--model", "LineRegression", "--model.solver", "exact", "--data", "TableDataModule",
                "--data.path", name, *options]  # fmt: skip

    return make


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def piped(folder: Path) -> list[str]:
    os.mkfifo(folder / "pipe.yaml")
    return ["fit", "-c", "pipe.yaml"]


def elsewhere(folder: Path) -> str:
    """Name a file that is no checkpoint as the best one so far."""
    (folder / "secret.txt").write_text("secret")
    callbacks = good(folder)["callbacks"]
    best = {**callbacks["BestCheckpoint"], "best_model_path": str(folder / "secret.txt")}
    return changed(folder, callbacks=callbacks | {"BestCheckpoint": best})


def model(text: str) -> str:
    return f"model: {{class_path: LineRegression}}\n{text}\n"


LAMBDA = "lightning.pytorch.callbacks.LambdaCallback"
OTHER_CLASSES = [
    "canary.Callback", "os.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "torch.hub.load",
    "torch.load", "torch.serialization.load", "functools.partial", "importlib.import_module", "runpy.run_path",
    "pickle.loads", "lightning.pytorch.cli.instantiate_class", "torch.utils.cpp_extension.load_inline",
    "torch.optim.Optimizer.__init__.__globals__", "regression.cli.main", "regression.common.atomic_files.os.system",
    "torch.utils.model_dump.__main__.x", "lightning.__main__.x", "torch.optim.__main__.SGD", "regression.__main__.main",
    "torch.testing._internal.common_utils.TestCase", "torch.utils.benchmark.examples.simple_timeit.main",
]  # fmt: skip
PLACES = ["model", "data", "optimizer", "lr_scheduler", "trainer.callbacks", "trainer.logger", "trainer.strategy",
          "trainer.plugins", "trainer.profiler", "trainer.accelerator"]  # fmt: skip
DATA = {"class_path": "canary.Data", "init_args": {}}
HYPER = {"class_path": "canary.Model", "init_args": {"command": SHELL}}

CHECKPOINTS = [
    Hostile("a bare pickle", loaded(bare_pickle)),
    Hostile("a pickle in an archive without digest", loaded(unsealed)),
    Hostile("a pickle in torch's old form", loaded(in_other_form)),
    Hostile("os.system in an archive", entry(callbacks=BOMB)),
    Hostile("os.system in an archive to go on from", entry("fit", callbacks=BOMB)),
    Hostile("os.system in an archive to export", lambda f: ["export", "--ckpt_path", changed(f, loops=BOMB)]),
    Hostile("eval in an archive", entry(hyper_parameters=EVALUATED)),
    Hostile("a function by its name in an archive", entry(loops=functools.partial(os.system, SHELL))),
    Hostile("a TorchScript archive", loaded(scripted)),
    Hostile("a zip bomb", loaded(zip_bomb)),
    Hostile("weights without end", loaded(wide_weights)),
    Hostile("http", at("http://127.0.0.1:9/evil.ckpt")),
    Hostile("https", at("https://example.org/evil.ckpt")),
    Hostile("s3", at("s3://bucket/evil.ckpt")),
    Hostile("file URL", at("file:///etc/passwd")),
    Hostile("a device", at("/dev/zero")),
    Hostile("a checkpoint names a class", entry(class_path="canary.Model")),
    Hostile("a checkpoint names a function", entry(class_path="os.system")),
    Hostile("a checkpoint names a class in a list", entry(class_path=["canary.Model"])),
    Hostile("hyper-parameters name a class", entry(hyper_parameters={"loss": HYPER})),
    Hostile("hyper-parameters name a model", entry(hyper_parameters=HYPER)),
    Hostile("Lightning's own words in hyper-parameters", entry(hyper_parameters={
        "_class_path": "canary.Model", "_instantiator": "lightning.pytorch.cli.instantiate_module"})),
    Hostile("a checkpoint names a data module", entry(SineLineDataModule=DATA)),
    Hostile("data settings name a class", entry(datamodule_hyper_parameters={"points": DATA})),
    Hostile("data settings are a command", entry(
        SineLineDataModule={"class_path": "regression.TableDataModule"},
        datamodule_hyper_parameters={"path": f"$({SHELL})"})),
    Hostile("moments of another shape", loaded(other_moments), (2,)),
    Hostile("moments of another shape in a run that goes on", loaded(other_moments, "fit"), (2,)),
    Hostile("no weights", entry(state_dict={})),
    Hostile("weights that are no dictionary", entry(state_dict=[1]), (1, 2)),
    Hostile("loops of another shape", entry("fit", loops={}), (1, 2)),
    Hostile("a best checkpoint elsewhere", loaded(elsewhere, "fit"), (0,)),
    Hostile("escape sequences in a version", entry(regression_version=f"9{ESCAPE}")),
    Hostile("escape sequences in a class", entry(class_path=ESCAPE)),
]  # fmt: skip


def placed(place: str, value: str) -> Callable[[Path], list[str]]:
    """Return an input whose configuration names a class for an option."""
    first, _, rest = place.partition(".")
    lines = [f"{first}:", f"  {rest}:"] if rest else [f"{first}:"]
    content = "\n".join(lines) + f" {{class_path: {value}}}\n"
    return configured(content if first == "model" else model(content))


def hook(name: str) -> str:
    return f"trainer: {{callbacks: [{{class_path: {LAMBDA}, init_args: {{on_fit_start: {name}}}}}]}}"


DEEP = "a: " + "[" * 5000 + "]" * 5000
ALIASES = "a0: &a0 [1, 2]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
CONFIGURATIONS = [
    *(Hostile(f"{place} is a stranger's class", placed(place, "canary.Callback")) for place in PLACES),
    *(Hostile(f"{name} as a callback", placed("trainer.callbacks", name)) for name in OTHER_CLASSES),
    *(Hostile(f"{name} as an optimizer", placed("optimizer", name)) for name in OTHER_CLASSES),
    Hostile("a class on the command line", lambda _: ["fit", "--model", "canary.Model"]),
    Hostile("a callback on the command line", fit("--trainer.callbacks+=canary.Callback")),
    Hostile("a logger on the command line", fit("--trainer.logger", "canary.Logger")),
    Hostile("settings on the command line", fit(f"--data={json.dumps(DATA)}")),
    Hostile("a function as a hook", configured(model(hook("os.system")))),
    Hostile("a stranger's function as a hook", configured(model(hook("canary.Callback")))),
    Hostile("a function as a schedule", configured(model(
        "lr_scheduler: {class_path: torch.optim.lr_scheduler.LambdaLR, init_args: {lr_lambda: os.system}}"))),
    Hostile("a class within a class's settings", configured(model(
        "trainer: {callbacks: {class_path: lightning.pytorch.callbacks.Timer, init_args: {duration: "
        "{class_path: canary.Model}}}}"))),
    Hostile("a class for the error function", fit("--model.loss", "canary.Model")),
    Hostile("a path for the error function", fit("--model.loss", "__init__.__globals__")),
    Hostile("python/object/apply", configured(f"!!python/object/apply:os.system ['{SHELL}']\n")),
    Hostile("python/object/new in a value", configured(model(f"data: !!python/object/new:os.system ['{SHELL}']"))),
    Hostile("python/name", configured(model("data: !!python/name:canary.Data"))),
    Hostile("python/module", configured(model("data: !!python/module:canary"))),
    Hostile("python/object/apply on the command line", fit(f"--data=!!python/object/apply:os.system ['{SHELL}']")),
    Hostile("a bomb of aliases", configured(ALIASES)),
    Hostile("an alias within itself", configured("a: &a [*a]\n")),
    Hostile("brackets 5,000 deep", configured(DEEP)),
    Hostile("10 MB of YAML", configured(f"a: [{'1, ' * (10 << 20 >> 2)}1]\n")),
    Hostile("a number of a million digits", configured(model(f"seed_everything: {'9' * 1_000_000}"))),
    Hostile("a configuration from a pipe", piped),
    Hostile("a configuration from a device", lambda _: ["fit", "--config=/dev/zero"]),
    Hostile("a configuration from an address", lambda _: ["fit", "-c", "http://127.0.0.1:9/evil.yaml"]),
    Hostile("an output folder at an address", fit("--trainer.default_root_dir", "s3://bucket/runs")),
    Hostile("an unknown option with escape sequences", fit(f"--{ESCAPE}", "1")),
    Hostile("a class with escape sequences", fit("--optimizer", ESCAPE)),
]  # fmt: skip
FITS = [
    Hostile("a fit names a class", fit_file(data=DATA)),
    Hostile("a fit names a class in its settings", fit_file(
        data={"class_path": "regression.SineLineDataModule", "init_args": {"points": DATA}})),
    Hostile("a fit names a command", fit_file(
        data={"class_path": "regression.TableDataModule", "init_args": {"path": f"x.csv; {SHELL}"}})),
    Hostile("a fit without data settings", fit_file(data={"class_path": "regression.TableDataModule"})),
    Hostile("a fit of another shape", fit_file(params=[[[]]], names={"a": 1}), (0, 2)),
    Hostile("escape sequences in a fit", fit_file(names=[ESCAPE, "slope"]), (0, 2)),
    Hostile("a fit 100,000 deep", lambda folder: [
        (folder / "deep.json").write_text("[" * 100_000), "predict", "--ckpt_path", "deep.json"][1:]),
]  # fmt: skip
DATA_FILES = [
    Hostile("a command for a path", table("x.csv", text("x,y\n1,2\n"), "--data.path", f"x.csv; {SHELL}")),
    Hostile("a command for a pattern", table("x.csv", text("x,y\n1,2\n"), "--data.path", f"$({SHELL})*.csv")),
    Hostile("a pipe for a path", table("x.csv", text("x,y\n1,2\n"), "--data.path", f"|{SHELL}")),
    Hostile("pickled objects in NPY", table("x.npy", lambda path: np.save(path, np.array([[BOMB, 1]])))),
    Hostile("pickled objects in NPZ", table("x.npz", lambda path: np.savez(path, x=np.array([BOMB]), y=[1.0]))),
    Hostile("escape sequences in a column's name", table("x.csv", text(f"{ESCAPE},y\n1,2\n"))),
    Hostile("escape sequences in a cell", table("x.csv", text(f"x,y\n1,{ESCAPE}\n"))),
    Hostile("escape sequences in a path", table("x.csv", text("x,y\n1,2\n"), "--data.path", f"{ESCAPE}.csv")),
    Hostile("a formula for a column's name", table(
        "x.csv", text("=cmd|' /C calc'!A0,y\n1,2\n2,3\n3,5\n"), "--data.x", "=cmd|' /C calc'!A0"), (0,)),
    Hostile("escape sequences in a chosen column", table(
        "x.csv", text(f"{ESCAPE},y\n1,2\n2,3\n3,5\n"), "--data.x", ESCAPE), (0,)),
    Hostile("mathematics for a column's name", table(
        "x.csv", text("$\\bad{$,y\n1,2\n2,3\n3,5\n"), "--data.x", "$\\bad{$"), (0,)),
    Hostile("markup for a column's name", table(
        "x.csv", text(f"{MARKUP},y\n1,2\n2,3\n3,5\n"), "--data.x", MARKUP), (0,)),
    Hostile("predictions above the run's folder", loaded(lambda _: "good.ckpt")),
]  # fmt: skip
OUTPUTS = ["../evil.csv", "/tmp/evil.csv", "a/../../evil.csv", "..", ".csv", "\0.csv", f"{ESCAPE}.csv"]
DATA_FILES[-1:] = [
    Hostile(f"predictions in {name!r}", lambda _, name=name: [  # type: ignore[misc]
        "predict", "--ckpt_path", "good.ckpt", "--predictions.file", name])
    for name in OUTPUTS
]  # fmt: skip
ALL = [*CHECKPOINTS, *CONFIGURATIONS, *FITS, *DATA_FILES]
