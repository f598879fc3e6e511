"""The docstrings tell the truth."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.command import ROOT

FILES = sorted((ROOT / "regression").rglob("*.py"))
WINGS = sorted({file.parent for file in FILES} - {ROOT / "regression"})


@pytest.mark.parametrize("wing", WINGS, ids=lambda wing: wing.name)
def test_wing_names_every_room(wing: Path) -> None:
    """A wing's docstring has a line for each of its files and folders, and no other; but for cli it is all there is."""
    content = ast.parse((wing / "__init__.py").read_text())
    named = re.findall(r"^- ``(\w+)/?``: ", ast.get_docstring(content) or "", flags=re.MULTILINE)
    rooms = [path.stem for path in wing.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert sorted([*named, "__init__"]) == sorted(rooms)
    settled = ["from regression.runs.environment import clean_environment", "clean_environment()"]
    handed_on = [*settled, "from regression.cli.entry import main as main"] if wing.name == "cli" else []
    assert [ast.unparse(node) for node in content.body[1:]] == handed_on


def test_package_has_the_public_names_alone() -> None:
    """Beside the wings, the package has its names and the functions of Python, for points and for series."""
    assert {file.name for file in FILES if file.parent == ROOT / "regression"} == {
        "__init__.py", "api.py", "series_api.py"
    }  # fmt: skip


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
    for file in [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]:
        text = file.read_text()
        assert not re.search(r"(?<![\w.])/(?:home|root|work|opt|Users)/\w", text), file
