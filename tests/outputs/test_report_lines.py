"""Report lines: how many there are, and their cells."""

import math
import sys

import pytest
import torch

from regression.descent.updates import Trace
from regression.outputs.report_lines import updates_to_print
from tests.support.command import Command, config


def trace(first: int, updates: int) -> Trace:
    return Trace(first, torch.zeros(updates), torch.zeros(updates, 2))


@pytest.mark.parametrize(
    ("total", "block", "expected"),
    [
        (10, 1, list(range(10))),
        (2000, 200, list(range(0, 2000, 200))),
        (100_000, 7001, list(range(0, 100_000, 10_000))),
        (3, 1, [0, 1, 2]),
        (math.inf, 1, [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]),
    ],
)
def test_reported_updates_are_evenly_spaced(total: float, block: int, expected: list[int]) -> None:
    """About ten updates of a run are reported, from the first, whatever the size of its blocks."""
    end = 1200 if math.isinf(total) else int(total)
    found = [
        at
        for first in range(0, end, block)
        for at in updates_to_print(trace(first, min(block, end - first)), total, 10)
    ]
    assert found == expected


def test_report_rows_can_be_chosen(command: Command) -> None:
    """``--report.rows`` changes the number of lines; with 0 only the final report is printed."""
    assert list(command("fit", "-c", config("line"), "--report.rows", "2").rows()) == [0, 5, 10]
    assert command("fit", "-c", config("line"), "--report.rows", "0").out.startswith("LineRegression, degree 1")


@pytest.mark.parametrize(("columns", "cells"), [("80", 6), ("79", 5), ("45", 3)])
def test_a_line_is_no_longer_than_the_terminal(
    command: Command, monkeypatch: pytest.MonkeyPatch, columns: str, cells: int
) -> None:
    """A terminal shows the loss and as many of five coefficients as fit, and … for the rest."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", columns)
    done = command("fit", "-c", config("polynomial"), "--trainer.max_steps", "3", "--model.updates_per_batch", "1",
                   "--trainer.enable_progress_bar", "false")  # fmt: skip
    lines = done.out.split("\n\n")[0].splitlines()[1:]
    assert len(lines) == 4
    assert all(len(line) <= int(columns) for line in lines)
    assert [len(line.split()) - 1 for line in lines] == [cells] * 4  # without the number of the update
    assert all(line.endswith(" …") == (cells < 6) for line in lines)


def test_loss_after_the_update_is_the_next_loss_before(command: Command) -> None:
    """The column ``loss after`` of a row is the ``loss before`` of the next one, in blocks and without."""
    for blocks in ("1", "4"):
        options = ("fit", "-c", config("line"), "--trainer.max_epochs", "-1", "--trainer.max_steps", "10",
                   "--model.updates_per_batch", blocks)  # fmt: skip
        before, after = command(*options).rows(), command(*options, "--report.loss", "after").rows()
        for update in range(10):
            assert after[update][0] == pytest.approx(before[update + 1][0], rel=1e-6)
