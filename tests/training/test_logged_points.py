"""Which updates of a run are logged to TensorBoard."""

import pytest

from tests.support.command import Command

LINE = ("fit", "--model", "LineRegression", "--trainer.max_steps")


@pytest.mark.parametrize("per_batch", ["1", "7"])
def test_a_short_run_has_a_point_for_each_update(command: Command, per_batch: str) -> None:
    """With Lightning's default of every 50th update, all of ten updates are logged, also in blocks."""
    done = command(*LINE, "10", "--model.updates_per_batch", per_batch)
    for tag in ("train_loss", "coefficients/slope", "opt_error_se"):
        assert list(done.scalars(tag)) == list(range(10))


@pytest.mark.parametrize(
    ("updates", "options", "steps"),
    [
        (400, (), range(0, 400, 8)),
        (5000, (), range(0, 5000, 50)),
        (10, ("--trainer.log_every_n_steps", "4"), range(0, 10, 4)),
        (10, ("--trainer.log_every_n_steps", "100"), range(1)),
    ],
)
def test_at_least_fifty_updates_are_logged(
    command: Command, updates: int, options: tuple[str, ...], steps: range
) -> None:
    """The logged updates are evenly spaced; an interval that the user gives is kept."""
    done = command(*LINE, str(updates), "--model.updates_per_batch", "1000", *options)
    assert list(done.scalars("train_loss")) == list(steps)
