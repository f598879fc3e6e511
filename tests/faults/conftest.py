"""Counts of what was tried and what was lost, printed at the end."""

from collections.abc import Callable

import pytest

LINES = pytest.StashKey[list[tuple[str, int, int]]]()


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Callable[[str, int, int], None]:
    """Add a line to the terminal summary: how often something was tried, and how often it was lost."""
    lines = request.config.stash.setdefault(LINES, [])
    return lambda name, tried, lost: lines.append((name, tried, lost))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the lines; run with ``-n 0``, as other processes' lines do not come here."""
    for name, tried, lost in config.stash.get(LINES, []):
        terminalreporter.write_line(f"{name}: {tried} tried, {lost} lost")
