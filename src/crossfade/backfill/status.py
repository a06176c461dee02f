"""What a job is doing, read from durable state alone."""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.gallery.moves import State
from crossfade.stores import Id

__all__ = ["JobState", "JobStatus", "ParkedItem"]


JobState = State
"""Where a job stands: one of the states of the lifecycle's table."""


@dataclass(frozen=True)
class JobStatus:
    """One look at a job.

    Attributes:
        coverage: share of the gallery's items on the new side, 0 to 1.
        items: items in the gallery.
        done, pending, parked: items of the queue by state.
        rate: items per second over the last batches, or None before the first.
        seconds_left: at that rate, or None; refits come on top.
        last_error: what stopped it last, or None.
        order, seed: in which order it moves items; empty and 0 before it starts.
        workers: runs at work on it, in this process and in others.
        generation: of the forward map in use: 0 the upgrade's own, then one more each time it
            was fitted again.
        refits: how often it may be fitted again still; nobody can say beforehand how long that
            takes. refit_seconds: how long it took the last time, or None.
        queries: how many that the service recorded it has learned from.
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
    workers: int = 0
    generation: int = 0
    refits: int = 0
    refit_seconds: float | None = None
    queries: int = 0


@dataclass(frozen=True)
class ParkedItem:
    """An item that the encoder failed on, and why."""

    id: Id
    reason: str
