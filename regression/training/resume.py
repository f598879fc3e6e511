"""The position of a run within its epochs: checkpoints contain it, and a resumed run begins there."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

__all__ = ["Position", "Progress"]


@dataclass
class Position:
    """A position within an epoch; a checkpoint contains that after the latest update as ``position``.

    Attributes:
        batches: Number of batches of the epoch whose updates are done.
        total: Sum over the rows of these batches of their loss before the update.
        rows: Number of these rows.
        is_validated: Whether the validation that may follow the latest update has been done.
        made: Number of updates made in a block that was stopped early. Its batch does not count in ``batches``; the
            mini-batches of these updates, if each has one, count in ``rows`` and ``total``.
        division: How the epoch is divided into batches; see ``GlobalBatches.division``.
    """

    batches: int = 0
    total: float = 0.0
    rows: int = 0
    is_validated: bool = True
    made: int = 0
    division: tuple[int, int, int] = (0, 0, 0)

    def add(self, loss: float, rows: int) -> None:
        """Add a batch of that many rows with its loss."""
        self.total += loss * rows
        self.rows += rows


@dataclass
class Progress:
    """The position of a run.

    Its states, and the methods that change them::

        before an epoch ── begin_epoch ──► in it, no validation due ── record_update ──► in it, validation due
              ▲                              │             ▲                                    │
              └── the last batch is done ────┘             └───────── record_validation ────────┘

    ``load`` leads to any of them. In a run resumed within a block of updates, ``begin_epoch`` keeps the position, and
    the first call of ``take_block`` returns how many updates of the block were made before.

    Attributes:
        epoch: The position in the epoch, including batches whose update is not yet made.
        latest: The position after the latest update, where a run resumed from a checkpoint begins.
        made: Number of updates of the first block that were made before the run was resumed.
        validated_at: Number of updates made before the last validation in this process.
        metrics: The latest metrics of the interrupted run.
        optimizer: Class and options of its optimizer, as ``checks.describe_optimizer`` returns them.
        is_resumed: Whether it was loaded from a checkpoint.
    """

    epoch: Position = field(default_factory=Position)
    latest: Position = field(default_factory=Position)
    made: int = 0
    validated_at: int = -1
    metrics: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] | None = None
    is_resumed: bool = False

    @classmethod
    def load(cls, checkpoint: dict[str, Any]) -> "Progress":
        """Return the position of the run that wrote a checkpoint."""
        latest = Position(**checkpoint.get("position", {}))
        return cls(
            epoch=replace(latest, made=0),
            latest=latest,
            made=latest.made,
            metrics=checkpoint.get("metrics", {}),
            optimizer=checkpoint.get("optimizer"),
            is_resumed=True,
        )

    def begin_epoch(self, division: tuple[int, int, int]) -> None:
        """Begin an epoch; in a run resumed within one, this is called only if its first batch was not done."""
        self.epoch = self.epoch if self.made else Position(division=division)
        self.latest = replace(self.epoch, made=self.made)

    def take_block(self, updates_per_batch: int) -> int:
        """Return how many updates of the next block were made before the run was resumed, maybe in longer blocks."""
        done, self.made = self.made % updates_per_batch, 0
        return done

    def record_update(self, batches: int, is_validated: bool = False, made: int = 0) -> None:
        """Record an update: batches that are done, whether no validation is due, updates made in a stopped block."""
        self.latest = replace(self.epoch, batches=batches, is_validated=is_validated, made=made)

    def record_validation(self, updates: int) -> None:
        """Record a validation after so many updates of the run."""
        self.latest.is_validated, self.validated_at = True, updates
