"""Files that are written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from regression.common.errors import SaveError

__all__ = ["write_whole"]


def write_whole(target: Path, content: bytes) -> None:
    """Write a file whole, or leave the older one.

    Args:
        target: The file.
        content: All its bytes.

    Raises:
        SaveError: If it cannot be written.
    """
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
    older, start = "there is no older one", "start again"
    if target.is_file():
        older, start = f"the older {target.name} is intact", f"go on with --ckpt_path {target}"
    if target.with_name("last.ckpt").is_file():
        start = "go on with --ckpt_path last"
    return (
        f"cannot save {target}: {error.strerror}; {older}: make room, or choose another folder with "
        f"--trainer.default_root_dir, and {start}"
    )
