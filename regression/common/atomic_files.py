"""Files that are written whole or not at all: beside their place, and renamed once they are complete.

A temporary file is named ``.NAME.WRITER.PROCESS.RANDOM.tmp``. WRITER stands for the running system and the space of
process numbers in it, so that nobody takes the process of another container or node for one that is gone.
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

from regression.common.errors import SaveError

__all__ = ["open_whole", "saving", "sweep", "write_whole"]

TEMPORARY = re.compile(r"\..+\.([0-9a-f]{12})\.(\d{1,10})\.[0-9a-f]{8}\.tmp")
SECONDS_OF_A_DAY = 86_400.0


@contextmanager
def open_whole(target: Path, is_new: bool = False) -> Iterator[IO[bytes]]:
    """Yield a file that takes its place when the block ends and all is on the disk, and that an error removes.

    The temporary file is made anew and follows no link. A link that stands in the file's place is replaced, not
    followed.

    Args:
        target: The file.
        is_new: Whether to leave a file that exists as it is.

    Raises:
        OSError: If it cannot be written; ``FileExistsError`` if it exists and must not.
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
        with suppress(OSError):  # renamed, or never made; what cannot be removed now is swept at the next start
            temporary.unlink()
    _sync_folder(target)


@contextmanager
def saving(target: Path) -> Iterator[None]:
    """Turn errors of the system into a ``SaveError`` that says what became of a file, and what to do."""
    try:
        yield
    except OSError as error:
        raise SaveError(_unsaved(target, error)) from error


def write_whole(target: Path, content: bytes) -> None:
    """Write a file whole, or leave the older one.

    Args:
        target: The file.
        content: All its bytes.

    Raises:
        SaveError: If it cannot be written.
    """
    with saving(target), open_whole(target) as file:
        file.write(content)


def sweep(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote.

    Another system's process cannot be asked: its file is removed once nothing was written to it for a day.

    Args:
        folder: Where to look, but not in its folders.
    """
    for path in folder.glob(".*.tmp"):
        match = TEMPORARY.fullmatch(path.name)
        with suppress(OSError):  # another start was faster, or the folder is read-only
            if match and (
                not _is_running(int(match[2]))
                if match[1] == writer()
                else path.lstat().st_mtime < time.time() - SECONDS_OF_A_DAY
            ):
                path.unlink()


@cache
def writer() -> str:
    """Return a name for the running system and the space of process numbers that this process is in."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # not on Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _is_running(process: int) -> bool:
    if process == os.getpid():  # a new process may have the number of the killed one, and this one writes nothing yet
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _rename_new(temporary: Path, target: Path) -> None:
    """Give a file its name if no other file has it."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(f"{target} exists") from None
        os.replace(temporary, target)


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
    if any(path.is_file() for path in (target.with_name("last.ckpt"), target.parent / "checkpoints" / "last.ckpt")):
        start = "go on with --ckpt_path last"
    return (
        f"cannot save {target}: {error.strerror or error}; {older}: make room, or choose another folder with "
        f"--trainer.default_root_dir, and {start}"
    )
