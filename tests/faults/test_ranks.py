"""Every kind of failure, in each process and phase of a run (``pytest -m faults -n 0 tests/faults``)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.test_processes import CAUSES, fail, fault_of
from tests.support.faulty import PHASES

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("kind", CAUSES)
def test_if_any_process_fails_all_end(tmp_path: Path, counts: Callable[[str, int, int], None], kind: str) -> None:
    """Whichever process fails in any phase, all end in time, with the cause on the last line, and none is left."""
    wrong = {}
    for phase in PHASES:
        for rank in (0, 1):
            if (kind, rank, phase) == ("frozen", 0, "start"):
                continue  # the limit counts from the start of the other process, which this one has yet to start
            folder = tmp_path / f"{phase}-{rank}"
            folder.mkdir()
            wrong[phase, rank] = fault_of(fail(folder, kind, rank, phase), kind, rank)
    faults = {place: fault for place, fault in wrong.items() if fault}
    counts(f"a process {kind}", len(wrong), len(faults))
    assert faults == {}
