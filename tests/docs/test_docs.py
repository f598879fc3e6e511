"""The README and the docstrings tell the truth."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from tests.support.command import ROOT, Command

README = (ROOT / "README.md").read_text()
FILES = sorted((ROOT / "regression").rglob("*.py"))
WINGS = sorted({file.parent for file in FILES} - {ROOT / "regression"})


def readme_commands() -> list[list[str]]:
    """Return the arguments of each ``python train.py …`` in the README's code blocks."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL))
    found = re.findall(r"python train\.py([^\n#]*)", blocks)
    return [shlex.split(arguments) for arguments in found]


def test_readme_shows_what_the_command_prints(command: Command) -> None:
    """The output in the README is that of its first command."""
    (Path.cwd() / "configs").symlink_to(ROOT / "configs")
    done = command(*readme_commands()[0])
    shown = re.search(r"```text\n(.*?)```", README, flags=re.DOTALL)
    assert shown is not None
    ours, theirs = done.out.split(), shown[1].split()
    assert len(ours) == len(theirs)
    for printed, expected in zip(ours, theirs, strict=True):
        try:
            assert float(printed) == pytest.approx(float(expected), rel=2e-6)
        except ValueError:
            assert printed.rstrip(",") == expected.rstrip(",")


@pytest.mark.parametrize("arguments", readme_commands()[1:], ids=" ".join)
def test_readme_commands_run(command: Command, arguments: list[str]) -> None:
    """Every command of the README succeeds in silence on stderr; runs on two devices are tested elsewhere."""
    for name in ("configs", "tests"):
        (Path.cwd() / name).symlink_to(ROOT / name)
    if "--trainer.devices" in arguments:
        arguments[arguments.index("--trainer.devices") + 1] = "1"
    if "--ckpt_path" in arguments:
        command(*(readme_commands()[1] if "last" in arguments else readme_commands()[0]))
    done = command(*arguments)
    assert (done.code, done.err) == (0, "")


def test_readme_names_every_wing() -> None:
    """The README's picture of the house has every wing of the package, and no other."""
    picture = README.split("## The house")[1]
    assert {ROOT / name for name in re.findall(r"`(regression/[\w/]+)/`", picture)} == set(WINGS)


@pytest.mark.parametrize("wing", WINGS, ids=lambda wing: wing.name)
def test_wing_names_every_room(wing: Path) -> None:
    """A wing's docstring has a line for each of its files and folders, and no other; it holds nothing else."""
    content = ast.parse((wing / "__init__.py").read_text())
    named = re.findall(r"^- ``(\w+)/?``: ", ast.get_docstring(content) or "", flags=re.MULTILINE)
    rooms = [path.stem for path in wing.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert sorted([*named, "__init__"]) == sorted(rooms)
    handed_on = ["from regression.cli.entry import main as main"] if wing.name == "cli" else []
    assert [ast.unparse(node) for node in content.body[1:]] == handed_on


def test_package_has_the_public_names_alone() -> None:
    """Beside the wings, the package has its names and the functions of the Python door."""
    assert {file.name for file in FILES if file.parent == ROOT / "regression"} == {"__init__.py", "api.py"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "regression")))
def test_docstrings_name_the_arguments_there_are(file: Path) -> None:
    """Each ``Args:`` section lists arguments of its function or class, all of them or none."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        documented = documented_arguments(ast.get_docstring(node) or "")
        function = node
        if isinstance(node, ast.ClassDef):
            inits = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
            if not inits:
                continue
            function = inits[0]
        assert isinstance(function, ast.FunctionDef)
        several = [function.args.vararg] if function.args.vararg else []
        named = (*function.args.args, *several, *function.args.kwonlyargs)
        arguments = {arg.arg for arg in named} - {"self", "cls"}
        if function.args.kwarg and function.args.kwarg.arg != "options":  # those are the base class's
            arguments.add(function.args.kwarg.arg)
        if documented:
            assert documented == arguments, f"{file.name}: {node.name}"


def documented_arguments(docstring: str) -> set[str]:
    section = re.search(r"^Args:\n(.*?)(?:\n\S|\Z)", docstring, flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"^    (\w+):", section[1], flags=re.MULTILINE)) if section else set()


def test_nothing_names_the_machine_it_was_written_on() -> None:
    """No file of the project holds an absolute path of some machine or a package registry's host."""
    for file in [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        text = file.read_text()
        assert not re.search(r"(?<![\w.])/(?:home|root|work|opt|Users)/\w", text), file
