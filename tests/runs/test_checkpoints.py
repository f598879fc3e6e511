"""Checkpoints are written whole or not at all, read only if undamaged, and found by the words last and best."""

import hashlib
import inspect
import io
import json
import os
import resource
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from setuptools.config.expand import read_attr

import regression
from regression.common.atomic_files import writer
from regression.common.errors import SaveError, UsageError
from regression.runs.checkpoint_file import SafeCheckpointIO, read_checkpoint
from regression.training.line_and_polynomial import PolynomialRegression
from regression.training.regression import Regression
from tests.support.command import ROOT, Command, config
from tests.support.preloaded import python

LINE = ("fit", "-c", config("line"))
SEAL = b"sha256 "


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a checkpoint that the command has written."""
    folder = tmp_path_factory.mktemp("real")
    regression_cli = [python(), str(ROOT / "train.py"), *LINE, "--trainer.default_root_dir", str(folder)]
    subprocess.run(regression_cli, check=True, capture_output=True, timeout=400, cwd=folder)
    return (folder / "lightning_logs" / "version_0" / "checkpoints" / "last.ckpt").read_bytes()


@pytest.fixture
def good(real: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "good.ckpt"
    path.write_bytes(real)
    return path


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def packed(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def sealed(archive: bytes) -> bytes:
    """Return bytes with the digest that a checkpoint ends with."""
    return archive + SEAL + hashlib.sha256(archive + SEAL).hexdigest().encode()


def changed(good: Path, **entries: Any) -> str:
    """Return the path of a checkpoint with other entries, otherwise as good as the one given."""
    path = good.with_name("changed.ckpt")
    SafeCheckpointIO().save_checkpoint(read_checkpoint(str(good)) | entries, path)
    return str(path)


# Reading


def test_a_checkpoint_carries_the_digest_of_all_its_bytes(real: bytes) -> None:
    """A run's checkpoint ends with the SHA-256 of all bytes before, and torch's own reader reads it unchanged."""
    assert real[-71:-64] == SEAL
    assert real[-64:].decode() == hashlib.sha256(real[:-64]).hexdigest()
    assert torch.load(io.BytesIO(real), weights_only=True)["global_step"] == 10


def test_an_archive_without_a_digest_is_refused(real: bytes, tmp_path: Path) -> None:
    """The same content as plain torch writes it is refused, because damage could not be detected."""
    path = tmp_path / "plain.ckpt"
    path.write_bytes(packed(torch.load(io.BytesIO(real), weights_only=True)))
    with pytest.raises(UsageError, match=r"plain\.ckpt does not end with its own checksum"):
        read_checkpoint(str(path))


@pytest.mark.parametrize("kept", [1, 3, 4, 100, 0.5, -1, -40, -71, -100])
def test_a_truncated_checkpoint_is_refused(real: bytes, tmp_path: Path, kept: float) -> None:
    """A checkpoint cut anywhere is refused."""
    path = tmp_path / "cut.ckpt"
    path.write_bytes(real[: int(kept * len(real)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(UsageError, match=r"cut\.ckpt (does not end with|has other content)"):
        read_checkpoint(str(path))


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    """An empty file, a table, a bare state_dict, another project's checkpoint and a folder are refused as such."""
    foreign = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    foreign.strategy.connect(BoringModel())
    foreign.save_checkpoint(tmp_path / "foreign.ckpt")
    SafeCheckpointIO().save_checkpoint(BoringModel().state_dict(), tmp_path / "bare.ckpt")
    (tmp_path / "archive.ckpt").write_bytes(sealed(b"PK\x03\x04" + bytes(40)))
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "table.csv").write_text("x,y\n1,2\n")
    (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04" + bytes(40) + b"PK\x05\x06" + bytes(18))
    for name, cause in {
        "foreign.ckpt": "foreign.ckpt does not end with its own checksum",
        "bare.ckpt": "bare.ckpt lacks what a run of this program stores",
        "empty.ckpt": "empty.ckpt is empty",
        "table.csv": "table.csv has other content",
        "sheet.xlsx": "sheet.xlsx does not end with its own checksum",
        "archive.ckpt": "archive.ckpt is an archive of something else",
        "nowhere.ckpt": "checkpoint not found: .*nowhere.ckpt is no file",
        "": "is a folder",
    }.items():
        with pytest.raises(UsageError, match=cause):
            read_checkpoint(str(tmp_path / name))


def test_pipes_devices_and_addresses_are_not_opened(tmp_path: Path) -> None:
    """A pipe, an endless device and a URL are refused at once."""
    os.mkfifo(tmp_path / "pipe.ckpt")
    for path in (str(tmp_path / "pipe.ckpt"), "/dev/zero", "/dev/null"):
        with pytest.raises(UsageError, match="is not a regular file"):
            read_checkpoint(path)
    with pytest.raises(UsageError, match=r"on this machine, got https://example\.org/a\.ckpt"):
        read_checkpoint("https://example.org/a.ckpt")


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_weights_that_are_not_finite_are_refused(good: Path, value: str) -> None:
    """A NaN or an infinity among the coefficients is refused with the name of the tensor."""
    weights = {"model.coefficients": torch.tensor([1.0, float(value)])}
    with pytest.raises(UsageError, match=r"changed\.ckpt holds model\.coefficients that is not finite"):
        read_checkpoint(changed(good, state_dict=weights))


def test_a_checkpoint_of_a_newer_version_is_refused(good: Path) -> None:
    """A greater major version is refused, a greater minor one is not."""
    major = int(regression.__version__.split(".")[0])
    assert read_checkpoint(str(good))["regression_version"] == regression.__version__
    assert read_checkpoint(changed(good, regression_version=f"{major}.99.0"))["global_step"] == 10
    with pytest.raises(UsageError, match=rf"written by version {major + 1}\.0\.0, this is {regression.__version__}"):
        read_checkpoint(changed(good, regression_version=f"{major + 1}.0.0"))


def test_the_package_has_one_version() -> None:
    """The version in the package's metadata is read from the package."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    attribute = settings["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert read_attr(attribute, root_dir=ROOT) == regression.__version__


class Bomb:
    """An object whose unpickling makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_no_code_runs_whatever_the_environment(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint with code is refused and the code is not run, also if a variable tells torch to load it."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = changed(good, callbacks=Bomb(good.with_name("crater")))
    with pytest.raises(UsageError, match="holds more than plain data, which would run code"):
        SafeCheckpointIO().load_checkpoint(path, weights_only=False)
    assert not good.with_name("crater").exists()


# Writing


@pytest.fixture
def file_size() -> Iterator[Callable[[int], None]]:
    """Return a function that limits the size of files this process may write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_save_that_fails_leaves_the_older_checkpoint(good: Path, file_size: Callable[[int], None]) -> None:
    """If a file cannot grow, saving fails with the reason, the older checkpoint keeps its bits, and no file is left."""
    before, names = good.read_bytes(), os.listdir(good.parent)
    assert len(before) > 2000
    content = read_checkpoint(str(good))
    file_size(2000)
    intact = r"cannot save .*good\.ckpt: File too large; the older good\.ckpt is intact: .* go on with --ckpt_path "
    with pytest.raises(SaveError, match=rf"{intact}\S+good\.ckpt$"):
        SafeCheckpointIO().save_checkpoint(content, good)
    good.with_name("last.ckpt").touch()
    with pytest.raises(SaveError, match=rf"{intact}last$"):
        SafeCheckpointIO().save_checkpoint(content, good)
    good.with_name("last.ckpt").unlink()
    assert good.read_bytes() == before
    assert os.listdir(good.parent) == names


def test_a_folder_that_cannot_be_made_is_named(good: Path) -> None:
    """If a file has the name of the folder, saving fails in one line that says so."""
    words = r"cannot save .*last\.ckpt: (File exists|Not a directory); there is no older one: .* start again$"
    with pytest.raises(SaveError, match=words):
        SafeCheckpointIO().save_checkpoint({}, good / "last.ckpt")


def test_a_run_that_cannot_save_stops_with_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends a run in one line with status 1; the checkpoint of the epoch before is good."""
    saved = iter(range(7))  # the configuration, and two files in each of three epochs; then saving fails

    def full(_: int) -> None:
        if next(saved, None) is None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("regression.common.atomic_files._sync_folder", lambda _: None)
    monkeypatch.setattr(os, "fsync", full)
    done = command(*LINE)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "best.ckpt: No space left on device; the older best.ckpt is intact: make room" in done.err
    assert read_checkpoint(done.checkpoint)["global_step"] == 3
    assert done.folder is not None
    assert sorted(path.name for path in (done.folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_a_save_needs_no_temporary_folder(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is saved although the system's temporary folder does not exist."""
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert read_checkpoint(changed(good, global_step=11))["global_step"] == 11


def test_the_last_checkpoint_needs_no_loss(command: Command) -> None:
    """last.ckpt has no monitor: it is written although no loss is logged."""
    callbacks = read_checkpoint(command(*LINE).checkpoint)["callbacks"]
    (last,) = (state for key, state in callbacks.items() if key.startswith("LastCheckpoint"))
    assert last["monitor"] is None


def test_another_writer_is_refused(command: Command) -> None:
    """Another CheckpointIO for the Trainer is refused, because its files could not be read again."""
    done = command(*LINE, "--trainer.plugins", "lightning.pytorch.plugins.io.TorchCheckpointIO")
    assert (done.code, done.folder) == (2, None)
    assert done.err == ("regression: plugin TorchCheckpointIO writes checkpoints that cannot be read: leave it out\n")


def test_saving_to_an_address_is_refused() -> None:
    """A checkpoint is not written to a URL."""
    with pytest.raises(SaveError, match=r"cannot save s3://bucket/last\.ckpt: expected a file on this machine"):
        SafeCheckpointIO().save_checkpoint({}, "s3://bucket/last.ckpt")


def test_files_of_killed_processes_are_removed(command: Command) -> None:
    """The next start removes the temporary files of processes that have ended, and no others."""
    done = command(*LINE)
    folder = Path(done.checkpoint).parent
    gone = subprocess.Popen(["true"])
    gone.wait()
    kept, swept = (f".last.ckpt.{writer()}.{number}.01234567.tmp" for number in (os.getppid(), gone.pid))
    for place in (folder, folder.parent):
        for name in (kept, swept):
            (place / name).touch()
    command("validate", "--ckpt_path", done.checkpoint)
    assert set(os.listdir(folder)) == {"best.ckpt", "last.ckpt", kept}
    assert [path.name for path in folder.parent.glob(".*")] == [kept]


@pytest.mark.parametrize("is_safe", [True, False])
def test_a_trainer_in_python_needs_the_plugin(command: Command, is_safe: bool) -> None:
    """The command reads checkpoints of a Trainer with ``SafeCheckpointIO``, and names it in refusing others."""
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", limit_val_batches=0, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
        plugins=[regression.SafeCheckpointIO()] if is_safe else None,
    )  # fmt: skip
    trainer.fit(regression.LineRegression(), regression.SineLineDataModule())
    trainer.save_checkpoint("own.ckpt", weights_only=False)
    done = command("predict", "--ckpt_path", "own.ckpt")
    assert done.code == (0 if is_safe else 2)
    assert ("truncated, or saved without plugins=[SafeCheckpointIO()]; expected" in done.err) is not is_safe


@pytest.mark.parametrize("subcommand", ["validate", "test", "predict"])
def test_debug_shows_why_a_checkpoint_does_not_fit(command: Command, good: Path, subcommand: str) -> None:
    """With ``--debug`` the traceback has the cause of a refusal, such as weights for another number of coefficients."""
    path = changed(good, state_dict={"model.coefficients": torch.zeros(7)})
    done = command(subcommand, "--ckpt_path", path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "not a checkpoint of this program: Error(s) in loading state_dict" in done.err
    with pytest.raises(UsageError, match="not a checkpoint of this program") as refusal:
        command(subcommand, "--ckpt_path", path, "--debug")
    assert "size mismatch for model.coefficients" in str(refusal.value.__cause__)


# Finding


def damage(path: Path) -> None:
    path.write_bytes(flipped(path.read_bytes(), 8000))


@pytest.mark.parametrize(("subcommand", "word"), [("validate", "last"), ("test", "best"), ("predict", "last")])
def test_words_find_the_newest_good_checkpoint(command: Command, tmp_path: Path, subcommand: str, word: str) -> None:
    """``last`` and ``best`` are those of the newest run; damaged checkpoints are named and passed over."""
    logs = tmp_path / "lightning_logs"
    older = command(*LINE, "--trainer.max_epochs", "3")
    assert older.folder is not None
    shutil.move(older.folder, logs / "version_9")
    newest = command(*LINE, "--trainer.max_epochs", "5")
    assert newest.folder == logs / "version_10"
    path = newest.folder / "checkpoints" / f"{word}.ckpt"
    done = command(subcommand, "--ckpt_path", word)
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    assert str(path) in (done.folder / "config.yaml").read_text()
    damage(path)
    done = command(subcommand, "--ckpt_path", word)
    assert done.code == 0
    assert done.err.count("\n") == 1
    assert f"passed over: checkpoint is damaged: {path} does not have its own checksum" in done.err
    assert done.folder is not None
    assert str(logs / "version_9" / "checkpoints" / f"{word}.ckpt") in (done.folder / "config.yaml").read_text()


def test_a_fit_is_resumed_from_last(command: Command, tmp_path: Path) -> None:
    """``fit --ckpt_path last`` ends where an uninterrupted run does, also in another output folder and from a file."""
    root = ("--trainer.default_root_dir", str(tmp_path / "out"))
    assert command(*LINE, "--trainer.max_epochs", "4", *root).code == 0
    assert command(*LINE, "--ckpt_path", "last", *root).code == 0
    (tmp_path / "on.yaml").write_text(f"ckpt_path: last\ntrainer:\n  default_root_dir: {root[1]}\n  max_epochs: 12\n")
    assert command(*LINE, "-c", "on.yaml").code == 0
    fits = [json.loads((tmp_path / f"out/lightning_logs/version_{n}/fit.json").read_text()) for n in range(3)]
    assert [fit["updates"] for fit in fits] == [4, 10, 12]
    assert fits[1] == command(*LINE).fit


def test_words_need_the_root_on_the_command_line(command: Command, tmp_path: Path) -> None:
    """With ``last``, an output root in a configuration alone is refused: a run of another root would be found."""
    (tmp_path / "root.yaml").write_text("trainer:\n  default_root_dir: elsewhere\n")
    command(*LINE)
    done = command(*LINE, "-c", "root.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "20")
    assert (done.code, done.folder) == (2, None)
    assert "--ckpt_path last needs --trainer.default_root_dir on the command line" in done.err


NOWHERE = [("fit", "last"), ("fit", "best"), ("validate", "last"), ("test", "best"), ("predict", "last")]


@pytest.mark.parametrize(("subcommand", "word"), NOWHERE)
def test_a_missing_checkpoint_is_refused(command: Command, subcommand: str, word: str) -> None:
    """If there is no such checkpoint, the command is refused and makes no folder."""
    done = command(*(LINE if subcommand == "fit" else (subcommand,)), "--ckpt_path", word)
    assert (done.code, done.folder) == (2, None)
    assert done.err.startswith(f"regression: --ckpt_path {word}: no run in ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("word", ["hpc", "registry", "registry:model"])
def test_other_words_of_lightning_are_refused(command: Command, word: str) -> None:
    """Lightning's words for clusters and registries are refused."""
    done = command(*LINE, "--ckpt_path", word)
    assert (done.code, done.folder) == (2, None)
    assert done.err == f"regression: --ckpt_path {word} is not supported: give a path, last or best\n"


@pytest.mark.parametrize("subcommand", ["fit", "predict"])
def test_an_empty_path_of_a_checkpoint_is_refused(command: Command, subcommand: str) -> None:
    """An empty ``--ckpt_path`` is refused, because it names no file."""
    done = command(*(LINE if subcommand == "fit" else (subcommand,)), "--ckpt_path=")
    assert (done.code, done.folder) == (2, None)
    assert done.err == "regression: --ckpt_path must be a path, last or best, got nothing\n"


# Resuming


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (("max_epochs", "10"), "--trainer.max_epochs is 10 and the checkpoint is at 10"),
        (("max_epochs", "4"), "--trainer.max_epochs is 4 and the checkpoint is at 10"),
        (("max_steps", "10"), "--trainer.max_epochs is 10 and the checkpoint is at 10"),
        (("max_steps", "3", "max_epochs", "20"), "--trainer.max_steps is 3 and the checkpoint is at 10"),
    ],
)
def test_a_run_that_has_ended_is_not_resumed(command: Command, limit: tuple[str, ...], words: str) -> None:
    """A limit that the checkpoint has reached is refused with both numbers."""
    command(*LINE)
    options = [f"--trainer.{word}" if word.startswith("max") else word for word in limit]
    done = command(*LINE, "--ckpt_path", "last", *options)
    assert (done.code, done.folder) == (2, None)
    assert done.err.count("\n") == 1
    assert f"nothing is left to do: {words}; give more than 10" in done.err


OTHER = {
    "degree": "3", "basis": "legendre", "max_degree": "9", "criterion": "gcv", "folds": "4", "solver": "exact",
    "domain": "raw", "loss": "L1Loss", "loss_args": "{beta: 2.0}", "learning_rate": "0.5", "absolute_sigma": "true",
    "stop_at_opt_error": "1.0", "robust": "huber", "cov_type": "HC1", "maxlags": "3", "terms": "[0, 2]",
    "fix": "{c1: 1.0}", "through": "[[0.5, 2.0]]",
}  # fmt: skip
FREE = {"updates_per_batch", "level"}  # which a resumed run may change


def test_every_option_is_tried() -> None:
    """The options tried below are all options of a model that may not change."""
    names = {*inspect.signature(PolynomialRegression).parameters, *inspect.signature(Regression).parameters}
    assert names - {"model", "options", *FREE} == set(OTHER)


@pytest.mark.parametrize("given", [True, False], ids=["from the command", "from Python"])
def test_no_option_of_the_model_may_contradict(command: Command, given: bool) -> None:
    """Another value of any option is refused, also if the checkpoint's module was built in Python with defaults."""
    done = command("fit", "--model", "PolynomialRegression", "--trainer.max_epochs", "1")
    path = changed(Path(done.checkpoint), **({} if given else {"hyper_parameters": {"degree": 4}}))
    for name, value in OTHER.items():
        refused = command("fit" if given else "predict", "--ckpt_path", path, f"--model.{name}", value)
        assert refused.code == 2
        assert f"--model.{name} " in refused.err
        assert "contradicts the checkpoint's" in refused.err


OPTIMIZERS = [
    (("SGD", "lr=0.1"), ("Adam", "lr=0.1"), "--optimizer Adam contradicts the checkpoint's SGD"),
    (("SGD", "lr=0.1"), ("SGD", "lr=0.2"), "--optimizer.lr 0.2 contradicts the checkpoint's 0.1"),
    (("SGD", "lr=0.1"), ("SGD", "lr=0.1", "momentum=0.5"), "momentum 0.5 contradicts the checkpoint's 0"),
    (("Adam", "lr=0.1"), ("Adam", "lr=0.1", "betas=[0.5,0.9]"), "betas [0.5, 0.9] contradicts"),
    (("LBFGS", "lr=0.1", "line_search_fn=strong_wolfe"), ("LBFGS", "lr=0.1"), "line_search_fn None contradicts"),
    (("LBFGS", "lr=0.1"), ("LBFGS", "lr=0.1", "line_search_fn=strong_wolfe"), "line_search_fn strong_wolfe contra"),
    (("Adam", "lr=0.1"), (), "--optimizer SGD contradicts the checkpoint's Adam"),
]


@pytest.mark.parametrize(("first", "then", "words"), OPTIMIZERS)
def test_no_option_of_the_optimizer_may_contradict(
    command: Command, first: tuple[str, ...], then: tuple[str, ...], words: str
) -> None:
    """Another optimizer, another value of an option, and a missing option are refused."""

    def options(words: tuple[str, ...]) -> list[str]:
        return [f"--optimizer{'.' * ('=' in word)}{'=' * ('=' not in word)}{word}" for word in words]

    fit = ("fit", "--model", "LineRegression")
    assert command(*fit, "--trainer.max_epochs", "2", *options(first)).code == 0
    done = command(*fit, "--ckpt_path", "last", "--trainer.max_epochs", "4", *options(then))
    assert (done.code, done.folder) == (2, None)
    assert words in done.err
    assert done.err.count("\n") == 1
