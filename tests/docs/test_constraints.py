"""The set of versions that CI tests is one that pyproject.toml allows, and leaves none of its packages open."""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.command import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in lines
]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_every_dependency_has_one_version_within_its_bounds(declared: Requirement) -> None:
    """constraints.txt pins each dependency, those of the extras too, to one version that pyproject.toml allows."""
    (pin,) = (pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(declared.name))
    (version,) = pin.specifier
    assert version.operator == "=="
    assert declared.specifier.contains(version.version)


def test_readme_installs_what_is_pinned() -> None:
    """Each line of the README that installs the project takes the versions of constraints.txt."""
    readme = (ROOT / "README.md").read_text().splitlines()
    installs = [line for line in readme if line.startswith("pip install -e")]
    assert len(installs) == 2
    assert all(" -c constraints.txt && " in line for line in installs)
