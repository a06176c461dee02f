"""What the tests of the contract do and compare, again and again."""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.backfill.journal import Entry, JobRow, Journal
from crossfade.backfill.status import JobState
from crossfade.stores import Id

__all__ = ["IDS", "JOB", "LONG_SECONDS", "entries_of", "fill", "lease", "state_of"]

JOB = JobRow("upgrade", "random", 7)
IDS: list[Id] = [3, "3", -1, "ü", 2**63 - 1]
LONG_SECONDS = 60.0
"""A lease that no test outlives."""


def fill(journal: Journal, ids: Sequence[Id]) -> None:
    """Begin the job, and queue items in this order."""
    journal.begin(JOB)
    journal.join("filler", LONG_SECONDS)
    assert journal.begin_sweep("filler")
    journal.enqueue(entries_of(ids))
    journal.end_sweep("filler")
    journal.leave("filler")


def entries_of(ids: Sequence[Id]) -> list[Entry]:
    """Entries whose keys rise."""
    return [Entry(id, 1, float(position)) for position, id in enumerate(ids)]


def lease(
    journal: Journal, n: int = 9, worker: str = "w", seconds: float = LONG_SECONDS
) -> list[Id]:
    """The ids of up to n items, leased."""
    return [leased.id for leased in journal.lease(n, worker, seconds)]


def state_of(journal: Journal) -> tuple[JobState, str | None]:
    """The job's, which must be there, and its last error."""
    job = journal.job()
    assert job is not None
    return job.state, job.last_error
