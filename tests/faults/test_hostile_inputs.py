"""All hostile inputs, where tests/test_trust.py tries half of them."""

from pathlib import Path

import pytest

from tests.conftest import Command
from tests.faults.conftest import Counts
from tests.hostile import ALL, Hostile
from tests.test_trust import achieved, fitted, folder

__all__ = ["fitted", "folder"]  # fixtures


@pytest.mark.faults
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_nothing_hostile_is_obeyed(command: Command, folder: Path, counts: Counts, case: Hostile) -> None:
    """The input is refused in one line, or harmless, within seconds."""
    found = achieved(command, folder, case)
    counts("hostile input", 1, bool(found))
    assert found == []
