"""Opening a gallery, and its two ends: finishing the upgrade, or going back.

Both ends are decided by one durable change of phase and carried out after it. If the process
dies in between, whoever opens the gallery next goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crossfade.errors import GalleryStateError
from crossfade.gallery.gallery import Gallery
from crossfade.gallery.prepare import unmapped
from crossfade.gallery.state import Phase, begin, change_phase
from crossfade.stores import Store, open_store
from crossfade.upgrade import Upgrade

__all__ = ["finish", "open_gallery", "roll_back"]


def open_gallery(uri: str | Store, upgrade: Upgrade | str | Path) -> Gallery:
    """Open a collection as a gallery that goes through an upgrade; both are created if new.

    Args:
        uri: ``memory://NAME``, ``qdrant://PATH``, any scheme of an installed store, or a
            store that is open already.
        upgrade: the upgrade, or its folder.

    Raises:
        SpaceMismatch: the collection holds vectors of other spaces.
        GalleryStateError: another upgrade is under way in it.
        StoreError: the store can't be opened.
    """
    if not isinstance(upgrade, Upgrade):
        upgrade = Upgrade.load(upgrade)
    store = uri if isinstance(uri, Store) else open_store(uri)
    try:
        begin(store, upgrade)
        gallery = Gallery(store, upgrade)
        _settle(gallery)
    except BaseException:
        if store is not uri:
            store.close()
        raise
    return gallery


def finish(gallery: Gallery) -> None:
    """Drop the old side for good. Call it through ``Backfill.finish``, which holds the job.

    Raises:
        GalleryStateError: items are left on the old side.
    """
    with gallery.write_lock:
        state = gallery.state
        if state.phase is Phase.FINISHED:
            return
        if left := gallery.store.count(lacks=gallery.upgrade.stored.name):
            raise GalleryStateError(
                f"{left} of {gallery.count} items are still on the old side; backfill them first"
            )
        _require(state.phase, Phase.SERVING)
        change_phase(gallery.store, state, Phase.FINISHING)
        _settle(gallery)


def roll_back(
    gallery: Gallery, *, leave_out: bool = False, before: Callable[[], None] = lambda: None
) -> None:
    """Drop the new side. Call it through ``Backfill.rollback``, which holds the job.

    Args:
        leave_out: go back though some items hold no old vector. They stay stored, but no
            search finds them until they get one.
        before: called once nothing stands in the way, before anything is changed.

    Raises:
        GalleryStateError: there are such items, or the old side is gone.
    """
    with gallery.write_lock:
        state = gallery.state
        if state.phase is Phase.ROLLED_BACK:
            return
        _require(state.phase, Phase.SERVING, Phase.PREPARING)
        lost = gallery.store.count(lacks=gallery.upgrade.source.name)
        if lost and not leave_out:
            example = gallery.store.scan(n=1, lacks=gallery.upgrade.source.name)[0].id
            raise GalleryStateError(
                f"{lost} items hold no old embedding, e.g. {example!r}: the old system would not "
                "find them. Upsert them with old=..., or roll back with leave_out=True"
            )
        before()
        change_phase(gallery.store, state, Phase.ROLLING_BACK)
        _settle(gallery)


def _settle(gallery: Gallery) -> None:
    """Bring the store's spaces in line with the phase."""
    store, upgrade, state = gallery.store, gallery.upgrade, gallery.state
    if state.phase is Phase.FINISHING:
        store.drop_space(upgrade.source.name)
        _drop_mapped(gallery)
        change_phase(store, state, Phase.FINISHED)
    elif state.phase is Phase.ROLLING_BACK:
        store.drop_space(upgrade.stored.name)
        _drop_mapped(gallery)
        change_phase(store, state, Phase.ROLLED_BACK)
    elif state.phase in (Phase.PREPARING, Phase.SERVING):
        for space in (upgrade.source, upgrade.stored, upgrade.mapped):
            if space is not None:
                store.ensure_space(space)
        if state.phase is Phase.PREPARING and not unmapped(store, upgrade):
            change_phase(store, state, Phase.SERVING)


def _drop_mapped(gallery: Gallery) -> None:
    if gallery.upgrade.mapped is not None:
        gallery.store.drop_space(gallery.upgrade.mapped.name)
    gallery.store.flush()


def _require(phase: Phase, *allowed: Phase) -> None:
    if phase not in allowed:
        wanted = " or ".join(one.value for one in allowed)
        raise GalleryStateError(f"the gallery is {phase.value}; this needs it {wanted}")
