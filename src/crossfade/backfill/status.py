"""What a job is doing, read from durable state alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crossfade.stores import Id

__all__ = ["JobState", "JobStatus", "ParkedItem"]


class JobState(StrEnum):
    """Where a job stands."""

    NEW = "new"
    """Nothing has been moved yet."""
    RUNNING = "running"
    """At work."""
    INTERRUPTED = "interrupted"
    """It died at work; run it again and it goes on."""
    PAUSED = "paused"
    """Stopped on purpose, or by an error (see ``last_error``); run it again to go on."""
    PARKED = "parked"
    """All is moved but the items whose encoding failed; see :meth:`Backfill.parked_items`."""
    BEHIND = "behind"
    """Items without new embeddings were written faster than it worked; run it again."""
    COMPLETE = "complete"
    """Every item is on the new side; it may be finished."""
    FINISHED = "finished"
    """The old side is gone for good."""
    ROLLED_BACK = "rolled-back"
    """The new side is gone; the old system answers."""


@dataclass(frozen=True)
class JobStatus:
    """One look at a job.

    Attributes:
        coverage: share of the gallery's items on the new side, 0 to 1.
        items: items in the gallery.
        done, pending, parked: items of the queue by state.
        rate: items per second over the last batches, or None before the first.
        seconds_left: at that rate, or None.
        last_error: what stopped it last, or None.
        order, seed: in which order it moves items; empty and 0 before it starts.
    """

    state: JobState
    coverage: float
    items: int
    done: int
    pending: int
    parked: int
    rate: float | None
    seconds_left: float | None
    last_error: str | None
    order: str
    seed: int


@dataclass(frozen=True)
class ParkedItem:
    """An item that the encoder failed on, and why."""

    id: Id
    reason: str
