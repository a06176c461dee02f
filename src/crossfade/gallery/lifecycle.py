"""Starting an upgrade, opening its gallery, and its two ends: finishing, or going back.

Starting is an act of its own. :func:`open_gallery` starts an upgrade only on a collection that
never saw one; a gallery that was rolled back or finished is started again by
:func:`start_gallery`, never by being looked at.

Both ends are decided by one durable change of phase and carried out after it. If the process
dies in between, whoever opens the gallery next goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from crossfade.embeddings import Space
from crossfade.errors import GalleryStateError, SpaceMismatch
from crossfade.gallery.audit import Entry
from crossfade.gallery.encoding import Encoder
from crossfade.gallery.gallery import Gallery
from crossfade.gallery.moves import State, check_move, next_command
from crossfade.gallery.prepare import unmapped
from crossfade.gallery.record import Record, append, change_phase, read_record, read_state
from crossfade.gallery.refit import forget_refits
from crossfade.gallery.state import GalleryState, JobSettings, Phase
from crossfade.stores import Id, Store, open_store
from crossfade.stores.uri import redact_uri
from crossfade.upgrade import Upgrade

__all__ = [
    "begin",
    "check_start",
    "drop_new_side",
    "drop_old_side",
    "finish",
    "open_gallery",
    "roll_back",
    "settle",
    "start_gallery",
]

_ROWS = 1024


def open_gallery(
    uri: str | Store, upgrade: Upgrade | str | Path, *, encoder: Encoder | None = None
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

    Raises:
        SpaceMismatch: the collection holds vectors of other spaces, or the encoder is of
            another width.
        GalleryStateError: another upgrade is under way in it, or it must be started first.
        StoreError: the store can't be opened.
    """
    with _opened(uri, upgrade, encoder) as gallery:
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


def begin(
    store: Store,
    upgrade: Upgrade,
    *,
    settings: JobSettings | None = None,
    present: State | None = None,
    actor: str | None = None,
    uri: str = "URI",
) -> None:
    """Record that the gallery goes through an upgrade; :func:`settle` does the rest.

    Raises:
        SpaceMismatch: the collection holds vectors of other spaces.
        GalleryStateError: an upgrade is under way.
    """
    record = read_record(store.read_pointer)
    _check_start(store, record, upgrade, present, uri)
    # Before the phase changes: from then on, writers elsewhere give these vectors.
    for space in (upgrade.source, upgrade.stored, upgrade.mapped):
        if space is not None:
            store.ensure_space(space)
    details = {
        "upgrade": upgrade.id,
        "old_model": upgrade.source.name,
        "new_model": upgrade.target.name,
    }
    if settings is not None:
        details |= {"encoder": settings.encoder, "order": settings.order}
    before = record.shown if record else State.NOT_STARTED
    move = "start" if upgrade.earlier is None else "supersede"
    entry = Entry(move, before, State.PREPARING, actor, details)
    state = GalleryState.of(upgrade, Phase.PREPARING, settings)
    if upgrade.earlier is not None and record is not None:
        state = replace(state, earlier=record.state)
    if append(store, record, state, entry) is None:
        raise GalleryStateError("the gallery was changed by somebody else; open it again")


def check_start(
    store: Store, upgrade: Upgrade, uri: str = "URI", *, present: State | None = None
) -> None:
    """Refuse to start an upgrade that can't be; changes nothing.

    Args:
        present: the state as the user sees it, where it is known.

    Raises:
        SpaceMismatch, GalleryStateError: as :func:`begin`.
    """
    _check_start(store, read_record(store.read_pointer), upgrade, present, uri)


def _check_start(
    store: Store, record: Record | None, upgrade: Upgrade, present: State | None, uri: str
) -> None:
    if upgrade.source.name in (upgrade.stored.name, upgrade.target.name):
        raise SpaceMismatch(
            f"the upgrade leads from {upgrade.source.name!r} to itself; give the two models "
            "different names when you fit it"
        )
    state = record.state if record else None
    if upgrade.earlier is not None:
        _check_chain(record, upgrade, present, uri)
    elif state is not None and state.phase is not Phase.ROLLED_BACK:
        follows = state.phase is Phase.FINISHED and state.stored == upgrade.source
        if not follows and not state.is_of(upgrade):
            raise _another(state, upgrade)
        check_move("start", record.shown if record else state.phase.state, uri)
        if not follows:
            raise GalleryStateError(
                "the gallery is finished: it has gone through this very upgrade. Fit the next "
                "one, from its new model on"
            )
    _refuse_other_spaces(store, upgrade)


def _check_chain(record: Record | None, upgrade: Upgrade, present: State | None, uri: str) -> None:
    """Refuse to begin a chained upgrade but in the middle of the one it is chained to."""
    assert upgrade.earlier is not None
    first, state = upgrade.earlier.upgrade, record.state if record else None
    if record is not None and state is not None and state.is_of(upgrade):
        check_move("start", present or record.shown, uri)
    if record is None or state is None or not state.is_of(first):
        raise GalleryStateError(
            f"the upgrade is chained to {first.id[:12]}, which is not under way here; start that "
            "one, or fit one from what the gallery holds"
        )
    if state.phase is not Phase.SERVING:
        raise GalleryStateError(
            f"the gallery is {state.phase.value}; a chained upgrade begins once it serves. Next: "
            f"{next_command(state.phase.state, uri)}"
        )
    # Without the job at hand it can't be known whether it still runs: its writes do no harm.
    shown = State.INTERRUPTED if record.shown is State.RUNNING else record.shown
    if (seen := present or shown) is State.RUNNING:
        raise GalleryStateError(
            "the backfill of the upgrade under way is at work; pause it first: "
            f"crossfade pause {uri}"
        )
    check_move("supersede", seen, uri)


def finish(gallery: Gallery, *, present: State | None = None, actor: str | None = None) -> None:
    """Drop the old side for good. Call it through ``Backfill.finish``, which holds the job.

    Args:
        present: the state as the user sees it, and actor: who decides, for the audit log.

    Raises:
        GalleryStateError: items are left on the old side.
    """
    with gallery.write_lock:
        gallery.check_upgrade()
        drop_old_side(gallery.store, present=present, actor=actor)


def drop_old_side(
    store: Store, *, present: State | None = None, actor: str | None = None, uri: str = "URI"
) -> None:
    """:func:`finish`, for whoever has no upgrade at hand. Nobody may write meanwhile."""
    state = _state(store)
    if state.phase is Phase.FINISHED:
        return
    check_move("finish", _seen(state, present), uri)
    if state.phase is Phase.SERVING:
        if left := store.count(lacks=state.stored.name):
            raise GalleryStateError(
                f"{left} of {store.count()} items are still on the old side; backfill them "
                f"first: crossfade backfill {uri}"
            )
        change_phase(
            store,
            state,
            Phase.FINISHING,
            before=present,
            actor=actor,
            details={"items": store.count()},
        )
    settle(store, actor=actor)
    if _state(store).phase is Phase.SERVING:
        raise GalleryStateError(
            "items were written to the old side at the last moment; backfill them first: "
            f"crossfade backfill {uri}"
        )


def roll_back(
    gallery: Gallery,
    *,
    leave_out: bool = False,
    before: Callable[[], None] = lambda: None,
    present: State | None = None,
    actor: str | None = None,
) -> None:
    """Drop the new side. Call it through ``Backfill.rollback``, which holds the job.

    Args:
        leave_out: go back though some items hold no old vector. They stay stored, but no
            search finds them until they get one.
        before: called once nothing stands in the way, before anything is changed.
        present: the state as the user sees it, and actor: who decides, for the audit log.

    Raises:
        GalleryStateError: there are such items, or the old side is gone.
    """
    with gallery.write_lock:
        gallery.check_upgrade()
        drop_new_side(
            gallery.store, leave_out=leave_out, before=before, present=present, actor=actor
        )


def drop_new_side(
    store: Store,
    *,
    leave_out: bool = False,
    before: Callable[[], None] = lambda: None,
    present: State | None = None,
    actor: str | None = None,
    uri: str = "URI",
) -> None:
    """:func:`roll_back`, for whoever has no upgrade at hand. Nobody may write meanwhile."""
    state = _state(store)
    if state.phase is Phase.ROLLED_BACK:
        return
    check_move("rollback", _seen(state, present), uri)
    if state.phase is not Phase.ROLLING_BACK:
        lost = _without_old(store, state)
        if lost and not leave_out:
            example = _one_without_old(store, state)
            raise GalleryStateError(
                f"{lost} items hold no old embedding, e.g. {example!r}: the old system would not "
                "find them. Upsert them with old=..., or roll back with leave_out=True "
                "(--leave-out)"
            )
        before()
        details = {"left_out": lost} if lost else {}
        state = change_phase(
            store, state, Phase.ROLLING_BACK, before=present, actor=actor, details=details
        )
        if not leave_out and _without_old(store, state):
            _reopen(store, state, actor)
            raise GalleryStateError(
                "items without an old embedding were written at the last moment; upsert them "
                "with old=..., or roll back with leave_out=True (--leave-out)"
            )
    settle(store, actor=actor)


def settle(store: Store, *, actor: str | None = None) -> None:
    """Bring the store's spaces in line with the phase; carries out what was decided."""
    state = _state(store)
    if state.phase is Phase.FINISHING:
        if state.source.name in store.spaces() and store.count(lacks=state.stored.name):
            _reopen(store, state, actor)
            return
        store.drop_space(state.source.name)
        _drop_mapped(store, state)
        if state.earlier is not None:
            store.drop_space(state.earlier.source.name)
            _drop_mapped(store, state.earlier)
        forget_refits(store)
        change_phase(store, state, Phase.FINISHED, actor=actor)
    elif state.phase is Phase.ROLLING_BACK:
        store.drop_space(state.stored.name)
        _drop_mapped(store, state)
        if state.earlier is None:
            forget_refits(store)
            change_phase(store, state, Phase.ROLLED_BACK, actor=actor)
        else:
            # The old system was in the middle of an upgrade, and is again.
            change_phase(
                store,
                state,
                Phase.SERVING,
                after=State.STARTED,
                actor=actor,
                returning=state.earlier,
            )
    elif state.phase in (Phase.PREPARING, Phase.SERVING):
        for space in (state.source, state.stored, state.mapped):
            if space is not None:
                store.ensure_space(space)
        if state.phase is Phase.PREPARING and not unmapped(store, state):
            change_phase(store, state, Phase.SERVING, actor=actor)


def _reopen(store: Store, state: GalleryState, actor: str | None) -> None:
    """Take an end back: between the last count and the decision another process has written
    items that would have been lost. After the decision it can't any more."""
    change_phase(store, state, Phase.SERVING, after=State.BEHIND, actor=actor)


@contextmanager
def _opened(
    uri: str | Store, upgrade: Upgrade | str | Path, encoder: Encoder | None = None
) -> Iterator[Gallery]:
    """A gallery whose store is closed again, if it was opened here, should the block fail."""
    if not isinstance(upgrade, Upgrade):
        upgrade = Upgrade.load(upgrade)
    store = uri if isinstance(uri, Store) else open_store(uri)
    try:
        gallery = Gallery(store, upgrade, encoder)
        if isinstance(uri, str):
            gallery.uri = redact_uri(uri)
        yield gallery
    except BaseException:
        if store is not uri:
            store.close()
        raise


def _state(store: Store) -> GalleryState:
    state = read_state(store)
    if state is None:
        check_move("backfill", State.NOT_STARTED)
    assert state is not None
    return state


def _seen(state: GalleryState, present: State | None) -> State:
    """The state to check a move by: the job's where it is known, else the phase's."""
    return state.phase.state if present is None else present


def _drop_mapped(store: Store, state: GalleryState) -> None:
    if state.mapped is not None:
        store.drop_space(state.mapped.name)
    store.flush()


def _without_old(store: Store, state: GalleryState) -> int:
    """How many items the old system would not find."""
    lost = store.count(lacks=state.source.name)
    if state.earlier is not None and lost:
        lost -= store.count(has=state.earlier.source.name, lacks=state.source.name)
    return lost


def _one_without_old(store: Store, state: GalleryState) -> Id | None:
    earlier = [] if state.earlier is None else [state.earlier.source.name]
    after: Id | None = None
    while page := store.scan(after=after, n=_ROWS, lacks=state.source.name, vectors=earlier):
        for item in page:
            if not item.vectors:
                return item.id
        after = page[-1].id
    return None


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
    return _another(state, upgrade)


def _another(present: GalleryState, upgrade: Upgrade) -> Exception:
    if (present.source, present.stored) != (upgrade.source, upgrade.stored):
        return SpaceMismatch(
            f"the gallery goes from {_name(present.source)} to {_name(present.stored)}, the "
            f"upgrade from {_name(upgrade.source)} to {_name(upgrade.stored)}; open it with the "
            "upgrade it was started with, or finish or roll back that one first"
        )
    return GalleryStateError(
        f"the gallery goes through upgrade {present.upgrade_id[:12]} ({present.phase.value}), "
        f"not {upgrade.id[:12]}; open it with that one, or finish it or roll it back first"
    )


def _refuse_other_spaces(store: Store, upgrade: Upgrade) -> None:
    spaces = store.spaces()
    if upgrade.source.name in spaces:
        upgrade.source.require(spaces[upgrade.source.name])
    elif store.count():
        raise SpaceMismatch(
            f"the collection holds vectors of {sorted(spaces)}, none of the upgrade's old space "
            f"{_name(upgrade.source)}"
        )


def _name(space: Space) -> str:
    return f"{space.name!r} ({space.dim}-d)"
