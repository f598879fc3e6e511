"""Checkpoints: written whole or not at all, read only when undamaged, found by the words ``last`` and ``best``."""

import hashlib
import io
import json
import os
import pickle
import re
import sys
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from regression import __version__
from regression.checks import has_validation
from regression.errors import SaveError, UsageError, printable
from regression.fit import Fit

__all__ = [
    "WORDS",
    "BestCheckpoint",
    "LastCheckpoint",
    "SafeCheckpointIO",
    "checkpoint_path",
    "read_checkpoint",
    "read_fit",
    "require_updates_left",
    "sweep",
]

WORDS = ("last", "best")
ZIP_START = b"PK\x03\x04"
SEAL, DIGEST_SIZE = b"sha256 ", 64
TEMPORARY = re.compile(r"\..+\.ckpt\.(\d{1,9})\.tmp")
NEEDED = "plugins=[SafeCheckpointIO()]"  # of a Trainer in Python
MODELS = ("regression.LineRegression", "regression.PolynomialRegression")
KEYS = {"class_path", "hyper_parameters", "state_dict", "loops", "global_step"}


class BestCheckpoint(ModelCheckpoint):
    """``checkpoints/best.ckpt``: the lowest validation loss, or training loss where nothing is held out.

    A resumed run goes on in a folder of its own, and takes the best checkpoint so far with it.
    """

    def __init__(self) -> None:
        super().__init__(filename="best", monitor="train_loss", enable_version_counter=False)
        self._resumed: dict[str, Any] = {}

    @property
    def state_key(self) -> str:
        """The name of the state in a checkpoint; the stock one has the monitor in it, which is chosen later."""
        return type(self).__name__

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember the state of the interrupted run until its file can be copied.

        Args:
            state_dict: What ``state_dict`` returned.
        """
        self._resumed = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the loss to go by, now that the batches are known, and take over the best checkpoint so far."""
        self.monitor = "val_loss" if has_validation(trainer) else "train_loss"
        super().on_train_start(trainer, pl_module)
        state, path = self._resumed, str(Path(self.dirpath or "", "best.ckpt"))
        is_comparable = state.get("best_model_path") and state["monitor"] == self.monitor
        # The first process copies, and the others must decide alike: they save together.
        copied = is_comparable and trainer.is_global_zero and _copied(_sources(trainer.ckpt_path, state), path)
        if trainer.strategy.broadcast(bool(copied)):
            self.best_model_path = self.kth_best_model_path = path
            self.best_model_score = self.kth_value = self.current_score = state["best_model_score"]
            self.best_k_models = {path: state["best_model_score"]}


def _sources(resumed: str | Path | None, state: dict[str, Any]) -> list[Path]:
    """Return where the best checkpoint of the interrupted run may be: beside the last one, or where it once was."""
    return [*([] if resumed is None else [Path(resumed).with_name("best.ckpt")]), Path(state["best_model_path"])]


def _copied(sources: list[Path], path: str) -> bool:
    """Copy the first undamaged one of some checkpoints and tell whether there was one."""
    for source in sources:
        with suppress(UsageError):
            _place(Path(path), _undamaged(str(source)))
            return True
    return False


class LastCheckpoint(ModelCheckpoint):
    """``checkpoints/last.ckpt``: written after every epoch, whatever the loss, and within long epochs.

    A class of its own, so that a user's ``ModelCheckpoint`` has its own place in the checkpoint's state.

    Args:
        every_n_updates: Write it after that many updates too; by default an epoch is not interrupted for it but for
            ``every_seconds``.
        every_seconds: Longest time in seconds that a killed run can lose.
    """

    def __init__(self, every_n_updates: int | None = None, every_seconds: float = 60.0) -> None:
        super().__init__(filename="last", enable_version_counter=False)
        if every_n_updates is not None and every_n_updates < 1:
            raise UsageError(f"checkpoint.every_n_updates must be at least 1, got {every_n_updates}")
        if not every_seconds > 0:
            raise UsageError(f"checkpoint.every_seconds must be positive, got {every_seconds}")
        self.every_n_updates, self.every_seconds = every_n_updates, every_seconds
        self._saved_update, self._saved_time, self._next_look = 0, 0.0, 0

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up nothing: the interrupted run's file stays where it is.

        Args:
            state_dict: What ``state_dict`` returned.
        """

    def save(self, trainer: pl.Trainer) -> None:
        """Write the state after the latest update; all processes must call it together.

        Whichever hook calls it: what is still to come after the update, such as its validation or the end of the
        epoch, comes in the resumed run.

        Args:
            trainer: The Trainer of the fit.
        """
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        trainer.save_checkpoint(Path(self.dirpath or "", "last.ckpt"))
        self._saved_update, self._saved_time = trainer.global_step, time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count updates and seconds."""
        self._saved_update, self._saved_time, self._next_look = trainer.global_step, time.monotonic(), 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Write it if it is due; before a batch, because then all is done that follows the latest update."""
        made = trainer.global_step - self._saved_update
        if made and ((self.every_n_updates and made >= self.every_n_updates) or self._is_time(trainer)):
            self.save(trainer)

    def _is_time(self, trainer: pl.Trainer) -> bool:
        """Tell whether the seconds are over on the first process, whose word counts."""
        if trainer.global_step < self._next_look:
            return False
        passed = time.monotonic() - self._saved_time
        if trainer.world_size == 1:
            return passed >= self.every_seconds
        # Asking costs a message: about ten times in every_seconds is enough.
        pace = (trainer.global_step - self._saved_update) / max(passed, 1e-9)
        passed, pace = trainer.strategy.broadcast((passed, pace))
        self._next_look = trainer.global_step + max(1, int(pace * self.every_seconds / 10))
        return passed >= self.every_seconds

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Do nothing: its validation may follow."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do nothing: the end of the epoch may follow."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it, after the best one, whose score it holds."""
        self.save(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Do nothing: an update may be half done."""

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do nothing: the end of the last epoch has been saved."""


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then renames it there, so that a file is old or new, never half.

    Lightning's own way writes to the system's temporary folder; where that is another filesystem, the last step is a
    copy, and a process killed in it leaves half a file. The file is a torch archive whose zip comment is the SHA-256 of
    all bytes before it, for torch checks none of the zip's own checksums. What ends otherwise is not read.

    Args:
        taken: Contents of checkpoints already read, by path: the file may have been replaced since.
    """

    def __init__(self, taken: Mapping[str, dict[str, Any]] | None = None) -> None:
        self._taken = dict(taken or {})

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write the checkpoint, through to the disk.

        Args:
            checkpoint: The content.
            path: The file.
            storage_options: Of no effect; they are for other places than files.

        Raises:
            SaveError: If it cannot be written, or is to go to an address.
        """
        if "://" in str(path):
            raise SaveError(f"cannot save {path}: expected a file on this machine; copy the checkpoint there later")
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        _place(Path(path), _sealed(buffer.getvalue()))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Return the content of a checkpoint, on the CPU; see ``read_checkpoint``.

        Args:
            path: The file.
            map_location: Of no effect; the Trainer moves what it takes from the content.
            weights_only: Of no effect; no code in the file is ever run.
        """
        return self._taken.pop(str(path), None) or read_checkpoint(str(path))


def _sealed(archive: bytes) -> bytes:
    """Return a zip archive with its own digest as its comment."""
    assert archive.endswith(b"\0\0")  # torch writes no comment, whose length are the last two bytes
    body = archive[:-2] + (len(SEAL) + DIGEST_SIZE).to_bytes(2, "little") + SEAL
    return body + hashlib.sha256(body).hexdigest().encode()


def _place(target: Path, content: bytes) -> None:
    """Write a file whole, or leave the older one."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, content)
        os.replace(temporary, target)
    except OSError as error:
        raise SaveError(_unsaved(target, error)) from error
    finally:
        with suppress(OSError):  # renamed, or never made; what cannot be removed now is swept at the next start
            temporary.unlink()
    _sync_folder(target)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(target: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
        return
    try:
        opened = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        words = f"{target} is saved, but {target.parent} cannot be brought to the disk: {error.strerror}"
        raise SaveError(f"{words}; look after the disk, and go on with --ckpt_path last") from error


def _unsaved(target: Path, error: OSError) -> str:
    older = f"the older {target.name} is intact" if target.is_file() else "there is no older one"
    return (
        f"cannot save {target}: {error.strerror}; {older}: make room, or choose another folder with "
        "--trainer.default_root_dir, and go on with --ckpt_path last"
    )


def read_checkpoint(path: str) -> dict[str, Any]:
    """Return the content of a checkpoint written by this package, without running any code in it.

    Args:
        path: A file; it is checked to the last bit before torch sees it.

    Returns:
        The content, with its tensors on the CPU.

    Raises:
        UsageError: If there is no such file, or it is damaged, or not such a checkpoint.
    """
    checkpoint = _unpacked(_undamaged(path), path)
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= KEYS:
        raise _foreign(path, "lacks what a run of this program stores")
    if checkpoint["class_path"] not in MODELS:  # a class is imported by this name: never one of somebody else's
        raise _foreign(path, f"holds a {checkpoint['class_path']}")
    version = str(checkpoint.get("regression_version", __version__))
    if _major(version) > _major(__version__):
        raise UsageError(f"{path} was written by version {version}, this is {__version__}: update this program")
    for name, value in checkpoint["state_dict"].items():
        if not _is_finite(value):
            raise UsageError(f"{path} holds {name} that is not finite: expected finite weights; take an older one")
    return checkpoint


def read_fit(path: str) -> dict[str, Any]:
    """Return what a checkpoint has that predictions need, from a run's ``fit.json``.

    Args:
        path: The file.

    Returns:
        The keys of a checkpoint that name model and data, and the fit itself as ``fit``.

    Raises:
        UsageError: If there is no such file, or it is no fit.
    """
    fit = Fit.from_json(Path(path))
    data = json.loads(Path(path).read_text(encoding="utf-8")).get("data") or {}
    is_line = fit.model == "LineRegression"
    options = {"level": fit.level, **({} if is_line else {"degree": fit.degree})}
    content = {"class_path": MODELS[0 if is_line else 1], "hyper_parameters": options, "fit": fit}
    if "class_path" in data:
        content |= {
            "data": {"class_path": data["class_path"]},
            "datamodule_hyper_parameters": data.get("init_args") or {},
        }
    return content


def _undamaged(path: str) -> bytes:
    """Return the bytes of a file that has the form of a checkpoint and the checksum it claims."""
    if "://" in path:
        raise UsageError(f"expected a checkpoint on this machine, got {path}: download it and give the file")
    try:
        if not Path(path).is_file():  # a pipe or a device must not even be opened
            kind = "is not a regular file" if Path(path).exists() else "is not a file"
            raise UsageError(f"checkpoint not found: {path} {kind}; expected a .ckpt in a run's checkpoints folder")
        with Path(path).open("rb") as file:
            start = file.read(len(ZIP_START))
            content = start + (file.read() if start == ZIP_START else b"")
    except OSError as error:
        raise UsageError(f"cannot read the checkpoint {path}: {error.strerror}; give a readable file") from None
    if start != ZIP_START:
        raise _foreign(path, "has other content" if start else "is empty")
    body, digest = content[:-DIGEST_SIZE], content[-DIGEST_SIZE:]
    if not body.endswith(SEAL):
        raise _foreign(path, f"does not end with its own checksum: it is truncated, or saved without {NEEDED}")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise UsageError(f"checkpoint is damaged: {path} does not have its own checksum; take an older one")
    return content


def _unpacked(content: bytes, path: str) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # torch packs nothing: what is larger than the file is a bomb.
            if sum(entry.file_size for entry in archive.infolist()) > len(content):
                raise _foreign(path, "unpacks to more than its own size")
        with warnings.catch_warnings(action="ignore"):  # torch warns of archives that it then refuses
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UsageError:
        raise
    except pickle.UnpicklingError as error:
        raise _foreign(path, "holds more than plain data, which would run code") from error
    except Exception as error:  # torch raises many kinds for an archive that is not its own
        raise _foreign(path, "is an archive of something else") from error


def _foreign(path: str, cause: str) -> UsageError:
    return UsageError(f"not a checkpoint of this program: {path} {cause}; expected best.ckpt or last.ckpt of a run")


def _major(version: str) -> int:
    match = re.match(r"\d{1,9}", version)
    return int(match[0]) if match else 0


def _is_finite(value: Any) -> bool:
    """Tell whether all numbers are finite; a tensor that claims more numbers than it stores is taken for infinite."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    if isinstance(value, Tensor) and value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return False
    return bool(torch.as_tensor(value).isfinite().all()) if isinstance(value, Tensor | float) else True


def require_updates_left(checkpoint: dict[str, Any], trainer: pl.Trainer) -> None:
    """Refuse to go on from a checkpoint that has already reached the end of the run.

    Args:
        checkpoint: The content of the checkpoint.
        trainer: The Trainer that is to go on.

    Raises:
        UsageError: If ``max_epochs`` or ``max_steps`` is not above what the checkpoint has done.
    """
    # Not "epoch", which is one less in a checkpoint written at the end of one.
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    for name, limit, made in (
        ("max_epochs", trainer.max_epochs, epochs),
        ("max_steps", trainer.max_steps, checkpoint["global_step"]),
    ):
        if limit is not None and 0 <= limit <= made:
            raise UsageError(
                f"nothing is left to do: --trainer.{name} is {limit} and the checkpoint is at {made}; give more than "
                f"{made}, or leave --ckpt_path out"
            )


def checkpoint_path(word: str, root: str) -> str:
    """Return the file that ``--ckpt_path`` means.

    Args:
        word: A path, or ``last`` or ``best``: that of the newest run whose checkpoint is undamaged. A damaged one is
            named on stderr.
        root: Folder that holds ``lightning_logs``.

    Returns:
        The path, which may not exist if it was given.

    Raises:
        UsageError: If there is no such checkpoint, or the word is one of Lightning's for other places.
    """
    if word == "hpc" or word.startswith("registry"):
        raise UsageError(f"--ckpt_path {word} is not supported: give a path, last or best")
    if word not in WORDS:
        return word
    for path in _newest_first(Path(root), f"{word}.ckpt"):
        try:
            read_checkpoint(str(path))
            return str(path)
        except UsageError as error:
            if getattr(rank_zero_only, "rank", 0) == 0:
                print(f"regression: passed over: {printable(str(error))}", file=sys.stderr)
    raise UsageError(
        f"--ckpt_path {word}: no run in {Path(root, 'lightning_logs')} has a good {word}.ckpt; "
        "expected the folder of a fit: choose it with --trainer.default_root_dir, or give a path"
    )


def _newest_first(root: Path, name: str) -> Iterator[Path]:
    runs = [run for run in root.glob("lightning_logs/version_*") if run.name[8:].isdecimal()]
    for run in sorted(runs, key=lambda run: int(run.name[8:]), reverse=True):
        if (run / "checkpoints" / name).exists():
            yield run / "checkpoints" / name


def sweep(root: str) -> None:
    """Remove the temporary files of processes that were killed while they saved.

    Args:
        root: Folder that holds ``lightning_logs``.
    """
    for pattern in ("lightning_logs/version_*/checkpoints/.*.tmp", "checkpoints/.*.tmp"):
        for path in Path(root).glob(pattern):
            match = TEMPORARY.fullmatch(path.name)
            if match and not _is_running(int(match[1])):
                with suppress(OSError):  # another start was faster, or the folder is read-only
                    path.unlink()


def _is_running(process: int) -> bool:
    if process == os.getpid():  # a new process may have the number of the killed one, and this one saves nothing yet
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
