"""Files written whole or not at all, without a link followed, and what killed writers left behind."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from regression.common import atomic_files
from regression.common.atomic_files import open_whole, remove_temporary_files, writer

DAY = 24 * 60 * 60


def write(path: Path, content: bytes, error: BaseException) -> None:
    with open_whole(path) as file:
        file.write(content)
        raise error


def test_a_file_has_its_name_when_the_block_ends(tmp_path: Path) -> None:
    """Before that the older file stands there, and beside it one temporary file whose name tells who writes."""
    (tmp_path / "a.json").write_bytes(b"old")
    with open_whole(tmp_path / "a.json") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "a.json").read_bytes() == b"old"
        (temporary,) = (name for name in os.listdir(tmp_path) if name != "a.json")
        assert re.fullmatch(rf"\.a\.json\.{writer()}\.{os.getpid()}\.[0-9a-f]{{8}}\.tmp", temporary)
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_older_file_alone(tmp_path: Path, error: type[BaseException]) -> None:
    """Whatever ends the block early: the older file is intact, a new one is not there, and nothing else is."""
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        with pytest.raises(error, match="stop"):
            write(tmp_path / name, b"half", error("stop"))
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_two_writers_of_a_file_do_not_meet(tmp_path: Path) -> None:
    """Each has a temporary file of its own: the last one to end wins, with all of its bytes."""
    with open_whole(tmp_path / "a") as first:
        first.write(b"1" * 10)
        with open_whole(tmp_path / "a") as second:
            second.write(b"2" * 5)
    assert (tmp_path / "a").read_bytes() == b"1" * 10


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_is_replaced_and_not_followed(tmp_path: Path, is_there: bool) -> None:
    """What a link in the file's place points to is not touched, and not made either."""
    victim = tmp_path / "victim"
    if is_there:
        victim.write_bytes(b"precious")
    (tmp_path / "a").symlink_to(victim)
    with open_whole(tmp_path / "a") as file:
        file.write(b"new")
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"new"
    assert victim.exists() == is_there
    assert not is_there or victim.read_bytes() == b"precious"


def test_a_link_in_the_temporary_files_place_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who guesses the temporary name and puts a link there gets nothing written through it."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "01234567")
    temporary = tmp_path / f".a.{writer()}.{os.getpid()}.01234567.tmp"
    temporary.symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError, match="File exists"), open_whole(tmp_path / "a") as file:
        file.write(b"new")
    assert not (tmp_path / "victim").exists()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    """A file or a link that stands there, also one made while the new file is written, is left as it is."""
    if not has_links:  # such as FAT
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no hard links")))
    with open_whole(tmp_path / "a", is_new=True) as file:
        file.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("a", "link", "late"):
        with pytest.raises(FileExistsError, match="exists"), open_whole(tmp_path / name, is_new=True):
            (tmp_path / "late").write_bytes(b"late")
    assert sorted(os.listdir(tmp_path)) == ["a", "late", "link"]
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "late").read_bytes() == b"late"


def test_only_files_of_processes_known_to_be_gone_are_removed(tmp_path: Path) -> None:
    """Swept are files of processes that are gone here, and those of other systems that nobody has touched for a day."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    other = "0" * 12
    swept = {f".a.{writer()}.{gone.pid}.{'1' * 8}.tmp", f".a.{other}.{gone.pid}.{'2' * 8}.tmp"}
    kept = {
        f".a.{writer()}.{os.getppid()}.{'3' * 8}.tmp",  # its process is running
        f".a.{other}.{gone.pid}.{'4' * 8}.tmp",  # another node's process, whose number is none here
        f".a.{other}.{gone.pid}.{'5' * 8}.tmp",
        ".a.tmp", f".a.{gone.pid}.tmp", ".notes.txt.1.tmp", f"a.{writer()}.{gone.pid}.{'6' * 8}.tmp",
    }  # fmt: skip
    for name in swept | kept:
        (tmp_path / name).touch()
    for digit, age in (("2", DAY + 100), ("5", DAY - 100)):
        os.utime(tmp_path / f".a.{other}.{gone.pid}.{digit * 8}.tmp", times=(time.time() - age,) * 2)
    remove_temporary_files(tmp_path)
    assert set(os.listdir(tmp_path)) == kept


def test_the_writer_is_the_system_and_its_space_of_process_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another host, another start of the system, and another namespace of process numbers are other writers."""
    names = []
    for host, boot, space in (("a", "1", "x"), ("b", "1", "x"), ("a", "2", "x"), ("a", "1", "y"), ("a", "1", "x")):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        monkeypatch.setattr(Path, "read_text", lambda _, boot=boot: boot)
        monkeypatch.setattr(os, "readlink", lambda _, space=space: space)
        names.append(atomic_files.writer.__wrapped__())
    assert len(set(names[:4])) == 4
    assert names[4] == names[0]


def test_every_byte_is_in_the_file_when_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is whole when the disk is told to keep it, then its folder is kept too, and no descriptor stays open."""
    sizes, opened = list[int](), os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    with open_whole(tmp_path / "a.json") as file:
        file.write(b"12345")
    assert sizes == [5, os.stat(tmp_path).st_size]
    assert len(opened) in (0, len(os.listdir("/proc/self/fd")))
