"""All hostile inputs, of which tests/cli/test_trusted_classes.py tries half."""

from pathlib import Path

import pytest

from tests.cli.test_trusted_classes import fitted, folder, run_hostile
from tests.faults.conftest import Counts
from tests.support.command import Command
from tests.support.hostile import ALL, Hostile

__all__ = ["fitted", "folder"]  # fixtures


@pytest.mark.faults
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_hostile_inputs_have_no_effect(command: Command, folder: Path, counts: Counts, case: Hostile) -> None:
    """The input is refused in one line, or harmless, within seconds."""
    found = run_hostile(command, folder, case)
    counts("hostile input", 1, bool(found))
    assert found == []
