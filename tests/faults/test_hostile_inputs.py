"""All hostile inputs, where tests/cli/test_trusted_classes.py tries half of them."""

from pathlib import Path

import pytest

from tests.cli.test_trusted_classes import fitted, folder, run_hostile
from tests.faults.conftest import Counts
from tests.support.command import Command
from tests.support.hostile import ALL, Hostile

__all__ = ["fitted", "folder"]  # fixtures


@pytest.mark.faults
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_nothing_hostile_is_obeyed(command: Command, folder: Path, counts: Counts, case: Hostile) -> None:
    """The input is refused in one line, or harmless, within seconds."""
    found = run_hostile(command, folder, case)
    counts("hostile input", 1, bool(found))
    assert found == []
