"""Prints how often each fault was tried, and how often something was lost, after ``pytest -m faults tests/faults``."""

from collections.abc import Callable, Iterator

import pytest
from _pytest.terminal import TerminalReporter

Counts = Callable[[str, int, int], None]


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Counts:
    """Return a function that records under a name how often something was tried, and how often it was lost."""

    def note(name: str, tried: int, lost: int) -> None:
        request.node.user_properties.append(("counts", (name, tried, lost)))  # which pytest sends between its processes

    return note


def _noted(reporter: TerminalReporter) -> Iterator[tuple[str, int, int]]:
    for reports in reporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                yield from (value for key, value in report.user_properties if key == "counts")


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the sums of the records, name by name."""
    sums: dict[str, list[int]] = {}
    for name, tried, lost in sorted(map(tuple, _noted(terminalreporter))):
        row = sums.setdefault(name, [0, 0])
        row[0], row[1] = row[0] + tried, row[1] + lost
    if not sums:
        return
    width = max(map(len, sums))
    terminalreporter.section("faults")
    terminalreporter.line(f"{'name':<{width}} {'tried':>8} {'lost':>6}")
    for name, (tried, lost) in sums.items():
        terminalreporter.line(f"{name:<{width}} {tried:>8,} {lost:>6,}")
