"""Filling the queue: a scan for items that lack their new vector, a batch at a time.

The first sweep makes the queue; later ones find what was written since, through whatever door.
All of it may be repeated: what waits already is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from crossfade.backfill.journal import Entry, Journal
from crossfade.gallery import Gallery
from crossfade.orders import Scoring
from crossfade.stores import Id

__all__ = ["sweep"]

_ROWS = 2048


def sweep(
    gallery: Gallery,
    journal: Journal,
    order: str,
    scoring: Scoring,
    stopped: Callable[[], bool],
) -> int | None:
    """Queue all items that lack their new vector.

    Returns:
        How many were queued; None if it was stopped on the way.

    Raises:
        InvalidInput: the order returned something else than keys.
    """
    if scoring.random_seed is not None and journal.can_enqueue_at_random:
        return _queue_pages(journal, gallery.upgrade.stored.name, scoring.random_seed, stopped)
    queued = 0
    after: Id | None = None
    while not stopped():
        # Queued at once: others may move meanwhile what was read, and it would count twice.
        page = gallery.store.scan(
            after=after,
            n=_ROWS,
            lacks=gallery.upgrade.stored.name,
            vectors=scoring.vectors,
            payload=scoring.payload,
        )
        if not page:
            return queued
        keys = scoring.score(page, order)
        queued += journal.enqueue(
            [Entry(item.id, item.version, key) for item, key in zip(page, keys, strict=True)]
        )
        after = page[-1].id
    return None


def _queue_pages(
    journal: Journal, space: str, seed: int, stopped: Callable[[], bool]
) -> int | None:
    """Let the journal queue the items itself."""
    queued = 0
    after: Id | None = None
    while not stopped():
        page = journal.enqueue_at_random(space, seed, after)
        queued += page.queued
        if page.last is None:
            return queued
        after = page.last
    return None
