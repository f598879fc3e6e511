"""Runs the blocks of a page of the documentation from top to bottom, to compare the shown output with the real one."""

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.command import ROOT

TRAIN = "python train.py"


class Block(NamedTuple):
    """A fenced block: its first line in the file, its language, its content."""

    line: int
    language: str
    content: str


class Played(NamedTuple):
    """A block or command that was run: its line in the page, the command (``None``: Python), shown and real output."""

    line: int
    command: str | None
    shown: str
    printed: str


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page.

    ``python`` is run, and prints the ``text`` block that follows it; in ``console`` each line after ``$`` is run, and
    prints what stands below it; each ``python train.py`` of ``sh`` is run and succeeds, and prints the ``text`` block
    that follows if there is one. ``bash`` is not run: it needs more than a test has, such as several machines. ``py``
    is run by a separate test, where the package that it needs is installed.
    """
    matches = re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(text[: match.start()].count("\n") + 1, match[1], match[2]) for match in matches]


def prepare(folder: Path) -> None:
    """Make a folder in which paths of a checkout work."""
    (folder / "docs" / "figures").mkdir(parents=True)
    for name in ("configs", "train.py", "tests"):
        (folder / name).symlink_to(ROOT / name)


def play(page: Path, names: dict[str, Any]) -> list[Played]:
    """Run the blocks of a page in the working folder.

    Args:
        page: The page.
        names: The namespace of its Python blocks.
    """
    played: list[Played] = []
    listed = blocks(page.read_text(encoding="utf-8"))
    for block, after in pairwise([*listed, Block(0, "", "")]):
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                # The newlines in front make a traceback show the page's own line numbers.
                exec(compile("\n" * block.line + block.content, str(page), "exec"), names)
            shown = after.content if after.language == "text" else ""
            played.append(Played(block.line, None, shown, printed.getvalue()))
        elif block.language == "console":
            for command, shown in console_commands(block.content):
                played.append(Played(block.line, command, shown, run(command)))
        elif block.language == "sh":
            for command in re.findall(rf"^(?:.*&& )?({TRAIN}[^\n#]*)", block.content, flags=re.MULTILINE):
                printed_here = run(command, may_fail=False)
                shown = after.content if after.language == "text" else printed_here
                played.append(Played(block.line, command, shown, printed_here))
    return played


def console_commands(content: str) -> list[tuple[str, str]]:
    """Split a console block into pairs of a command and the output below it."""
    parts = re.split(r"^\$ (.*)\n", content, flags=re.MULTILINE)
    assert parts[0] == "", "a console block begins with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run(command: str, may_fail: bool = True) -> str:
    """Run a command in the working folder, ``train.py`` in this process, and return what a terminal would show."""
    if not command.startswith(TRAIN):
        return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, timeout=300).stdout
    printed, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", shlex.split(command)[1:])
        patch.setattr(sys, "stdout", printed)
        patch.setattr(sys, "stderr", errors)
        with pytest.raises(SystemExit) as stop:
            runpy.run_path("train.py", run_name="__main__")
    lines = errors.getvalue()
    assert stop.value.code == 0 or (may_fail and lines), (command, stop.value.code, lines)
    assert may_fail or not lines, (command, lines)
    return printed.getvalue() + lines


def assert_same(printed: str, shown: str, rel: float) -> None:
    """Compare word by word, numbers to a relative tolerance; the number of the run's folder is ignored."""
    words, expected = (
        re.sub(r"version_\d+", "version_N", text).replace("\n", " \n ").split(" ") for text in (printed, shown)
    )
    words, expected = list(filter(None, words)), list(filter(None, expected))
    assert len(words) == len(expected), printed
    for word, other in zip(words, expected, strict=True):
        if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?,?", other):
            assert float(word.rstrip(",")) == pytest.approx(float(other.rstrip(",")), rel=rel), printed
        else:
            assert word == other, printed
