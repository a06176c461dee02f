"""Filling the queue: a scan for items that lack their new vector, a batch at a time.

The first sweep makes the queue; later ones find what was written since, through whatever door.
All of it may be repeated: what waits already is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from crossfade.backfill.behind import Behind
from crossfade.backfill.journal import Entry, Journal, Page
from crossfade.gallery import Gallery
from crossfade.orders import Scoring
from crossfade.stores import Id, Item

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
    space = gallery.upgrade.stored.name
    if (seed := scoring.random_seed) is not None:
        first = journal.enqueue_at_random(space, seed)
        if first is not None:
            return _follow(first, partial(journal.enqueue_at_random, space, seed), stopped)
    queued = 0
    coming = Behind(partial(_page, gallery, scoring, None))
    try:
        while not stopped():
            page = coming.result()
            if not page:
                return queued
            # The next page is read while this one is queued.
            coming = Behind(partial(_page, gallery, scoring, page[-1].id))
            keys = scoring.score(page, order)
            queued += journal.enqueue(
                [Entry(item.id, item.version, key) for item, key in zip(page, keys, strict=True)]
            )
    finally:
        coming.wait()
    return None


def _follow(
    page: Page, enqueue: Callable[[Id | None], Page | None], stopped: Callable[[], bool]
) -> int | None:
    """Let the journal go on behind a first page."""
    queued = 0
    following: Page | None = page
    while following is not None:
        queued += following.queued
        if following.last is None:
            return queued
        if stopped():
            return None
        following = enqueue(following.last)
    return queued


def _page(gallery: Gallery, scoring: Scoring, after: Id | None) -> list[Item]:
    return gallery.store.scan(
        after=after,
        n=_ROWS,
        lacks=gallery.upgrade.stored.name,
        vectors=scoring.vectors,
        payload=scoring.payload,
    )
