"""When one process of a run fails, all end soon, and the last line says why."""

from pathlib import Path

from tests.support.processes import FIT, Ended, ended, started, wait_for

TIMEOUT = 30  # seconds; the second process must have started by then, also on a busy machine
HANGS = ("hung", "frozen")
CAUSES = {
    "killed": ("process 1 of 2 was killed", "process 2 of 2 was killed by SIGKILL"),
    "raised": ("the planted error", "the planted error"),
    "exited": ("process 1 of 2 was killed or exited", "process 2 of 2 exited under way with status 3"),
    "hung": ("process 1 of 2 did not answer for 30 s", "process 2 of 2 did not answer for 30 s"),
    "frozen": ("process 1 of 2 did not answer for 30 s", "process 2 of 2 did not answer for 30 s"),
}


def fail(folder: Path, kind: str, rank: int, phase: str) -> Ended:
    """Run two processes, one of which fails, and return how both end."""
    options = ("--trainer.devices", "2", *(("--timeout", str(TIMEOUT)) if kind in HANGS else ()))
    with started(folder, f"{kind}:{rank}:{phase}", *FIT, *options) as process:
        wait_for((folder / "fault").exists)
        return ended(process, folder, (folder / "fault").stat().st_mtime)


def fault_of(end: Ended, kind: str, rank: int) -> str:
    """Return what is wrong with how a run ended, if anything."""
    limit = TIMEOUT + 5 if kind in HANGS else 10
    if end.left or end.status == 0 or end.seconds > limit or CAUSES[kind][rank] not in end.line:
        return f"{end}, expected {CAUSES[kind][rank]!r} within {limit} s"
    return ""


def test_one_is_killed_and_all_end(tmp_path: Path) -> None:
    """Both processes end within ten seconds, with a status other than 0 and the cause on the last line."""
    assert fault_of(fail(tmp_path, "killed", 1, "training"), "killed", 1) == ""
