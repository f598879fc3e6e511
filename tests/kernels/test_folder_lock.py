"""The lock that processes take in turn."""

import signal
import subprocess
import sys
from pathlib import Path

from regression.kernels.folder_lock import FolderLock


def is_free(folder: Path) -> bool:
    lock = FolderLock(folder)
    found = lock.acquire(0)
    lock.release()
    return found


def test_one_at_a_time(tmp_path: Path) -> None:
    """A lock is not given twice, and is free again once it is let go."""
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.acquire(0)
    assert not second.acquire(0.1)
    first.release()
    assert second.acquire(0)
    second.release()
    second.release()


def test_killed_holder(tmp_path: Path) -> None:
    """A process that is killed holds no lock."""
    holds = (
        "import os, signal, sys; from pathlib import Path; from regression.kernels.folder_lock import FolderLock;"
        "held = FolderLock(Path(sys.argv[1])); assert held.acquire(0); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", holds, str(tmp_path)], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    assert is_free(tmp_path)


def test_forked_process(tmp_path: Path) -> None:
    """A lock that is let go is free, though a process forked meanwhile still has its file."""
    lock = FolderLock(tmp_path)
    assert lock.acquire(0)
    holder = subprocess.Popen(["sleep", "60"], pass_fds=[lock._file.fileno()])  # type: ignore[union-attr]
    try:
        lock.release()
        assert is_free(tmp_path)
    finally:
        holder.kill()
        holder.wait()


def test_no_place(tmp_path: Path) -> None:
    """Where there is no folder, there is no lock and no error."""
    assert not FolderLock(tmp_path / "none").acquire(0)
