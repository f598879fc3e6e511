"""Signals to each process in each phase of a run (``pytest -m faults -n 0 tests/faults``)."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.test_signals import stop
from tests.support.faulty import PHASES

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(("count", "rank"), [(1, 0), (2, 0), (2, 1)], ids=["alone", "first of two", "second of two"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_in_any_phase_stops_all(
    tmp_path: Path, counts: Callable[[str, int, int], None], signum: int, count: int, rank: int
) -> None:
    """A signal in any phase ends all processes within five seconds, with its status, and their last line is true."""
    wrong = {}
    for phase in PHASES if count > 1 else list(PHASES)[1:]:  # a single process does not connect to others
        folder = tmp_path / phase
        folder.mkdir()
        wrong[phase] = stop(folder, count, rank, phase, signum)
    faults = {phase: fault for phase, fault in wrong.items() if fault}
    counts(f"{signal.Signals(signum).name} to process {rank + 1} of {count}", len(wrong), len(faults))
    assert faults == {}
