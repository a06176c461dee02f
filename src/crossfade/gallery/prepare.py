"""The fast first pass of an upgrade on the items' side: old vectors, mapped once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from crossfade.errors import StoreError
from crossfade.gallery.state import GalleryState
from crossfade.stores import Id, Item, Outcome, Store, VectorWrite
from crossfade.upgrade import Upgrade

__all__ = ["map_old_vectors", "mapped_writes", "unmapped"]

_ROWS = 1024
_MOST_PASSES = 10


def unmapped(store: Store, spaces: Upgrade | GalleryState) -> int:
    """How many items hold an old vector and lack the mapped one."""
    if spaces.mapped is None:
        return 0
    return store.count(has=spaces.source.name, lacks=spaces.mapped.name)


def map_old_vectors(
    store: Store,
    upgrade: Upgrade,
    space: str,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the mapped vector of every item that holds an old one and lacks it.

    The writes are conditional on the item's version, and an item that has its mapped vector is
    not read again: it may be interrupted and repeated at will.

    Args:
        upgrade: with the map in use.
        space: the name of the mapped vectors' space, the same whatever the map in use.

    Returns:
        How many vectors were written.
    """
    written = 0
    for _ in range(_MOST_PASSES):
        left = store.count(has=upgrade.source.name, lacks=space)
        if not left:
            store.flush()
            return written
        for done in _one_pass(store, upgrade, space):
            written += done
            left -= done
            if progress is not None:
                progress(written, written + left)
    raise StoreError(
        f"{left} items lack their mapped vector after {_MOST_PASSES} passes; is something "
        "writing old vectors past the gallery? Write through Gallery.upsert"
    )


def mapped_writes(upgrade: Upgrade, source: str, items: Sequence[Item]) -> list[VectorWrite]:
    """The mapped vectors of items that hold an old one, for the versions that were read."""
    mapped = upgrade.map_items(np.stack([item.vectors[source] for item in items]))
    assert mapped is not None
    return [
        VectorWrite(item.id, item.version, row) for item, row in zip(items, mapped, strict=True)
    ]


def _one_pass(store: Store, upgrade: Upgrade, space: str) -> Iterator[int]:
    """Map batch by batch, yielding how many vectors each wrote."""
    after: Id | None = None
    source = upgrade.source.name
    while batch := store.scan(after=after, n=_ROWS, lacks=space, vectors=[source], payload=False):
        after = batch[-1].id
        holding = [item for item in batch if source in item.vectors]
        if holding:
            outcomes = store.set_vectors(space, mapped_writes(upgrade, source, holding))
            yield outcomes.count(Outcome.APPLIED)
