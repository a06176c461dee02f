"""The fast first pass of an upgrade on the items' side: old vectors, mapped once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.errors import StoreError
from crossfade.gallery.state import GalleryState
from crossfade.stores import Id, Item, Outcome, Store, VectorWrite
from crossfade.upgrade import Upgrade

__all__ = ["known_items", "map_old_vectors", "mapped_writes", "unmapped"]

_ROWS = 1024
_MOST_PASSES = 10


def unmapped(store: Store, spaces: Upgrade | GalleryState) -> int:
    """How many items hold an old vector and lack the mapped one; 0 if none does."""
    if spaces.mapped is None:
        return 0
    return _left(store, _sources(spaces), spaces.mapped.name)


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
        left = _left(store, _sources(upgrade), space)
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


def known_items(store: Store, upgrade: Upgrade) -> int:
    """How many items the map repeats; 0 where they can only be few of all."""
    source = upgrade.source.name
    if not upgrade.repeats_pairs or not upgrade.may_know(store.count(has=source)):
        return 0
    known, after = 0, None
    while batch := store.scan(after=after, n=_ROWS, vectors=[source], payload=False):
        after = batch[-1].id
        if rows := [item.vectors[source] for item in batch if source in item.vectors]:
            known += int(np.count_nonzero(upgrade.repeats(np.stack(rows))))
    return known


def mapped_writes(upgrade: Upgrade, source: str, items: Sequence[Item]) -> list[VectorWrite]:
    """The mapped vectors of items that hold an old one, for the versions that were read."""
    return _writes(upgrade.map_items, source, items)


def _one_pass(store: Store, upgrade: Upgrade, space: str) -> Iterator[int]:
    """Map batch by batch, yielding how many vectors each wrote."""
    after: Id | None = None
    sources = _sources(upgrade)
    while batch := store.scan(after=after, n=_ROWS, lacks=space, vectors=sources, payload=False):
        after = batch[-1].id
        writes: list[VectorWrite] = []
        if holding := [item for item in batch if sources[0] in item.vectors]:
            writes += mapped_writes(upgrade, sources[0], holding)
        if upgrade.earlier is not None:
            older = [item for item in batch if item.vectors.keys() == {sources[1]}]
            writes += _writes(upgrade.earlier.map_items, sources[1], older)
        if writes:
            yield store.set_vectors(space, writes).count(Outcome.APPLIED)


def _writes(
    map_items: Callable[[FloatArray], FloatArray | None], source: str, items: Sequence[Item]
) -> list[VectorWrite]:
    if not items:
        return []
    mapped = map_items(np.stack([item.vectors[source] for item in items]))
    assert mapped is not None
    return [
        VectorWrite(item.id, item.version, row) for item, row in zip(items, mapped, strict=True)
    ]


def _sources(spaces: Upgrade | GalleryState) -> list[str]:
    """The spaces that items are mapped from, the best first."""
    if isinstance(spaces, Upgrade):
        earlier = spaces.earlier.upgrade if spaces.earlier else None
        return [spaces.source.name, *([earlier.source.name] if earlier else [])]
    return [spaces.source.name, *([spaces.earlier.source.name] if spaces.earlier else [])]


def _left(store: Store, sources: Sequence[str], mapped: str) -> int:
    """How many items hold a vector to map and lack the mapped one."""
    if len(sources) == 1:
        return store.count(has=sources[0], lacks=mapped)
    if not any(store.count(has=source, lacks=mapped) for source in sources):
        return 0
    # No store counts by three spaces at once; those that hold neither are few, if any.
    return store.count(lacks=mapped)
