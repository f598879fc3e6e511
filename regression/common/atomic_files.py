"""Writes files whole or not at all: to a temporary file in the same folder, which is renamed when it is complete.

A temporary file is named ``.NAME.WRITER.PROCESS.RANDOM.tmp``. WRITER identifies the running system and its namespace of
process numbers, because a process number says nothing about processes of another container or node.
"""

import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from regression.common.errors import SaveError, UsageError

__all__ = ["open_whole", "remove_temporary_files", "saving", "write_new", "write_whole"]

TEMPORARY = re.compile(r"\..+\.([0-9a-f]{12})\.(\d{1,10})\.[0-9a-f]{8}\.tmp")
SECONDS_PER_DAY = 86_400.0


@contextmanager
def open_whole(target: Path, is_new: bool = False) -> Iterator[IO[bytes]]:
    """Yield a temporary file; at the end of the block sync and rename it to the target, or after an error remove it.

    Links are not followed: the temporary file is always a new one, and a link with the target's name is replaced.

    Args:
        target: The file.
        is_new: Whether to refuse to replace a file that exists.

    Raises:
        OSError: If it cannot be written; ``FileExistsError`` if it exists and ``is_new``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{writer()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _rename_new(temporary, target) if is_new else os.replace(temporary, target)
    finally:
        with suppress(OSError):  # it is renamed, or was not made; otherwise the next start removes it
            temporary.unlink()
    _sync_folder(target)


@contextmanager
def saving(target: Path) -> Iterator[None]:
    """Turn an ``OSError`` into a ``SaveError`` that says whether an older file is intact, and what to do."""
    try:
        yield
    except OSError as error:
        raise SaveError(_save_message(target, error)) from error


def write_whole(target: Path, content: bytes) -> None:
    """Write a whole file, or leave the older one as it is.

    Args:
        target: The file.
        content: All its bytes.

    Raises:
        SaveError: If it cannot be written.
    """
    with saving(target), open_whole(target) as file:
        file.write(content)


def write_new(target: Path, content: bytes, name: str, exists: str, advice: str) -> None:
    """Write a file that a user names, which must not exist.

    Args:
        target: The file.
        content: All its bytes.
        name: Its path as errors show it.
        exists: The error's message if it exists.
        advice: The end of the message if it cannot be written.

    Raises:
        UsageError: If it exists or cannot be written.
    """
    try:
        with open_whole(target, is_new=True) as file:
            file.write(content)
    except OSError as error:
        # The file may have been made since the caller checked that it does not exist.
        message = exists if os.path.lexists(target) else f"cannot write {name}: {error.strerror}; {advice}"
        raise UsageError(message) from None


def remove_temporary_files(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote.

    Whether a process of another system still runs cannot be found out: its file is removed a day after its last write.

    Args:
        folder: The folder; its subfolders are left alone.
    """
    for path in folder.glob(".*.tmp"):
        match = TEMPORARY.fullmatch(path.name)
        with suppress(OSError):  # another process removed it first, or the folder is read-only
            if match and (
                not _is_running(int(match[2]))
                if match[1] == writer()
                else path.lstat().st_mtime < time.time() - SECONDS_PER_DAY
            ):
                path.unlink()


@cache
def writer() -> str:
    """Return an identifier of the running system and of this process's namespace of process numbers."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # not on Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _is_running(process: int) -> bool:
    if process == os.getpid():  # this process has written nothing yet, so a killed one had the same number
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # a process of another user
        return True
    return True


def _rename_new(temporary: Path, target: Path) -> None:
    """Rename a file unless the target exists."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(f"{target} exists") from None
        os.replace(temporary, target)


def _sync_folder(target: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # on Windows a folder cannot be opened
        return
    try:
        descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"{target} is saved, but {target.parent} cannot be synced to the disk: {error.strerror}"
        raise SaveError(f"{message}; check the disk, and go on with --ckpt_path last") from error


def _save_message(target: Path, error: OSError) -> str:
    older, start = "there is no older one", "start again"
    if target.is_file():
        older, start = f"the older {target.name} is intact", f"go on with --ckpt_path {target}"
    if any(path.is_file() for path in (target.with_name("last.ckpt"), target.parent / "checkpoints" / "last.ckpt")):
        start = "go on with --ckpt_path last"
    return (
        f"cannot save {target}: {error.strerror or error}; {older}: make room, or choose another folder with "
        f"--trainer.default_root_dir, and {start}"
    )
