"""`start`: an upgrade begins; what later commands need to know is kept with the collection."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from crossfade.backfill.journal import open_journal
from crossfade.backfill.membership import working_alone
from crossfade.backfill.recorded import RecordedQueries
from crossfade.gallery import JobSettings, start_gallery
from crossfade.gallery.moves import check_move
from crossfade.gallery.starting import check_start
from crossfade.operations.opening import open_collection
from crossfade.operations.request import StartRequest, load_encoder_of
from crossfade.operations.status import Status, status
from crossfade.orders import open_order
from crossfade.stores import Store
from crossfade.upgrade import Upgrade

__all__ = ["StartRequest", "start"]


def start(request: StartRequest, *, actor: str | None = None) -> Status:
    """Start an upgrade; durable when it returns. Look at :func:`plan_start` before.

    Raises:
        InvalidInput: there is no such collection, or a setting can't be used.
        SpaceMismatch, GalleryStateError: the upgrade can't be started on it.
    """
    upgrade = Upgrade.load(request.upgrade)
    encoder = load_encoder_of(request, upgrade)
    settings = JobSettings(
        upgrade_folder=str(request.upgrade.resolve()),
        encoder=request.encoder,
        source=request.source,
        model=encoder.name,
        order=request.order,
        seed=request.seed,
        queries=None if request.queries is None else str(request.queries.absolute()),
    )
    RecordedQueries(request.queries, upgrade)  # refuses what the backfill could not use
    with open_collection(request.uri) as collection:
        if upgrade.earlier is None:
            check_move("start", collection.state, collection.uri)
        open_order(request.order, upgrade, request.seed)
        check_start(collection.store, upgrade, collection.uri, present=collection.state)
        with _alone(collection.store, upgrade):
            start_gallery(collection.store, upgrade, settings=settings, actor=actor)
    return status(request.uri)


def _alone(store: Store, upgrade: Upgrade) -> AbstractContextManager[None]:
    """Keep the workers of the upgrade under way out, if there is one."""
    return nullcontext() if upgrade.earlier is None else working_alone(store, open_journal(store))
