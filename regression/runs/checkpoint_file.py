"""Checkpoints as files: written whole or not at all, read only if undamaged, and read without running code in them."""

import hashlib
import io
import json
import math
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from regression.common.atomic_files import write_whole
from regression.common.errors import SaveError, UsageError
from regression.common.text import without_secret
from regression.common.version import __version__
from regression.fits.fit import Fit

__all__ = ["SafeCheckpointIO", "read_checkpoint", "read_fit", "read_undamaged"]

ZIP_START = b"PK\x03\x04"
SEAL, DIGEST_SIZE = b"sha256 ", 64
PLUGIN = "plugins=[SafeCheckpointIO()]"  # argument of a Trainer whose checkpoints can be read here
MODELS = ("regression.LineRegression", "regression.PolynomialRegression")
EXAMPLE = "lightning_logs/version_0/checkpoints/last.ckpt"
KEYS = {"class_path", "hyper_parameters", "state_dict", "loops", "global_step"}


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in its folder and renames that, so that no file is ever partial.

    Lightning writes to the system's temporary folder; if that is another filesystem, the last step is a copy, and a
    process killed during it leaves a partial file. The file is a torch archive whose zip comment is the SHA-256 of all
    bytes before it, because torch checks none of the zip's own checksums. Files without such a comment are not read.

    Args:
        contents: Contents of checkpoints already read, by path; the files may have been replaced since.
    """

    def __init__(self, contents: Mapping[str, dict[str, Any]] | None = None) -> None:
        self._contents = dict(contents or {})

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write the checkpoint, and wait until it is on the disk.

        Args:
            checkpoint: The content.
            path: The file.
            storage_options: Not used; they are for remote storage.

        Raises:
            SaveError: If it cannot be written, or the path is a URL.
        """
        if "://" in str(path):
            raise SaveError(f"cannot save {path}: expected a file on this machine; copy the checkpoint there later")
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), _seal(buffer.getvalue()))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Return the content of a checkpoint, on the CPU; see ``read_checkpoint``.

        Args:
            path: The file.
            map_location: Not used; the Trainer moves the tensors.
            weights_only: Not used; code in the file is never run.
        """
        return self._contents.pop(str(path), None) or read_checkpoint(str(path))


def _seal(archive: bytes) -> bytes:
    """Return a zip archive with its SHA-256 as comment."""
    assert archive.endswith(b"\0\0")  # the last two bytes are the length of the comment: torch writes none
    body = archive[:-2] + (len(SEAL) + DIGEST_SIZE).to_bytes(2, "little") + SEAL
    return body + hashlib.sha256(body).hexdigest().encode()


def read_checkpoint(path: str) -> dict[str, Any]:
    """Return the content of a checkpoint written by this package, without running any code in it.

    Args:
        path: A file; its checksum is checked before torch reads it.

    Returns:
        The content, with its tensors on the CPU.

    Raises:
        UsageError: If there is no such file, or it is damaged, or not such a checkpoint.
    """
    checkpoint = _unpack(read_undamaged(path), path)
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= KEYS:
        raise _not_a_checkpoint(path, "lacks what a run of this program stores")
    if checkpoint["class_path"] not in MODELS:  # this class is imported: only those of this package are allowed
        raise _not_a_checkpoint(path, f"holds a {checkpoint['class_path']}")
    checkpoint["hyper_parameters"].pop("arithmetic", None)  # an option of release 0.1
    version = str(checkpoint.get("regression_version", __version__))
    if _major(version) > _major(__version__):
        raise UsageError(f"{path} was written by version {version}, this is {__version__}: update this program")
    for name, value in checkpoint["state_dict"].items():
        if not _is_finite(value):
            raise UsageError(f"{path} holds {name} that is not finite: expected finite weights; take an older one")
    return checkpoint


def read_fit(path: str) -> dict[str, Any]:
    """Return the part of a checkpoint's content that predictions need, from a run's ``fit.json``.

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


def read_undamaged(path: str) -> bytes:
    """Return the bytes of a file that has the form of a checkpoint and the checksum it claims.

    Args:
        path: The file.

    Raises:
        UsageError: If there is no such file, or it is damaged.
    """
    if "://" in path:
        raise UsageError(
            f"expected a checkpoint on this machine, got {without_secret(path)}: download it and give the file"
        )
    try:
        if not Path(path).is_file():  # opening a pipe or a device could block
            exists = "is a folder" if Path(path).is_dir() else "is not a regular file"
            kind = exists if Path(path).exists() else "is no file"
            raise UsageError(f"checkpoint not found: {path} {kind}; expected last, best, or a path such as {EXAMPLE}")
        with Path(path).open("rb") as file:
            start = file.read(len(ZIP_START))
            content = start + (file.read() if start == ZIP_START else b"")
    except OSError as error:
        raise UsageError(f"cannot read the checkpoint {path}: {error.strerror}; give a readable file") from None
    if start != ZIP_START:
        raise _not_a_checkpoint(path, "has other content" if start else "is empty")
    body, digest = content[:-DIGEST_SIZE], content[-DIGEST_SIZE:]
    if not body.endswith(SEAL):
        raise _not_a_checkpoint(path, f"does not end with its own checksum: it is truncated, or saved without {PLUGIN}")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise UsageError(f"checkpoint is damaged: {path} does not have its own checksum; take an older one")
    return content


def _unpack(content: bytes, path: str) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # torch does not compress: an archive that unpacks to more than its size is a zip bomb.
            if sum(entry.file_size for entry in archive.infolist()) > len(content):
                raise _not_a_checkpoint(path, "unpacks to more than its own size")
        with warnings.catch_warnings(action="ignore"):  # torch warns of some archives and then refuses them
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UsageError:
        raise
    except pickle.UnpicklingError as error:
        raise _not_a_checkpoint(path, "holds more than plain data, which would run code") from error
    except Exception as error:  # torch raises exceptions of many types for other archives
        raise _not_a_checkpoint(path, "is an archive of something else") from error


def _not_a_checkpoint(path: str, cause: str) -> UsageError:
    return UsageError(f"not a checkpoint of this program: {path} {cause}; expected best.ckpt or last.ckpt of a run")


def _major(version: str) -> int:
    match = re.match(r"\d{1,9}", version)
    return int(match[0]) if match else 0


def _is_finite(value: Any) -> bool:
    """Tell whether all numbers are finite, and no tensor has more elements than its storage."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    if isinstance(value, Tensor) and value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return False
    if isinstance(value, Tensor):
        return bool(value.isfinite().all())
    return not isinstance(value, float) or math.isfinite(value)  # not as a tensor, which would round it to float32
