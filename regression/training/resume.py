"""The state of a run within its epochs: what a checkpoint keeps of it, and a resumed run takes up."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

__all__ = ["Position", "Progress"]


@dataclass
class Position:
    """What the latest update of an epoch leaves behind; a checkpoint holds it as ``position``.

    Attributes:
        batches: Number of batches of the epoch that updates have been made with.
        total: Sum over the rows of these batches of their loss before the update.
        rows: Number of these rows.
        is_validated: Whether the validation that may follow the latest update has been done.
        made: Number of updates made of a block that was cut short; its batch does not count yet, but rows and losses
            of updates that each had a batch of its own do.
        division: How the epoch is handed out; see ``GlobalBatches.division``.
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
    """Where a run stands.

    Its states, and the methods that lead from one to the next::

        before an epoch ── begin_epoch ──► within it, nothing left to validate ── updated ──► within it, validation due
              ▲                              │                    ▲                                           │
              └── the last batch is done ────┘                    └──────────────── validated ────────────────┘

    ``load`` leads to any of them. In a run resumed within a block of updates, ``begin_epoch`` keeps what the epoch has
    so far, and ``take_block`` tells once how many updates of its first block were made before.

    Attributes:
        epoch: The epoch so far, with batches whose update is still to come.
        latest: The epoch as it was at the latest update, from which a checkpoint goes on.
        made: Number of updates of the first block that were made before the run was resumed.
        validated_at: Number of updates made before the last validation in this process.
        metrics: The latest metrics of the interrupted run.
        optimizer: Class and options of its optimizer, as ``described`` gives them.
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
        """Return where the run of a checkpoint stood."""
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
        """Forget the previous epoch; a run resumed within one comes here only if that was in the first batch."""
        self.epoch = self.epoch if self.made else Position(division=division)
        self.latest = replace(self.epoch, made=self.made)

    def take_block(self, updates_per_batch: int) -> int:
        """Return how many updates of the next block were made before; a resumed run may have other blocks."""
        done, self.made = self.made % updates_per_batch, 0
        return done

    def updated(self, batches: int, is_validated: bool = False, made: int = 0) -> None:
        """Note an update: the batches that are done with, whether none is to validate, and those of a cut block."""
        self.latest = replace(self.epoch, batches=batches, is_validated=is_validated, made=made)

    def validated(self, updates: int) -> None:
        """Note a validation after so many updates of the run."""
        self.latest.is_validated, self.validated_at = True, updates
