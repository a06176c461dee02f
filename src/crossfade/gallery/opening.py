"""Opening a collection as a gallery, and starting an upgrade on it.

:func:`open_gallery` starts an upgrade only on a collection that never saw one; a gallery that was
rolled back or finished is started again by :func:`start_gallery`, never by being looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossfade.embeddings import QueryRecorder
from crossfade.errors import GalleryStateError
from crossfade.gallery.encoding import Encoder
from crossfade.gallery.ends import settle
from crossfade.gallery.gallery import Gallery
from crossfade.gallery.record import read_state
from crossfade.gallery.starting import another_upgrade, begin
from crossfade.gallery.state import GalleryState, JobSettings, Phase
from crossfade.stores import Store, open_store
from crossfade.stores.uri import redact_uri
from crossfade.upgrade import Upgrade

__all__ = ["open_gallery", "start_gallery"]


def open_gallery(
    uri: str | Store,
    upgrade: Upgrade | str | Path,
    *,
    encoder: Encoder | None = None,
    recorder: QueryRecorder | None = None,
) -> Gallery:
    """Open a collection as a gallery that goes through an upgrade.

    On a new collection, or one that never saw an upgrade, the upgrade is started. Otherwise the
    gallery is taken up as it is: one that was rolled back answers in mode ``old`` and is not
    started anew; see :func:`start_gallery`.

    Args:
        uri: ``memory://NAME``, ``qdrant://PATH``, any scheme of an installed store, or a
            store that is open already.
        upgrade: the upgrade, or its folder.
        encoder: the new model, for searches that re-extract items; called with items (id,
            payload), as the backfill's is.
        recorder: records a sample of the queries that are answered and that the new model
            embedded, in any mode. Close it yourself.

    Raises:
        SpaceMismatch: the collection holds vectors of other spaces, or the encoder or the
            recorder is of another width.
        GalleryStateError: another upgrade is under way in it, or it must be started first.
        StoreError: the store can't be opened.
    """
    with _opened(uri, upgrade, encoder, recorder) as gallery:
        state = read_state(gallery.store)
        if state is None:
            begin(gallery.store, gallery.upgrade)
        elif not state.is_of(gallery.upgrade):
            raise _not_taken_up(state, gallery.upgrade)
        settle(gallery.store)
    return gallery


def start_gallery(
    uri: str | Store,
    upgrade: Upgrade | str | Path,
    *,
    settings: JobSettings | None = None,
    actor: str | None = None,
) -> Gallery:
    """Start an upgrade: on a new collection, after a rollback, or after the last one's finish.

    Args:
        uri, upgrade: as for :func:`open_gallery`.
        settings: what later commands need to know.
        actor: who starts it, for the audit log; by default user@host.

    Raises:
        SpaceMismatch: the collection holds vectors of other spaces.
        GalleryStateError: an upgrade is under way in it.
        StoreError: the store can't be opened.
    """
    with _opened(uri, upgrade) as gallery:
        begin(gallery.store, gallery.upgrade, settings=settings, actor=actor, uri=gallery.uri)
        settle(gallery.store)
    return gallery


@contextmanager
def _opened(
    uri: str | Store,
    upgrade: Upgrade | str | Path,
    encoder: Encoder | None = None,
    recorder: QueryRecorder | None = None,
) -> Iterator[Gallery]:
    """A gallery whose store is closed again, if it was opened here, should the block fail."""
    if not isinstance(upgrade, Upgrade):
        upgrade = Upgrade.load(upgrade)
    store = uri if isinstance(uri, Store) else open_store(uri)
    try:
        gallery = Gallery(store, upgrade, encoder, recorder)
        if isinstance(uri, str):
            gallery.uri = redact_uri(uri)
        yield gallery
    except BaseException:
        if store is not uri:
            store.close()
        raise


def _not_taken_up(state: GalleryState, upgrade: Upgrade) -> Exception:
    """Why a gallery with that state is not opened with that upgrade."""
    follows = state.phase is Phase.FINISHED and state.stored == upgrade.source
    chained = upgrade.earlier is not None and state.is_of(upgrade.earlier.upgrade)
    if follows or chained or state.phase is Phase.ROLLED_BACK:
        return GalleryStateError(
            f"the gallery is {state.phase.value}, and upgrade {upgrade.id[:12]} was not started "
            "on it; opening does not start it. Start it: crossfade.start_gallery(uri, upgrade), "
            "or: crossfade start URI --upgrade DIR --encoder SPEC"
        )
    return another_upgrade(state, upgrade)
