"""What a job ends in, once nothing is pending: all moved, some parked, or behind its writers."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.backfill.journal import Journal
from crossfade.backfill.status import JobState, ParkedItem
from crossfade.stores import Id, Store

__all__ = ["end_state", "parked_pages"]

_PAGE = 2048


def end_state(store: Store, journal: Journal, space: str) -> JobState:
    """The state to end in; the store decides, not the queue.

    Args:
        space: the name of the new space.
    """
    _tidy_parked(store, journal, space)
    left = store.count(lacks=space)
    if left > journal.counts().parked:
        return JobState.BEHIND
    return JobState.PARKED if left else JobState.COMPLETE


def parked_pages(journal: Journal) -> Iterator[list[ParkedItem]]:
    """All parked items, so many at a time."""
    after: Id | None = None
    while page := journal.parked(_PAGE, after):
        yield page
        after = page[-1].id


def _tidy_parked(store: Store, journal: Journal, space: str) -> None:
    """Strike out parked items that were deleted, or written with a new vector, since."""
    for page in parked_pages(journal):
        ids = [item.id for item in page]
        found = zip(ids, store.get(ids, vectors=[space]), strict=True)
        journal.strike([id for id, item in found if not item or space in item.vectors])
